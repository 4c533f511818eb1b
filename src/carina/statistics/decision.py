"""Decision curves: what a test is worth at each weight of a false alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics._inputs import check_level, check_repeats, known_films, owners
from carina.statistics._resampling import patient_draws, sums_by_patient
from carina.statistics.estimates import FEW_PATIENTS, LEAST_PATIENTS
from carina.statistics.intervals import NOT_ESTIMABLE

__all__ = ["DecisionCurve", "decision_curve", "net_benefit"]

_Floats = NDArray[np.float64]
_THRESHOLDS = tuple(percent / 100 for percent in range(1, 100))


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit at each threshold probability.

    Attributes
    ----------
    thresholds : ndarray, (T,)
        In (0, 1): a false alarm weighs threshold / (1 - threshold) of a case found.
    net_benefit : ndarray, (T,)
        True positives a film less weighted false positives a film. Empty where not estimable.
    standardised : ndarray, (T,)
        Over the prevalence: 1 is the most that can be had.
    treat_all : ndarray, (T,)
        Net benefit of calling every film positive; that of calling none is 0.
    low, high : ndarray, (T,), or None
        Pointwise interval of the net benefit by patient; `None` without patients, NaN where it has no width.
    prevalence : float or None
        That the curve holds for.
    note : str or None
    """

    thresholds: _Floats
    net_benefit: _Floats
    standardised: _Floats
    treat_all: _Floats
    low: _Floats | None
    high: _Floats | None
    prevalence: float | None
    note: str | None = None


def net_benefit(tp: Any, fp: Any, films: Any, threshold: Any) -> _Floats:
    """Net benefit of calls: TP / n - FP / n x threshold / (1 - threshold).

    Parameters
    ----------
    tp, fp, films : array_like
        True positives, false positives and all films.
    threshold : array_like
        Threshold probability, in (0, 1).

    References
    ----------
    A. J. Vickers, E. B. Elkin, Med. Decis. Making 26 (2006) 565-574, doi:10.1177/0272989X06295361.

    Examples
    --------
    >>> round(float(net_benefit(80, 200, 1000, 0.1)), 4)
    0.0578
    """
    cut = np.asarray(threshold, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((np.asarray(tp, dtype=np.float64) - np.asarray(fp) * cut / (1 - cut)) / np.asarray(films))


def decision_curve(
    truth: NDArray[Any],
    probabilities: NDArray[np.floating[Any]],
    groups: NDArray[Any] | None = None,
    *,
    thresholds: Sequence[float] = _THRESHOLDS,
    prevalence: float | None = None,
    seed: int = 0,
    repeats: int = 2000,
    level: float = 0.95,
) -> DecisionCurve:
    """Net benefit of calling a film positive where its probability reaches the threshold, over thresholds.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    probabilities : ndarray, (N,)
        Of the positive, in [0, 1]; calibrated, or the curve says little.
    groups : ndarray, (N,), optional
        Patient of each film: gives intervals over resampled patients.
    thresholds : sequence of float
        In (0, 1).
    prevalence : float, optional
        Another share of positives than the films', in (0, 1): sensitivity and specificity are kept.
    seed, repeats, level
        Of the intervals.

    Returns
    -------
    DecisionCurve
        Not estimable with one class.

    Raises
    ------
    ValueError
        If arrays differ in length, or a probability, a threshold or a setting is outside its range.

    References
    ----------
    A. J. Vickers, B. Van Calster, E. W. Steyerberg, Diagn. Progn. Res. 3 (2019) 18, doi:10.1186/s41512-019-0064-7.
    Standardised: K. F. Kerr et al., J. Clin. Oncol. 34 (2016) 2534-2540, doi:10.1200/JCO.2015.65.5654.

    Examples
    --------
    >>> curve = decision_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]), thresholds=[0.2, 0.5])
    >>> curve.net_benefit.tolist(), curve.treat_all.tolist()
    ([0.4375, 0.0], [0.375, 0.0])
    """
    check_level(level)
    check_repeats(repeats)
    cuts = np.asarray(thresholds, dtype=np.float64)
    if cuts.ndim != 1 or not ((cuts > 0) & (cuts < 1)).all():
        raise ValueError("threshold probabilities must be within 0 and 1")
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"a prevalence must be within 0 and 1; found {prevalence!r}")
    sides, values, known = known_films(truth, probabilities, groups)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError("a decision curve needs probabilities within 0 and 1; found scores outside")
    if not sides.any() or sides.all():
        empty = np.empty(0)
        return DecisionCurve(cuts, empty, empty, empty, None, None, None, f"{NOT_ESTIMABLE}: one class only")
    called = values[:, None] >= cuts
    share = float(sides.mean()) if prevalence is None else prevalence
    hits, alarms = (called & sides[:, None]).sum(axis=0), (called & ~sides[:, None]).sum(axis=0)
    benefit = _benefit((hits, alarms, sides.sum(), (~sides).sum()), cuts, prevalence)
    low = high = note = None
    if groups is not None:
        patients, owner = owners(np.asarray(groups)[known])
        if patients < LEAST_PATIENTS:
            note = "no interval: fewer than two patients cannot be resampled"
        else:
            columns = [*(called & sides[:, None]).T, *(called & ~sides[:, None]).T, sides, ~sides]
            sums, number = sums_by_patient(columns, owner, patients), cuts.size
            drawn = []
            # Many columns, so many draws at a time: the sums are read from memory once for all of them.
            for weights in patient_draws(patients, min(sides.size, 1000), repeats, seed):
                total = weights.astype(np.float64) @ sums
                parts = total[:, :number], total[:, number : 2 * number], total[:, -2:-1], total[:, -1:]
                drawn.append(_benefit(parts, cuts, prevalence))
            low, high = _limits(np.concatenate(drawn), level)
            few = f"{patients} patients are few: intervals of so few cover less than their level"
            note = few if patients < FEW_PATIENTS else None
    return DecisionCurve(
        cuts, benefit, benefit / share, np.asarray(share - (1 - share) * cuts / (1 - cuts)), low, high, share, note
    )


def _benefit(parts: tuple[Any, Any, Any, Any], cuts: _Floats, prevalence: float | None) -> _Floats:
    hits, alarms, ups, downs = parts
    if prevalence is None:
        return net_benefit(hits, alarms, ups + downs, cuts)
    with np.errstate(divide="ignore", invalid="ignore"):
        return net_benefit(prevalence * hits / ups, (1 - prevalence) * alarms / downs, 1.0, cuts)


def _limits(drawn: _Floats, level: float) -> tuple[_Floats, _Floats]:
    missing = ~np.isfinite(drawn).any(axis=0)
    limits = np.full((2, drawn.shape[1]), np.nan)
    if not missing.all():
        limits[:, ~missing] = np.nanquantile(drawn[:, ~missing], [0.5 - level / 2, 0.5 + level / 2], axis=0)
    limits[:, limits[1] - limits[0] <= 1e-12] = np.nan  # noqa: PLR2004 - rounding: an interval without width
    return limits[0], limits[1]
