"""Every measure with an interval over resampled patients, in one pass (M29, M33)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.statistics._inputs import check_level, check_repeats, known_films, owners
from carina.statistics._resampling import Ranked, patient_draws, sums_by_patient
from carina.statistics.estimates import Estimate, percentile_interval
from carina.statistics.intervals import NOT_ESTIMABLE
from carina.statistics.measures import RATES, rates

__all__ = ["BOOTSTRAP_MEASURES", "cluster_bootstrap", "cluster_bootstrap_difference"]

_RANK = ("auc", "average_precision")
_PROBABILITY = ("brier", "ece")

BOOTSTRAP_MEASURES = (*_RANK, *_PROBABILITY, *RATES)
"""What `cluster_bootstrap` can give."""

_EVENTS = {
    "accuracy": ("tp", "tn"),
    "sensitivity": ("tp",),
    "specificity": ("tn",),
    "ppv": ("tp",),
    "npv": ("tn",),
}
_TRIALS = {
    "accuracy": ("tp", "fp", "tn", "fn"),
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "ppv": ("tp", "fp"),
    "npv": ("tn", "fn"),
}
_Floats = NDArray[np.float64]


def cluster_bootstrap(
    truth: NDArray[Any],
    scores: NDArray[np.floating[Any]],
    groups: NDArray[Any],
    thresholds: float | Sequence[float] | None = None,
    *,
    measures: Sequence[str] | None = None,
    repeats: int = 2000,
    seed: int,
    level: float = 0.95,
    bins: int = 10,
) -> dict[str, Estimate]:
    """Measures of all films with percentile intervals over resampled patients.

    Patients are drawn with replacement, all their films with them. Scores are sorted once; a draw costs cumulative sums
    over them, and what depends on a threshold costs a product of patients' counts, so that 2,000 draws of 100,000 films
    take seconds.

    Parameters
    ----------
    truth : ndarray, (N,)
        1 positive, 0 negative; NaN takes no part.
    scores : ndarray, (N,)
        Finite. Probabilities of the positive, in [0, 1], for ``brier`` and ``ece``.
    groups : ndarray, (N,)
        Patient of each film.
    thresholds : float or sequence of float, optional
        Called positive at or above it. With several, a measure's key ends with ``@`` and the threshold.
    measures : sequence of str, optional
        Of `BOOTSTRAP_MEASURES`. By default all that can be had: those of `RATES` need a threshold, ``brier`` and
        ``ece`` scores within [0, 1].
    repeats : int
        Bootstrap draws.
    seed : int
    level : float
        In (0, 1).
    bins : int
        Of equal width, for ``ece``.

    Returns
    -------
    dict of str to Estimate
        Not estimable where 0/0 or one side has no film. No interval where it would have no width, as with perfect
        separation or constant scores (M31), with fewer than two patients, or where most draws lack the measure; each
        with a note.

    Raises
    ------
    ValueError
        If arrays differ in length, scores are not finite, or a setting is outside its range.

    References
    ----------
    C. A. Field, A. H. Welsh, J. R. Stat. Soc. B 69 (2007) 369-390, doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    >>> truth, scores = np.array([0, 0, 1, 1, 0, 1]), np.array([0.1, 0.6, 0.4, 0.9, 0.2, 0.7])
    >>> found = cluster_bootstrap(truth, scores, np.array(list("aabbcc")), 0.5, seed=1, repeats=200)
    >>> str(found["sensitivity"])
    '0.667 (0.500 to 1.000), 2/3'
    >>> found["sensitivity"].note.split("; ")[0]
    '4 of 200 draws do not have the figure and were left out'
    """
    check_level(level)
    check_repeats(repeats)
    sides, values, known = known_films(truth, scores, np.asarray(groups))
    plan = _Plan.of(values, thresholds, measures, bins)
    patients, owner = owners(np.asarray(groups)[known])
    engine = _Engine.of(sides, values, owner, patients, plan)
    if not sides.size:
        return {name: _nothing(level, "no film has a truth") for name in plan.names()}
    point = engine.measure(np.ones((1, patients), dtype=np.int32))
    blocks = [engine.measure(draw) for draw in patient_draws(patients, sides.size, repeats, seed)]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in point}
    cells = {name: int(point[name][0]) for name in point if name.partition("@")[0] in {"tp", "fp", "tn", "fn"}}
    result = {}
    for name in plan.names():
        value = float(point[name][0])
        n, events = _base(name, cells, sides.size)
        if np.isfinite(value):
            result[name] = percentile_interval(
                value, drawn[name], n=n, patients=patients, level=level, events=events, method="patient bootstrap"
            )
        else:
            why = _why_not(name, sides)
            result[name] = Estimate(None, None, None, n, patients, level, "patient bootstrap", events, why)
    return result


def cluster_bootstrap_difference(
    truth: NDArray[Any],
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    groups: NDArray[Any],
    thresholds: tuple[float, float] | None = None,
    *,
    measures: Sequence[str] | None = None,
    repeats: int = 2000,
    seed: int,
    level: float = 0.95,
    bins: int = 10,
) -> dict[str, Estimate]:
    """Measures of one model less those of another on the same films, with intervals over the same resampled patients.

    Parameters
    ----------
    truth, groups, measures, repeats, seed, level, bins
        As `cluster_bootstrap`.
    first, second : ndarray, (N,)
        Scores of the two models, or a model's and a reader's.
    thresholds : tuple of float, optional
        Of the first and of the second.

    Returns
    -------
    dict of str to Estimate
        Each first less second; `n` is the films.

    Raises
    ------
    ValueError
        As `cluster_bootstrap`.

    Examples
    --------
    >>> truth, scores = np.array([0, 1] * 10), np.arange(20) / 20
    >>> str(cluster_bootstrap_difference(truth, scores, scores, np.arange(20), seed=1, repeats=50)["auc"])
    '0.000 (interval not estimable), 20 films'
    """
    check_level(level)
    check_repeats(repeats)
    pair = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)], axis=1)
    sides, values, known = known_films(truth, pair, np.asarray(groups))
    patients, owner = owners(np.asarray(groups)[known])
    cuts = (None, None) if thresholds is None else thresholds
    plans = [_Plan.of(values[:, place], cuts[place], measures, bins) for place in (0, 1)]
    names = [name for name in plans[0].names() if name in plans[1].names()]
    if not sides.size:
        return {name: _nothing(level, "no film has a truth") for name in names}
    engines = [_Engine.of(sides, values[:, place], owner, patients, plans[place]) for place in (0, 1)]

    def gaps(weights: NDArray[np.int32]) -> dict[str, _Floats]:
        one, other = (engine.measure(weights) for engine in engines)
        return {name: one[name] - other[name] for name in names}

    point = gaps(np.ones((1, patients), dtype=np.int32))
    blocks = [gaps(draw) for draw in patient_draws(patients, sides.size, repeats, seed)]
    result = {}
    for name in names:
        value = float(point[name][0])
        result[name] = percentile_interval(
            value if np.isfinite(value) else None,
            np.concatenate([block[name] for block in blocks]),
            n=sides.size,
            patients=patients,
            level=level,
            method="paired patient bootstrap",
        )
    return result


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which measures at which thresholds."""

    measures: tuple[str, ...]
    thresholds: tuple[float, ...]
    several: bool
    bins: int

    @classmethod
    def of(
        cls, values: _Floats, thresholds: float | Sequence[float] | None, measures: Sequence[str] | None, bins: int
    ) -> _Plan:
        if bins < 1:
            raise ValueError(f"calibration needs at least one bin; found {bins!r}")
        several = thresholds is not None and not isinstance(thresholds, (int, float, np.floating))
        cuts = () if thresholds is None else tuple(float(cut) for cut in np.atleast_1d(np.asarray(thresholds)))
        if not np.isfinite(cuts).all():
            raise ValueError(f"thresholds must be finite; found {cuts!r}")
        within = bool(((values >= 0) & (values <= 1)).all())
        if measures is None:
            chosen = (*_RANK, *(_PROBABILITY if within else ()), *(RATES if cuts else ()))
            return cls(chosen, cuts, several, bins)
        unknown = sorted(set(measures) - set(BOOTSTRAP_MEASURES))
        if unknown:
            raise ValueError(f"measures must be among {', '.join(BOOTSTRAP_MEASURES)}; found {', '.join(unknown)}")
        if set(measures) & set(RATES) and not cuts:
            raise ValueError(f"{', '.join(sorted(set(measures) & set(RATES)))} need a threshold; found none")
        if set(measures) & set(_PROBABILITY) and not within:
            raise ValueError("brier and ece need probabilities within 0 and 1; found scores outside")
        return cls(tuple(measures), cuts, several, bins)

    def key(self, measure: str, threshold: float) -> str:
        return f"{measure}@{threshold:g}" if self.several else measure

    def names(self) -> list[str]:
        whole = [name for name in self.measures if name not in RATES]
        return whole + [self.key(name, cut) for cut in self.thresholds for name in self.measures if name in RATES]


@dataclass(frozen=True, slots=True)
class _Engine:
    """Turns patient weights into measures."""

    plan: _Plan
    ranked: Ranked | None
    sums: _Floats

    @classmethod
    def of(
        cls, sides: NDArray[np.bool_], values: _Floats, owner: NDArray[np.intp], patients: int, plan: _Plan
    ) -> _Engine:
        columns: list[NDArray[Any]] = [np.ones(sides.size)]
        if "brier" in plan.measures:
            columns.append((values - sides) ** 2)
        if "ece" in plan.measures:
            place, gaps = np.minimum((values * plan.bins).astype(int), plan.bins - 1), values - sides
            columns.extend(np.where(place == number, gaps, 0.0) for number in range(plan.bins))
        if set(plan.measures) & set(RATES):
            for cut in plan.thresholds:
                called = values >= cut
                columns.extend((sides & called, ~sides & called, ~sides & ~called, sides & ~called))
        ranked = Ranked.of(sides, values, owner) if set(plan.measures) & set(_RANK) else None
        return cls(plan, ranked, sums_by_patient(columns, owner, patients))

    def measure(self, weights: NDArray[np.int32]) -> dict[str, _Floats]:
        """Each measure of each draw, (B,)."""
        found: dict[str, _Floats] = {}
        if self.ranked is not None:
            found["auc"], found["average_precision"] = self.ranked.areas(weights)
        totals = weights.astype(np.float64) @ self.sums
        films, place = totals[:, 0], 1
        if "brier" in self.plan.measures:
            found["brier"], place = totals[:, 1] / films, 2
        if "ece" in self.plan.measures:
            found["ece"] = np.abs(totals[:, place : place + self.plan.bins]).sum(axis=1) / films
            place += self.plan.bins
        if set(self.plan.measures) & set(RATES):
            for cut in self.plan.thresholds:
                cells = dict(zip(("tp", "fp", "tn", "fn"), np.rint(totals[:, place : place + 4]).T, strict=True))
                found |= {self.plan.key(name, cut): value for name, value in (cells | rates(**cells)).items()}
                place += 4
        return found


def _base(name: str, cells: Mapping[str, int], films: int) -> tuple[int, int | None]:
    """Trials and events that a measure rests on."""
    measure, at, cut = name.partition("@")
    if measure not in _EVENTS:
        return films, None
    return (
        sum(cells[f"{cell}{at}{cut}"] for cell in _TRIALS[measure]),
        sum(cells[f"{cell}{at}{cut}"] for cell in _EVENTS[measure]),
    )


def _why_not(name: str, sides: NDArray[np.bool_]) -> str:
    if bool(sides.all()) or not bool(sides.any()):
        return f"{NOT_ESTIMABLE}: one class only"
    called = (
        "called positive" if name.startswith("ppv") else "called negative" if name.startswith("npv") else "to count"
    )
    return f"{NOT_ESTIMABLE}: no film {called}"


def _nothing(level: float, why: str) -> Estimate:
    return Estimate(None, None, None, 0, 0, level, "patient bootstrap", note=f"{NOT_ESTIMABLE}: {why}")
