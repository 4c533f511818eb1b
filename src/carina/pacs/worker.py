"""The process that judges received films; never the one that receives them, so that no film takes the node down."""

from __future__ import annotations

import datetime as dt
import io
import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Final

from pydicom import dcmread

from carina.archive import FilmRecord, LedgerEntry, OwedItem, ReceivedObject, Study, open_study
from carina.errors import CarinaError, FilmRejectedError
from carina.imaging import read_film
from carina.inference import Judged, PredictOptions, Reader, load_bundle, make_reader
from carina.ingest.films import describe_film
from carina.pacs.results import build_results
from carina.settings import Settings
from carina.types import Film, Quality

__all__ = ["FilmWorker", "work"]

_LOG: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.2
_KNOWN: Final = frozenset({"accepted", "refused", "known"})


class FilmWorker:
    """Judges what a node received.

    Parameters
    ----------
    study : Study
        Of kind ``service``.
    settings : Settings
    reader : Reader or None
        By default one of the model that the settings name.
    """

    def __init__(self, study: Study, settings: Settings, reader: Reader | None = None) -> None:
        self._study = study
        self._settings = settings
        self._targets = tuple(peer.ae_title for peer in settings.pacs.peers if peer.results)
        if reader is None:
            options = PredictOptions(layers=False, settings=settings)
            reader = make_reader(load_bundle(settings.pacs.model), options, study.folder)
        self._reader = reader
        self._run = study.archive.begin_run("pacs")
        study.archive.end_run(self._run)

    def step(self) -> bool:
        """Judge the film that waits longest; False where none waits."""
        exchange = self._study.archive.exchange
        received = exchange.claim(_ATTEMPTS)
        if received is None:
            return False
        started = time.perf_counter()
        try:
            state, reason, owed = self._judge(received)
        except FilmRejectedError as error:
            state, reason, owed = "refused", error.message, []
        except (CarinaError, OSError):  # the database, the disk: no fault of the film, so no attempt of it
            exchange.release(received.sha256)
            raise
        except Exception as error:  # noqa: BLE001 - one film's fault must not stop the others; it stays and says so
            _LOG.exception("film %s gave no result", received.sha256[:12])
            state, reason, owed = "failed", f"no result could be made: {type(error).__name__}", []
        exchange.finish(received.sha256, state, reason, owed)
        _LOG.info("film %s: %s in %.2f s", received.sha256[:12], state, time.perf_counter() - started)
        return True

    def _judge(self, received: ReceivedObject) -> tuple[str, str | None, list[OwedItem]]:
        data = self._study.store.read(received.path)
        film = read_film(data, self._settings.limits)
        judged = self._reader.judge(film)
        entry = self._admit(received, film, data, judged)
        if entry.outcome not in _KNOWN:
            return "refused", entry.reason or "the same film was received before", []
        made_at = dt.datetime.fromisoformat(received.received_at).astimezone().replace(tzinfo=None)
        header = dcmread(io.BytesIO(data), stop_before_pixels=True)
        owed = []
        for result in build_results(header, judged, self._reader.bundle, made_at):
            stored = self._study.store.put(result.data, folder="results")
            owed += [
                OwedItem("store", peer, result.sop_class_uid, result.sop_instance_uid, stored.path)
                for peer in self._targets
            ]
        return "read", judged.reading.reason if judged.outputs is None else None, owed

    def _admit(self, received: ReceivedObject, film: Film, data: bytes, judged: Judged) -> LedgerEntry:
        """Take the film into the archive, as `carina ingest` would."""
        found = _Found(judged.film, judged.reading.quality or Quality(accepted=True))
        record: FilmRecord = describe_film(film, data, received.path, found, self._settings.limits)
        outcome = LedgerEntry(received.sha256, "accepted", film_id=record.film_id)
        if not record.accepted:
            outcome = replace(outcome, outcome="refused", code="quality", reason=record.refusal)
        return self._study.archive.admit(record, outcome, self._run)


@dataclass(frozen=True, slots=True)
class _Found:
    """A gate that repeats what was found, so that no film is judged twice."""

    film: Film
    quality: Quality

    def check(self, film: Film) -> tuple[Film, Quality]:
        return (self.film if film.sha256 == self.film.sha256 else film), self.quality


def work(folder: str, settings: Settings) -> None:
    """Judge films until the parent ends; the body of the worker's process."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("highdicom").setLevel(logging.WARNING)
    with open_study(Path(folder), "service") as study:
        worker = FilmWorker(study, settings)
        _LOG.info("worker ready: model %s", settings.pacs.model)
        while True:
            try:
                busy = worker.step()
            except (CarinaError, OSError) as error:  # the database or the disk; the film waits
                _LOG.warning("no film could be judged: %s", error)
                busy = False
                time.sleep(1.0)
            if not busy:
                time.sleep(_PAUSE_SECONDS)


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
