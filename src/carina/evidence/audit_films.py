"""What the audit looks at on each film, gathered in one pass (M36).

A film is read, gated and its lungs found once; the network then sees it as it is and under every change, framed each
time by the lungs of the film as it is.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError, FilmRejectedError, InputError
from carina.evidence.relevance import mass_share
from carina.evidence.shortcut_changes import CHANGES
from carina.evidence.shortcut_signs import film_signs
from carina.evidence.viewing import Answer, Network
from carina.imaging import read_film
from carina.imaging.framing import frame_film
from carina.imaging.lung_fields import LungFields
from carina.imaging.standardise import Standardisation, standardise
from carina.inference import Bundle, Gate, PredictOptions, make_reader
from carina.inference.gate import QualityGate
from carina.inference.lungs import LungFinder
from carina.sampling import FilmTable, perceptual_hash
from carina.tasks import Task
from carina.types import Array, Bytes, Film

__all__ = ["AS_IT_IS", "AuditedFilms", "Eye", "Observation", "gather", "observe", "observe_films"]

AS_IT_IS = "as it is"
"""Name of the film without a change."""

_THUMB = 16
_CHUNK = 8
_HALF = 0.5
_DATA_VIEW = Standardisation(size=64)
_NOWHERE = Path()


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One film; `V` views are the film as it is, then one a change in the order of `CHANGES`.

    Attributes
    ----------
    probabilities : ndarray of float64, (V, K), or None
        NaN under the changes where no plausible lungs were found; `None` without a model.
    features : ndarray of float32, (F,), or None
        Pooled features of the film as it is.
    lung_share, lung_area : float
        Share of the class map, and of the field of view, that lies in the lungs; NaN where unknown.
    thumbs : ndarray of uint8, (V, 16, 16)
        The views, small.
    signs : dict of str to ndarray
        See `carina.evidence.shortcut_signs`.
    shape : tuple of int
        Rows and columns of the film.
    bits : int
        Of its file.
    hash : str
        Perceptual.
    """

    probabilities: NDArray[np.float64] | None
    features: NDArray[np.float32] | None
    lung_share: float
    lung_area: float
    thumbs: Bytes
    signs: dict[str, NDArray[np.float64]]
    shape: tuple[int, int]
    bits: int
    hash: str


@dataclass(frozen=True, slots=True, eq=False)
class AuditedFilms:
    """Films of a table with what was observed on them.

    Attributes
    ----------
    table : FilmTable
        Rows observed, in order.
    task : Task
    observations : list of Observation
        One a row.
    refused : dict of str to str
        Films that could not be looked at, by image_id, with the reason.
    has_model : bool
    training_hashes, training_patients : frozenset of str
        Of the model's training films.
    """

    table: FilmTable
    task: Task
    observations: list[Observation]
    refused: dict[str, str] = field(default_factory=dict)
    has_model: bool = False
    training_hashes: frozenset[str] = frozenset()
    training_patients: frozenset[str] = frozenset()

    def scores(self, contrast: str, view: str = AS_IT_IS) -> NDArray[np.float64]:
        """Probability of a contrast's positive side, (N,); NaN where the view could not be made."""
        place = (AS_IT_IS, *CHANGES).index(view)
        rows = [one.probabilities for one in self.observations]
        values = np.stack([row[place] for row in rows if row is not None])
        known = np.isfinite(values).all(axis=1)
        result = np.full(len(values), np.nan)
        result[known] = self.task.contrast_probability(contrast, values[known])
        return result

    def thumbs(self, view: str) -> NDArray[np.float64]:
        """Small pictures of a view, (N, 256), in [0, 1]."""
        place = (AS_IT_IS, *CHANGES).index(view)
        return np.stack([one.thumbs[place].ravel() for one in self.observations]) / 255.0

    def signs(self, name: str) -> NDArray[np.float64]:
        """One kind of signs, (N, F); rows of NaN where no lungs were found."""
        found = [one.signs.get(name) for one in self.observations]
        width = next((len(one) for one in found if one is not None), 1)
        return np.stack([one if one is not None else np.full(width, np.nan) for one in found])

    def with_lungs(self) -> NDArray[np.bool_]:
        """Films with plausible lung fields, (N,)."""
        return np.array([bool(one.signs) for one in self.observations], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Eye:
    """How films are looked at.

    Attributes
    ----------
    task : Task
    spec : Standardisation
        How the network gets its films.
    judge : callable or None
        From pictures ``(B, S, S)`` to an `Answer`; `None` asks no network.
    """

    task: Task
    spec: Standardisation
    judge: Callable[[Bytes], Answer] | None = None


def observe(film: Film | Array, fields: LungFields | None, label: str, eye: Eye) -> Observation:
    """Look at one film.

    Parameters
    ----------
    film : Film or ndarray of float32, (H, W)
    fields : LungFields or None
        Of the film as it is.
    label : str
        Class or label set, for the class map.
    eye : Eye

    Returns
    -------
    Observation
    """
    pixels = film.pixels if isinstance(film, Film) else film
    bits = film.header.bits_stored if isinstance(film, Film) else 8
    usable = fields if fields is not None and fields.plausible else None
    views = [standardise(pixels, eye.spec, fields)]
    if usable is not None:
        views += [standardise(change(pixels, usable), eye.spec, usable) for change in CHANGES.values()]
    pictures = np.stack(views)
    missing = len(CHANGES) + 1 - len(views)
    thumbs = np.stack([cv2.resize(view, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA) for view in views])
    thumbs = np.concatenate([thumbs, np.zeros((missing, _THUMB, _THUMB), np.uint8)])
    probabilities = features = None
    share = region = float("nan")
    if eye.judge is not None:
        answer = eye.judge(pictures)
        unknown = np.full((missing, len(eye.task.classes)), np.nan)
        probabilities = np.concatenate([answer.probabilities, unknown])
        features = np.array(answer.outputs[0].features[0], dtype=np.float32)
        if usable is not None:
            share, region = _in_lungs(answer, usable, label, eye)
    return Observation(
        probabilities=probabilities,
        features=features,
        lung_share=share,
        lung_area=region,
        thumbs=np.asarray(thumbs, np.uint8),
        signs=film_signs(pixels, usable),
        shape=(pixels.shape[0], pixels.shape[1]),
        bits=bits,
        hash=perceptual_hash(pixels),
    )


def observe_films(
    task: Task,
    table: FilmTable,
    *,
    bundle: Bundle | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Observation], dict[str, str], list[int]]:
    """Look at every film of a table.

    Parameters
    ----------
    task : Task
    table : FilmTable
    bundle : Bundle or None
        Model to ask.
    workers : int
        Processes of one thread each; 1 looks in this one.
    progress : callable, optional
        Called with the number of films done.

    Returns
    -------
    observations : list of Observation
    refused : dict of str to str
        Films that could not be looked at, by image_id, with the reason.
    rows : list of int
        Of the table, one an observation.

    Raises
    ------
    TableError
        If films of the table are missing.
    InputError
        If no film could be looked at, or a process ended.
    """
    table.require_files()
    jobs = [(str(path), label) for path, label in zip(table.paths, table.labels, strict=True)]
    found: list[Observation | str] = []
    for part in _answers((task, bundle), jobs, workers):
        found += part
        if progress is not None:
            progress(len(found))
    names = table.image_ids
    refused = {names[row]: one for row, one in enumerate(found) if isinstance(one, str)}
    rows = [row for row, one in enumerate(found) if not isinstance(one, str)]
    if not rows:
        first = next(iter(refused.values()), "the table has none")
        raise InputError(f"films that can be looked at are needed; none of {len(table)} could: {first}")
    return [one for one in found if not isinstance(one, str)], refused, rows


def gather(
    task: Task,
    table: FilmTable,
    *,
    bundle: Bundle | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> AuditedFilms:
    """Look at every film of a table and keep what belongs together; as `observe_films`."""
    seen, refused, rows = observe_films(task, table, bundle=bundle, workers=workers, progress=progress)
    training = None if bundle is None else bundle.training_films
    return AuditedFilms(
        table=table.with_frame(table.frame[rows]),
        task=task,
        observations=seen,
        refused=refused,
        has_model=bundle is not None,
        training_hashes=training.perceptual_hashes if training is not None else frozenset(),
        training_patients=training.patients if training is not None else frozenset(),
    )


def _in_lungs(answer: Answer, fields: LungFields, label: str, eye: Eye) -> tuple[float, float]:
    """Share of the label's class map in the lungs, and of the field of view."""
    members = [eye.task.classes.index(name) for name in eye.task.members(label)]
    shown = max(members, key=lambda number: float(answer.probabilities[0, number]))
    size, rows, columns = eye.spec.size, *fields.mask.shape
    frame = frame_film((rows, columns), size, fields if eye.spec.needs_lungs else None)
    inside = np.ascontiguousarray(frame.crop(fields.mask > 0)).astype(np.float32)
    lungs = cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA) >= _HALF
    found = mass_share(answer.maps[0, shown], np.asarray(lungs, dtype=np.bool_))
    return (found.share, found.area) if found is not None else (float("nan"), float("nan"))


_Job: TypeAlias = "tuple[str, str]"
_Work: TypeAlias = "tuple[Task, Bundle | None]"


def _answers(work: _Work, jobs: Sequence[_Job], workers: int) -> Iterator[list[Observation | str]]:
    chunks = [list(jobs[start : start + _CHUNK]) for start in range(0, len(jobs), _CHUNK)]
    if workers <= 1:
        yield from map(_Eyes(work), chunks)
        return
    # Spawned, not forked: the inference engine's threads do not survive a fork.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(work,))
    try:
        yield from pool.map(_look_in_worker, chunks)
    except BrokenProcessPool as error:
        raise InputError(
            "a process that looked at films ended, by a crash or for want of memory; run again with one worker to "
            "find the film"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Eyes:
    """Looks at films; what one film suffers never stops the rest."""

    def __init__(self, work: _Work) -> None:
        task, bundle = work
        self._gate: Gate | None
        self._lungs: LungFinder | None
        if bundle is not None:
            self._eye = Eye(task, bundle.preprocessing, Network(bundle))
            reader = make_reader(bundle, PredictOptions(lungs=True, layers=False), _NOWHERE)
            self._gate, self._lungs = reader.gate, reader.lungs
        else:
            self._eye = Eye(task, _DATA_VIEW)
            self._gate = QualityGate.load() if task.kind.gated else None
            self._lungs = LungFinder.load() if task.kind.lungs else None

    def __call__(self, jobs: Sequence[_Job]) -> list[Observation | str]:
        return [self._look(path, label) for path, label in jobs]

    def _look(self, path: str, label: str) -> Observation | str:
        try:
            film = read_film(Path(path))
            if self._gate is not None:
                film, quality = self._gate.check(film)
                if not quality.accepted:
                    return "; ".join(quality.reasons)
            fields = None if self._lungs is None else self._lungs.find(film)
            return observe(film, fields, label, self._eye)
        except FilmRejectedError as error:
            return f"{error.message} [{error.code}]"
        except (CarinaError, OSError) as error:
            return str(error)


_worker: dict[str, Any] = {}


def _start_worker(work: _Work) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _worker["work"] = work


def _look_in_worker(jobs: list[_Job]) -> list[Observation | str]:
    """Look at films; the first call loads the network, so that a fault in it travels back as an exception."""
    eyes: _Eyes | None = _worker.get("eyes")
    if eyes is None:
        eyes = _worker["eyes"] = _Eyes(_worker["work"])
    return eyes(jobs)
