"""Every accuracy parameter of a contrast, in both denominators, on first films and on all films (M29-M31, M33)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence.contrast_films import ALL_FILMS, Compared, compared_films
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number, Place
from carina.evidence.operating import OperatingThreshold, is_conditional, primary_contrasts
from carina.statistics import (
    Counts,
    Estimate,
    accuracy_measures,
    average_precision,
    bonferroni_level,
    cluster_bootstrap,
    delong_auc,
    korn_graubard,
    mercaldo_predictive_values,
)
from carina.tasks import Task

__all__ = [
    "IntervalOptions",
    "area_estimate",
    "bootstrapped",
    "bootstrapped_auc",
    "contrast_numbers",
    "first_film_numbers",
    "share_estimates",
]

_SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
_FROM_COUNTS = ("f1", "mcc", "kappa")
_PREDICTIVE = ("ppv", "npv")
_HEADLINES = ("auc", "sensitivity", "specificity", "ppv", "npv")
_ONE_CLASS = "not estimable: one class only"


@dataclass(frozen=True, slots=True)
class IntervalOptions:
    """How intervals are made.

    Attributes
    ----------
    seed : int
        Of every draw.
    repeats : int
        Bootstrap draws.
    method : {"clopper-pearson", "wilson"}
        Of shares on first films.
    level : float
    """

    seed: int = 1
    repeats: int = 2000
    method: str = "clopper-pearson"
    level: float = 0.95


def contrast_numbers(
    judged: JudgedFilms,
    contrast: str,
    threshold: OperatingThreshold,
    decisions: tuple[str, ...],
    *,
    options: IntervalOptions,
    prevalence: Mapping[str, float] | None = None,
) -> list[Number]:
    """Every number of one contrast.

    Parameters
    ----------
    judged : JudgedFilms
    contrast : str
    threshold : OperatingThreshold
    decisions : tuple of str, (N,)
        For the denominator of all films.
    options : IntervalOptions
    prevalence : mapping of class to float, optional
        Shares of all classes, where predictive values are asked at it.

    Returns
    -------
    list of Number
        Pooled, and within each source that has both sides.
    """
    task = judged.task
    sets = [compared_films(judged, contrast, threshold)]
    if is_conditional(task, contrast):
        sets.append(compared_films(judged, contrast, threshold, decisions))
    primary = contrast in primary_contrasts(task)
    family = 2 * len(primary_contrasts(task)) if primary else None
    found: list[Number] = []
    for films in sets:
        place = films.place("contrast", threshold=films.cut)
        headline = bool(contrast in {rule.contrast for rule in task.decision.rules}) and films is sets[0]
        first = films.first()
        found += first_film_numbers(first, place, options, family=family, headline=headline)
        found += _all_film_numbers(films, place, options, family)
        if prevalence is not None:
            found += _at_prevalence(first, place, _share(task, films, prevalence), options, family)
        for source in sorted(set(films.sources.tolist()) - {""}):
            here = films.take(films.sources == source)
            if here.two_sided and here.people < films.people:
                inside = here.place("contrast", threshold=here.cut, cell=f"source={source}")
                found += first_film_numbers(here.first(), inside, options, headline=headline, headlines=("auc",))
                found.append(bootstrapped_auc(here, inside, options))
    return found


def first_film_numbers(
    films: Compared,
    place: Place,
    options: IntervalOptions,
    *,
    family: int | None = None,
    headline: bool = False,
    headlines: tuple[str, ...] = _HEADLINES,
) -> list[Number]:
    """Measures of independent films, one a patient, with exact intervals (M29, M31).

    Parameters
    ----------
    films : Compared
        First films.
    place : Place
    options : IntervalOptions
    family : int or None
        Intervals of PPV and NPV that hold together.
    headline : bool
        Whether the measures named by `headlines` are headline numbers.
    headlines : tuple of str

    Returns
    -------
    list of Number
    """
    place = place.at(films_used="first_films", patients=films.people)
    found: dict[str, Estimate] = {}
    found["auc"] = area_estimate(films.positive, films.scores, options.level)
    if films.two_sided:
        found["average_precision"] = _precision(films)
    found |= share_estimates(films, options, family)
    counts = _determinate(films)
    measures = accuracy_measures(counts, options.level, patients=films.people)
    note = "of the films outside the indeterminate band" if (films.calls == 0).any() else None
    found |= {name: _noted(measures[name], note) for name in _FROM_COUNTS}
    numbers = [
        place.number(
            name,
            one,
            family=family if name in _PREDICTIVE else None,
            headline=headline and name in headlines,
            rule="M30" if name in _PREDICTIVE else "M29",
        )
        for name, one in found.items()
    ]
    cells = {"tp": counts.tp, "fp": counts.fp, "tn": counts.tn, "fn": counts.fn}
    return numbers + [place.count(name, float(value), len(films.scores)) for name, value in cells.items()]


def share_estimates(films: Compared, options: IntervalOptions, family: int | None = None) -> dict[str, Estimate]:
    """Shares that the calls give, films independent; an indeterminate film is right on neither side (M29).

    Returns
    -------
    dict of str to Estimate
        PPV and NPV at the level of their family.
    """
    result = {}
    for name, (events, of) in _shares(films).items():
        level = bonferroni_level(family, options.level) if family and name in _PREDICTIVE else options.level
        hits, trials = int((events & of).sum()), int(of.sum())
        # as the sensitivity of `hits` found among `trials`
        one = accuracy_measures(Counts(hits, 0, 0, trials - hits), level, method=options.method, patients=films.people)
        note = None if trials else _EMPTY[name]
        method = one["sensitivity"].method + (f", Bonferroni m={family}" if level != options.level else "")
        result[name] = replace(one["sensitivity"], note=note, method=method)
    return result


_EMPTY = {
    "sensitivity": "not estimable: no positive film",
    "specificity": "not estimable: no negative film",
    "ppv": "not estimable: no film is called positive",
    "npv": "not estimable: no film is called negative",
    "accuracy": "not estimable: no film",
    "indeterminate": "not estimable: no film",
}


def _shares(films: Compared) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    up, down, positive = films.calls == 1, films.calls == -1, films.positive
    everyone = np.ones_like(positive)
    found = {
        "sensitivity": (up, positive),
        "specificity": (down, ~positive),
        "ppv": (positive, up),
        "npv": (~positive, down),
        "accuracy": ((up & positive) | (down & ~positive), everyone),
    }
    if films.threshold is not None and films.threshold.band:
        found["indeterminate"] = (~up & ~down, everyone)
    return found


def _determinate(films: Compared) -> Counts:
    up, down, positive = films.calls == 1, films.calls == -1, films.positive
    return Counts(
        tp=int((up & positive).sum()),
        fp=int((up & ~positive).sum()),
        tn=int((down & ~positive).sum()),
        fn=int((down & positive).sum()),
    )


def _all_film_numbers(films: Compared, place: Place, options: IntervalOptions, family: int | None) -> list[Number]:
    """All films: effective sample size beside the bootstrap by patient (M31, M33)."""
    place = place.at(films_used=ALL_FILMS, patients=films.people)
    numbers = []
    for name, (events, of) in _shares(films).items():
        level = bonferroni_level(family, options.level) if family and name in _PREDICTIVE else options.level
        found = korn_graubard(events & of, of, films.patients, level)
        if level != options.level:
            found = replace(found, method=f"{found.method}, Bonferroni m={family}")
        if found.value is None:
            found = replace(found, note=_EMPTY[name])
        own = {"rule": "M31", "family": family if name in _PREDICTIVE else None}
        numbers.append(place.number(name, found, variant="korn_graubard", **own))
    return numbers + list(bootstrapped(films, place, options, family).values())


def bootstrapped(
    films: Compared, place: Place, options: IntervalOptions, family: int | None = None
) -> dict[str, Number]:
    """Measures of all films with intervals by resampled patients (M33).

    Returns
    -------
    dict of str to Number
        By measure.
    """
    place = place.at(films_used=ALL_FILMS, patients=films.people)
    result: dict[str, Number] = {}
    if not films.two_sided:
        return {"auc": bootstrapped_auc(films, place, options)}
    for name, found in _draws(films, options, family).items():
        own = {"rule": "M33", "family": family if name in _PREDICTIVE else None}
        result[name] = place.number(name, found, variant="bootstrap", **own)
    return result


def bootstrapped_auc(films: Compared, place: Place, options: IntervalOptions) -> Number:
    """AUC of all films with an interval by resampled patients, as `bootstrapped` gives it, alone (M33)."""
    place = place.at(films_used=ALL_FILMS, patients=films.people)
    if not films.two_sided:
        return place.number("auc", _of_one_side(films, options), rule="M33", variant="bootstrap")
    found = _drawn(films, films.scores, ("auc",), options, options.level)
    return place.number("auc", found["auc"], rule="M33", variant="bootstrap")


def _of_one_side(films: Compared, options: IntervalOptions) -> Estimate:
    return Estimate(None, None, None, len(films.scores), films.people, options.level, note=_ONE_CLASS)


def _drawn(
    films: Compared, scores: NDArray[Any], measures: tuple[str, ...], options: IntervalOptions, level: float
) -> dict[str, Estimate]:
    return cluster_bootstrap(
        films.positive.astype(np.float64),
        scores.astype(np.float64),
        films.patients,
        0.5,
        measures=measures,
        repeats=options.repeats,
        seed=options.seed,
        level=level,
    )


def _draws(films: Compared, options: IntervalOptions, family: int | None) -> dict[str, Estimate]:
    """Bootstrap of the ranking by score, and of the calls as they are."""

    def draw(scores: NDArray[Any], measures: tuple[str, ...], level: float) -> dict[str, Estimate]:
        return _drawn(films, scores, measures, options, level)

    found = draw(films.scores, ("auc", "average_precision"), options.level)
    up, not_down = films.calls == 1, films.calls >= 0
    tight = bonferroni_level(family, options.level) if family else options.level
    found |= draw(up, ("sensitivity", *_FROM_COUNTS) if (up == not_down).all() else ("sensitivity",), options.level)
    found |= draw(not_down, ("specificity",), options.level)
    found |= draw(up, ("ppv",), tight) | draw(not_down, ("npv",), tight)
    if family:
        suffix = f", Bonferroni m={family}"
        found |= {name: replace(found[name], method=found[name].method + suffix) for name in _PREDICTIVE}
    return found


def _at_prevalence(
    films: Compared, place: Place, share: float | None, options: IntervalOptions, family: int | None
) -> list[Number]:
    place = place.at(films_used="first_films", patients=films.people)
    shares = _shares(films)
    pairs = []
    for name in ("sensitivity", "specificity"):
        events, of = shares[name]
        pairs.append((int((events & of).sum()), int(of.sum())))
    if share is None or not 0.0 < share < 1.0:
        return []
    level = bonferroni_level(family, options.level) if family else options.level
    found = mercaldo_predictive_values(pairs[0], pairs[1], share, level)
    suffix = f", Bonferroni m={family}" if family else ""
    return [
        place.number(
            f"{name}_at_prevalence",
            replace(one, method=one.method + suffix, patients=films.people),
            family=family,
            rule="M31",
        )
        for name, one in found.items()
    ]


def _share(task: Task, films: Compared, prevalence: Mapping[str, float]) -> float | None:
    """Share of positives that a prevalence of classes gives within the denominator."""
    chosen = task.contrasts[films.contrast]
    up = sum(prevalence[name] for name in chosen.positive)
    if films.denominator == ALL_FILMS:
        return up
    total = up + sum(prevalence[name] for name in chosen.negative)
    return up / total if total > 0 else None


def area_estimate(positive: NDArray[np.bool_], scores: NDArray[np.float64], level: float) -> Estimate:
    """AUC of independent films, one a patient, with what must be said of one that is no plain number."""
    area, count = delong_auc(positive.astype(np.float64), scores, level), len(scores)
    if area.estimate is None:
        return Estimate(None, None, None, count, count, level, "DeLong", None, _ONE_CLASS)
    notes = []
    if area.estimate in (0.0, 1.0):
        notes.append("perfect separation: the films at hand do not say how well it would go on others")
    if len(set(scores.tolist())) == 1:
        notes.append("the predictions are constant: they rank nothing")
    if area.low is None:
        notes.append("no interval: it would have no width, or a side has one film")
    return Estimate(area.estimate, area.low, area.high, count, count, level, "DeLong", None, "; ".join(notes) or None)


def _precision(films: Compared) -> Estimate:
    value = average_precision(films.positive.astype(np.float64), films.scores)
    note = "interval: bootstrap on all films"
    return Estimate(value, None, None, len(films.scores), films.people, method="none", note=note)


def _noted(found: Estimate, note: str | None) -> Estimate:
    notes = [text for text in (found.note, note) if text]
    return replace(found, note="; ".join(notes) or None)
