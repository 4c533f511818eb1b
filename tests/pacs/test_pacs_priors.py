"""Earlier films of a patient, fetched from Orthanc and from peers that misbehave."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pacs_peers import Orthanc, free_port, until
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    DigitalXRayImageStorageForPresentation,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from carina.archive import DeskFilm, Study, WorklistQuery, create_study
from carina.pacs.node import Node
from carina.service import prior_films
from carina.settings import PacsPeer, PacsSettings, Settings

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENT = "ZZZ0016"


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service") as made:
        made.accounts.add_organisation("ZZZ District")
        yield made
    gc.collect()


@pytest.fixture
def make_film(phantoms: list[Path]) -> Callable[..., Dataset]:
    """Factory of films: `make_film("20200401", patient=...)`."""

    def make(day: str, patient: str = PATIENT) -> Dataset:
        made = dcmread(phantoms[0])
        made.PatientID = patient
        made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for name in ("Study", "Series", "Acquisition", "Content"):
            setattr(made, f"{name}Date", day)
            setattr(made, f"{name}Time", "120000")
        return made

    return make


def _bytes(film: Dataset) -> bytes:
    out = io.BytesIO()
    film.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _settings(port: int, own: int = 0, **peer: Any) -> Settings:
    known = PacsPeer(ae_title="ORTHANC", host="127.0.0.1", port=port, priors=True, **peer)
    sender = PacsPeer(ae_title="SENDER", host="127.0.0.1", port=104)
    return Settings(
        pacs=PacsSettings(
            port=own, peers=(known, sender), retry_seconds=0.2, retry_longest_seconds=0.2, acse_seconds=2.0
        )
    )


def _send(port: int, film: Dataset) -> None:
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(film.SOPClassUID, film.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title="CARINA")
    assert association.is_established
    assert association.send_c_store(film).Status == 0x0000
    association.release()


def _film(study: Study, uid: str) -> DeskFilm:
    every = study.desk.worklist(
        WorklistQuery(order="received", open_only=False), organisation_id=1, referrer_id=None
    ).films
    return next(each for each in every if each.sop_instance_uid == uid)


def _priors(study: Study, film: Dataset) -> list[str | None]:
    here = _film(study, str(film.SOPInstanceUID))
    return [each.sop_instance_uid for each in prior_films(study, here, organisation_id=1, referrer_id=None)]


def _done(study: Study) -> bool:
    return study.archive.exchange.counts().get("priors_sent") == 1


@pytest.mark.parametrize("retrieve", ["get", "move"])
def test_the_last_films_before_this_one_come_from_the_pacs(
    study: Study, orthanc: Orthanc, make_film: Callable[..., Dataset], retrieve: str
) -> None:
    old, older, oldest = (make_film(day) for day in ("20200401", "20190401", "20180401"))
    for film in (old, older, oldest, make_film("20210401"), make_film("20200401", patient="ZZZ0016X")):
        orthanc.upload(_bytes(film))
    port, new = free_port(), make_film("20201001")
    orthanc.put("/modalities/CARINA", {"AET": "CARINA", "Host": "127.0.0.1", "Port": port})
    with Node(study, _settings(orthanc.dicom, port, retrieve=retrieve), worker=False):
        _send(port, new)
        until(lambda: _done(study), 30)
    assert _priors(study, new) == [str(old.SOPInstanceUID), str(older.SOPInstanceUID)]
    prior = _film(study, str(old.SOPInstanceUID))
    assert (prior.state, prior.source) == ("prior", "prior:ORTHANC")
    assert study.desk.waiting() == [(1, _film(study, str(new.SOPInstanceUID)).entry_id)], "a prior is not read"
    open_films = study.desk.worklist(WorklistQuery(), organisation_id=1, referrer_id=None).films
    assert [each.sop_instance_uid for each in open_films] == [str(new.SOPInstanceUID)]


def test_what_is_there_already_is_not_fetched_again(
    study: Study, orthanc: Orthanc, make_film: Callable[..., Dataset]
) -> None:
    old = make_film("20200401")
    orthanc.upload(_bytes(old))
    with Node(study, _settings(orthanc.dicom), worker=False) as node:
        _send(node.port, old)
        until(lambda: _done(study), 30)
        new = make_film("20201001")
        _send(node.port, new)
        until(lambda: study.archive.exchange.counts().get("priors_sent") == 2, 30)
    assert _priors(study, new) == [str(old.SOPInstanceUID)]
    assert _film(study, str(old.SOPInstanceUID)).source == "pacs:SENDER"


def test_a_prior_that_is_then_sent_to_be_read_waits_for_the_model(
    study: Study, orthanc: Orthanc, make_film: Callable[..., Dataset]
) -> None:
    old, new = make_film("20200401"), make_film("20201001")
    orthanc.upload(_bytes(old))
    with Node(study, _settings(orthanc.dicom), worker=False) as node:
        _send(node.port, new)
        until(lambda: _done(study), 30)
        prior = _film(study, str(old.SOPInstanceUID))
        kept = replace(prior, state="received", source="pacs:SENDER")
        film, fresh = study.desk.receive(
            _new(kept), organisation_id=1, longest_wait=1.0
        )  # the same bytes, as the same sender would give them
    assert (fresh, film.state, film.entry_id) == (True, "received", prior.entry_id)
    assert len(study.desk.waiting()) == 2


def _new(film: DeskFilm) -> Any:
    from dataclasses import fields  # noqa: PLC0415 - beside its use

    from carina.archive import NewFilm  # noqa: PLC0415 - as above

    return NewFilm(**{each.name: getattr(film, each.name) for each in fields(NewFilm)})


def test_an_id_with_a_wildcard_is_never_asked_for(study: Study, make_film: Callable[..., Dataset]) -> None:
    film = make_film("20201001", patient="ZZZ*")
    with Node(study, _settings(free_port()), worker=False) as node:
        _send(node.port, film)
        until(lambda: study.archive.exchange.counts() == {"priors_failed": 1}, 10)
    ((_, _, why),) = study.archive.exchange.problems()
    assert "wildcard" in why


def test_a_peer_that_is_away_is_asked_again_and_in_the_end_no_more(
    study: Study, make_film: Callable[..., Dataset]
) -> None:
    with Node(study, _settings(free_port()), worker=False) as node:
        _send(node.port, make_film("20201001"))
        until(lambda: study.archive.exchange.counts() == {"priors_failed": 1}, 20)
    ((_, _, why),) = study.archive.exchange.problems()
    assert "asked 8 times" in why


@contextmanager
def _liar(given: Callable[[], Dataset], answers: list[Dataset], asked: list[Dataset]) -> Iterator[int]:
    """A peer that answers any C-FIND with the same, and any C-GET with a film of its choice."""

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier)
        for each in answers:
            yield 0xFF00, each

    def get(event: Any) -> Iterator[Any]:
        del event
        yield 1
        yield 0xFF00, given()

    entity = AE(ae_title="ORTHANC")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
    entity.add_supported_context(DigitalXRayImageStorageForPresentation, scu_role=True, scp_role=True)
    port = free_port()
    handlers: Any = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)]
    server: Any = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield port
    finally:
        server.shutdown()


def _answer(patient: str, number: int) -> Dataset:
    made = Dataset()
    made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID = patient, f"1.2.{number}", f"1.2.{number}.1"
    made.SOPInstanceUID, made.SOPClassUID = f"1.2.{number}.1.1", DigitalXRayImageStorageForPresentation
    made.StudyDate, made.Modality = f"2010{number % 12 + 1:02d}01", "DX"
    return made


def test_another_patient_in_the_answer_is_left_out(study: Study, make_film: Callable[..., Dataset]) -> None:
    asked: list[Dataset] = []
    other = _answer("ZZZ9999", 1)
    with _liar(Dataset, [other], asked) as port, Node(study, _settings(port), worker=False) as node:
        _send(node.port, make_film("20201001"))
        until(lambda: _done(study), 20)
    assert [each.QueryRetrieveLevel for each in asked] == ["STUDY"]
    assert asked[0].StudyDate == "20101002-20201001"
    assert asked[0].PatientID == PATIENT


def test_a_film_that_was_not_asked_for_is_not_taken(study: Study, make_film: Callable[..., Dataset]) -> None:
    answers = [_answer(PATIENT, number) for number in range(500)]
    asked: list[Dataset] = []
    other = make_film("20100101", patient="ZZZ9999")
    new = make_film("20201001")
    with _liar(lambda: other, answers, asked) as port, Node(study, _settings(port), worker=False) as node:
        _send(node.port, new)
        until(lambda: any("earlier film" in why for *_, why in study.archive.exchange.problems()), 20)
    assert _priors(study, new) == []
    assert study.desk.held([str(other.SOPInstanceUID)], organisation_id=1) == {}
    levels = [each.QueryRetrieveLevel for each in asked]
    assert levels.count("STUDY") <= 8, "asked again at most so often"
    assert levels.count("SERIES") <= 2 * levels.count("STUDY"), "two studies, however many the peer names"
