"""Many films: bounded memory, several processes, one bad film never stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from carina import __version__
from carina.errors import InputError
from carina.inference.boxes import BoxRules
from carina.inference.bundle import Bundle, load_bundle
from carina.inference.coco import write_coco
from carina.inference.options import PredictOptions, Summary, make_reader
from carina.inference.prevalence import complete_prevalence
from carina.inference.reader import film_id
from carina.inference.reading import Outcome, Reading
from carina.inference.sources import LAYERS, FilmSource, find_films
from carina.inference.workers import Workers
from carina.inference.writer import PredictionWriter

if TYPE_CHECKING:
    from carina.inference.cluster_reading import ClusterReaders

__all__ = ["count_films", "predict_films"]

_LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "pydicom")


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
        summary = _predict(inputs, out, options, bundle, on_film)
    if BoxRules.of_description(bundle.description) is not None:
        write_coco(out)
    return summary


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
    alone = options.workers == 1 and options.ray is None
    reader = make_reader(bundle, options, out) if alone else None
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

        pool = None if reader is not None else _pool(bundle, options, out)
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


def _pool(bundle: Bundle, options: PredictOptions, out: Path) -> Workers | ClusterReaders:
    if options.ray is None:
        return Workers(bundle, options, out)
    from carina.inference.cluster_reading import ClusterReaders  # noqa: PLC0415 - only where a cluster is asked for

    return ClusterReaders(bundle, options, out)


def _pooled(pool: Workers | ClusterReaders | None, sources: Iterator[FilmSource]) -> Iterator[Reading]:
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
