"""Shares of films of which several are one patient's (M31, M33)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from scipy.stats import t as student

from carina.statistics._inputs import check_level, owners
from carina.statistics.estimates import LEAST_PATIENTS, Estimate
from carina.statistics.intervals import NOT_ESTIMABLE

__all__ = ["clustered_difference", "effective_sample_size", "korn_graubard"]

_Array = NDArray[Any]
_NAN = float("nan")


def effective_sample_size(events: _Array, trials: _Array, groups: _Array) -> float | None:
    """How many independent films would tell a share as precisely.

    Parameters
    ----------
    events, trials : ndarray, (N,)
        A row is a film, or a patient's sum: 0 <= events <= trials. For a PPV: trials 1 where called positive, events 1
        where also right.
    groups : ndarray, (N,)
        Patient of each row.

    Returns
    -------
    float or None
        p (1 - p) / variance of p over patients, at most the number of trials; `None` where p is 0 or 1, without trials
        or with fewer than two patients.

    Raises
    ------
    ValueError
        If arrays differ in length or counts are outside their ranges.

    Examples
    --------
    >>> effective_sample_size(np.array([1, 1, 0, 0]), np.ones(4), np.array(["a", "a", "b", "b"]))
    1.0
    """
    ups, downs = _per_patient(events, trials, groups)
    total = float(downs.sum())
    if not total or downs.size < LEAST_PATIENTS:
        return None
    share = float(ups.sum()) / total
    variance = _ratio_variance(ups, downs)
    if share in (0.0, 1.0):
        return None
    return total if variance <= 0 else min(total, share * (1 - share) / variance)


def korn_graubard(events: _Array, trials: _Array, groups: _Array, level: float = 0.95) -> Estimate:
    """Share with the exact interval of its effective sample size, for films of the same patients (M31).

    Parameters
    ----------
    events, trials, groups
        As `effective_sample_size`.
    level : float
        In (0, 1).

    Returns
    -------
    Estimate
        With `n` trials and the effective sample size in the note. The effective sample size is reduced for the degrees
        of freedom, patients - 1, and never exceeds the trials. Where all trials agree it is the number of patients.

    Raises
    ------
    ValueError
        As `effective_sample_size`, or for a level outside (0, 1).

    References
    ----------
    E. L. Korn, B. I. Graubard, Surv. Methodol. 24 (1998) 193-201; the cap is that of the US National Center for Health
    Statistics, Vital Health Stat. 2 (175), 2017.

    Examples
    --------
    >>> str(korn_graubard(np.ones(4), np.ones(4), np.array(["a", "a", "b", "b"])))
    '1.000 (0.158 to 1.000), 4/4'
    """
    check_level(level)
    ups, downs = _per_patient(events, trials, groups)
    total, hits, patients = int(downs.sum()), int(ups.sum()), int(downs.size)
    method = "Korn-Graubard"

    def bare(value: float | None, note: str) -> Estimate:
        return Estimate(value, None, None, total, patients, level, method, hits, note)

    if not total:
        return bare(None, f"{NOT_ESTIMABLE}: no film to take a share of")
    share = hits / total
    if patients < LEAST_PATIENTS:
        return bare(share, "no interval: the films are of one patient")
    variance = _ratio_variance(ups, downs)
    tail = (1.0 - level) / 2.0
    if hits in (0, total):
        effective, note = float(patients), "all films agree: the interval takes one film a patient"
    else:
        whole = share * (1 - share) / variance if variance > 0 else float(total)
        shrink = (float(student.ppf(tail, total - 1)) / float(student.ppf(tail, patients - 1))) ** 2
        effective = min(float(total), whole * shrink)
        note = f"effective sample size {effective:.1f} of {total} films"
    low = 0.0 if hits == 0 else float(beta.ppf(tail, effective * share, effective * (1 - share) + 1))
    high = 1.0 if hits == total else float(beta.ppf(1 - tail, effective * share + 1, effective * (1 - share)))
    return Estimate(share, low, high, total, patients, level, method, hits, note)


def clustered_difference(first: _Array, second: _Array, groups: _Array, level: float = 0.95) -> tuple[Estimate, float]:
    """Mean difference of two paired values a film, with interval and test by patient.

    Of two sets of right and wrong calls it is the McNemar comparison for films of the same patients.

    Parameters
    ----------
    first, second : ndarray, (N,)
        A value of each film, such as 1 where called rightly.
    groups : ndarray, (N,)
        Patient of each film.
    level : float
        In (0, 1).

    Returns
    -------
    difference : Estimate
        Mean of first - second, Student's t on patients - 1 degrees of freedom.
    p_value : float
        Two-sided; NaN where no patient differs or there is but one.

    Raises
    ------
    ValueError
        If arrays differ in length or values are not finite.

    References
    ----------
    N. A. Obuchowski, Stat. Med. 17 (1998) 1495-1507, on clustered paired proportions; here with the variance about the
    observed difference, not about none, so that test and interval agree.
    """
    check_level(level)
    ones, others = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not ones.shape == others.shape == np.shape(groups):
        raise ValueError(f"values and patients must be as many; found {ones.shape}, {others.shape}, {np.shape(groups)}")
    gaps = ones - others
    if not np.isfinite(gaps).all():
        raise ValueError("values must be finite; leave out films without a value")
    people, owner = owners(groups)
    method = "cluster-robust, Student's t"
    if people < LEAST_PATIENTS:
        value = float(gaps.mean()) if gaps.size else None
        return Estimate(value, None, None, gaps.size, people, level, method, note="no interval: one patient"), _NAN
    sums, sizes = (np.asarray(np.bincount(owner, each), dtype=np.float64) for each in (gaps, np.ones(gaps.size)))
    value, variance = float(gaps.mean()), _ratio_variance(sums, sizes)
    if variance <= 0:
        note = "no interval: all patients differ alike"
        return Estimate(value, None, None, gaps.size, people, level, method, note=note), _NAN
    error = variance**0.5
    half = float(student.ppf(0.5 + level / 2, people - 1)) * error
    p_value = float(2 * student.sf(abs(value) / error, people - 1))
    return Estimate(value, value - half, value + half, gaps.size, people, level, method), p_value


def _per_patient(events: _Array, trials: _Array, groups: _Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ups, downs = np.asarray(events, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if not ups.shape == downs.shape == np.shape(groups):
        raise ValueError(f"events, trials and patients must be as many; found {ups.shape}, {downs.shape}")
    if not (np.isfinite(ups).all() and np.isfinite(downs).all()) or (ups < 0).any() or (ups > downs).any():
        raise ValueError("events must be within 0 and trials in each row, and both finite")
    people, owner = owners(groups)
    sums, sizes = (np.asarray(np.bincount(owner, each, people), dtype=np.float64) for each in (ups, downs))
    return sums[sizes > 0], sizes[sizes > 0]


def _ratio_variance(ups: NDArray[np.float64], downs: NDArray[np.float64]) -> float:
    """Of sum(ups) / sum(downs), over patients drawn independently; linearised."""
    residuals = ups - downs * (ups.sum() / downs.sum())
    return float(ups.size / (ups.size - 1) * (residuals @ residuals) / downs.sum() ** 2)
