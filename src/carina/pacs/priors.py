"""Earlier films of a patient, fetched from a peer while the film itself is read.

Everything is bounded: studies, films, matches, years, time. What an organisation has already is not fetched again.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from carina.archive import DeskFilm, OwedItem, Study
from carina.errors import CarinaError
from carina.imaging.quiet import where
from carina.pacs.expected import Expected
from carina.pacs.peers import Peers
from carina.pacs.receiving import TRANSFER_SYNTAXES, Receiver, stored_object
from carina.pacs.sending import back_off
from carina.service import FILM_CLASSES
from carina.settings import PacsPeer, Settings

__all__ = ["PriorFetcher"]

_LOG: Final = logging.getLogger(__name__)
_PAUSE_SECONDS: Final = 0.5
_ATTEMPTS: Final = 8
_MATCHES: Final = 200
_FILMS_OF_STUDY: Final = 2
_MODALITIES: Final = frozenset({"CR", "DX"})
_PENDING: Final = (0xFF00, 0xFF01)
_DAYS: Final = 365.25
_SPECIAL: Final = frozenset("*?\\")


class _AwayError(CarinaError):
    """The peer did not do its part; it is asked again later."""


@dataclass(frozen=True, slots=True)
class _Place:
    """An instance in the peer's hierarchy."""

    study: str
    series: str
    instance: str


class PriorFetcher:
    """Fetches what new films owe.

    Parameters
    ----------
    study : Study
    settings : Settings
    peers : Peers
    receiver : Receiver
        Takes what comes.
    expected : Expected
        Told what will come.
    """

    def __init__(self, study: Study, settings: Settings, peers: Peers, receiver: Receiver, expected: Expected) -> None:
        self._study = study
        self._settings = settings.pacs
        self._peers = peers
        self._receiver = receiver
        self._expected = expected

    def run(self, stop: threading.Event) -> None:
        """Fetch what is due until told to stop."""
        while not stop.is_set():
            try:
                busy = self.step()
            except (CarinaError, OSError) as error:
                _LOG.warning("no earlier films could be fetched: %s", error)
                busy = False
                stop.wait(1.0)
            except Exception as error:  # noqa: BLE001 - a fault here must not silently end all fetching
                _LOG.error("no earlier films could be fetched: %s", where(error))
                busy = False
                stop.wait(5.0)
            if not busy:
                stop.wait(_PAUSE_SECONDS)

    def step(self) -> bool:
        """Fetch for each film that is due; False where none is."""
        exchange = self._study.archive.exchange
        items = exchange.due(("priors",), 20)
        for item in items:
            try:
                self._fetch_for(item)
            except _AwayError as error:
                if item.attempts + 1 >= _ATTEMPTS:
                    exchange.give_up(item.item_id, f"{error}; asked {_ATTEMPTS} times")
                else:
                    exchange.postpone(item.item_id, str(error), back_off(item.attempts, self._settings))
        return bool(items)

    def _fetch_for(self, item: OwedItem) -> None:
        exchange, peer = self._study.archive.exchange, self._peers.get(item.peer)
        home = int(item.said["organisation"])
        film = self._study.desk.film(item.sop_instance_uid, organisation_id=home, referrer_id=None)
        if peer is None or film is None or self._peers.organisation(item.peer) != home:
            exchange.give_up(item.item_id, f"{item.peer} is no longer asked for earlier films")
        elif not film.patient_id or _SPECIAL & set(film.patient_id):
            # As a key of C-FIND it would match other patients (PS3.4 C.2.2.2.4).
            exchange.give_up(item.item_id, "a patient's id must have no wildcard to be asked for; this one has")
        else:
            number = self._fetch(peer, film, home)
            _LOG.info("%d earlier films of film %s came from %s", number, film.entry_id, peer.ae_title)
            exchange.sent(item.item_id)

    def _fetch(self, peer: PacsPeer, film: DeskFilm, home: int) -> int:
        association = self._peers.associate(
            peer,
            _contexts(peer),
            negotiation=_roles() if peer.retrieve == "get" else (),
            handlers=[(evt.EVT_C_STORE, self._got, [peer.ae_title])],
        )
        if not association.is_established:
            raise _AwayError(f"{peer.ae_title} gave no association for earlier films")
        try:
            places = self._places(association, peer, film)
            there = self._study.desk.held([each.instance for each in places], organisation_id=home)
            wanted = [each for each in places if each.instance not in there]
            with self._expected.wait_for(peer.ae_title, [each.instance for each in wanted]):
                for each in wanted:
                    self._retrieve(association, peer, each)
            return len(self._study.desk.held([each.instance for each in wanted], organisation_id=home))
        finally:
            if association.is_established:
                association.release()

    def _places(self, association: Any, peer: PacsPeer, film: DeskFilm) -> list[_Place]:
        """Films of the patient's last studies before this one; at most two of a study."""
        taken = _date_of(film)
        first = taken - dt.timedelta(days=self._settings.prior_years * _DAYS)
        asked = _identifier("STUDY", PatientID=film.patient_id, StudyDate=f"{first:%Y%m%d}-{taken:%Y%m%d}")
        asked.StudyInstanceUID, asked.StudyTime, asked.ModalitiesInStudy = "", "", ""
        studies = [
            each
            for each in self._find(association, peer, asked)
            if str(each.get("PatientID", "")).strip() == film.patient_id
            and str(each.get("StudyInstanceUID", "")) not in ("", film.study_uid)
            and _shows_film(each)
        ]
        studies.sort(key=lambda each: (str(each.get("StudyDate", "")), str(each.get("StudyTime", ""))), reverse=True)
        places: list[_Place] = []
        for each in studies[: self._settings.prior_films]:
            places += self._of_study(association, peer, str(each.StudyInstanceUID))
        return places[: self._settings.prior_films * _FILMS_OF_STUDY]

    def _of_study(self, association: Any, peer: PacsPeer, study: str) -> list[_Place]:
        asked = _identifier("SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
        found = self._find(association, peer, asked)
        series = [str(each.SeriesInstanceUID) for each in found if each.get("Modality") in _MODALITIES]
        places: list[_Place] = []
        for one in series:
            if len(places) >= _FILMS_OF_STUDY:
                break
            asked = _identifier("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=one, SOPInstanceUID="")
            asked.SOPClassUID = ""
            places += [
                _Place(study, one, str(each.SOPInstanceUID))
                for each in self._find(association, peer, asked)
                if each.get("SOPClassUID") in (None, "", *FILM_CLASSES)
            ]
        return places[:_FILMS_OF_STUDY]

    def _find(self, association: Any, peer: PacsPeer, asked: Dataset) -> list[Dataset]:
        found: list[Dataset] = []
        for status, identifier in _answers(association.send_c_find(asked, StudyRootQueryRetrieveInformationModelFind)):
            if status in _PENDING and identifier is not None and len(found) < _MATCHES:
                found.append(identifier)
            elif status not in _PENDING and status != 0:
                said = "no answer" if status is None else f"status {status:04X}"
                raise _AwayError(f"{peer.ae_title} did not answer C-FIND: {said}")
        return found

    def _retrieve(self, association: Any, peer: PacsPeer, place: _Place) -> None:
        asked = _identifier("IMAGE", StudyInstanceUID=place.study, SeriesInstanceUID=place.series)
        asked.SOPInstanceUID = place.instance
        if peer.retrieve == "get":
            answers = association.send_c_get(asked, StudyRootQueryRetrieveInformationModelGet)
        else:
            title = self._settings.ae_title
            answers = association.send_c_move(asked, title, StudyRootQueryRetrieveInformationModelMove)
        last = [status for status, _ in _answers(answers)][-1:]
        if last != [0]:
            said = "no answer" if not last or last[0] is None else f"status {last[0]:04X}"
            raise _AwayError(f"{peer.ae_title} did not give an earlier film: {said}")

    def _got(self, event: Any, title: str) -> Any:
        """Answer C-STORE within C-GET: what was asked for is kept, everything else refused."""
        data, status = stored_object(event)
        uid = str(event.request.AffectedSOPInstanceUID)
        if data is None or not self._expected.waits(title, uid):
            return status
        return self._receiver.keep(data, title, uid)


def _contexts(peer: PacsPeer) -> list[Any]:
    contexts = [build_context(StudyRootQueryRetrieveInformationModelFind)]
    if peer.retrieve == "move":
        return [*contexts, build_context(StudyRootQueryRetrieveInformationModelMove)]
    contexts.append(build_context(StudyRootQueryRetrieveInformationModelGet))
    syntaxes: list[list[str | UID]] = [[ExplicitVRLittleEndian, ImplicitVRLittleEndian]]
    syntaxes += [[each] for each in TRANSFER_SYNTAXES if each not in syntaxes[0]]
    # One context a syntax: the peer sends each film as it keeps it.
    return [
        *contexts,
        *(build_context(each, some) for each in FILM_CLASSES for some in syntaxes),
    ]


def _roles() -> list[Any]:
    return [build_role(each, scp_role=True) for each in FILM_CLASSES]


def _identifier(level: str, **keys: str | None) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(asked, name, value)
    return asked


def _answers(answers: Iterator[tuple[Dataset, Dataset | None]]) -> Iterator[tuple[int | None, Dataset | None]]:
    for status, identifier in answers:
        yield (int(status.Status) if "Status" in status else None), identifier


def _shows_film(study: Dataset) -> bool:
    """Whether a study has a radiograph, or does not say."""
    held = study.get("ModalitiesInStudy") or ()
    kinds: Sequence[str] = [held] if isinstance(held, str) else [str(each) for each in held]
    return not kinds or bool(_MODALITIES & set(kinds))


def _date_of(film: DeskFilm) -> dt.date:
    try:
        return dt.datetime.fromisoformat(film.acquired_at or "").date()
    except ValueError:
        return dt.datetime.fromtimestamp(film.received_at).date()  # noqa: DTZ006 - local, as DICOM's dates are
