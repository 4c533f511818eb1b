"""How many people a class has, found out from numbers of several contrasts: what a reader of a package could do.

Contrasts overlap: the films of ``pneumonia`` less those of ``bacterial_given_pneumonia_without_covid19`` are the
COVID-19 films. What follows from the numbers shown is what lies in the row space of their sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from carina.tasks import Task

__all__ = ["derived_counts"]

_MOST_LABELS = 12
_SENSITIVITY, _SPECIFICITY = frozenset({"sensitivity", "recall"}), frozenset({"specificity"})
_WHOLE_TABLE = "all_films"


def derived_counts(numbers: Iterable[Mapping[str, Any]], task: Task) -> dict[tuple[str, ...], int]:
    """Films of each set of labels that the numbers shown give away.

    Parameters
    ----------
    numbers : iterable of mapping
        Numbers of one group of people, as in ``metrics.json``; those without counts give nothing away.
    task : Task
        At most 12 classes and label sets; of a larger task only sums of up to three labels are looked for.

    Returns
    -------
    dict of tuple of str to int
        Labels (classes and label sets), and how many films carry one of them.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> shown = [{"contrast": "pneumonia", "measure": "sensitivity", "n": 207},
    ...          {"contrast": "bacterial_given_pneumonia_without_covid19", "measure": "auc", "n": 200}]
    >>> found = derived_counts(shown, default_task())
    >>> sum(count for labels, count in found.items() if labels == ("covid19", "pneumonia"))
    7
    """
    labels = [*task.classes, *task.label_sets]
    rows, sums = [], []
    for number in numbers:
        for chosen, count in _sums(number, task):
            rows.append([float(_inside(label, chosen, task)) for label in labels])
            sums.append(count)
    if not rows:
        return {}
    matrix, totals = np.array(rows), np.array(sums, dtype=np.float64)
    solution = np.linalg.pinv(matrix) @ totals
    basis = np.linalg.pinv(matrix) @ matrix
    most = len(labels) if len(labels) <= _MOST_LABELS else 3
    found = {}
    for size in range(1, most + 1):
        for members in combinations(range(len(labels)), size):
            wanted = np.zeros(len(labels))
            wanted[list(members)] = 1.0
            if np.abs(wanted @ basis - wanted).max() < 1e-6:  # noqa: PLR2004 - in the row space
                found[tuple(labels[member] for member in members)] = round(float(wanted @ solution))
    return found


def _inside(label: str, chosen: frozenset[str], task: Task) -> bool:
    return set(task.members(label)) <= chosen


def _sums(number: Mapping[str, Any], task: Task) -> list[tuple[frozenset[str], int]]:
    """Name the sets of classes whose films a number counts."""
    sides = _sides(number, task)
    trials, events = number.get("n"), number.get("events")
    if sides is None or not isinstance(trials, int):
        return []
    positive, negative = sides
    measure = str(number.get("measure"))
    if measure in _SENSITIVITY:
        return [(positive, trials)]
    if measure in _SPECIFICITY:
        return [(negative, trials)]
    if measure.startswith(("auc", "average_precision", "prevalence")):
        whole = [(positive | negative, trials)]
        return [*whole, (positive, events), (negative, trials - events)] if isinstance(events, int) else whole
    return [(positive | negative, trials)] if measure in {"accuracy", "kappa", "mcc", "f1", "brier"} else []


def _sides(number: Mapping[str, Any], task: Task) -> tuple[frozenset[str], frozenset[str]] | None:
    name = str(number.get("contrast") or str(number.get("cell")).removeprefix("class="))
    every = frozenset(task.classes)
    if name in task.contrasts:
        positive = frozenset(task.contrasts[name].positive)
        whole = number.get("denominator") == _WHOLE_TABLE
        return positive, every - positive if whole else frozenset(task.contrasts[name].negative)
    if name in task.classes:
        return frozenset({name}), every - {name}
    return None
