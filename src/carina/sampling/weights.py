"""How much each training film counts (M25, M36).

Class sizes and sources are unequal, and some sources hold one class only. Three numbers a film follow from the table
alone, before any training:

- the *draw weight*: how often it is drawn, so that a small source is not drowned;
- the *root weight*: within a source that has films on both sides of the root (normal and pneumonia, say) the sides
  count the same; a source that lies on one side only can teach the root nothing but the source, and its films get
  `one_sided` instead;
- the *inner weight*: labels within a group count the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carina.tasks import Task
from carina.types import Array

__all__ = ["FilmWeights", "film_weights"]

_MOST_DRAW = 3.0


@dataclass(frozen=True, slots=True)
class FilmWeights:
    """Weights of a training table's films.

    Attributes
    ----------
    draw : ndarray of float32, (N,)
        Relative probability of being drawn, mean 1.
    root, inner : ndarray of float32, (N,)
        Weight of the film in the loss's root and inner factor, corrected for `draw`: each has mean about 1 over draws.
    """

    draw: Array
    root: Array
    inner: Array


def film_weights(labels: Sequence[str], sources: Sequence[str], task: Task, *, one_sided: float) -> FilmWeights:
    """Weigh the films of a training table.

    Parameters
    ----------
    labels, sources : sequence of str, (N,)
        Label and source of each film.
    task : Task
    one_sided : float
        Root weight, 0 to 1, of films whose source has only one side of the root.

    Returns
    -------
    FilmWeights

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> labels = ["normal", "viral", "viral", "covid19"]
    >>> weights = film_weights(labels, ["a", "a", "a", "b"], default_task(), one_sided=0.2)
    >>> [round(float(w), 2) for w in weights.root * weights.draw]
    [1.5, 0.75, 0.75, 0.2]
    """
    sizes = Counter(sources)
    largest = max(sizes.values())
    draw = np.array([min(_MOST_DRAW, (largest / sizes[source]) ** 0.5) for source in sources])
    draw /= draw.mean()
    units = [_root_unit(label, task) for label in labels]
    root = _balanced(list(zip(sources, units, strict=True)), sources)
    sides = {source: {unit for other, unit in zip(sources, units, strict=True) if other == source} for source in sizes}
    lonely = np.array([len(sides[source]) == 1 for source in sources])
    if not lonely.all():
        root[lonely] = one_sided
    inner = _balanced(list(labels), ["" for _ in labels])
    return FilmWeights(
        draw=draw.astype(np.float32), root=(root / draw).astype(np.float32), inner=(inner / draw).astype(np.float32)
    )


def _root_unit(label: str, task: Task) -> str:
    """Group or ungrouped class that a label lies in; the label itself where it spans several."""
    group_of = {name: group for group, members in task.groups.items() for name in members}
    units = {group_of.get(name, name) for name in task.members(label)}
    return units.pop() if len(units) == 1 else label


def _balanced(keys: Sequence[object], within: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Weights with which each key of a part sums to the same, the part's mean being 1."""
    parts: dict[str, Counter[object]] = {}
    for key, part in zip(keys, within, strict=True):
        parts.setdefault(part, Counter())[key] += 1
    return np.array(
        [parts[part].total() / (len(parts[part]) * parts[part][key]) for key, part in zip(keys, within, strict=True)]
    )
