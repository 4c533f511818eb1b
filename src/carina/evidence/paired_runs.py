"""Two evaluations on the same films: differences film by film, which two intervals side by side do not give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import SharingError, TaskError
from carina.statistics import mcnemar, paired_delong
from carina.tasks import Task, default_task, task_from_dict

__all__ = ["Paired", "PairedRow", "compare_films", "task_of"]

_FILES: Final = "films.parquet"
_FEWEST: Final = 10


@dataclass(frozen=True, slots=True)
class PairedRow:
    """One measure of one contrast on the films of both.

    Attributes
    ----------
    contrast : str
    measure : {"auc", "sensitivity", "specificity"}
    first, second : float or None
    difference, low, high : float or None
        Second less first, with its interval at 95 %.
    p_value : float or None
        By patient: of the areas (Obuchowski), or of the shares.
    n : int
        Films.
    note : str or None
        Why something is not estimable.
    """

    contrast: str
    measure: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    note: str | None


@dataclass(frozen=True, slots=True)
class Paired:
    """What two evaluations say of the films that both judged.

    Attributes
    ----------
    films : int
        In both, with the same label.
    only_first, only_second : int
        Films that one alone judged, or labelled otherwise.
    rows : tuple of PairedRow
        On all of them, intervals by patient (M33).
    """

    films: int
    only_first: int
    only_second: int
    rows: tuple[PairedRow, ...]


def compare_films(
    first: Path, second: Path, task: Task | Mapping[str, Any], thresholds: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> Paired:
    """Compare two evaluations film by film.

    Parameters
    ----------
    first, second : Path
        Folders that `carina evaluate` wrote.
    task : Task or mapping
        Of both, or as ``metrics.json`` holds it.
    thresholds : tuple of mapping
        ``thresholds`` of both ``metrics.json``; each calls at its own.

    Returns
    -------
    Paired
        Without rows where no film is in both.

    Raises
    ------
    SharingError
        If an evaluation's films cannot be read, or the task is none.
    """
    known = task if isinstance(task, Task) else task_of(task)
    one, other = _films(first), _films(second)
    both = one.join(other, on=["image_id", "label"], how="inner", suffix=".second", maintain_order="left")
    rows: list[PairedRow] = []
    if both.height:
        chosen = both.filter(pl.col("label").map_elements(known.knows, return_dtype=pl.Boolean))
        for name in known.contrasts:
            column = f"contrasts.{name}"
            if column in one.columns and column in other.columns:
                cuts = [_cut(each.get(name)) for each in thresholds]
                rows += _contrast(chosen, known, name, cuts)
    return Paired(both.height, one.height - both.height, other.height - both.height, tuple(rows))


def task_of(values: Mapping[str, Any]) -> Task:
    """Return the task that ``metrics.json`` names.

    Raises
    ------
    SharingError
        If it names none.
    """
    shipped = default_task()  # an evaluation holds the classes of its task, and not the sets of labels
    if values.get("name") == shipped.name and list(values.get("classes") or ()) == list(shipped.classes):
        return shipped
    try:
        return task_from_dict(dict(values))
    except (TaskError, ValueError, TypeError, KeyError) as error:
        raise SharingError("an evaluation must say of which task it is; this one does not") from error


def _films(folder: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(folder / _FILES)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SharingError(f"an evaluation compared by film must hold {_FILES}; {folder.name!r} does not") from error
    if missing := {"image_id", "patient", "label"} - set(frame.columns):
        raise SharingError(f"{_FILES} must have {', '.join(sorted(missing))}; {folder.name!r} lacks them")
    return frame.unique("image_id", keep="none", maintain_order=True)


def _cut(said: Any) -> float | None:
    value = said.get("high") if isinstance(said, Mapping) else said
    return float(value) if isinstance(value, int | float) else None


def _contrast(films: pl.DataFrame, task: Task, name: str, cuts: list[float | None]) -> list[PairedRow]:
    column = f"contrasts.{name}"
    truth = task.contrast_truth(name, films["label"].to_list())
    scores = [films[each].to_numpy().astype(float) for each in (column, f"{column}.second")]
    usable = np.flatnonzero(np.isfinite(truth) & np.isfinite(scores[0]) & np.isfinite(scores[1]))
    truth, scores = truth[usable], [each[usable] for each in scores]
    people = films["patient"].to_numpy()[usable]
    rows = [_ranked(name, truth, scores, people)]
    for measure, side in (("sensitivity", 1.0), ("specificity", 0.0)):
        rows.append(_called(name, measure, truth, scores, cuts, people=people, side=side))
    return rows


def _ranked(name: str, truth: NDArray[Any], scores: list[NDArray[Any]], people: NDArray[Any]) -> PairedRow:
    sides = [len(set(people[truth == side].tolist())) for side in (0.0, 1.0)]
    if min(sides) < _FEWEST:
        return _none(name, "auc", int(truth.size), f"fewer than {_FEWEST} patients on a side")
    found = paired_delong(truth, scores[1], scores[0], people)
    gap = found.difference
    return PairedRow(
        name,
        "auc",
        found.second,
        found.first,
        gap.value,
        gap.low,
        gap.high,
        found.p_value,
        int(truth.size),
        gap.note,
    )


def _called(
    name: str,
    measure: str,
    truth: NDArray[Any],
    scores: list[NDArray[Any]],
    cuts: list[float | None],
    *,
    people: NDArray[Any],
    side: float,
) -> PairedRow:
    chosen = truth == side
    count = int(chosen.sum())
    if cuts[0] is None or cuts[1] is None:
        return _none(name, measure, count, "one has no threshold")
    if len(set(people[chosen].tolist())) < _FEWEST:
        return _none(name, measure, count, f"fewer than {_FEWEST} patients on this side")
    right = [(values[chosen] >= cut) == bool(side) for values, cut in zip(scores, cuts, strict=True) if cut is not None]
    found = mcnemar(right[1], right[0], people[chosen])
    gap = found.difference
    shares = [float(each.mean()) for each in right]
    return PairedRow(
        name, measure, shares[0], shares[1], gap.value, gap.low, gap.high, found.clustered_p, count, gap.note
    )


def _none(name: str, measure: str, count: int, note: str) -> PairedRow:
    return PairedRow(name, measure, None, None, None, None, None, None, count, note)
