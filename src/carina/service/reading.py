"""A worker reads films: file to result, once, whatever is killed when.

Files of a result go to the store first; result, film row and state follow, each of which may be repeated. A worker that
dies leaves a film claimed until its lease ends; the next sweep gives it to another.
"""

from __future__ import annotations

import base64
import json
import logging
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from carina.archive import DeskFilm, DeskResult, LedgerEntry, OwedItem, Study
from carina.errors import CarinaError, FilmRejectedError
from carina.imaging import read_film
from carina.inference import Bundle, FilmSource, LayerOptions, PredictOptions, Reading, make_reader
from carina.ingest.films import describe_film
from carina.report.pictures import heat_layers, lung_layer, opacity_layer
from carina.report.readings import FilmReading
from carina.service.facts import ModelFacts, keep_facts
from carina.service.models import reading_bundle
from carina.settings import Settings
from carina.types import Film, Quality

__all__ = ["FilmWorker", "urgency_of"]

_LOG: Final = logging.getLogger("carina.service")
_SECONDS: Final = 3600.0
_RETRY_SECONDS: Final = 30.0
_OURS: Final = frozenset({"internal", "decoder_unavailable", "unreadable"})
_FOLDERS: Final = ("heatmaps", "lungs", "opacity")
_NO_RUN: Final = 0


class FilmWorker:
    """Reads the films of one service study; use it in a ``with`` block.

    Parameters
    ----------
    study : Study
    settings : Settings
    bundle : Bundle or None
        By default the one that was activated, or that the settings name; a later activation is then followed.
    """

    def __init__(self, study: Study, settings: Settings, bundle: Bundle | None = None) -> None:
        self._study = study
        self._settings = settings
        self._fixed = bundle is not None
        self._activation, self.bundle = (0, bundle) if bundle is not None else reading_bundle(study, settings)
        # films pass through it identified; the study's folder is its owner's alone
        self._place = Path(tempfile.mkdtemp(dir=study.folder, prefix=".worker-"))
        for name in _FOLDERS:
            (self._place / name).mkdir()
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the worker's folder."""
        shutil.rmtree(self._place, ignore_errors=True)

    def read(self, organisation_id: int, entry_id: str) -> None:
        """Read one film and store its result; does nothing where it is read, or in another worker's hands.

        Parameters
        ----------
        organisation_id : int
        entry_id : str
        """
        service = self._settings.service
        film = self._study.desk.claim(entry_id, organisation_id=organisation_id, lease=service.lease_seconds)
        if film is None:
            return
        if film.attempts > service.attempts:
            reason = f"the film was tried {service.attempts} times and ended the worker each time; look at it by hand"
            self._study.desk.refuse(film, "worker_ended", reason, failed=True)
            return
        try:
            self._judge(film)
        except (CarinaError, OSError) as error:
            _LOG.error("film %s could not be stored (%s); it is tried again", entry_id, type(error).__name__)
            self._study.desk.release(film, retry_at=time.time() + _RETRY_SECONDS * film.attempts)
        finally:
            self._clear()

    def _begin(self) -> None:
        self._reader = make_reader(self.bundle, PredictOptions(settings=self._settings), self._place)
        self._facts = ModelFacts.of(self.bundle)
        self._reader.layers = LayerOptions(self._place, opacity=self._settings.predict.overlay_opacity)

    def _follow(self) -> None:
        """Take up the model that was activated since the last film."""
        if self._fixed or self._study.models.active_id() == self._activation:
            return
        try:
            self._activation, self.bundle = reading_bundle(self._study, self._settings)
        except (CarinaError, OSError) as error:
            _LOG.error("the activated model does not load (%s); the one before goes on reading", type(error).__name__)
            return
        self._begin()
        _LOG.info("model %s %s reads from now on", self.bundle.name, self.bundle.version)

    def _judge(self, film: DeskFilm) -> None:
        self._follow()
        data = self._study.store.read(film.path)
        path = self._place / "film"
        path.write_bytes(data)
        reading = self._reader.read(FilmSource(str(path)))
        desk = self._study.desk
        if reading.error is not None:
            desk.refuse(film, reading.error.code, reading.error.message, failed=reading.error.code in _OURS)
            return
        self._admit(film, data, reading)
        said = {**reading.to_dict(), "file": film.film_id, "id": film.entry_id}
        model = keep_facts(self._study, self._facts)
        if reading.probabilities is None:
            reason = reading.reason or "the quality gate refused the film"
            desk.refuse(film, "quality", reason, owed=_owed(film, self._facts, reading=said, files={"model": model}))
            return
        result = DeskResult(
            model_sha256=reading.model["sha256"],
            reading=said,
            files={**self._keep(reading), "model": model},
            seconds=reading.seconds,
            made_at=time.time(),
        )
        wait = self._settings.service.longest_wait_hours * _SECONDS
        owed = _owed(film, self._facts)
        desk.finish(film, result, urgency=urgency_of(reading), longest_wait=wait, owed=owed)
        _LOG.info("film %s read in %.2f s", film.entry_id, reading.seconds)

    def _keep(self, reading: Reading) -> dict[str, str]:
        """Put the layers into the store: raw files as `carina predict` writes them, and pictures for the page."""
        found: dict[str, tuple[bytes, str]] = {}
        shows = reading.heatmap_shows
        raw = {"maps": shows.maps if shows else None, "lungs": reading.lungs, "opacity": reading.opacity}
        for name, place in raw.items():
            if place is not None:
                path = self._place / place
                found[name] = (path.read_bytes(), path.suffix)
        line = FilmReading.model_validate(reading.to_dict())
        pictures: dict[str, str | None] = {
            **{f"heat-{name}": picture for name, picture in heat_layers(line, self._place).items()},
            "outline-lungs": lung_layer(line, self._place),
            "colour-opacity": opacity_layer(line, self._place),
        }
        for name, picture in pictures.items():
            if picture is not None:
                found[name] = (base64.b64decode(picture.partition(",")[2]), ".png")
        put = self._study.store.put
        return {name: put(data, folder="results", suffix=suffix).path for name, (data, suffix) in found.items()}

    def _admit(self, film: DeskFilm, data: bytes, reading: Reading) -> None:
        """Make the film one of the study, so that `carina ingest --from` passes it on to research."""
        limits = self._settings.limits
        try:
            record = describe_film(read_film(data, limits), data, film.path, _Verdict(reading.quality), limits)
        except FilmRejectedError:  # pragma: no cover - the reader has read the same bytes
            return
        record = replace(record, patient_id=film.patient_id)
        refused = None if record.accepted else record.refusal
        outcome: Any = "accepted" if record.accepted else "refused"
        code = None if record.accepted else "quality"
        entry = LedgerEntry(film.film_id, outcome, code, refused, film.film_id)
        self._study.archive.admit(record, entry, _NO_RUN)

    def _clear(self) -> None:
        for path in self._place.rglob("*"):
            if path.is_file():
                path.unlink()


def _owed(film: DeskFilm, facts: ModelFacts, **more: object) -> list[OwedItem]:
    """Say that result objects are to be made of a film; a picture has no study that they could belong to."""
    if film.sop_instance_uid is None or film.study_uid is None:
        return []
    body = {"organisation": film.organisation_id, "entry": film.entry_id, "model": facts.model_sha256[:12], **more}
    name = f"{film.entry_id}:{facts.model_sha256}"
    return [OwedItem("make", "", "", name, body=json.dumps({**body, "at": time.time()}))]


class _Verdict:
    """The gate's verdict that the reading holds, so that it is not asked twice."""

    def __init__(self, quality: Quality | None) -> None:
        self._quality = quality or Quality(accepted=True)

    def check(self, film: Film) -> tuple[Film, Quality]:
        """Return the verdict."""
        return film, self._quality


def urgency_of(reading: Reading) -> float:
    """How soon a doctor should look, in [0, 1]: the probability that the film is not normal; 0.5 where unknown.

    Examples
    --------
    >>> urgency_of(Reading("film", "id", {}, probabilities={"normal": 0.25, "viral": 0.75}))
    0.75
    """
    probabilities = reading.probabilities or {}
    return 1.0 - probabilities["normal"] if "normal" in probabilities else 0.5
