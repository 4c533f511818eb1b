"""Which class a reproduction's model calls each film, as a published study would have counted it and as Carina would.

Studies take the most probable class of the network's own probabilities. Carina's are calibrated, and what no source
shows side by side is held within a likelihood ratio (`carina.inference.unshown`), which may leave a class that no film
is called at all (M19, M36). Both are counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.sampling import FilmTable
from carina.statistics import first_of_each, proportion
from carina.tasks import Task

__all__ = ["OWN", "WAYS", "decided"]

OWN = "network"
WAYS = (OWN, "calibrated")
"""Whose probabilities: the network's own, as studies take them, and the calibrated and bounded ones."""


def decided(table: FilmTable, task: Task, probabilities: NDArray[np.float64]) -> dict[str, Any]:
    """Count films by class and most probable class.

    Parameters
    ----------
    table : FilmTable
        Labels are classes of the task.
    task : Task
    probabilities : ndarray, (N, K)

    Returns
    -------
    dict
        ``confusion``: K x K films, rows the class, columns the most probable class. ``accuracy``: share whose most
        probable class is right, first film of each patient, with exact 95 % interval (Clopper-Pearson), and that of
        ``all_films``.
    """
    classes = task.classes
    called = probabilities.argmax(axis=1)
    true = np.array([classes.index(label) for label in table.labels])
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (true, called), 1)
    first = first_of_each(np.array(table.patients))
    found = proportion(int((called == true)[first].sum()), len(first))
    accuracy = {
        "value": found.estimate,
        "low": found.low,
        "high": found.high,
        "events": found.events,
        "n": found.trials,
        "all_films": float((called == true).mean()),
    }
    return {"confusion": [[int(value) for value in row] for row in confusion.tolist()], "accuracy": accuracy}
