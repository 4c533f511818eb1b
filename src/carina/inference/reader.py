"""A bundle reads films: file to standardised film to probabilities, decision and heatmap."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from carina.errors import BundleError, CarinaError, FilmRejectedError, OutputError, SettingsError
from carina.imaging.standardise import standardise
from carina.inference.bundle import Bundle
from carina.inference.calibration import calibrated_probabilities, prediction_set, prior_shift
from carina.inference.heatmap import encode_png, normalise_map, overlay, upsample_map
from carina.inference.prevalence import complete_prevalence
from carina.inference.reading import FilmRecord, HeatmapRecord, Problem, Reading
from carina.inference.session import Engine, Outputs, Session, open_session
from carina.inference.sources import HEATMAPS, FilmSource
from carina.settings import Limits
from carina.tasks import Decision, Task, decide
from carina.types import Array, Film, Quality

__all__ = ["Gate", "HeatmapOptions", "Reader", "decide_between", "film_id"]

_STEM = 48
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Gate(Protocol):
    """A quality gate, such as `carina.inference.gate.QualityGate`."""

    def check(self, film: Film) -> tuple[Film, Quality]:
        """Judge a film, corrected where that is safe."""
        ...


@dataclass(frozen=True, slots=True)
class HeatmapOptions:
    """Where and how heatmaps are drawn.

    Attributes
    ----------
    out : Path
        Output folder; the files go to its `heatmaps`.
    of : str or None
        Class shown; `None` for the class decided on, or else the most probable one.
    opacity : float
        Strongest opacity over the film, in [0, 1].
    """

    out: Path
    of: str | None = None
    opacity: float = 0.45


class Reader:
    """Reads films with one bundle.

    Parameters
    ----------
    bundle : Bundle
    gate : Gate or None
        Quality gate; `None` judges whatever can be decoded, for research.
    engine : {"onnxruntime", "openvino"}
    threads : int
        Threads of one forward pass.
    limits : Limits
        What a file may cost.
    prevalence : mapping of class to float, or None
        Shares of the classes to correct the probabilities for (M4); see `complete_prevalence`.
    heatmaps : HeatmapOptions or None
        `None` draws none.

    Raises
    ------
    BundleError
        If the network does not load or does not fit its task.
    SettingsError
        If the heatmaps' class or the prevalence is not of the bundle's task.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        gate: Gate | None,
        engine: Engine = "onnxruntime",
        threads: int = 1,
        limits: Limits | None = None,
        prevalence: Mapping[str, float] | None = None,
        heatmaps: HeatmapOptions | None = None,
    ) -> None:
        if heatmaps is not None and heatmaps.of is not None and heatmaps.of not in bundle.task.classes:
            raise SettingsError(
                f"heatmaps show a class of the task, one of {', '.join(bundle.task.classes)}; found {heatmaps.of!r}"
            )
        self.bundle = bundle
        self.gate = gate
        self.limits = limits or Limits()
        self.heatmaps = heatmaps
        self.prevalence = None if prevalence is None else complete_prevalence(bundle, prevalence)
        self._session: Session = open_session(bundle.model, engine, threads)
        calibration = bundle.calibration
        self._thresholds = calibration.decision_thresholds() if calibration else None
        _prove(self._session, bundle)

    def read(self, source: FilmSource) -> Reading:
        """Read one file; whatever is wrong with it becomes its `Reading.error`.

        Parameters
        ----------
        source : FilmSource

        Returns
        -------
        Reading

        Raises
        ------
        OutputError
            If a heatmap cannot be written; that concerns all films, not this one.
        """
        started = time.perf_counter()
        reading = Reading(file=source.path, id=film_id(source.path), model=self.bundle.identity)
        try:
            reading = self._read(source, reading)
        except OutputError:
            raise
        except FilmRejectedError as error:
            reading = _failed(reading, error.code, error.message, source)
        except CarinaError as error:
            reading = _failed(reading, "not_judged", str(error), source)
        except OSError as error:
            message = f"the file must be readable: {error.strerror or type(error).__name__}"
            reading = _failed(reading, "unreadable", message, source)
        except Exception as error:  # noqa: BLE001 - a bad file never stops the rest; the line names what happened
            message = f"the film could not be judged: {type(error).__name__}, which carina should have foreseen"
            reading = _failed(reading, "internal", message, source)
        return replace(reading, seconds=time.perf_counter() - started)

    def judge(self, film: Film, ages: tuple[float, float] | None = None) -> tuple[Reading, Film, Outputs | None]:
        """Judge one film that is already read.

        Parameters
        ----------
        film : Film
        ages : tuple of float or None
            Youngest and oldest age it may be of, where its header does not say.

        Returns
        -------
        reading : Reading
            Without file and heatmap.
        film : Film
            As judged, after the gate's corrections.
        outputs : Outputs or None
            Of the network, a batch of one; `None` where the gate refused.

        Raises
        ------
        FilmRejectedError
            If the network gives no finite values for it.
        """
        years = film.header.age_years
        ages = (years, years) if years is not None else ages
        quality = None
        if self.gate is not None:
            film, quality = self.gate.check(film)
        rows, columns = film.pixels.shape
        record = FilmRecord(sha256=film.sha256, rows=rows, columns=columns)
        reading = Reading("", "", self.bundle.identity, film=record, quality=quality, age_years=ages)
        if quality is not None and not quality.accepted:
            return replace(reading, decision="refused", reason="; ".join(quality.reasons)), film, None
        outputs = self._session.run(standardise(film.pixels, self.bundle.preprocessing)[None])
        if not (np.isfinite(outputs.logits).all() and np.isfinite(outputs.class_maps).all()):
            raise FilmRejectedError("not_finite", "the network must give finite values; for this film it gave NaN")
        return self._concluded(reading, outputs, ages), film, outputs

    def _read(self, source: FilmSource, reading: Reading) -> Reading:
        from carina.imaging import read_film  # noqa: PLC0415 - brings pydicom, which a bundle alone does not need

        if source.problem is not None:
            return replace(reading, error=source.problem)
        path = Path(source.path)
        # Before the file is read: one that changes meanwhile is then judged again by the next run.
        stamp = _stamp(path)
        judged, film, outputs = self.judge(read_film(path, self.limits), source.ages)
        record = replace(judged.film, bytes=stamp.bytes, modified_ns=stamp.modified_ns)
        reading = replace(judged, file=reading.file, id=reading.id, film=record)
        if outputs is None or self.heatmaps is None:
            return reading
        return self._draw(reading, film, outputs.class_maps[0], self.heatmaps)

    def _concluded(self, reading: Reading, outputs: Outputs, ages: tuple[float, float] | None) -> Reading:
        bundle = self.bundle
        task, calibration = bundle.task, bundle.calibration
        probabilities = calibrated_probabilities(outputs.logits, task, calibration)[0]
        decision = Decision("uncalibrated", "this bundle has no thresholds; run `carina calibrate` with local films")
        allowed = None
        if calibration is not None and self._thresholds is not None:
            allowed = prediction_set(probabilities, calibration, task)
            if missing := {rule.contrast for rule in task.decision.rules} - set(self._thresholds):
                decision = Decision("uncalibrated", f"this bundle has no threshold for {', '.join(sorted(missing))}")
            else:
                decision = decide_between(task, probabilities, self._thresholds, ages)
        reading = replace(
            reading,
            probabilities=_named(task, probabilities),
            contrasts=_contrasts(task, probabilities),
            prediction_set=allowed,
            decision=decision.name,
            reason=decision.reason,
        )
        if self.prevalence is None or calibration is None:
            return reading
        moved = prior_shift(probabilities, calibration.class_mix, self.prevalence, task)
        return replace(
            reading, probabilities_at_prevalence=_named(task, moved), contrasts_at_prevalence=_contrasts(task, moved)
        )

    def _draw(self, reading: Reading, film: Film, maps: Array, options: HeatmapOptions) -> Reading:
        classes = self.bundle.task.classes
        probabilities = reading.probabilities or {}
        shown = options.of or (
            reading.decision if reading.decision in classes else max(classes, key=lambda name: probabilities[name])
        )
        raw = maps[classes.index(shown)]
        heat = upsample_map(normalise_map(raw), (film.pixels.shape[0], film.pixels.shape[1]))
        stem = _UNSAFE.sub("-", os.path.splitext(os.path.basename(reading.file))[0])[:_STEM]  # noqa: PTH119, PTH122 - a str
        name = f"{HEATMAPS}/{stem}-{reading.id[:8]}"
        picture = encode_png(overlay(film.pixels, heat, options.opacity))
        _save(options.out / f"{name}.png", options.out / f"{name}.npz", picture, maps, classes)
        corrected = reading.quality is not None and bool(reading.quality.corrected)
        record = HeatmapRecord(
            of=shown,
            maps=f"{name}.npz",
            maximum=float(raw.max()),
            drawn_on="corrected_film" if corrected else "film",
        )
        return replace(reading, heatmap=f"{name}.png", heatmap_shows=record)


def decide_between(
    task: Task,
    probabilities: NDArray[np.floating[Any]],
    thresholds: Mapping[str, Any],
    ages: tuple[float, float] | None,
) -> Decision:
    """Decide for a film whose age is known, unknown or a span such as 1 to 5 years.

    A span is used only where it makes no difference: both of its ends, hence every age between them, must lie inside
    the ages that trained the contrasts asked; otherwise the task's `otherwise` is decided (M2).

    Parameters
    ----------
    task : Task
    probabilities : ndarray, (K,)
    thresholds : mapping of contrast to Threshold
    ages : tuple of float or None
        Youngest and oldest, years.

    Returns
    -------
    Decision
    """
    if ages is None:
        return decide(task, probabilities, thresholds, None)
    youngest, oldest = (decide(task, probabilities, thresholds, years) for years in ages)
    return oldest if oldest.name == task.decision.otherwise else youngest


def film_id(path: str) -> str:
    """First 16 hex digits of the SHA-256 of a film's absolute path; links are not followed."""
    return hashlib.sha256(os.path.abspath(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]  # noqa: PTH100 - keeps links


def _prove(session: Session, bundle: Bundle) -> None:
    """One blank film through the network: it must fit the preprocessing and the task before films are spent on it."""
    size = bundle.preprocessing.size
    try:
        outputs = session.run(np.zeros((1, size, size), np.uint8))
    except Exception as error:  # the engines' exceptions share no base but Exception
        raise BundleError(
            f"the network must take films of {size} x {size} pixels, as its bundle says: {error}"
        ) from error
    classes = len(bundle.task.classes)
    if outputs.logits.shape != (1, classes) or outputs.class_maps.shape[:2] != (1, classes):
        raise BundleError(
            f"the network must give a logit and a map for each of the task's {classes} classes; found the shapes "
            f"{outputs.logits.shape!r} and {outputs.class_maps.shape!r}"
        )


def _failed(reading: Reading, code: str, message: str, source: FilmSource) -> Reading:
    return Reading(
        file=reading.file,
        id=reading.id,
        model=reading.model,
        film=_stamp(Path(source.path)),
        error=Problem(code, " ".join(message.split())),
    )


def _stamp(path: Path) -> FilmRecord:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return FilmRecord()
    return FilmRecord(bytes=status.st_size, modified_ns=status.st_mtime_ns)


def _named(task: Task, probabilities: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(task.classes, probabilities, strict=True)}


def _contrasts(task: Task, probabilities: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(task.contrast_probability(name, probabilities)) for name in task.contrasts}


def _save(picture_path: Path, maps_path: Path, picture: bytes, maps: Array, classes: tuple[str, ...]) -> None:
    try:
        picture_path.write_bytes(picture)
        np.savez(maps_path, class_maps=maps, maxima=maps.max(axis=(1, 2)), classes=np.array(classes))
    except OSError as error:
        # Half a picture must not be mistaken for one.
        for path in (picture_path, maps_path):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise OutputError(
            f"the heatmap {str(picture_path)!r} cannot be written: {error.strerror}; finished films are kept, "
            "make room and run the same command again"
        ) from error
