"""Many films: bounded memory, several processes, one bad film never stops the rest."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import cv2

from carina import __version__
from carina.errors import BundleError, InputError
from carina.inference.bundle import Bundle, load_bundle
from carina.inference.layers import LayerOptions
from carina.inference.lungs import LungFinder
from carina.inference.prevalence import complete_prevalence
from carina.inference.reader import Reader, film_id
from carina.inference.reading import Outcome, Problem, Reading
from carina.inference.session import Engine
from carina.inference.sources import LAYERS, FilmSource, find_films
from carina.inference.writer import PredictionWriter
from carina.settings import Settings

__all__ = ["PredictOptions", "Summary", "count_films", "make_reader", "predict_films"]

_GATED_INPUT = "chest_radiograph"
_AHEAD = 3
_TOGETHER = 8
_Task: TypeAlias = "tuple[list[FilmSource], Future[list[Reading]] | None]"
_LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "pydicom")


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How films are judged.

    Attributes
    ----------
    model : str
        A bundle's folder or zip, or the name of a shipped one.
    engine : {"onnxruntime", "openvino"}
    gate : bool
        Whether the quality gate comes first.
    lungs : bool
        Whether lung fields are looked for; a bundle whose framing rests on them looks for them in any case.
    layers : bool
        Whether heatmap, lungs and opacity are drawn.
    heatmap_class : str or None
        Class shown; `None` for the class decided on, or else the most probable one.
    age : float or None
        Of films whose header and table row say nothing, years.
    prevalence : mapping of class to float, or None
        See `carina.inference.complete_prevalence`.
    settings : Settings
    workers : int
        Processes, each of `settings.predict.threads` threads.
    overwrite : bool
        Whether predictions already in the output folder are thrown away.
    """

    model: str = "pneumonia"
    engine: Engine = "onnxruntime"
    gate: bool = True
    lungs: bool = True
    layers: bool = True
    heatmap_class: str | None = None
    age: float | None = None
    prevalence: Mapping[str, float] | None = None
    settings: Settings = field(default_factory=Settings)
    workers: int = 1
    overwrite: bool = False


@dataclass(slots=True)
class Summary:
    """What became of the films.

    Attributes
    ----------
    films : int
        All.
    judged, refused, unread : int
        With probabilities; refused by the gate; no film, or not readable. They sum to `films`.
    kept : int
        Of all, those finished by an earlier run.
    decisions : dict of str to int
        Films newly judged, by decision.
    """

    films: int = 0
    judged: int = 0
    refused: int = 0
    unread: int = 0
    kept: int = 0
    decisions: dict[str, int] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """0 where every film has probabilities, else 3."""
        return 0 if self.judged == self.films else 3

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def count_films(inputs: Sequence[Path], out: Path) -> int:
    """Count the films that `predict_films` would read.

    Raises
    ------
    InputError
        If a path does not exist, or there is no film at all.
    TableError
        If a table cannot be read.
    """
    total = sum(1 for _ in _sources(inputs, out, None))
    if total == 0:
        raise InputError(f"there must be a film to judge; none is in {', '.join(repr(str(path)) for path in inputs)}")
    return total


def make_reader(bundle: Bundle, options: PredictOptions, out: Path) -> Reader:
    """Build the reader that the options describe; layers go below `out`.

    Raises
    ------
    BundleError, MissingExtraError, SettingsError
    """
    gate = None
    if options.gate:
        if bundle.task.input != _GATED_INPUT:
            raise BundleError(
                f"the quality gate knows frontal chest films alone; bundle {bundle.name!r} takes "
                f"{bundle.task.input!r}: predict without the gate (--no-gate)"
            )
        from carina.inference.gate import QualityGate  # noqa: PLC0415 - only where it is used

        gate = QualityGate.load(threads=options.settings.predict.threads)
    chest = bundle.task.input == _GATED_INPUT
    layers = LayerOptions(out, of=options.heatmap_class, opacity=options.settings.predict.overlay_opacity)
    return Reader(
        bundle,
        gate=gate,
        engine=options.engine,
        threads=options.settings.predict.threads,
        limits=options.settings.limits,
        prevalence=options.prevalence,
        lungs=LungFinder.load(threads=options.settings.predict.threads) if options.lungs and chest else None,
        layers=layers if options.layers else None,
    )


def predict_films(
    inputs: Sequence[Path],
    out: Path,
    options: PredictOptions,
    *,
    bundle: Bundle | None = None,
    on_film: Callable[[int, Reading | None], None] | None = None,
) -> Summary:
    """Judge films and write ``predictions.jsonl``, ``predictions.csv``, ``run.json`` and heatmaps.

    Films are written in the order in which they are found, whatever the number of workers. A film that an earlier run
    finished, with the same model and options and its file unchanged, is kept.

    Parameters
    ----------
    inputs : sequence of Path
        Files, folders and tables; see `find_films`.
    out : Path
    options : PredictOptions
    bundle : Bundle or None
        The bundle that `options.model` names, where it is loaded already.
    on_film : callable or None
        Called after each film with the number done and its reading, `None` where it was kept.

    Returns
    -------
    Summary

    Raises
    ------
    CarinaError
        If the bundle, the options or the output folder are no good; never for one film.
    """
    bundle = bundle or load_bundle(options.model)
    with _opencv_threads(options.settings.predict.threads):
        return _predict(inputs, out, options, bundle, on_film)


@contextmanager
def _opencv_threads(number: int) -> Iterator[None]:
    """Hold OpenCV to the threads asked for; by default it takes every core, and workers would fight over them."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(number)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _predict(
    inputs: Sequence[Path],
    out: Path,
    options: PredictOptions,
    bundle: Bundle,
    on_film: Callable[[int, Reading | None], None] | None,
) -> Summary:
    reader = make_reader(bundle, options, out) if options.workers == 1 else None
    if reader is None and options.prevalence is not None:
        complete_prevalence(bundle, options.prevalence)
    summary = Summary()
    with PredictionWriter(out, bundle.task, _run_record(bundle, options), overwrite=options.overwrite) as writer:

        def waiting() -> Iterator[FilmSource]:
            for source in _sources(inputs, out, options.age):
                outcome = writer.finished(film_id(source.path), source.path)
                if outcome is None:
                    yield source
                else:
                    summary.kept += 1
                    _count(summary, outcome)
                    if on_film is not None:
                        on_film(summary.films, None)

        pool = None if reader is not None else _Workers(bundle, options, out)
        try:
            readings = map(reader.read, waiting()) if reader is not None else _pooled(pool, waiting())
            for reading in readings:
                writer.write(reading)
                _count(summary, reading.outcome)
                if reading.decision is not None:
                    summary.decisions[reading.decision] = summary.decisions.get(reading.decision, 0) + 1
                if on_film is not None:
                    on_film(summary.films, reading)
        finally:
            if pool is not None:
                pool.stop()
    return summary


def _pooled(pool: _Workers | None, sources: Iterator[FilmSource]) -> Iterator[Reading]:
    return pool.read(sources) if pool is not None else iter(())


def _count(summary: Summary, outcome: Outcome) -> None:
    summary.films += 1
    summary.judged += outcome == "judged"
    summary.refused += outcome == "refused"
    summary.unread += outcome == "unread"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _sources(inputs: Sequence[Path], out: Path, age: float | None) -> Iterator[FilmSource]:
    """Films of all inputs, each file once."""
    # A single folder names no file twice; elsewhere an index of what was seen is the price.
    seen: set[int] | None = None if len(inputs) == 1 and inputs[0].is_dir() else set()
    for source in find_films(inputs, leave_out=[out / layer for layer in LAYERS]):
        if seen is not None:
            number = int(film_id(source.path), 16)
            if number in seen:
                continue
            seen.add(number)
        yield replace(source, ages=(age, age)) if source.ages is None and age is not None else source


def _run_record(bundle: Bundle, options: PredictOptions) -> dict[str, Any]:
    calibration = bundle.calibration
    prevalence = None if options.prevalence is None else complete_prevalence(bundle, options.prevalence)
    predict = options.settings.predict
    layers = {"class": options.heatmap_class, "opacity": predict.overlay_opacity} if options.layers else None
    return {
        "carina_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {"name": bundle.name, "version": bundle.version, "sha256": bundle.model_sha256},
        "class_mix": dict(calibration.class_mix) if calibration else None,
        "prevalence": prevalence,
        "libraries": {name: _installed(name) for name in _LIBRARIES},
        "depends_on": {
            "model": bundle.sha256,
            "version of carina": __version__,
            "engine": options.engine,
            "gate": options.gate,
            "lungs": options.lungs,
            "layers": layers,
            "age": options.age,
            "prevalence": prevalence,
            "limits": options.settings.limits.model_dump(),
        },
    }


class _Workers:
    """Processes that read films, a few ahead of those awaited, answers in order.

    A process that dies, as by a decoder's crash or for want of memory, takes its pool with it; the films then under way
    are read again one at a time, so that the one that kills is found and reported.
    """

    def __init__(self, bundle: Bundle, options: PredictOptions, out: Path) -> None:
        self._bundle = bundle
        self._arguments = (options, out, bundle.sha256)
        self._count = options.workers
        self._pool = self._start()

    def read(self, sources: Iterator[FilmSource]) -> Iterator[Reading]:
        under_way: deque[_Task] = deque()
        handed_out = 0
        # Handing a film over costs about a millisecond of this process, so that several go at once; at first one by
        # one, that a few films are shared out evenly.
        while films := list(islice(sources, min(_TOGETHER, 1 + handed_out // (_AHEAD * self._count)))):
            under_way.append((films, self._submit(films)))
            handed_out += 1
            if len(under_way) >= _AHEAD * self._count:
                yield from self._next(under_way)
        while under_way:
            yield from self._next(under_way)

    def stop(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Spawned, not forked: the inference engine's threads do not survive a fork.
        return ProcessPoolExecutor(
            self._count, mp_context=get_context("spawn"), initializer=_start_worker, initargs=self._arguments
        )

    def _submit(self, films: list[FilmSource]) -> Future[list[Reading]] | None:
        try:
            return self._pool.submit(_read_in_worker, films)
        except BrokenProcessPool:
            return None

    def _next(self, under_way: deque[_Task]) -> Iterator[Reading]:
        films, future = under_way.popleft()
        readings = _answer(future)
        if readings is not None:
            yield from readings
            return
        again = [*films, *(film for others, _ in under_way for film in others)]
        under_way.clear()
        self._restart()
        for film in again:
            yield self._alone(film)

    def _alone(self, source: FilmSource) -> Reading:
        readings = _answer(self._submit([source]))
        if readings is not None:
            return readings[0]
        self._restart()
        problem = Problem("worker_died", "reading this film ended its process, by a crash or for want of memory")
        return Reading(source.path, film_id(source.path), self._bundle.identity, error=problem)

    def _restart(self) -> None:
        self._pool.shutdown(wait=False)
        self._pool = self._start()


def _answer(future: Future[list[Reading]] | None) -> list[Reading] | None:
    """Give the readings, or `None` where their process died."""
    try:
        return None if future is None else future.result()
    except BrokenProcessPool:
        return None


_worker: dict[str, Any] = {}


def _start_worker(options: PredictOptions, out: Path, bundle_sha256: str) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(options.settings.predict.threads)
    _worker["arguments"] = (options, out, bundle_sha256)


def _read_in_worker(sources: list[FilmSource]) -> list[Reading]:
    """Read films; the first call loads the bundle, so that a fault in it travels back as an exception."""
    reader: Reader | None = _worker.get("reader")
    if reader is None:
        options, out, bundle_sha256 = _worker["arguments"]
        bundle = load_bundle(options.model)
        if bundle.sha256 != bundle_sha256:
            raise BundleError(f"bundle {options.model!r} must not change while films are judged with it; it did")
        reader = _worker["reader"] = make_reader(bundle, options, out)
    return [reader.read(source) for source in sources]
