"""Hostile peers, and a node that is killed: each is answered, and no acknowledged film is lost."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pacs_peers import RunningNode, until
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at run time

from carina.archive import DeskFilm, Study, WorklistQuery, create_study, open_study
from carina.pacs.node import Node
from carina.settings import PacsPeer, PacsSettings, Settings

# The clients of these tests, faulty on purpose, leave sockets of pynetdicom to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PEERS = (PacsPeer(ae_title="SENDER", host="127.0.0.1", port=104),)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service") as made:
        made.accounts.add_organisation("ZZZ District")
        yield made


def _films(study: Study) -> list[DeskFilm]:
    return list(study.desk.worklist(WorklistQuery(), organisation_id=1, referrer_id=None).films)


@pytest.fixture
def listening(study: Study) -> Iterator[int]:
    """Port of a node without a worker, quick to lose patience."""
    pacs = PacsSettings(
        port=0, peers=PEERS, acse_seconds=0.5, idle_seconds=1.0, associations_per_address=4, object_bytes=1_000_000
    )
    with Node(study, Settings(pacs=pacs), worker=False) as node:
        yield node.port
    gc.collect()  # sockets left over are found here, where they are expected, and not in a test that comes later


def _association(port: int, calling: str = "SENDER") -> Any:
    entity = AE(ae_title=calling)
    contexts = [
        build_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian),
        build_context(StorageCommitmentPushModel),
    ]
    return entity.associate("127.0.0.1", port, contexts=contexts, ae_title="CARINA")


def _send(association: Any, data: bytes, uid: str) -> int | None:
    """C-STORE of raw bytes under a UID, as a faulty peer would."""
    from io import BytesIO  # noqa: PLC0415 - beside its use

    from pynetdicom.dimse_primitives import C_STORE  # noqa: PLC0415 - as above

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = DigitalXRayImageStorageForPresentation, uid
    request.DataSet = BytesIO(data)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if answer is None else int(answer.Status)


def _closed_after(port: int, data: bytes, seconds: float = 8.0) -> float:
    """Seconds until the node closes a connection on which `data` was sent and nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer:
        start = time.monotonic()
        if data:
            peer.sendall(data)
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass
        return time.monotonic() - start


def test_a_film_is_durable_before_it_is_acknowledged(study: Study, listening: int, phantoms: list[Path]) -> None:
    association = _association(listening)
    assert association.send_c_store(dcmread(phantoms[0])).Status == 0x0000
    association.release()
    (film,) = _films(study)
    assert (film.source, film.state) == ("pacs:SENDER", "received")
    stored = study.store.read(film.path)
    assert hashlib.sha256(stored).hexdigest() == film.film_id
    assert dcmread(study.store.path(film.path)).PixelData == dcmread(phantoms[0]).PixelData


@pytest.mark.parametrize("uid", ["1.2.826.0.1.3680043.9.1", "1.2.826.0.1.3680043.9.12"])
def test_a_film_is_kept_with_the_meta_information_that_pydicom_writes(
    study: Study, listening: int, phantoms: list[Path], uid: str
) -> None:
    film = dcmread(phantoms[0])
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = uid
    association = _association(listening)
    assert association.send_c_store(film).Status == 0x0000
    association.release()
    stored = study.store.read(_films(study)[0].path)
    film.file_meta.ImplementationClassUID = "2.25.133438271254867305046424327211012018823"
    out = io.BytesIO()
    film.save_as(out, enforce_file_format=True)
    assert stored == out.getvalue()


def test_the_same_film_sent_twice_is_one(study: Study, listening: int, phantoms: list[Path]) -> None:
    for _ in range(2):
        association = _association(listening)
        assert association.send_c_store(dcmread(phantoms[0])).Status == 0x0000
        association.release()
    assert len(_films(study)) == 1


@pytest.mark.parametrize(("data", "status"), [(b"no DICOM at all, but a letter", 0xC000), (b"\xff" * 4096, 0xC000)])
def test_what_is_no_dicom_is_refused(study: Study, listening: int, data: bytes, status: int) -> None:
    association = _association(listening)
    assert _send(association, data, "1.2.3") == status
    association.abort()
    assert _films(study) == []


def test_an_object_under_another_name_is_refused(study: Study, listening: int, phantoms: list[Path]) -> None:
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415 - as above
    from pydicom.filewriter import write_dataset  # noqa: PLC0415 - beside its use

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dcmread(phantoms[0]))
    association = _association(listening)
    assert _send(association, out.getvalue(), "1.2.3") == 0xA900
    association.abort()
    assert _films(study) == []


def test_an_unknown_title_gets_no_association(listening: int) -> None:
    association = _association(listening, "STRANGER")
    assert association.is_rejected


def test_a_silent_connection_is_closed(listening: int) -> None:
    assert _closed_after(listening, b"") < 5


def test_a_connection_that_stops_within_a_pdu_is_closed(listening: int) -> None:
    assert _closed_after(listening, struct.pack(">BBL", 1, 0, 200) + b"\0" * 20) < 5


def test_a_huge_pdu_is_not_waited_for(listening: int) -> None:
    assert _closed_after(listening, struct.pack(">BBL", 1, 0, 0xFFFFFFFF)) < 2


@pytest.mark.parametrize(
    "item", [b"", struct.pack(">LB", 1, 1), struct.pack(">LB", 999, 1) + b"\3", struct.pack(">L", 0xFFFFFFFF)]
)
def test_data_whose_items_do_not_fit_end_the_association_alone(study: Study, listening: int, item: bytes) -> None:
    association = _association(listening)
    good = struct.pack(">LB", 3, 1) + b"\1\0"  # a first part of a command
    body = good + (item or b"\0")
    association.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, len(body)) + body)
    until(lambda: association.is_aborted, 10)
    again = _association(listening)
    assert again.is_established
    again.release()
    assert _films(study) == []


def test_an_object_beyond_the_limit_is_cut_off(study: Study, listening: int) -> None:
    association = _association(listening)
    assert _send(association, b"\0" * 3_000_000, "1.2.3") is None
    association.abort()
    assert _films(study) == []


def test_silent_connections_of_one_address_leave_room_for_others(listening: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", listening)) for _ in range(12)]
    time.sleep(1.5)
    association = until(lambda: (found := _association(listening)).is_established and found, 10)
    association.release()
    for each in idle:
        each.close()


def test_storage_commitment_is_owed_until_it_was_reported(study: Study, listening: int) -> None:
    from pydicom.dataset import Dataset  # noqa: PLC0415 - beside its use

    asked, item = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    asked.TransactionUID, asked.ReferencedSOPSequence = "1.2.3.4", [item]
    association = _association(listening)
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
    association.release()
    assert status.Status == 0x0000
    assert study.archive.exchange.counts() == {"commitment_waiting": 1}


@contextmanager
def _no_file_above(size: int) -> Iterator[None]:
    """Let the machine refuse larger files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_the_film_is_taken_once_there_is_room(
    study: Study, listening: int, phantoms: list[Path]
) -> None:
    film = dcmread(phantoms[0])
    with _no_file_above(60_000):
        association = _association(listening)
        assert association.send_c_store(film).Status == 0xA700
        assert association.is_established, "the sender may go on"
        association.release()
    assert _films(study) == []
    assert list(study.store.list("received")) == [], "no half file stays"
    association = _association(listening)
    assert association.send_c_store(film).Status == 0x0000
    association.release()
    assert len(_films(study)) == 1


def test_a_database_that_is_away_is_said_and_nothing_is_acknowledged(
    tmp_path: Path, postgres_url: str, phantoms: list[Path]
) -> None:
    import psycopg  # noqa: PLC0415 - where PostgreSQL is

    name = postgres_url.partition("@/")[2].partition("?")[0]
    server = postgres_url.replace(f"@/{name}?", "@/postgres?")
    pacs = PacsSettings(port=0, peers=PEERS)
    film = dcmread(phantoms[0])
    with create_study(tmp_path / "service", "service", archive=postgres_url) as study:
        study.accounts.add_organisation("ZZZ District")
        with (
            Node(study, Settings(pacs=pacs), worker=False) as node,
            psycopg.connect(server, autocommit=True) as other,
        ):
            other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            association = _association(node.port)
            assert association.send_c_store(film).Status == 0xA700
            other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            assert association.send_c_store(film).Status == 0x0000
            association.release()
            assert len(_films(study)) == 1
    gc.collect()


def test_a_result_whose_file_is_gone_does_not_keep_the_others(
    study: Study, phantoms: list[Path], tmp_path: Path
) -> None:
    from carina.archive import OwedItem  # noqa: PLC0415 - beside its use
    from carina.pacs.peers import Peers  # noqa: PLC0415 - as above
    from carina.pacs.results import RESULT_CLASSES  # noqa: PLC0415 - as above
    from carina.pacs.sending import Sender  # noqa: PLC0415 - as above

    taken: list[str] = []
    entity = AE(ae_title="PACS")
    for sop_class in RESULT_CLASSES.values():
        entity.add_supported_context(sop_class)

    def stored(event: Any) -> int:
        taken.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    capture = dcmread(phantoms[0])
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = RESULT_CLASSES["secondary_capture"]
    path = tmp_path / "capture.dcm"
    capture.save_as(path)
    there = study.store.put(path.read_bytes(), folder="results").path
    for uid, place in (("1.2.3", "results/00/00/gone.dcm"), (str(capture.SOPInstanceUID), there)):
        study.archive.exchange.owe(OwedItem("store", "PACS", str(capture.SOPClassUID), uid, place))
    pacs = PacsSettings(peers=(PacsPeer(ae_title="PACS", host="127.0.0.1", port=server.server_address[1]),))
    Sender(study, pacs, Peers(study, pacs)).step()
    server.shutdown()
    assert taken == [str(capture.SOPInstanceUID)]
    assert study.archive.exchange.counts() == {"store_sent": 1, "store_waiting": 1}
    gc.collect()


@pytest.mark.slow
def test_no_film_is_lost_by_kills_of_the_worker(
    make_node: Callable[..., RunningNode],
    storescu: Callable[..., subprocess.CompletedProcess[str]],
    phantoms: list[Path],
    orthanc: Any,
) -> None:
    node, chance = make_node(orthanc.dicom), random.Random(11)  # noqa: S311 - moments, no secrets
    assert storescu(node.port, *phantoms[:4]).returncode == 0
    for _ in range(2):  # a film that ends its worker three times is set aside
        (worker,) = until(node.workers, 60)
        time.sleep(chance.uniform(2.0, 8.0))
        os.kill(worker, signal.SIGKILL)
        gone = worker
        until(lambda: gone not in node.workers(), 30)  # noqa: B023 - asked at once
    until(lambda: len(orthanc.series()) == 5 * 4, 200)
    with open_study(node.folder, "service") as study:
        assert {each.state for each in _films(study)} == {"read"}
        # Orthanc shows the last one before its answer is back and written down.
        until(lambda: study.archive.exchange.counts() == {"make_sent": 4, "send_sent": 4, "store_sent": 5 * 4}, 30)


@pytest.mark.slow
def test_no_acknowledged_film_is_lost_by_kills(
    make_node: Callable[..., RunningNode],
    storescu: Callable[..., subprocess.CompletedProcess[str]],
    phantoms: list[Path],
    orthanc: Any,
) -> None:
    node, chance = make_node(orthanc.dicom), random.Random(7)  # noqa: S311 - moments, no secrets
    acknowledged = set()
    phantoms = phantoms[:4]
    for position, path in enumerate(phantoms):
        if storescu(node.port, path).returncode == 0:
            acknowledged.add(str(dcmread(path).SOPInstanceUID))
        if position % 2:
            time.sleep(chance.uniform(0.0, 3.0))
            node.kill()
            node.start()
    assert len(acknowledged) == len(phantoms)
    with open_study(node.folder, "service") as study:
        assert set(study.desk.held(list(acknowledged), organisation_id=1)) == acknowledged
    until(lambda: len(orthanc.get("/studies")) == len(phantoms), 180)
    until(lambda: len(orthanc.series()) == 5 * len(phantoms), 180)
