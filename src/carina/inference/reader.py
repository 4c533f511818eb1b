"""A bundle reads films: file to standardised film to probabilities, decision and heatmap."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from carina.errors import BundleError, CarinaError, FilmRejectedError, OutputError, SettingsError
from carina.imaging.framing import Frame, frame_film
from carina.imaging.lung_fields import LungFields
from carina.imaging.standardise import standardise
from carina.inference.boxes import BoxRules
from carina.inference.bundle import Bundle
from carina.inference.calibration import calibrated_probabilities, prediction_set, prior_shift
from carina.inference.findings import describe_findings
from carina.inference.layers import LayerOptions, draw_heatmap, draw_lungs, draw_opacity
from carina.inference.lungs import LungFinder
from carina.inference.opacity import opacity_on_film
from carina.inference.prevalence import complete_prevalence
from carina.inference.reading import FilmRecord, Problem, Reading
from carina.inference.session import Engine, Outputs, Session, open_session
from carina.inference.sources import FilmSource
from carina.settings import Limits
from carina.tasks import Decision, Task, decide
from carina.types import Film, Quality

__all__ = ["Gate", "Judged", "Reader", "decide_between", "film_id"]


class Gate(Protocol):
    """A quality gate, such as `carina.inference.gate.QualityGate`."""

    def check(self, film: Film) -> tuple[Film, Quality]:
        """Judge a film, corrected where that is safe."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """A film and what was found on it.

    Attributes
    ----------
    reading : Reading
        Without file and layers.
    film : Film
        As judged, after the gate's corrections.
    outputs : Outputs or None
        Of the network, a batch of one; `None` where the gate refused.
    fields : LungFields or None
        `None` where none were looked for, or the gate refused.
    frame : Frame or None
        What of the film the network saw; `None` where the gate refused.
    """

    reading: Reading
    film: Film
    outputs: Outputs | None = None
    fields: LungFields | None = None
    frame: Frame | None = None


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
    lungs : LungFinder or None
        Finds the lung fields; `None` loads the shipped one where the bundle's framing rests on lungs, else finds none.
    layers : LayerOptions or None
        Where the layers over the film are written; `None` writes none.

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
        lungs: LungFinder | None = None,
        layers: LayerOptions | None = None,
    ) -> None:
        if layers is not None and layers.of is not None and layers.of not in bundle.task.classes:
            raise SettingsError(
                f"heatmaps show a class of the task, one of {', '.join(bundle.task.classes)}; found {layers.of!r}"
            )
        self.bundle = bundle
        self.gate = gate
        self.limits = limits or Limits()
        self.layers = layers
        if lungs is None and bundle.preprocessing.needs_lungs:
            lungs = LungFinder.load(threads=threads)
        self.lungs = lungs
        self.prevalence = None if prevalence is None else complete_prevalence(bundle, prevalence)
        self._session: Session = open_session(bundle.model, engine, threads)
        calibration = bundle.calibration
        self._box_rules = BoxRules.of_description(bundle.description)
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
            If a layer cannot be written; that concerns all films, not this one.
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

    def judge(self, film: Film, ages: tuple[float, float] | None = None) -> Judged:
        """Judge one film that is already read.

        Parameters
        ----------
        film : Film
        ages : tuple of float or None
            Youngest and oldest age it may be of, where its header does not say.

        Returns
        -------
        Judged

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
            return Judged(replace(reading, decision="refused", reason="; ".join(quality.reasons)), film)
        spec = self.bundle.preprocessing
        fields = None if self.lungs is None else self.lungs.find(film)
        frame = frame_film((rows, columns), spec.size, fields if spec.needs_lungs else None)
        outputs = self._session.run(standardise(film.pixels, spec, fields)[None])
        if not (np.isfinite(outputs.logits).all() and np.isfinite(outputs.class_maps).all()):
            raise FilmRejectedError("not_finite", "the network must give finite values; for this film it gave NaN")
        reading = describe_findings(reading, outputs, frame, fields, self._box_rules)
        return Judged(self._concluded(reading, outputs, ages), film, outputs, fields, frame)

    def _read(self, source: FilmSource, reading: Reading) -> Reading:
        from carina.imaging import read_film  # noqa: PLC0415 - brings pydicom, which a bundle alone does not need

        if source.problem is not None:
            return replace(reading, error=source.problem)
        path = Path(source.path)
        # Before the file is read: one that changes meanwhile is then judged again by the next run.
        stamp = _stamp(path)
        judged = self.judge(read_film(path, self.limits), source.ages)
        record = replace(judged.reading.film, bytes=stamp.bytes, modified_ns=stamp.modified_ns)
        reading = replace(judged.reading, file=reading.file, id=reading.id, film=record)
        return reading if self.layers is None else self._draw(reading, judged, self.layers)

    def _draw(self, reading: Reading, judged: Judged, options: LayerOptions) -> Reading:
        if judged.outputs is None or judged.frame is None:
            return reading
        maps, classes = judged.outputs.class_maps[0], self.bundle.task.classes
        reading = draw_heatmap(reading, judged.film, judged.frame, maps, classes=classes, options=options)
        if judged.fields is not None:
            reading = draw_lungs(reading, judged.fields, options)
        if judged.outputs.opacity is not None:
            reading = draw_opacity(reading, opacity_on_film(judged.outputs.opacity[0], judged.frame), options)
        return reading

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
