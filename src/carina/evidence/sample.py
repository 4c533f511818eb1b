"""Which films a measurement rests on: chosen by a rule and a seed, the same in every run."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from carina.errors import TableError
from carina.sampling import FilmTable, patient_key

__all__ = ["choose_films", "untrained"]


def untrained(table: FilmTable, patients: Collection[str]) -> list[int]:
    """Rows of films whose patient the model was not trained on (M11).

    Parameters
    ----------
    table : FilmTable
    patients : collection of str
        Hashes of the training patients, as a bundle stores them.

    Returns
    -------
    list of int
        Row indices, from 0.

    Raises
    ------
    TableError
        If none is left.
    """
    rows = [row for row, patient in enumerate(table.patients) if patient_key(patient) not in patients]
    if not rows:
        raise TableError(
            f"films of patients that the model was not trained on are needed; all {len(table)} films of the table are "
            "of its training patients: give other films, or take them with --with-training-films"
        )
    return rows


def choose_films(table: FilmTable, rows: Collection[int], count: int, seed: int) -> list[int]:
    """Choose films evenly over source and label, patients before second films of a patient.

    Parameters
    ----------
    table : FilmTable
    rows : collection of int
        Row indices to choose from.
    count : int
        At most so many; all if there are fewer.
    seed : int

    Returns
    -------
    list of int
        Row indices, in the table's order.
    """
    rng = np.random.default_rng(seed)
    sources, labels = table.sources, table.labels
    strata: dict[tuple[str, str], list[int]] = {}
    for row in sorted(rows):
        strata.setdefault((sources[row], labels[row]), []).append(row)
    patients = table.patients
    queues = [_patients_first([patients[row] for row in found], found, rng) for _, found in sorted(strata.items())]
    chosen: list[int] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return sorted(chosen)


def _patients_first(patients: list[str], rows: list[int], rng: np.random.Generator) -> list[int]:
    """Rows in random order, each patient's first film before anyone's second."""
    order = rng.permutation(len(rows))
    seen: dict[str, int] = {}
    ranked = []
    for place in order:
        nth = seen.get(patients[place], 0)
        seen[patients[place]] = nth + 1
        ranked.append((nth, rows[place]))
    return [row for _, row in sorted(ranked, key=lambda item: item[0])]
