"""DICOMweb: results found and fetched by a client of others' making, films stored, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")
pytest.importorskip("highdicom", reason="results need the extra 'pacs'")
pytest.importorskip("pynetdicom", reason="results need the extra 'pacs'")
pytest.importorskip("dicomweb_client", reason="the outside client comes with the extra 'pacs'")

import requests
from api_ways import answering, token_of
from dicomweb_client import DICOMwebClient
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from carina.archive import ROLES, DeskFilm, Study, create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.pacs.making import ResultMaker
from carina.pacs.results import RESULT_CLASSES
from carina.service import FilmWorker, JobQueue, receive_film
from carina.settings import Settings
from carina.web import create_app
from carina.web.dicomweb_query import MODALITIES, read_query
from carina.web.permissions import RefusedError

MODEL = {"name": "tiny", "version": "1", "sha256": "f" * 64, "points": [], "classes": ("normal", "viral")}
BOUNDARY = "zzzboundary"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
PATIENTS = ("ZZZ0016", "ZZZ0024", "ZZZ0032")


def film_bytes(seed: int, patient: str, **changes: Any) -> bytes:
    """A phantom as a DICOM file, in a study of its own."""
    made = phantom_dicom(phantom_film(seed, size=128), patient=patient)
    made.PatientName, made.AccessionNumber = "TÉST^Rongo", f"A-{seed}"
    made.SpecificCharacterSet = "ISO_IR 100"
    made.StudyInstanceUID, made.SeriesInstanceUID = UID(f"2.25.{seed}000"), UID(f"2.25.{seed}001")
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{seed}002")
    for name, value in changes.items():
        setattr(made, name, value)
    if "SOPClassUID" in changes:
        made.file_meta.MediaStorageSOPClassUID = changes["SOPClassUID"]
    content = io.BytesIO()
    made.save_as(content)
    return content.getvalue()


@dataclass(frozen=True)
class Node:
    """A service study whose films were read, and whose results were made; the third film is another organisation's."""

    study: Study
    app: FastAPI
    films: tuple[DeskFilm, ...]
    tokens: dict[tuple[str, ...], str]

    def token(self, name: str, *scopes: str) -> str:
        """One token of each user and scopes, for a user may have few."""
        if (name, *scopes) not in self.tokens:
            self.tokens[name, *scopes] = token_of(self.study, f"zzz.{name}", *scopes)
        return self.tokens[name, *scopes]

    def client(self, name: str = "radiologist1", *scopes: str) -> TestClient:
        headers = {"Authorization": f"Bearer {self.token(name, *scopes)}"}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[Node]:
    """See `Node`."""
    settings = Settings.model_validate(
        {
            "service": {"model": str(tiny_bundle)},
            "web": {"upload_bytes": 4_000_000, "reserve_bytes": 0, "upload_files": 5},
        }
    )
    with create_study(tmp_path_factory.mktemp("dicomweb") / "service", "service") as study:
        for organisation in ("ZZZ District", "ZZZ Other"):
            home = study.accounts.add_organisation(organisation).organisation_id
            for role in (*ROLES, "referrer"):
                name = f"zzz.{role}{home}"
                name += "" if study.accounts.user(name) is None else ".second"
                user = study.accounts.add_user(name, organisation_id=home, role=role, password_hash="x")  # noqa: S106 - no password
                study.accounts.set_password(user, "x", initial=False, by=None)
        owner = study.accounts.user("zzz.referrer1")
        assert owner is not None
        films = []
        with FilmWorker(study, settings) as worker:
            queue = JobQueue(study, settings, worker.read)
            for seed, patient in enumerate(PATIENTS, start=1):
                home = 2 if seed == 3 else 1
                about = {"organisation_id": home, "source": "upload", "settings": settings, "queue": queue}
                whose = owner.user_id if seed == 1 else None
                films.append(receive_film(study, film_bytes(seed, patient), referrer_id=whose, **about)[0])
                assert queue.run_one()
        maker = ResultMaker(study, settings)
        while maker.step():
            pass
        yield Node(study, create_app(study, settings, secure=False, model=MODEL), tuple(films), {})


@pytest.fixture(scope="module")
def outside(node: Node) -> Iterator[Callable[..., Any]]:
    """dicomweb-client over a socket: `outside("radiologist1")`."""
    with answering(node.app) as address:

        def make(name: str, *scopes: str) -> Any:
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {node.token(name, *scopes)}"
            return DICOMwebClient(f"{address}/dicomweb", session=session)

        yield make


def _values(told: dict[str, Any], keyword: str) -> Any:
    return Dataset.from_json(told).get(keyword)


def _related(*parts: bytes, kind: str = "application/dicom") -> bytes:
    each = b"".join(f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n" for part in parts)
    return each + f"--{BOUNDARY}--\r\n".encode()


# -- found ---------------------------------------------------------------------------------------------------------


def test_an_outside_client_finds_the_studies_of_its_organisation(outside: Callable[..., Any]) -> None:
    found = outside("radiologist1").search_for_studies()
    assert [_values(each, "StudyInstanceUID") for each in found] == ["2.25.1000", "2.25.2000"]
    told = Dataset.from_json(found[0])
    assert (str(told.PatientName), told.PatientID, told.AccessionNumber) == ("TÉST^Rongo", "ZZZ0016", "A-1")
    assert (told.NumberOfStudyRelatedSeries, told.NumberOfStudyRelatedInstances) == (5, 5)
    assert told.ModalitiesInStudy == ["OT", "PR", "SEG", "SR"]
    assert told.RetrieveURL.endswith("/dicomweb/studies/2.25.1000")


def test_an_outside_client_finds_series_and_instances(outside: Callable[..., Any]) -> None:
    client = outside("radiologist1")
    series = client.search_for_series("2.25.1000")
    assert sorted(_values(each, "Modality") for each in series) == ["OT", "OT", "PR", "SEG", "SR"]
    (report,) = client.search_for_series(search_filters={"Modality": "SR", "PatientID": "ZZZ0024"})
    assert _values(report, "StudyInstanceUID") == "2.25.2000"
    uid = _values(report, "SeriesInstanceUID")
    (one,) = client.search_for_instances("2.25.2000", uid)
    assert _values(one, "SOPClassUID") == RESULT_CLASSES["report"]
    assert len(client.search_for_instances()) == 10


@pytest.mark.parametrize(
    ("filters", "studies"),
    [
        ({"PatientID": "ZZZ0024"}, ["2.25.2000"]),
        ({"00100020": "ZZZ0016"}, ["2.25.1000"]),
        ({"AccessionNumber": "A-2"}, ["2.25.2000"]),
        ({"StudyInstanceUID": "2.25.1000,2.25.2000"}, ["2.25.1000", "2.25.2000"]),
        ({"ModalitiesInStudy": "SEG"}, ["2.25.1000", "2.25.2000"]),
        ({"ModalitiesInStudy": "CT"}, []),
        ({"PatientID": "ZZZ0032"}, []),
        ({"PatientID": "", "AccessionNumber": "*"}, ["2.25.1000", "2.25.2000"]),
    ],
)
def test_what_is_given_must_fit(node: Node, filters: dict[str, str], studies: list[str]) -> None:
    answer = node.client().get("/dicomweb/studies", params=filters)
    assert answer.headers["content-type"] == "application/dicom+json"
    assert [_values(each, "StudyInstanceUID") for each in answer.json()] == studies


def test_results_come_a_page_at_a_time_and_more_are_told_of(node: Node) -> None:
    client = node.client()
    pages = [client.get("/dicomweb/instances", params={"limit": 4, "offset": place}).json() for place in (0, 4, 8)]
    assert [len(page) for page in pages] == [4, 4, 2]
    assert len({_values(each, "SOPInstanceUID") for page in pages for each in page}) == 10
    assert "warning" not in client.get("/dicomweb/instances", params={"limit": 3}).headers
    assert client.get("/dicomweb/instances", params={"limit": 0}).json() == []


def test_more_results_than_come_at_once_are_told_of() -> None:
    assert read_query([]).cut(list(range(101))) == (
        list(range(100)),
        ("There are additional results that can be requested",),
    )
    assert read_query([("limit", "5000")]).cut(list(range(1001)))[1]
    assert read_query([("limit", "5")]).cut(list(range(6))) == ([0, 1, 2, 3, 4], ())


def test_fields_that_are_asked_for_come_too(node: Node) -> None:
    client = node.client()
    (first, *_) = client.get("/dicomweb/series", params={"includefield": "Manufacturer,SeriesDate"}).json()
    assert _values(first, "Manufacturer") == "Carina"
    assert "Manufacturer" not in Dataset.from_json(client.get("/dicomweb/series").json()[0])
    whole = client.get("/dicomweb/instances", params={"includefield": "all", "Modality": "SR"}).json()[0]
    assert "ContentSequence" in Dataset.from_json(whole)
    study = client.get("/dicomweb/studies", params={"includefield": "00080018"}).json()[0]
    assert "SOPInstanceUID" not in Dataset.from_json(study)  # true of one object alone


@pytest.mark.parametrize(
    "wrong",
    [
        *("limit=-1", "limit=1e9", "offset=99999999999", "StudyInstanceUID=1.2;", "PatientID=ZZZ*", "PatientID=%00"),
        *("StudyDate=20260101", "Nonsense=1", "includefield=Nonsense", "PatientID=1&PatientID=2", "%F0%9F%98%80=1"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused_in_words(node: Node, wrong: str) -> None:
    answer = node.client().get(f"/dicomweb/studies?{wrong}")
    assert (answer.status_code, answer.json()["error"][-1]) == (400, ".")


def test_conditions_that_exclude_each_other_find_nothing() -> None:
    query = read_query([("SOPClassUID", "1.2.3"), ("Modality", "SR")]).query
    assert query.sop_class_uids not in ((), ("1.2.3",))
    with pytest.raises(RefusedError, match="must stand once"):
        read_query([("00100020", "1"), ("PatientID", "1")])


def test_modalities_are_those_of_the_objects(node: Node) -> None:
    assert {uid for uids in MODALITIES.values() for uid in uids} == {str(each) for each in RESULT_CLASSES.values()}
    for told in node.client().get("/dicomweb/instances", params={"includefield": "Modality"}).json():
        assert _values(told, "SOPClassUID") in MODALITIES[_values(told, "Modality")]


# -- fetched -------------------------------------------------------------------------------------------------------


def test_an_outside_client_fetches_the_files_as_they_were_made(node: Node, outside: Callable[..., Any]) -> None:
    client = outside("radiologist1")
    fetched = client.retrieve_study("2.25.1000")
    assert {each.SOPClassUID for each in fetched} == set(RESULT_CLASSES.values())
    one = fetched[0]
    (series,) = client.retrieve_series("2.25.1000", one.SeriesInstanceUID)
    instance = client.retrieve_instance("2.25.1000", one.SeriesInstanceUID, one.SOPInstanceUID)
    assert series == instance == one
    seen = [each for each in node.study.archive.audit_log() if each.event == "film_sent"]
    assert node.films[0].entry_id in seen[-1].details


def test_metadata_is_the_header_without_pixels(outside: Callable[..., Any]) -> None:
    client = outside("radiologist1")
    told = [Dataset.from_json(each) for each in client.retrieve_study_metadata("2.25.1000")]
    fetched = {each.SOPInstanceUID: each for each in client.retrieve_study("2.25.1000")}
    assert {each.SOPInstanceUID for each in told} == set(fetched)
    for each in told:
        whole = fetched[each.SOPInstanceUID]
        assert "PixelData" not in each
        assert str(each.PatientName) == str(whole.PatientName) == "TÉST^Rongo"
        assert {one.keyword for one in whole} - {one.keyword for one in each} <= {"PixelData", "FloatPixelData"}


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ('multipart/related; type="application/dicom"', 200),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', 200),
        ("multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1", 200),
        ('image/jpeg, multipart/related; type="application/dicom"', 200),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.70', 406),
        ('multipart/related; type="image/jpeg"', 406),
        ("application/dicom+json", 406),
        ("text/html", 406),
    ],
)
def test_files_come_in_parts_or_not_at_all(node: Node, accept: str, status: int) -> None:
    answer = node.client().get("/dicomweb/studies/2.25.1000", headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("multipart/related" if status == 200 else "application/json")


@pytest.mark.parametrize("who", ["radiologist2", "referrer1.second"])
def test_anothers_results_look_like_none(node: Node, who: str) -> None:
    client = node.client(who)
    one = node.client().get("/dicomweb/instances").json()[0]
    series, instance = _values(one, "SeriesInstanceUID"), _values(one, "SOPInstanceUID")
    for place in ("{}", "{}/metadata", f"{{}}/series/{series}", f"{{}}/series/{series}/instances/{instance}/metadata"):
        theirs, none = (client.get(f"/dicomweb/studies/{place.format(each)}") for each in ("2.25.1000", "2.25.9999"))
        assert (theirs.status_code, theirs.content) == (404, none.content)
    assert client.get("/dicomweb/instances", params={"PatientID": "ZZZ0016"}).json() == []
    assert [*client.get("/dicomweb/studies/2.25.1000/series").json()] == []


def test_a_referrer_finds_results_of_own_requests(node: Node) -> None:
    found = node.client("referrer1").get("/dicomweb/studies").json()
    assert [_values(each, "StudyInstanceUID") for each in found] == ["2.25.1000"]


def test_a_file_that_the_store_lost_is_answered_before_anything_is_sent(node: Node) -> None:
    (lost,) = node.client().get("/dicomweb/instances", params={"PatientID": "ZZZ0024", "Modality": "SR"}).json()
    from carina.archive import ObjectQuery, ObjectScope  # noqa: PLC0415 - beside its use

    uid = _values(lost, "SOPInstanceUID")
    (found,) = node.study.objects.find(ObjectQuery(sop_instance_uids=(uid,)), ObjectScope(1, None))
    content = node.study.store.read(found.path)
    node.study.store.delete(found.path)
    try:
        assert node.client().get("/dicomweb/studies/2.25.2000").status_code == 503
    finally:
        node.study.store.put(content, folder="results")


# -- stored --------------------------------------------------------------------------------------------------------


def test_an_outside_client_stores_films_that_are_then_at_the_desk(node: Node, outside: Callable[..., Any]) -> None:
    film = dcmread(io.BytesIO(film_bytes(11, "ZZZ0040")))
    answer = outside("radiologist1", "films:write").store_instances([film])
    (stored,) = answer.ReferencedSOPSequence
    assert stored.ReferencedSOPInstanceUID == "2.25.11002"
    assert "FailedSOPSequence" not in answer
    assert node.study.desk.held(["2.25.11002"], organisation_id=1).keys() == {"2.25.11002"}
    assert node.study.desk.held(["2.25.11002"], organisation_id=2) == {}


def _store(node: Node, parts: Sequence[bytes], to: str = "/dicomweb/studies") -> tuple[int, Dataset]:
    answer = node.client().post(to, content=_related(*parts), headers={"Content-Type": RELATED})
    assert answer.headers["content-type"] == "application/dicom+json", answer.text
    return answer.status_code, Dataset.from_json(answer.json())


def test_each_film_is_taken_or_refused_by_itself(node: Node) -> None:
    broken = film_bytes(12, "ZZZ0040")[:2_000]
    chart = film_bytes(13, "ZZZ0040", SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.104.1"))
    status, told = _store(node, [film_bytes(14, "ZZZ0040"), b"no DICOM", chart, broken])
    assert status == 202
    assert [each.ReferencedSOPInstanceUID for each in told.ReferencedSOPSequence] == ["2.25.14002"]
    # PS3.18 table I.2-2: 0122 class not supported, Cxxx cannot understand
    assert [(each.ReferencedSOPInstanceUID, each.FailureReason) for each in told.FailedSOPSequence] == [
        ("2.25.13002", 0x0122),
        ("2.25.12002", 0xC000),
    ]
    assert [each.FailureReason for each in told.OtherFailuresSequence] == [0xC000]
    assert node.study.desk.held(["2.25.12002", "2.25.13002"], organisation_id=1) == {}


def test_a_film_of_another_study_than_the_addresss_is_refused(node: Node) -> None:
    film = film_bytes(15, "ZZZ0040")
    assert _store(node, [film], "/dicomweb/studies/2.25.9")[0] == 409
    assert _store(node, [film], "/dicomweb/studies/2.25.15000")[0] == 200


def test_the_same_film_again_is_taken_and_there_once(node: Node) -> None:
    film = film_bytes(16, "ZZZ0040")
    assert [_store(node, [film])[0] for _ in range(2)] == [200, 200]


def test_a_store_that_does_not_answer_is_no_fault_of_the_film(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("carina.web.dicomweb_store.receive_film", full)
    status, told = _store(node, [film_bytes(17, "ZZZ0040")])
    assert (status, told.FailedSOPSequence[0].FailureReason) == (503, 0xA700)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dicom", b"x", 415),
        ("multipart/related; boundary=b", b"x", 415),
        ('multipart/related; type="application/dicom+json"; boundary=b', b"x", 415),
        ('multipart/related; type="application/dicom"', b"x", 400),
        (f'multipart/related; type="application/dicom"; boundary={"b" * 201}', b"x", 400),
        (RELATED, b"no boundary here", 400),
        (RELATED, b"", 400),
        (RELATED, _related(), 400),
        (RELATED, _related(b"cut off")[:-20], 400),
        (RELATED, _related(b"x", kind="image/jpeg"), 415),
        (RELATED, _related(*[b"x"] * 6), 413),
        (RELATED, _related(b"x" * 4_100_000), 413),
    ],
)
def test_a_message_that_is_none_is_refused_in_words(node: Node, kind: str, body: bytes, status: int) -> None:
    answer = node.client().post("/dicomweb/studies", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")


def test_a_boundary_as_long_as_orthancs_is_taken(node: Node) -> None:
    boundary = "6a8c028f-e20f-47b6-aff7-1d87dd6231a7-6a8c028f-e20f-47b6-aff7-1d87dd6231a7"
    body = _related(film_bytes(19, "ZZZ0040")).replace(BOUNDARY.encode(), boundary.encode())
    headers = {"Content-Type": RELATED.replace(BOUNDARY, boundary)}
    assert node.client().post("/dicomweb/studies", content=b"\r\n" + body, headers=headers).status_code == 200


def test_in_blind_reading_results_show_where_the_output_is_open(node: Node) -> None:
    blind = replace(node.study, file=node.study.file.model_copy(update={"blind_first": True}))
    app = create_app(blind, node.app.state.settings, secure=False, model=MODEL)
    reader = blind.accounts.add_user("zzz.reader", organisation_id=1, role="radiologist", password_hash="x")  # noqa: S106 - no password
    blind.accounts.set_password(reader, "x", initial=False, by=None)
    client = replace(node, app=app).client("reader")
    assert client.get("/dicomweb/studies").json() == []
    assert client.get("/dicomweb/studies/2.25.2000").status_code == 404
    blind.blind.keep_call(node.films[1], user_id=reader.user_id, call="normal")
    assert client.get("/dicomweb/studies/2.25.2000").status_code == 200


# -- Orthanc as the client -----------------------------------------------------------------------------------------


def _orthanc(tmp_path: Path, address: str, token: str) -> tuple[subprocess.Popen[bytes], str]:
    program, plugin = shutil.which("Orthanc"), Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
    if program is None or not plugin.exists():
        pytest.skip("Orthanc with DICOMweb is not installed (Debian's orthanc and orthanc-dicomweb)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = {"Url": f"{address}/dicomweb/", "HttpHeaders": {"Authorization": f"Bearer {token}"}}
    place = {"StorageDirectory": str(tmp_path / "orthanc"), "IndexDirectory": str(tmp_path / "orthanc")}
    closed = {"DicomServerEnabled": False, "RemoteAccessAllowed": False, "AuthenticationEnabled": False}
    web = {"Plugins": [str(plugin)], "DicomWeb": {"Enable": True, "Servers": {"carina": server}}}
    (tmp_path / "orthanc.json").write_text(json.dumps({**place, **closed, **web, "HttpPort": port}), "utf-8")
    command = [program, str(tmp_path / "orthanc.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - Debian's
    return process, f"http://127.0.0.1:{port}"


@pytest.mark.slow
def test_orthanc_finds_fetches_and_stores(node: Node, tmp_path: Path) -> None:
    with answering(node.app) as address:
        process, orthanc = _orthanc(tmp_path, address, node.token("radiologist1"))
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with contextlib.suppress(requests.ConnectionError):
                    if requests.get(f"{orthanc}/system", timeout=10).ok:
                        break
                time.sleep(0.2)
            server = f"{orthanc}/dicom-web/servers/carina"
            query = {"Uri": "/studies", "Arguments": {"PatientID": "ZZZ0016"}}
            (found,) = requests.post(f"{server}/qido", json=query, timeout=60).json()
            assert "2.25.1000" in json.dumps(found)
            wanted = {"Resources": [{"Study": "2.25.1000"}], "Synchronous": True}
            assert requests.post(f"{server}/retrieve", json=wanted, timeout=60).ok
            instances = requests.get(f"{orthanc}/instances", timeout=60).json()
            assert len(instances) == len(RESULT_CLASSES)
            stored = requests.post(f"{orthanc}/instances", data=film_bytes(18, "ZZZ0040"), timeout=60).json()
            wanted = {"Resources": [stored["ID"]], "Synchronous": True}
            assert requests.post(f"{server}/stow", json=wanted, timeout=60).ok
            assert node.study.desk.held(["2.25.18002"], organisation_id=1).keys() == {"2.25.18002"}
        finally:
            process.terminate()
            process.wait(timeout=30)
