"""Class sizes: weights against imbalance, and samplers that reproduce the sizes of M25 from any cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carina.errors import TableError
from carina.sampling.table import FilmTable
from carina.tasks import Task
from carina.types import Array

__all__ = [
    "STUDY_SIZES",
    "ClassDraw",
    "class_weights",
    "draw_class_sizes",
    "matched_pairs",
    "paper_draw",
    "parameters_per_film_warning",
]

STUDY_SIZES: Mapping[str, Mapping[str, int]] = {
    "train": {"normal": 400, "bacterial": 400, "viral": 400, "covid19": 200},
    "tune": {"normal": 17, "bacterial": 17, "viral": 16, "covid19": 50},
    "test": {"normal": 100, "bacterial": 100, "viral": 100, "covid19": 100},
}
"""Films a class in the paper's parts (M25); its "validation about 100, about 50 of them COVID" is `tune`."""

_RULE = 10


@dataclass(frozen=True, slots=True)
class ClassDraw:
    """Films drawn to given class sizes.

    Attributes
    ----------
    rows : ndarray of int, (N,)
        Row numbers from 0 in drawing order; the two films of a pair stand side by side.
    repeated : dict of str to int
        Classes that had fewer films than asked for, and how many draws repeat a film.
    pairs : int
        Matched pairs drawn together.
    """

    rows: NDArray[np.intp]
    repeated: dict[str, int]
    pairs: int

    def notes(self) -> tuple[str, ...]:
        """Say where films were drawn more than once."""
        return tuple(
            f"class {name!r} has fewer films than asked for: {count} draws repeat a film"
            for name, count in sorted(self.repeated.items())
        )


def class_weights(labels: Sequence[str], task: Task) -> Array:
    """Weights inverse to the class frequencies.

    A film labelled with a set counts for each of its classes by the classes' share among the films labelled with one
    class; equally where none of them has such a film.

    Parameters
    ----------
    labels : sequence of str, (N,)
    task : Task

    Returns
    -------
    ndarray of float32, (K,)
        N / (classes present x films of the class): the mean over the films is 1. Zero for a class without films.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> class_weights(["normal", "normal", "viral", "covid19"], default_task()).round(2).tolist()
    [0.6700000166893005, 0.0, 1.3300000429153442, 1.3300000429153442]
    """
    targets = task.targets(labels).astype(np.float64)
    alone = targets[targets.sum(axis=1) == 1].sum(axis=0)
    shares = targets * alone
    empty = shares.sum(axis=1) == 0
    shares[empty] = targets[empty]
    counts = (shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)).sum(axis=0)
    present = counts > 0
    weights = np.zeros(len(task.classes))
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights.astype(np.float32)


def draw_class_sizes(
    labels: Sequence[str], sizes: Mapping[str, int], *, seed: int, pairs: NDArray[np.intp] | None = None
) -> ClassDraw:
    """Draw films to given class sizes.

    Only films labelled with the class itself are drawn for it, not films of a label set. Without replacement where the
    class has enough films; else every film is taken as often as it fits and the rest is drawn without replacement.

    Parameters
    ----------
    labels : sequence of str, (N,)
    sizes : mapping of class to int
        Films to draw a class.
    seed : int
    pairs : ndarray of int, (P, 2), optional
        Rows of matched pairs (`matched_pairs`); they are drawn first, both films or none, while both classes have room.

    Returns
    -------
    ClassDraw

    Raises
    ------
    TableError
        If a class asked for has no film.

    Examples
    --------
    >>> draw_class_sizes(["a", "a", "b"], {"a": 1, "b": 2}, seed=1).repeated
    {'b': 1}
    """
    rng = np.random.default_rng(seed)
    names = np.asarray(labels, dtype=object)
    if missing := [name for name, size in sizes.items() if size > 0 and not (names == name).any()]:
        raise TableError(f"every class to be drawn must have a film; {missing!r} have none")
    room = Counter({name: size for name, size in sizes.items() if size > 0})
    rows: list[int] = []
    for one, other in rng.permutation(pairs).tolist() if pairs is not None and len(pairs) else []:
        wanted = Counter((names[one], names[other]))
        if wanted <= room and not {one, other} & set(rows):
            rows += [one, other]
            room -= wanted
    drawn_pairs, repeated = len(rows) // 2, {}
    for name in sizes:
        left = [row for row in np.flatnonzero(names == name).tolist() if row not in set(rows)]
        chosen, again = _fill(left or np.flatnonzero(names == name).tolist(), room[name], rng)
        if not left and room[name]:
            again = room[name]
        rows += chosen
        if again:
            repeated[name] = again
    return ClassDraw(rows=np.array(rows, dtype=np.intp), repeated=repeated, pairs=drawn_pairs)


def paper_draw(labels: Sequence[str], task: Task, seed: int, pairs: NDArray[np.intp] | None = None) -> list[int]:
    """Draw the paper's training part, 400 normal, 400 bacterial, 400 viral and 200 COVID-19 films (M25).

    Parameters
    ----------
    labels : sequence of str, (N,)
    task : Task
        With these four classes.
    seed : int
    pairs : ndarray of int, (P, 2), optional
        Matched pairs to draw together.

    Returns
    -------
    list of int
        1,400 row numbers; a film is repeated only where its class has too few.

    Raises
    ------
    TableError
        If the task has other classes, or a class has no film.
    """
    sizes = STUDY_SIZES["train"]
    if set(sizes) != set(task.classes):
        raise TableError(
            f"the paper's class sizes are for the classes {sorted(sizes)!r}; task {task.name!r} has {task.classes!r}"
        )
    return [int(row) for row in draw_class_sizes(labels, sizes, seed=seed, pairs=pairs).rows]


def matched_pairs(table: FilmTable, task: Task) -> NDArray[np.intp]:
    """Find the first and last film of each episode whose labels exclude each other (M10).

    Parameters
    ----------
    table : FilmTable
        With `episode_id`; ordered within the episode by `film_order` where that column is, else by row.
    task : Task

    Returns
    -------
    ndarray of int, (P, 2)
        Rows of the first and the last film; empty without `episode_id`.
    """
    if "episode_id" not in table.frame.columns:
        return np.zeros((0, 2), dtype=np.intp)
    orders = table.frame["film_order"].to_list() if "film_order" in table.frame.columns else [None] * len(table)
    films: dict[str, list[tuple[float, int]]] = {}
    for row, (episode, order) in enumerate(zip(table.frame["episode_id"].to_list(), orders, strict=True)):
        if episode is not None:
            films.setdefault(str(episode), []).append((_order(order, row), row))
    labels = table.labels
    ends = [(min(seen)[1], max(seen)[1]) for seen in films.values()]
    apart = [ends for ends in ends if not set(task.members(labels[ends[0]])) & set(task.members(labels[ends[1]]))]
    return np.array(apart, dtype=np.intp).reshape(-1, 2)


def parameters_per_film_warning(parameters: int, films: int) -> str:
    """Say how far the network is from the paper's "10 samples per parameter" (M25).

    Parameters
    ----------
    parameters : int
        Trained weights of the network.
    films : int
        Films it trains on.

    Examples
    --------
    >>> parameters_per_film_warning(4_000_000, 8_000)[:62]
    '4,000,000 parameters for 8,000 films: 0.002 films a parameter;'
    """
    per = films / max(parameters, 1)
    verdict = (
        "the rule of 10 samples a parameter holds"
        if per >= _RULE
        else f"the rule of {_RULE} samples a parameter cannot hold for such a network; "
        "only films held apart show what it learned"
    )
    return f"{parameters:,} parameters for {films:,} films: {per:.2g} films a parameter; {verdict}"


def _fill(rows: Sequence[int], size: int, rng: np.random.Generator) -> tuple[list[int], int]:
    """Draw `size` rows, repeating only what must be; also how many draws repeat a row."""
    if size == 0 or not rows:
        return [], 0
    whole, rest = divmod(size, len(rows))
    chosen = [row for _ in range(whole) for row in rng.permutation(rows).tolist()]
    return [*chosen, *rng.permutation(rows)[:rest].tolist()], max(size - len(rows), 0)


def _order(value: object, row: int) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float(row)
