"""Measuring a calibration on the `calibrate` films (M4, M11, M30).

Every film's weight is one over its patient's films, so that each patient counts once; thresholds and operating points
use each patient's first film, conformal quantiles one film of each patient and class, drawn with a stored seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from carina.errors import CalibrationError
from carina.inference.calibration import (
    ROOT,
    Calibration,
    Conformal,
    OperatingPoint,
    ProportionRecord,
    ThresholdRecord,
    calibrated_probabilities,
    level_units,
    levels,
    root_units,
)
from carina.inference.unshown import MOST_RATIO, Unshown, find_parts
from carina.statistics import (
    first_of_each,
    fit_temperature,
    proportion,
    threshold_for_band,
    threshold_for_specificity,
)
from carina.tasks import DecisionRule, Task

__all__ = [
    "LEAST_PER_SIDE",
    "fit_calibration",
    "least_patients",
    "require_sides",
]

_FEWEST_NEGATIVES = 20
"""Patients: with fewer, 0.95 of a source's negatives would be all of them."""
_FEWEST_SHOWN = 5
"""Patients of a class that a source needs to show it."""
LEAST_PER_SIDE = 5
"""Patients on each side of a contrast, below which no threshold is set."""
_SLACK = 1e-9


def least_patients(coverage: float) -> int:
    """Fewest patients of a class for which its conformal quantile is called guaranteed.

    The mean coverage of a conformal quantile is right at any number of patients, but over draws of the calibration
    patients it scatters. With n patients the largest calibration score covers the share `coverage` of all films with
    confidence 1 - coverage**n; with fewer than 59 patients (0.95**59 = 0.0485, 0.95**58 = 0.0510) not even that score
    covers 95 % with 95 % confidence.

    References
    ----------
    S. S. Wilks, Ann. Math. Stat. 12 (1941) 91-96, doi:10.1214/aoms/1177731788, distribution-free tolerance limits.

    Examples
    --------
    >>> least_patients(0.95)
    59
    """
    return math.ceil(math.log(1.0 - coverage) / math.log(coverage) - _SLACK)


def require_sides(labels: Sequence[str], patients: Sequence[str], task: Task, least: int = LEAST_PER_SIDE) -> None:
    """Refuse `calibrate` films that no threshold can rest on; labels alone decide, so it can be asked before training.

    Parameters
    ----------
    labels, patients : sequence of str, (N,)
    task : Task
    least : int
        Fewest patients on each side of every contrast that a decision rule reads.

    Raises
    ------
    CalibrationError
        Naming the contrast and what was found.
    """
    owners = np.asarray(patients)
    for rule in task.decision.rules:
        truth = task.contrast_truth(rule.contrast, labels)
        found = truth[_decided(truth, owners)]
        positives, negatives = int((found == 1).sum()), int((found == 0).sum())
        if min(positives, negatives) < max(least, 1):
            raise CalibrationError(
                f"the threshold of {rule.contrast!r} needs at least {max(least, 1)} patients on each side in "
                f"`calibrate`; found {positives} positive and {negatives} negative; give more films"
            )


def fit_calibration(
    logits: NDArray[np.floating[Any]],
    labels: Sequence[str],
    patients: Sequence[str],
    task: Task,
    *,
    sources: Sequence[str] | None = None,
    ages: Mapping[str, tuple[float, float] | None],
    model_sha256: str,
    table_sha256: str,
    seed: int,
    coverage: float = 0.95,
    least_per_side: int = LEAST_PER_SIDE,
) -> Calibration:
    """Fit temperatures, class mix, thresholds and conformal quantiles on `calibrate` films, and only those.

    Parameters
    ----------
    logits : ndarray, (N, K)
        Of the model that `model_sha256` names.
    labels, patients : sequence of str, (N,)
        Label and patient of each film, in the table's order.
    task : Task
    sources : sequence of str, (N,), optional
        Source of each film. With it, temperatures rest on comparisons within a source alone, evidence between classes
        that no source shows side by side is held within bounds, a rule's specificity is
        kept within every source with at least 20 patients on the negative side, and operating points are also counted
        within each source (M36).
    ages : mapping of contrast to range or None
        Ages, years, that trained each contrast (`carina.sampling.contrast_ages` on the training films).
    model_sha256, table_sha256 : str
        Of the model file and the film table.
    seed : int
        Of the choice of one film per patient and class.
    coverage : float
        Aim of the prediction sets, in (0, 1).
    least_per_side : int
        Fewest patients on each side of every contrast that a decision rule reads.

    Returns
    -------
    Calibration

    Raises
    ------
    CalibrationError
        If there are no films, or too few patients on a side of a contrast that decides.
    """
    if not len(labels) == len(patients) == len(logits) or not labels:
        raise CalibrationError(
            f"a calibration needs films, with a label and a patient each; found {len(logits)} rows of logits, "
            f"{len(labels)} labels and {len(patients)} patients"
        )
    require_sides(labels, patients, task, least_per_side)
    targets, owners = task.targets(labels), np.asarray(patients)
    _, owner, films_of = np.unique(owners, return_inverse=True, return_counts=True)
    weights = 1.0 / films_of[owner]
    places = np.asarray([""] * len(labels) if sources is None else sources)
    temperature = _temperatures(_within_source(logits, targets, places), targets, weights, task)
    unshown = _unshown(calibrated_probabilities(logits, task, temperature), targets, weights, (owners, places), task)
    probabilities = calibrated_probabilities(logits, task, temperature, unshown)
    thresholds: dict[str, ThresholdRecord] = {}
    points: dict[str, OperatingPoint] = {}
    within: dict[str, dict[str, OperatingPoint]] = {}
    for rule in task.decision.rules:
        truth = task.contrast_truth(rule.contrast, labels)
        scores = task.contrast_probability(rule.contrast, probabilities)
        rows = _decided(truth, owners)
        low, high = _thresholds(rule, truth[rows], scores[rows], places[rows])
        thresholds[rule.contrast] = ThresholdRecord(low=low, high=high, ages=ages.get(rule.contrast))
        points[rule.contrast] = _operating_point(truth[rows], scores[rows], low, high)
        for place in sorted(set(places[rows].tolist()) - {""}):
            here = rows[places[rows] == place]
            within.setdefault(place, {})[rule.contrast] = _operating_point(truth[here], scores[here], low, high)
    return Calibration(
        model_sha256=model_sha256,
        temperature=temperature,
        unshown=unshown,
        class_mix=_class_mix(probabilities, targets, weights, task),
        thresholds=thresholds,
        operating_points=points,
        operating_points_by_source=within,
        conformal=_conformal(probabilities, targets, owners, task, coverage=coverage, seed=seed),
        table_sha256=table_sha256,
        films=len(labels),
        patients=len(films_of),
    )


def _temperatures(
    logits: NDArray[np.float64], targets: NDArray[np.bool_], weights: NDArray[np.float64], task: Task
) -> dict[str, float]:
    """Fit each level on the films whose label it factors out of the likelihood.

    The likelihood of a label within one unit is P(unit) x P(label | unit), and that of a label made of whole units
    depends on the root alone: each temperature is fitted by itself without loss. A label that cuts through several
    units does not factor and takes no part.
    """
    units = root_units(task)
    touched = np.stack([targets[:, numbers].any(axis=1) for numbers in units.values()], axis=1)
    whole = np.stack([targets[:, numbers].all(axis=1) for numbers in units.values()], axis=1)
    factors = (touched.sum(axis=1) == 1) | (touched == whole).all(axis=1)
    roots = np.stack([logsumexp(logits[:, numbers], axis=1) for numbers in units.values()], axis=1)
    result = {ROOT: fit_temperature(roots[factors], touched[factors], weights[factors])}
    for column, (name, numbers) in enumerate(units.items()):
        if name in levels(task):
            inside = touched[:, column] & (touched.sum(axis=1) == 1)
            result[name] = fit_temperature(logits[inside][:, numbers], targets[inside][:, numbers], weights[inside])
    return result


def _class_mix(
    probabilities: NDArray[np.float64], targets: NDArray[np.bool_], weights: NDArray[np.float64], task: Task
) -> dict[str, float]:
    """Shares of the classes; a label set is shared out by the film's own probabilities within it."""
    within = np.maximum(probabilities, np.finfo(np.float64).tiny) * targets
    shares = weights @ (within / within.sum(axis=1, keepdims=True))
    return dict(zip(task.classes, (shares / shares.sum()).tolist(), strict=True))


def _unshown(
    probabilities: NDArray[np.float64],
    targets: NDArray[np.bool_],
    weights: NDArray[np.float64],
    owners_and_places: tuple[NDArray[Any], NDArray[Any]],
    task: Task,
) -> dict[str, Unshown]:
    """Find the levels at which no source shows all units, each by enough patients (M36)."""
    owners, places = owners_and_places
    mix = _class_mix(probabilities, targets, weights, task)
    members = {name: [name] for name in task.classes} | {name: list(classes) for name, classes in task.groups.items()}
    result = {}
    for level, units in level_units(task).items():
        if level not in levels(task):
            continue
        columns = {unit: [task.classes.index(name) for name in members[unit]] for unit in units}
        decided = {unit: ~np.delete(targets, numbers, axis=1).any(axis=1) for unit, numbers in columns.items()}
        shown = {
            str(place): [
                unit for unit in units if np.unique(owners[decided[unit] & (places == place)]).size >= _FEWEST_SHOWN
            ]
            for place in np.unique(places)
        }
        parts = find_parts(units, {place: names for place, names in shown.items() if names})
        if len(parts) > 1:
            shares = np.array([sum(mix[name] for unit in part for name in members[unit]) for part in parts])
            result[level] = Unshown(parts=parts, shares=tuple((shares / shares.sum()).tolist()), ratio=MOST_RATIO)
    return result


def _decided(truth: NDArray[np.float64], owners: NDArray[Any]) -> NDArray[np.intp]:
    """Rows of the first film of each patient that a contrast's truth is known of."""
    decided = np.flatnonzero(~np.isnan(truth))
    return np.asarray(decided[first_of_each(owners[decided])], dtype=np.intp)


def _within_source(
    logits: NDArray[np.floating[Any]], targets: NDArray[np.bool_], places: NDArray[Any]
) -> NDArray[np.float64]:
    """Take out, film by film, the classes that its source never shows (M36).

    Telling a class of one source from a class of another is telling the sources apart; a temperature fitted on that
    would make the network surer of what it least knows.
    """
    result = np.array(logits, dtype=np.float64)
    for place in np.unique(places):
        here = places == place
        result[np.ix_(here, ~targets[here].any(axis=0))] = -np.inf
    return result


def _thresholds(
    rule: DecisionRule, truth: NDArray[np.float64], scores: NDArray[np.float64], places: NDArray[Any]
) -> tuple[float, float]:
    """Find the rule's thresholds; a specificity is kept for new patients, and within every source that has enough."""
    if rule.specificity is not None:
        within = [scores[(truth == 0) & (places == place)] for place in np.unique(places)]
        # In all negatives the rank holds for new patients too; in the few of one source it would be the odd one's.
        values = [threshold_for_specificity(scores[truth == 0], rule.specificity)]
        values += [
            threshold_for_specificity(part, rule.specificity, new_ones=False)
            for part in within
            if part.size >= _FEWEST_NEGATIVES
        ]
        value = max(values)
        return value, value
    if rule.band is None:
        raise CalibrationError(f"the rule for {rule.contrast!r} aims at nothing: give it `specificity` or `band`")
    return threshold_for_band(truth, scores, rule.band)


def _operating_point(
    truth: NDArray[np.float64], scores: NDArray[np.float64], low: float, high: float
) -> OperatingPoint:
    positive, above, below = truth == 1, scores >= high, scores < low

    def share(events: NDArray[np.bool_], of: NDArray[np.bool_]) -> ProportionRecord:
        found = proportion(int((events & of).sum()), int(of.sum()))
        return ProportionRecord(
            events=found.events, trials=found.trials, estimate=found.estimate, low=found.low, high=found.high
        )

    return OperatingPoint(
        sensitivity=share(above, positive),
        specificity=share(below, ~positive),
        right_above=share(positive, above),
        right_below=share(~positive, below),
        indeterminate=share(~above & ~below, np.ones_like(positive)),
    )


def _conformal(
    probabilities: NDArray[np.float64],
    targets: NDArray[np.bool_],
    owners: NDArray[Any],
    task: Task,
    *,
    coverage: float,
    seed: int,
) -> Conformal:
    rng = np.random.default_rng(seed)
    alone = targets.sum(axis=1) == 1
    quantiles, counts = {}, {}
    for column, name in enumerate(task.classes):
        films = rng.permutation(np.flatnonzero(alone & targets[:, column]))
        films = films[first_of_each(owners[films])]
        scores = np.sort(1.0 - probabilities[films, column])
        rank = math.ceil((scores.size + 1) * coverage - _SLACK)
        quantiles[name] = 1.0 if rank > scores.size else float(scores[rank - 1])
        counts[name] = int(scores.size)
    least = least_patients(coverage)
    return Conformal(
        coverage=coverage,
        quantiles=quantiles,
        patients=counts,
        guaranteed={name: count >= least for name, count in counts.items()},
    )
