"""What is said of each class: accuracy, proportions, calibration, prediction sets (M28, M29, M4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence.contrast_films import Compared
from carina.evidence.contrast_numbers import IntervalOptions, area_estimate
from carina.evidence.evaluation_films import film_order, first_films
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number, Place
from carina.inference.calibration import root_units
from carina.statistics import (
    RATES,
    Counts,
    Estimate,
    accuracy_measures,
    calibration_in_the_large,
    calibration_slope_intercept,
    class_measures,
    cluster_bootstrap,
    confusion_matrix,
    macro_measures,
    matthews,
    observed_to_expected,
    patient_bootstrap,
    patient_mean,
    rates,
)

__all__ = [
    "calibration_numbers",
    "class_numbers",
    "conformal_numbers",
    "confusions",
    "most_probable",
    "proportion_numbers",
]


def most_probable(judged: JudgedFilms) -> NDArray[Any]:
    """Most probable class of each film, (N,); the first of the task's where two are equal."""
    return np.asarray(np.array(judged.task.classes)[judged.probabilities.argmax(axis=1)])


def class_numbers(judged: JudgedFilms, options: IntervalOptions) -> list[Number]:
    """Accuracy of the most probable class, class by class and macro, first films of one class (M29).

    Films labelled with a set of several classes take no part: which of them holds is not known.
    """
    films = _of_one_class(judged)
    if not len(films):
        return []
    labels, called = np.array(films.table.labels), most_probable(films)
    matrix = confusion_matrix(labels, called, judged.task.classes)
    place = Place(group="class", films_used="first_films", patients=len(films))
    numbers = []
    for name, measures in class_measures(matrix, judged.task.classes, options.level, method=options.method).items():
        here = place.at(cell=f"class={name}")
        numbers += [here.number(measure, one) for measure, one in measures.items()]
        scores = films.probabilities[:, judged.task.classes.index(name)]
        numbers.append(here.number("auc", area_estimate(labels == name, scores, options.level)))
    drawn = _macro_draws(labels, called, judged.task.classes, options)
    for measure, one in macro_measures(matrix, judged.task.classes, options.level).items():
        without = one.value is not None and one.low is None
        numbers.append(place.number(measure, drawn.get(measure, one) if without else one))
    return numbers


def _macro_draws(
    labels: NDArray[Any], called: NDArray[Any], classes: Sequence[str], options: IntervalOptions
) -> dict[str, Estimate]:
    """Macro measures, and the correlation of all classes, with intervals by resampled patients."""
    place, size = {name: number for number, name in enumerate(classes)}, len(classes)
    codes = np.array([size * place[one] + place[other] for one, other in zip(labels, called, strict=True)])

    def table(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(codes, weights, size * size), dtype=np.float64).reshape(size, size)

    def macro(weights: NDArray[np.float64], measure: str) -> float | None:
        matrix = table(weights)
        hits = np.diag(matrix)
        wrongly, missed = matrix.sum(axis=0) - hits, matrix.sum(axis=1) - hits
        value = float(rates(hits, wrongly, matrix.sum() - hits - wrongly - missed, missed)[measure].mean())
        return value if np.isfinite(value) else None

    people, drawing = np.arange(codes.size), {"seed": options.seed, "repeats": options.repeats}
    found = {
        f"macro_{measure}": patient_bootstrap(partial(macro, measure=measure), people, level=options.level, **drawing)
        for measure in RATES
    }
    found["mcc"] = patient_bootstrap(lambda weights: matthews(table(weights)), people, level=options.level, **drawing)
    return found


def proportion_numbers(judged: JudgedFilms, decisions: Sequence[str], options: IntervalOptions) -> list[Number]:
    """Proportion of each diagnosis beside the gold standard (M28).

    Classes on films labelled with one class; groups, and classes outside them, on all films whose label decides.
    """
    units = {
        name: tuple(judged.task.classes[place] for place in places) for name, places in root_units(judged.task).items()
    }
    alone = np.array([len(judged.task.members(label)) == 1 for label in judged.table.labels])
    numbers = []
    for kind, sets in (("class", {name: (name,) for name in judged.task.classes}), ("group", units)):
        films = judged.take(np.flatnonzero(alone)) if kind == "class" else judged.take(_decided(judged, units))
        made = [name for name, use in zip(decisions, alone, strict=True) if use] if kind == "class" else None
        if not len(films):
            continue
        patients, top = np.array(films.table.patients), most_probable(films)
        members = [set(judged.task.members(label)) for label in films.table.labels]
        for name, classes in sets.items():
            if kind == "group" and name in judged.task.classes:
                continue
            here = Place(group="proportion", cell=f"{kind}={name}", rule="M28", sources=None)
            columns = [judged.task.classes.index(one) for one in classes]
            shares: dict[str, Any] = {
                "gold_share": [float(one <= set(classes)) for one in members],
                "predicted_share": films.probabilities[:, columns].sum(axis=1),
                "called_share": np.isin(top, classes).astype(np.float64),
            }
            if made is not None:
                shares["decided_share"] = [float(one in classes) for one in made]
            numbers += [
                here.number(measure, patient_mean(values, patients, seed=options.seed, repeats=options.repeats))
                for measure, values in shares.items()
            ]
    return numbers


def calibration_numbers(films: Compared, options: IntervalOptions) -> list[Number]:
    """Slope, intercept, calibration in the large, ECE and Brier score of a contrast, all films, by patient."""
    place = films.place("calibration", rule="M4")
    if not films.two_sided:
        none = Estimate(None, None, None, len(films.scores), films.people, note="not estimable: one class only")
        return [place.number("slope", none)]
    truth = films.positive.astype(np.float64)
    line = calibration_slope_intercept(truth, films.scores, films.patients, options.level)
    drawn = cluster_bootstrap(
        truth,
        films.scores,
        films.patients,
        measures=("ece", "brier"),
        repeats=options.repeats,
        seed=options.seed,
        level=options.level,
    )
    found = {
        "slope": line.slope,
        "intercept": line.intercept,
        "in_the_large": calibration_in_the_large(truth, films.scores, films.patients, options.level),
        "observed_to_expected": observed_to_expected(truth, films.scores, films.patients, options.level),
        "ece": drawn["ece"],
        "brier": drawn["brier"],
    }
    return [place.number(name, one) for name, one in found.items()]


def conformal_numbers(
    judged: JudgedFilms, options: IntervalOptions, guaranteed: dict[str, bool] | None
) -> list[Number]:
    """Coverage of the prediction sets by class, and by class and source, each patient's first film of the class.

    Parameters
    ----------
    judged : JudgedFilms
    options : IntervalOptions
    guaranteed : dict of class to bool, or None
        Whether the class's quantile rests on enough patients; `None` where not known.

    Returns
    -------
    list of Number
        ``coverage``, ``set_size`` (mean), ``empty`` (share).
    """
    if judged.prediction_sets is None:
        return []
    films = _first_of_each_class(judged)
    if films.prediction_sets is None or not len(films):
        return []
    labels, sources = np.array(films.table.labels), np.array(films.table.sources)
    sizes = np.array([len(one) for one in films.prediction_sets], dtype=np.float64)
    numbers = []
    for name in judged.task.classes:
        held = np.array([name in one for one in films.prediction_sets])
        of_class = labels == name
        cells = {f"class={name}": of_class}
        places = sorted(set(sources[of_class].tolist()) - {""})
        if len(places) > 1:
            cells |= {f"class={name},source={place}": of_class & (sources == place) for place in places}
        for cell, here in cells.items():
            count = int(here.sum())
            if not count:
                continue
            sure = guaranteed is None or guaranteed.get(name, False)
            note = None if sure else "not guaranteed: the quantile rests on too few calibration patients"
            place = Place(group="conformal", cell=cell, films_used="first_films", rule="M4", patients=count)
            for measure, hits in (("coverage", held), ("empty", sizes == 0)):
                found = _share(int((hits & here).sum()), count, options)
                numbers.append(place.number(measure, replace(found, note=note if measure == "coverage" else None)))
            mean = patient_mean(sizes[here], np.arange(count), seed=options.seed, repeats=options.repeats)
            numbers.append(place.number("set_size", mean))
    return numbers


def confusions(judged: JudgedFilms, decisions: Sequence[str]) -> dict[str, Any]:
    """Count what films of each label are called: most probable class, and decision; first films."""
    first = first_films(np.array(judged.table.patients), film_order(judged.table))
    labels = np.array(judged.table.labels)[first]
    top, decided = most_probable(judged)[first], np.array(list(decisions))[first]
    rows = [name for name in (*judged.task.classes, *judged.task.label_sets) if (labels == name).any()]
    said = sorted(set(decided.tolist()))

    def table(called: NDArray[Any], columns: Sequence[str]) -> list[list[int]]:
        return [[int(((labels == row) & (called == column)).sum()) for column in columns] for row in rows]

    classes = list(judged.task.classes)
    return {
        "films_used": "first_films",
        "labels": rows,
        "classes": classes,
        "matrix": table(top, classes),
        "decision": {"labels": rows, "classes": said, "matrix": table(decided, said)},
    }


def _of_one_class(judged: JudgedFilms) -> JudgedFilms:
    """First film of each patient among those labelled with one class."""
    rows = np.array(
        [row for row, label in enumerate(judged.table.labels) if label in judged.task.classes], dtype=np.intp
    )
    patients = np.array(judged.table.patients)[rows]
    return judged.take(rows[first_films(patients, film_order(judged.table)[rows])])


def _first_of_each_class(judged: JudgedFilms) -> JudgedFilms:
    """First film of each patient and class: what a class's prediction sets were fitted on."""
    labels, patients, order = np.array(judged.table.labels), np.array(judged.table.patients), film_order(judged.table)
    rows: list[int] = []
    for name in judged.task.classes:
        here = np.flatnonzero(labels == name)
        rows += here[first_films(patients[here], order[here])].tolist()
    return judged.take(sorted(rows))


def _decided(judged: JudgedFilms, units: dict[str, tuple[str, ...]]) -> NDArray[np.intp]:
    members = [set(judged.task.members(label)) for label in judged.table.labels]
    inside = [any(one <= set(classes) for classes in units.values()) for one in members]
    return np.flatnonzero(inside)


def _share(events: int, trials: int, options: IntervalOptions) -> Estimate:
    counts = Counts(events, 0, 0, trials - events)
    return accuracy_measures(counts, options.level, method=options.method, patients=trials)["sensitivity"]
