"""Which films a model is evaluated on, in which order, and from which sources (M11, M31, M36)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import BundleError, TableError
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.sample import untrained
from carina.inference import Bundle
from carina.sampling import SPLITS, FilmTable, within_reach

__all__ = [
    "ChosenFilms",
    "choose_evaluation_films",
    "film_order",
    "first_films",
    "source_scope",
    "without_near_trained",
]

_ORDERS = ("film_order", "offset_days")
_OPENED = "test"
EVERY = "all"
"""Option that evaluates every film, whatever its split."""


@dataclass(frozen=True, slots=True)
class ChosenFilms:
    """Films that may be evaluated.

    Attributes
    ----------
    table : FilmTable
    left_out : dict of str to int
        Films left out, by reason.
    sentences : tuple of str
        What must be known.
    given : FilmTable or None
        What they were chosen from.
    """

    table: FilmTable
    left_out: dict[str, int] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    given: FilmTable | None = None


def choose_evaluation_films(table: FilmTable, bundle: Bundle | None, split: str | None = None) -> ChosenFilms:
    """Choose the films that the model did not learn from.

    Parameters
    ----------
    table : FilmTable
    bundle : Bundle or None
        `None` for predictions of a model that is not at hand.
    split : {"train", "tune", "calibrate", "test", "all"} or None
        Films of this split alone, those it learned from included, as asked; by default all that are in none of train,
        tune and calibrate.

    Returns
    -------
    ChosenFilms

    Raises
    ------
    TableError
        If no film is left, or the split is unknown or not given by the table.
    """
    given = split is not None
    if given and split != EVERY:
        part = table.part(str(split))
        warning = () if split == _OPENED else (f"these are {split!r} films: what follows is not performance",)
        return ChosenFilms(part, {f"not in split {split!r}": len(table) - len(part)}, warning, table)
    if given:
        warned = ("films the model may have learned from are among these: not performance",)
        return ChosenFilms(table, {}, warned, table)
    left_out: Counter[str] = Counter()
    sentences: list[str] = []
    rows = _outside_training_splits(table, left_out)
    if bundle is not None and bundle.calibration is not None and "split" not in table.frame.columns:
        sentences.append(
            "the table has no split: films that calibrated the model cannot be told from others, for a bundle stores "
            "its training and tuning patients only"
        )
    if bundle is None:
        sentences.append("which films the model learned from is not known: it is not at hand, only its predictions")
    elif bundle.training_films.patients:
        free = set(untrained(table.with_frame(table.frame[rows]), bundle.training_films.patients))
        if learned := len(rows) - len(free):
            left_out["of patients that the model learned from"] = learned
        rows = [row for place, row in enumerate(rows) if place in free]
    else:
        sentences.append("the bundle does not say which patients it learned from")
    return ChosenFilms(table.with_frame(table.frame[rows]), dict(left_out), tuple(sentences), table)


def _outside_training_splits(table: FilmTable, left_out: Counter[str]) -> list[int]:
    """Rows in `test` or without a split; the rest is counted."""
    if "split" not in table.frame.columns:
        return list(range(len(table)))
    splits = table.frame["split"].to_list()
    rows = [row for row, name in enumerate(splits) if name in {None, _OPENED}]
    for name in SPLITS[:-1]:
        if count := sum(value == name for value in splits):
            left_out[f"in split {name!r} of the table"] = count
    if not rows:
        raise TableError(
            f"films outside train, tune and calibrate are needed; all {len(table)} of the table are in them: give "
            "other films, or name a split with --split"
        )
    return rows


def without_near_trained(judged: JudgedFilms, bundle: Bundle) -> tuple[JudgedFilms, int]:
    """Leave out films that are near-duplicates of a training film.

    Returns
    -------
    judged : JudgedFilms
    left_out : int
        How many.

    Raises
    ------
    TableError
        If none is left.
    BundleError
        If the hashes of the bundle's training films cannot be compared.
    """
    known = sorted(bundle.training_films.perceptual_hashes)
    if judged.hashes is None or not known:
        return judged, 0
    try:
        near = within_reach(judged.hashes, known)
    except TableError as error:
        raise BundleError(
            f"bundle {bundle.name!r} {bundle.version} does not say usably which films it was trained on: {error}"
        ) from error
    if near.all():
        raise TableError(
            f"films that the model was not trained on are needed; all {len(judged)} are near-duplicates of its "
            "training films"
        )
    return (judged.take(np.flatnonzero(~near)), int(near.sum())) if near.any() else (judged, 0)


def film_order(table: FilmTable) -> NDArray[np.float64]:
    """When each film was taken within its patient, (N,): `film_order`, else `offset_days`; NaN where not known."""
    result = np.full(len(table), np.nan)
    for name in _ORDERS:
        if name in table.frame.columns:
            cells = table.frame[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
            result = np.where(np.isnan(result), cells, result)
    return result


def first_films(patients: NDArray[Any], order: NDArray[np.float64]) -> NDArray[np.intp]:
    """Row of each patient's first film, ascending; by the table's rows where the order is not known (M31).

    Examples
    --------
    >>> first_films(np.array(["a", "a", "b"]), np.array([2.0, 1.0, np.nan])).tolist()
    [1, 2]
    """
    rows = np.lexsort((np.arange(len(order)), np.where(np.isnan(order), np.inf, order)))
    _, place = np.unique(np.asarray(patients)[rows], return_index=True)
    return np.sort(rows[place])


def source_scope(sources: Sequence[str] | NDArray[Any], positive: NDArray[np.bool_]) -> str | None:
    """Whether a comparison lies within sources; see `Number.sources`.

    Parameters
    ----------
    sources : sequence of str, (M,)
    positive : ndarray of bool, (M,)

    Returns
    -------
    str or None
        `None` where the table names no source.

    Examples
    --------
    >>> source_scope(["a", "b"], np.array([True, False]))
    'cross-source'
    """
    names = np.asarray(sources)
    if not names.size or not any(names.tolist()):
        return None
    up, down = set(names[positive].tolist()), set(names[~positive].tolist())
    if len(up | down) == 1:
        return "one source"
    if not up & down:
        return "cross-source"
    return "within sources" if up == down else "mixed"
