"""A reader study: readers beside the model on the same films (M4, M29, M33)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import TableError
from carina.evidence.contrast_films import Compared, compared_films
from carina.evidence.contrast_numbers import share_estimates
from carina.evidence.evaluation import EvaluationOptions
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number
from carina.evidence.operating import operating_thresholds
from carina.inference import Calibration
from carina.statistics import Estimate, mcnemar, paired_delong
from carina.tasks import Task

__all__ = ["ReaderCalls", "read_readers", "reader_numbers"]

_COLUMNS = ("reader", "image_id", "call")


@dataclass(frozen=True, slots=True, eq=False)
class ReaderCalls:
    """What readers said.

    Attributes
    ----------
    readers, image_ids, calls : tuple of str
        One entry a call; a call is a class or a label set of the task.
    confidences : ndarray of float64
        That the call is right, in [0, 1]; NaN where not given.
    """

    readers: tuple[str, ...]
    image_ids: tuple[str, ...]
    calls: tuple[str, ...]
    confidences: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """Each reader once, in order."""
        return tuple(sorted(set(self.readers)))


def read_readers(path: Path, task: Task) -> ReaderCalls:
    """Read a reader study.

    Parameters
    ----------
    path : Path
        CSV with columns `reader`, `image_id`, `call` and, where readers said it, `confidence` in [0, 1].
    task : Task
        Says which calls there are.

    Returns
    -------
    ReaderCalls

    Raises
    ------
    TableError
        If the file cannot be read, lacks a column or a value, has a call outside the task, a confidence outside [0, 1],
        or two calls of one reader on one film.
    """
    try:
        frame = pl.read_csv(path.read_bytes(), infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = (str(error).splitlines() or ["no reason given"])[0]
        raise TableError(f"a reader study must be a readable CSV file; {str(path)!r} is not: {why}") from error
    if missing := [name for name in _COLUMNS if name not in frame.columns]:
        raise TableError(
            f"a reader study has the columns {', '.join(_COLUMNS)} and may have confidence; {str(path)!r} lacks "
            f"{', '.join(missing)}"
        )
    cells = {
        name: [str(value).strip() if value is not None else "" for value in frame[name].to_list()] for name in _COLUMNS
    }
    for name, values in cells.items():
        if "" in values:
            raise TableError(f"every row of a reader study has a {name}; row {values.index('') + 1} has none")
    if unknown := sorted({call for call in cells["call"] if not task.knows(call)}):
        raise TableError(
            f"a reader's call is one of {', '.join((*task.classes, *task.label_sets))}; {str(path)!r} has "
            f"{unknown[0]!r}"
        )
    pairs = list(zip(cells["reader"], cells["image_id"], strict=True))
    if len(set(pairs)) < len(pairs):
        twice = next(row for row, pair in enumerate(pairs) if pair in pairs[:row])
        raise TableError(f"a reader calls a film once; row {twice + 1} of {str(path)!r} calls one again")
    return ReaderCalls(
        readers=tuple(cells["reader"]),
        image_ids=tuple(cells["image_id"]),
        calls=tuple(cells["call"]),
        confidences=_confidences(frame, path),
    )


def _confidences(frame: pl.DataFrame, path: Path) -> NDArray[np.float64]:
    if "confidence" not in frame.columns:
        return np.full(frame.height, np.nan)
    values: NDArray[np.float64] = frame["confidence"].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    given = frame["confidence"].is_not_null().to_numpy()
    wrong = np.flatnonzero(given & ~((values >= 0) & (values <= 1)))
    if wrong.size:
        raise TableError(f"a confidence lies in [0, 1]; row {wrong[0] + 1} of {str(path)!r} has another")
    return np.asarray(values, dtype=np.float64)


def reader_numbers(
    study: ReaderCalls, judged: JudgedFilms, options: EvaluationOptions, calibration: Calibration | None
) -> tuple[list[Number], list[str]]:
    """Each reader's accuracy beside the model's on the films that the reader called, contrast by contrast.

    Parameters
    ----------
    study : ReaderCalls
    judged : JudgedFilms
    options : EvaluationOptions
    calibration : Calibration or None
        Gives the model's thresholds.

    Returns
    -------
    numbers : list of Number
        Cells ``reader=<name>``: ``sensitivity`` and ``specificity`` of the reader, ``model_sensitivity`` and
        ``model_specificity`` on the same films, all of first films; on all films ``right_more``, the model's share
        right less the reader's (McNemar, by patient), and, with confidences, ``auc``, ``model_auc`` and ``auc_more``
        (paired, by patient).
    sentences : list of str
    """
    thresholds = operating_thresholds(judged.task, calibration, options.thresholds)
    place_of = {name: row for row, name in enumerate(judged.table.image_ids)}
    unknown = sum(name not in place_of for name in study.image_ids)
    said = []
    if unknown:
        said.append(
            f"{unknown} of {len(study.calls)} readers' calls are of films that were not judged; they take no part"
        )
    numbers: list[Number] = []
    for contrast in judged.task.contrasts:
        films = compared_films(judged, contrast, thresholds[contrast])
        for reader in study.names:
            rows, calls, scores = _of_reader(study, reader, place_of, judged.task, contrast)
            there = {row: number for number, row in enumerate(films.rows.tolist())}
            kept = np.array([number for number, row in enumerate(rows) if row in there], dtype=np.intp)
            if not kept.size:
                continue
            here = films.take(np.array([there[rows[number]] for number in kept], dtype=np.intp))
            numbers += _beside(reader, here, calls[kept], scores[kept], options)
    if not numbers:
        said.append("the readers called no film that was judged: they are not compared with the model")
    return numbers, said


def _of_reader(
    study: ReaderCalls, reader: str, place_of: dict[str, int], task: Task, contrast: str
) -> tuple[list[int], NDArray[np.int8], NDArray[np.float64]]:
    """Rows judged, calls and scores of one reader; what is called outside the contrast is not called positive."""
    chosen = [
        number for number, name in enumerate(study.readers) if name == reader and study.image_ids[number] in place_of
    ]
    sides = task.contrast_truth(contrast, [study.calls[number] for number in chosen])
    calls = np.where(sides == 1, 1, -1).astype(np.int8)
    sure = study.confidences[chosen]
    scores = np.where(calls == 1, sure, 1.0 - sure)
    return [place_of[study.image_ids[number]] for number in chosen], calls, scores


def _beside(
    reader: str, films: Compared, calls: NDArray[np.int8], scores: NDArray[np.float64], options: EvaluationOptions
) -> list[Number]:
    place = films.place("readers", cell=f"reader={reader}")
    numbers = []
    of_reader = _called(films, calls)
    for prefix, one in (("", of_reader), ("model_", films)):
        found = share_estimates(one.first(), options.intervals)
        first = place.at(films_used="first_films")
        numbers += [first.number(f"{prefix}{name}", found[name]) for name in ("sensitivity", "specificity")]
    right = [np.where(one.positive, one.calls == 1, one.calls == -1) for one in (films, of_reader)]
    test = mcnemar(right[0], right[1], films.patients)
    words = (
        f"McNemar: model alone right on {test.only_first} films, reader alone on {test.only_second}; exact p "
        f"{_p(test.exact)}, by patient {_p(test.clustered_p)}"
    )
    numbers.append(place.number("right_more", _with(test.difference, words)))
    known = np.isfinite(scores)
    if known.any() and films.take(known).two_sided:
        some = films.take(known)
        pair = paired_delong(some.positive.astype(np.float64), some.scores, scores[known], some.patients)
        note = f"p {_p(pair.p_value)}"
        for name, value in (("model_auc", pair.first), ("auc", pair.second)):
            bare = Estimate(value, None, None, len(some.scores), some.people, method="none")
            numbers.append(place.number(name, bare))
        numbers.append(place.number("auc_more", _with(pair.difference, note)))
    return numbers


def _called(films: Compared, calls: NDArray[np.int8]) -> Compared:
    return replace(films, calls=calls, threshold=None)


def _with(found: Estimate, note: str) -> Estimate:
    return replace(found, note="; ".join(filter(None, (found.note, note))))


def _p(value: float | None) -> str:
    return "not estimable" if value is None or not np.isfinite(value) else f"{value:.3g}"
