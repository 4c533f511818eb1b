"""A model judges the films of a table, as it would in use, over several processes.

Each film is read, gated and its lungs found once, whatever the number of changes it is judged under.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError, FilmRejectedError, InputError
from carina.evidence.judged_films import JudgedFilms, ModelStamp, contrast_scores
from carina.evidence.judged_predictions import read_predictions
from carina.evidence.viewing import Answer, Network
from carina.imaging import read_film
from carina.imaging.lung_fields import LungFields
from carina.imaging.standardise import standardise
from carina.inference import Bundle, PredictOptions, Reader, load_bundle, make_reader, prediction_set
from carina.inference.reader import decide_between
from carina.sampling import FilmTable, perceptual_hash
from carina.types import Array, Bytes

__all__ = [
    "Change",
    "JudgedFilms",
    "ModelStamp",
    "contrast_scores",
    "judge_changes",
    "judge_films",
    "read_predictions",
]

Change: TypeAlias = Callable[[Array, LungFields | None], Array]
"""From a film's pixels, float32 (H, W) in [0, 1], and its lungs to other pixels of the same shape. With several
processes it must be a function of a module or an instance of a class of one."""

AS_IT_IS = "as it is"
_CHUNK = 8
_AHEAD = 3
_Ages: TypeAlias = "tuple[float, float] | None"


@dataclass(frozen=True, slots=True)
class _Work:
    """What a process needs to know besides the films."""

    bundle: Bundle
    options: PredictOptions
    changes: tuple[tuple[str, Change | None], ...]
    lungs_again: bool
    features: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """One film under every change; without logits where it was refused."""

    refused: str | None = None
    probabilities: NDArray[np.float64] | None = None
    features: NDArray[np.float32] | None = None
    age: float | None = None
    hash: str = ""


def judge_films(
    bundle: Bundle | str | Path,
    table: FilmTable,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    keep_features: bool = True,
    change: Change | None = None,
    lungs_again: bool = False,
    gate: bool = True,
) -> JudgedFilms:
    """Judge every film of a table.

    Parameters
    ----------
    bundle : Bundle, str or Path
        Loaded, or as `carina.inference.load_bundle` takes it.
    table : FilmTable
        Which of its films the model was trained on is not asked here; see `carina.evidence.evaluation_films`.
    workers : int
        Processes of one thread each; 1 judges in this one.
    progress : callable, optional
        Called with the number of films done.
    keep_features : bool
        Whether the pooled features are kept.
    change : callable, optional
        Applied to the film after the gate and before it is standardised.
    lungs_again : bool
        Whether lungs are looked for on the changed film, as in use, or those of the unchanged film are kept, so that
        the network looks at the same part.
    gate : bool
        Whether the quality gate of the task's kind of input comes first, where there is one.

    Returns
    -------
    JudgedFilms

    Raises
    ------
    TableError
        If films of the table are missing.
    InputError
        If no film could be judged, or a process ended.
    BundleError
        If the network does not load or fit.
    """
    found = judge_changes(
        bundle,
        table,
        {AS_IT_IS: change},
        workers=workers,
        progress=progress,
        keep_features=keep_features,
        lungs_again=lungs_again,
        gate=gate,
    )
    return found[AS_IT_IS]


def judge_changes(
    bundle: Bundle | str | Path,
    table: FilmTable,
    changes: Mapping[str, Change | None],
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    keep_features: bool = True,
    lungs_again: bool = False,
    gate: bool = True,
) -> dict[str, JudgedFilms]:
    """Judge every film of a table under several changes; each film is read, gated and its lungs found once.

    Parameters
    ----------
    bundle, table, workers, progress, keep_features, lungs_again, gate
        As in `judge_films`.
    changes : mapping of str to callable or None
        By name; `None` judges the film as it is.

    Returns
    -------
    dict of str to JudgedFilms
        By name of the change; the same films in each.

    Raises
    ------
    TableError, InputError, BundleError
        As `judge_films`.
    """
    stamp_path = None if isinstance(bundle, Bundle) else str(bundle)
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    table.require_files()
    changed = any(change is not None for change in changes.values())
    options = PredictOptions(gate=gate, lungs=changed, layers=False)
    work = _Work(loaded, options, tuple(changes.items()), lungs_again, keep_features)
    found: list[_Found] = []
    chunks = [table.paths[start : start + _CHUNK] for start in range(0, len(table), _CHUNK)]
    for part in _answers(work, chunks, min(workers, len(chunks))):
        found += part
        if progress is not None:
            progress(len(found))
    stamp = ModelStamp(loaded.name, loaded.version, loaded.model_sha256, stamp_path)
    return _collected(work, table, found, stamp)


def _answers(work: _Work, chunks: Sequence[Sequence[Path]], workers: int) -> Iterator[list[_Found]]:
    if workers <= 1:
        judge = _Judge(work)
        yield from (judge(paths) for paths in chunks)
        return
    # Spawned, not forked: the inference engine's threads do not survive a fork.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(work,))
    waiting: deque[Future[list[_Found]]] = deque()
    try:
        for paths in chunks:
            waiting.append(pool.submit(_judge_in_worker, list(paths)))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process that judged films ended, by a crash or for want of memory; run again with one worker to find "
            "the film"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Judge:
    """Judges films under every change; what one film suffers never stops the rest."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._reader: Reader = make_reader(work.bundle, work.options, Path())
        self._network = Network(work.bundle)

    def __call__(self, paths: Sequence[Path]) -> list[_Found]:
        """Judge films, many pictures at once."""
        found: list[_Found] = []
        pictures: list[Bytes] = []
        for path in paths:
            try:
                seen, one = self._look(path)
            except FilmRejectedError as error:
                found.append(_Found(refused=f"{error.message} [{error.code}]"))
            except (CarinaError, OSError) as error:
                found.append(_Found(refused=str(error)))
            else:
                found.append(one)
                pictures += seen
        if not pictures:
            return found
        return self._with_answers(found, self._network(np.stack(pictures)))

    def _look(self, path: Path) -> tuple[list[Bytes], _Found]:
        """Bring a film to the network's input, once for each change; none where the gate refuses it."""
        reader, spec = self._reader, self._work.bundle.preprocessing
        film = read_film(path, reader.limits)
        age, name = film.header.age_years, perceptual_hash(film.pixels)
        if reader.gate is not None:
            film, quality = reader.gate.check(film)
            if not quality.accepted:
                return [], _Found(refused="; ".join(quality.reasons), hash=name)
        fields = None if reader.lungs is None else reader.lungs.find(film)
        seen = []
        for _, change in self._work.changes:
            pixels, lungs = film.pixels, fields
            if change is not None:
                pixels = np.asarray(change(pixels, fields), dtype=np.float32)
                if self._work.lungs_again and reader.lungs is not None:
                    lungs = reader.lungs.find(pixels)
            seen.append(standardise(pixels, spec, lungs))
        return seen, _Found(age=age, hash=name)

    def _with_answers(self, found: list[_Found], answer: Answer) -> list[_Found]:
        count, start = len(self._work.changes), 0
        features = np.concatenate([part.features for part in answer.outputs])
        done = []
        for one in found:
            if one.refused is not None:
                done.append(one)
                continue
            here = slice(start, start + count)
            start += count
            done.append(
                replace(
                    one,
                    probabilities=answer.probabilities[here],
                    features=np.array(features[here], np.float32) if self._work.features else None,
                )
            )
        return done


def _collected(work: _Work, table: FilmTable, found: Sequence[_Found], stamp: ModelStamp) -> dict[str, JudgedFilms]:
    names = table.image_ids
    refused = {names[row]: one.refused for row, one in enumerate(found) if one.refused is not None}
    rows = [row for row, one in enumerate(found) if one.refused is None]
    if not rows:
        first = next(iter(refused.values()), "the table has none")
        raise InputError(f"films that can be judged are needed; none of {len(table)} could: {first}")
    kept = table.with_frame(table.frame[rows])
    ages = _ages(kept, [found[row].age for row in rows])
    result = {}
    for place, (name, _) in enumerate(work.changes):
        values = np.stack([_part(found[row].probabilities, place) for row in rows]).astype(np.float64)
        features = np.stack([_part(found[row].features, place) for row in rows]) if work.features else None
        sets, decisions = conclude(work.bundle, values, ages)
        result[name] = JudgedFilms(
            table=kept,
            task=work.bundle.task,
            probabilities=values,
            prediction_sets=sets,
            decisions=decisions,
            features=features,
            refused=refused,
            model=stamp,
            hashes=tuple(found[row].hash for row in rows),
        )
    return result


def conclude(
    bundle: Bundle, probabilities: NDArray[np.float64], ages: Sequence[_Ages]
) -> tuple[tuple[frozenset[str], ...] | None, tuple[str, ...] | None]:
    """Prediction sets and decisions of calibrated probabilities, as a reading has them.

    Parameters
    ----------
    bundle : Bundle
    probabilities : ndarray, (N, K)
    ages : sequence of range or None, (N,)
        Youngest and oldest age of each film, years.

    Returns
    -------
    prediction_sets, decisions : tuple, (N,), or None
        `None` without a calibration; no decisions where a rule lacks its threshold.
    """
    calibration, task = bundle.calibration, bundle.task
    if calibration is None:
        return None, None
    sets = tuple(frozenset(prediction_set(row, calibration, task)) for row in probabilities)
    thresholds = calibration.decision_thresholds()
    if any(rule.contrast not in thresholds for rule in task.decision.rules):
        return sets, None
    pairs = zip(probabilities, ages, strict=True)
    return sets, tuple(decide_between(task, row, thresholds, age).name for row, age in pairs)


def _part(values: NDArray[Any] | None, place: int) -> NDArray[Any]:
    if values is None:
        raise InputError("a film that was not refused must have an answer of the network")
    return np.asarray(values[place])


def _ages(table: FilmTable, told: Sequence[float | None]) -> list[_Ages]:
    """Youngest and oldest age of each film: as its header says, else its row of the table."""
    low, high = table.frame["age_low"].to_list(), table.frame["age_high"].to_list()
    rows = zip(told, low, high, strict=True)
    return [
        (age, age) if age is not None else (first, last) if first is not None and last is not None else None
        for age, first, last in rows
    ]


_worker: dict[str, Any] = {}


def _start_worker(work: _Work) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _worker["work"] = work


def _judge_in_worker(paths: list[Path]) -> list[_Found]:
    """Judge films; the first call loads the network, so that a fault in it travels back as an exception."""
    judge: _Judge | None = _worker.get("judge")
    if judge is None:
        judge = _worker["judge"] = _Judge(_worker["work"])
    return judge(paths)
