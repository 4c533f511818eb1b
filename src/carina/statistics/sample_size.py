"""How many patients, and so how many months of records, a study needs (M12, M31, M33)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import beta, binom, norm

__all__ = [
    "Expectation",
    "TimeWindow",
    "design_effect",
    "expected_width",
    "power_above",
    "time_window",
    "trials_for_power",
    "trials_for_width",
]

Method = Literal["clopper-pearson", "wilson"]

MOST_TRIALS = 1_000_000
"""Largest sample looked for."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of one contrast.

    Attributes
    ----------
    name : str
        Such as ``"covid19_given_pneumonia"``.
    sensitivity, specificity : float
        In (0, 1).
    prevalence : float
        Share of the positive side among the films of the contrast, in (0, 1).
    """

    name: str
    sensitivity: float
    specificity: float
    prevalence: float

    def __post_init__(self) -> None:
        for name in ("sensitivity", "specificity", "prevalence"):
            _check_share(name, getattr(self, name))

    @property
    def called(self) -> float:
        """Share of films called positive."""
        return self.sensitivity * self.prevalence + (1 - self.specificity) * (1 - self.prevalence)

    @property
    def ppv(self) -> float:
        """Expected positive predictive value."""
        return self.sensitivity * self.prevalence / self.called

    @property
    def npv(self) -> float:
        """Expected negative predictive value."""
        return self.specificity * (1 - self.prevalence) / (1 - self.called)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """What a study needs.

    Attributes
    ----------
    level : float
        Confidence level of each interval: 1 - 0.05 / m, Bonferroni.
    films : dict of str to int
        Test films a contrast needs so that the intervals of its PPV and NPV are as narrow as asked.
    decided_by : dict of str to str
        ``"ppv"`` or ``"npv"``, whichever needs more films.
    test_pneumonia_patients : int
        Patients with confirmed pneumonia in `test`: the most that a contrast needs.
    eligible_patients : int
        Patients to collect.
    months : float
        Months of records.
    """

    level: float
    films: dict[str, int]
    decided_by: dict[str, str]
    test_pneumonia_patients: int
    eligible_patients: int
    months: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def sentences(self) -> tuple[str, ...]:
        """Say it."""
        contrasts = [
            f"{name}: {films:,} pneumonia films, one a patient; the {self.decided_by[name].upper()} decides"
            for name, films in self.films.items()
        ]
        return (
            *contrasts,
            f"each interval at {100 * self.level:g} % (Bonferroni)",
            (
                f"{self.test_pneumonia_patients:,} patients with confirmed pneumonia in test, "
                f"{self.eligible_patients:,} eligible patients in all, {self.months:g} months of records"
            ),
        )


def expected_width(trials: int, share: float, level: float = 0.95, method: Method = "clopper-pearson") -> float:
    """Mean width of the interval of a share over its sampling distribution.

    Parameters
    ----------
    trials : int
        At least 1.
    share : float
        True share, in (0, 1).
    level : float
        In (0, 1).
    method : {"clopper-pearson", "wilson"}

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    K. Krishnamoorthy, J. Peng, Communications in Statistics - Simulation and Computation 36 (2007) 1171-1185,
    doi:10.1080/03610910701569218: sample sizes from the expected length of exact and score intervals.

    Examples
    --------
    >>> round(expected_width(100, 0.9), 4)
    0.1256
    """
    _check_share("share", share)
    _check_share("level", level)
    if trials < 1:
        raise ValueError(f"trials must be at least 1; found {trials!r}")
    events = np.arange(trials + 1)
    if method == "clopper-pearson":
        tail = (1.0 - level) / 2.0
        low = np.where(events == 0, 0.0, beta.ppf(tail, np.maximum(events, 1), trials - events + 1))
        high = np.where(events == trials, 1.0, beta.ppf(1 - tail, events + 1, np.maximum(trials - events, 1)))
        widths = high - low
    else:
        z = float(norm.ppf(0.5 + level / 2.0))
        found = events / trials
        half = z / (1 + z * z / trials) * np.sqrt((found * (1 - found) + z * z / (4 * trials)) / trials)
        centre = (found + z * z / (2 * trials)) / (1 + z * z / trials)
        widths = np.minimum(centre + half, 1.0) - np.maximum(centre - half, 0.0)
    return float(np.sum(binom.pmf(events, trials, share) * widths))


def trials_for_width(share: float, width: float, level: float = 0.95, method: Method = "clopper-pearson") -> int:
    """Fewest trials whose interval is expected to be at most so wide.

    Parameters
    ----------
    share : float
        Expected share, in (0, 1).
    width : float
        Of the whole interval, in (0, 1).
    level, method
        As `expected_width`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is outside its range, or a million trials are not enough.

    Examples
    --------
    >>> trials_for_width(0.9, 0.1, 0.9875)
    241
    """
    _check_share("width", width)
    low, high = 0, 1
    while expected_width(high, share, level, method) > width:
        low, high = high, 2 * high
        if high > MOST_TRIALS:
            raise ValueError(f"a width of {width!r} takes more than {MOST_TRIALS:,} trials; ask for a wider interval")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if expected_width(middle, share, level, method) <= width else (middle, high)
    return high


def power_above(trials: int, share: float, null: float, level: float = 0.95) -> float:
    """Chance that the exact interval lies wholly above a value.

    Parameters
    ----------
    trials : int
        At least 1.
    share, null : float
        True share, and the value to be shown to be exceeded; in (0, 1).
    level : float
        Of the two-sided Clopper-Pearson interval.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> round(power_above(100, 0.9, 0.8), 3)
    0.703
    """
    for name, value in (("share", share), ("null", null), ("level", level)):
        _check_share(name, value)
    if trials < 1:
        raise ValueError(f"trials must be at least 1; found {trials!r}")
    return float(_powers(np.array([trials]), share, null, level)[0])


def trials_for_power(share: float, null: float, power: float = 0.8, level: float = 0.95) -> int:
    """Fewest trials from which on the power is never below the one asked for.

    The power of an exact test goes up and down with the number of trials; a smaller number may do by luck.

    Parameters
    ----------
    share, null, level
        As `power_above`; `share` must exceed `null`.
    power : float
        In (0, 1).

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is outside its range, or a million trials are not enough.

    Examples
    --------
    >>> trials_for_power(0.9, 0.8)
    113
    """
    for name, value in (("share", share), ("null", null), ("power", power), ("level", level)):
        _check_share(name, value)
    if share <= null:
        raise ValueError(f"the expected share must exceed the value to be shown; found {share!r} and {null!r}")
    most = 256
    while most <= MOST_TRIALS:
        short = np.flatnonzero(_powers(np.arange(1, most + 1), share, null, level) < power)
        last = int(short[-1]) + 1 if short.size else 0
        if 2 * last <= most:  # no dip of the saw comes so late again
            return last + 1
        most *= 2
    raise ValueError(f"a power of {power!r} takes more than {MOST_TRIALS // 2:,} trials; show a lower value")


def design_effect(films_per_patient: float, correlation: float) -> float:
    """By how much films of the same patients must outnumber independent ones (M33).

    Parameters
    ----------
    films_per_patient : float
        Mean, at least 1.
    correlation : float
        Of two films of one patient being called rightly, in [0, 1].

    Returns
    -------
    float
        1 + (films_per_patient - 1) x correlation.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    L. Kish, Survey Sampling, 1965.

    Examples
    --------
    >>> design_effect(2, 0.5)
    1.5
    """
    if films_per_patient < 1 or not 0 <= correlation <= 1:
        raise ValueError(
            "films a patient must be at least 1 and their correlation within 0 and 1; "
            f"found {films_per_patient!r} and {correlation!r}"
        )
    return 1 + (films_per_patient - 1) * correlation


def time_window(
    expectations: Sequence[Expectation],
    *,
    width: float,
    patients_per_month: float,
    confirmed: float,
    test_share: float = 1.0,
    training_patients: int = 0,
    method: Method = "clopper-pearson",
) -> TimeWindow:
    """Months of records that give each PPV and NPV an interval of the width asked for.

    Parameters
    ----------
    expectations : sequence of Expectation
        The contrasts of the primary family; m is twice their number (M31), so that two give 98.75 %.
    width : float
        Of each interval, in (0, 1).
    patients_per_month : float
        Eligible patients.
    confirmed : float
        Share of them with confirmed pneumonia, in (0, 1].
    test_share : float
        Share of the patients in `test`, in (0, 1].
    training_patients : int
        Patients taken out for the other splits by number, where `test` is all the rest (M11, M25).
    method : {"clopper-pearson", "wilson"}

    Returns
    -------
    TimeWindow

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    if not expectations:
        raise ValueError("a study needs at least one contrast; found none")
    for name, value in (("confirmed", confirmed), ("test_share", test_share)):
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1; found {value!r}")
    if patients_per_month <= 0 or training_patients < 0:
        raise ValueError(
            f"patients must be counted; found {patients_per_month!r} a month and {training_patients!r} for training"
        )
    level = 1 - 0.05 / (2 * len(expectations))
    films: dict[str, int] = {}
    decided: dict[str, str] = {}
    for each in expectations:
        needs = {
            "ppv": math.ceil(trials_for_width(each.ppv, width, level, method) / each.called),
            "npv": math.ceil(trials_for_width(each.npv, width, level, method) / (1 - each.called)),
        }
        decided[each.name] = max(needs, key=lambda name: needs[name])
        films[each.name] = max(needs.values())
    pneumonia = max(films.values())
    eligible = math.ceil(pneumonia / confirmed / test_share) + training_patients
    return TimeWindow(level, films, decided, pneumonia, eligible, math.ceil(10 * eligible / patients_per_month) / 10)


def _powers(trials: np.ndarray[Any, Any], share: float, null: float, level: float) -> np.ndarray[Any, Any]:
    # The lower limit exceeds `null` where so many events, or more, have a chance of at most half of 1 - level under it.
    least = binom.isf((1.0 - level) / 2.0, trials, null)
    return np.asarray(binom.sf(least, trials, share))


def _check_share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must be within 0 and 1; found {value!r}")
