"""Result objects of films that were read: made once from what the desk keeps, whoever read the film.

A reading owes its objects in the transaction that ends it. Any process may make them, for the same reading gives the
same bytes; the node alone sends them.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from pydicom import dcmread

from carina.archive import DeskFilm, DeskResult, OwedItem, Study
from carina.archive.objects import StoredObject
from carina.errors import CarinaError, FilmRejectedError
from carina.imaging.quiet import quiet, where
from carina.pacs.found import Found
from carina.pacs.results import build_results
from carina.service import ModelFacts, facts_of
from carina.settings import Settings

__all__ = ["ResultMaker", "making"]

_LOG: Final = logging.getLogger(__name__)
_LEASE_SECONDS: Final = 120.0
_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.1


class ResultMaker:
    """Makes what readings owe.

    Parameters
    ----------
    study : Study
        Of kind ``service``.
    settings : Settings
    """

    def __init__(self, study: Study, settings: Settings) -> None:
        self._study = study
        self._limits = settings.limits
        logging.getLogger("highdicom").setLevel(logging.WARNING)

    def run(self, stop: threading.Event) -> None:
        """Make what is owed until told to stop."""
        while not stop.is_set():
            try:
                busy = self.step()
            except (CarinaError, OSError) as error:  # the database itself; nothing is lost
                _LOG.warning("no result objects could be made: %s", error)
                busy = not stop.wait(1.0)
            if not busy:
                stop.wait(_PAUSE_SECONDS)

    def step(self) -> bool:
        """Make the objects of the reading that waits longest; False where none waits."""
        exchange = self._study.archive.exchange
        item = exchange.take("make", lease=_LEASE_SECONDS, most=_ATTEMPTS)
        if item is None:
            return False
        try:
            objects = self._make(item)
        except FilmRejectedError as error:
            exchange.give_up(item.item_id, error.message)
            return True
        except (CarinaError, OSError) as error:  # the store; no fault of the film, so no attempt of it
            exchange.release(item.item_id, str(error), 5.0)
            return True
        except Exception as error:  # noqa: BLE001 - one film's fault must not stop the others; it stays and says so
            _LOG.error("no result objects of film %s could be made: %s", item.said.get("entry"), where(error))
            exchange.give_up(item.item_id, f"no result objects could be made: {type(error).__name__}")
            return True
        owed = [[each.sop_class_uid, each.sop_instance_uid, each.path] for each in objects]
        body = json.dumps({name: item.said[name] for name in ("organisation", "entry")} | {"objects": owed})
        exchange.made(replace(item, body=body), objects, organisation_id=int(item.said["organisation"]))
        return True

    def _make(self, item: OwedItem) -> list[StoredObject]:
        said, desk = item.said, self._study.desk
        organisation_id, entry_id = int(said["organisation"]), str(said["entry"])
        film = desk.film(entry_id, organisation_id=organisation_id, referrer_id=None)
        result = _refusal(said) or desk.result(entry_id, organisation_id=organisation_id)
        if film is None or result is None or result.model_sha256 != said["model"]:
            raise FilmRejectedError("superseded", "the reading must be the film's newest; another model has read it")
        facts = facts_of(self._study, result)
        if facts is None:
            raise FilmRejectedError("no_facts", "a reading must be kept with what is known of its model; this is not")
        return self._objects(film, result, facts)

    def _objects(self, film: DeskFilm, result: DeskResult, facts: ModelFacts) -> list[StoredObject]:
        data = self._study.store.read(film.path)
        with quiet():
            header = dcmread(io.BytesIO(data), stop_before_pixels=True, force=True)
            found = Found.kept(self._study, data, result, facts, self._limits)
            made_at = dt.datetime.fromtimestamp(result.made_at)  # noqa: DTZ006 - DICOM's content times are local
            objects = build_results(header, found, made_at)  # highdicom warns of names by quoting them
        kept = []
        for each in objects:
            stored = self._study.store.put(each.data, folder="results")
            names = (each.series_uid, each.sop_class_uid, each.sop_instance_uid)
            study_uid = str(header.StudyInstanceUID)
            kept.append(
                StoredObject(
                    film.entry_id,
                    facts.model_sha256,
                    each.kind,
                    study_uid,
                    *names,
                    stored.path,
                    stored.size,
                    result.made_at,
                )
            )
        return kept


@contextmanager
def making(study: Study, settings: Settings) -> Iterator[None]:
    """Make result objects in a thread while the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=ResultMaker(study, settings).run, args=(stop,), daemon=True, name="carina-results")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)


def _refusal(said: dict[str, Any]) -> DeskResult | None:
    """Bring back the reading of a film that the gate refused; the desk keeps its reason alone."""
    if "reading" not in said:
        return None
    return DeskResult(str(said["model"]), said["reading"], said["files"], 0.0, float(said["at"]))
