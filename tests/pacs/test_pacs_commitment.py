"""Storage commitment: asked by N-ACTION, answered by N-EVENT-REPORT over an association of its own (PS3.4 annex J)."""

from __future__ import annotations

import gc
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pacs_peers import RunningNode, free_port, until
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at run time

from carina.archive import Study, create_study
from carina.pacs.node import Node
from carina.settings import PacsPeer, PacsSettings, Settings

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DX = DigitalXRayImageStorageForPresentation


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service") as made:
        made.accounts.add_organisation("ZZZ District")
        yield made
    gc.collect()  # sockets left over by pynetdicom are found here, where they are expected


@contextmanager
def _modality(port: int, reports: queue.Queue[tuple[int, Dataset]], status: int = 0) -> Iterator[None]:
    """A modality that listens for reports and answers them with a status."""

    def reported(event: Any) -> tuple[int, None]:
        reports.put((int(event.event_type), event.event_information))
        return status, None

    entity = AE(ae_title="SENDER")
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    server: Any = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)]
    )
    try:
        yield
    finally:
        server.shutdown()


def _settings(port: int) -> Settings:
    peers = (PacsPeer(ae_title="SENDER", host="127.0.0.1", port=port),)
    return Settings(pacs=PacsSettings(port=0, peers=peers, retry_seconds=0.2, retry_longest_seconds=0.4))


def _send_and_ask(port: int, film: Dataset, *others: tuple[str, str]) -> str:
    """Store a film and ask for commitment to it and to others; the transaction."""
    entity = AE(ae_title="SENDER")
    contexts = [build_context(DX, ExplicitVRLittleEndian), build_context(StorageCommitmentPushModel)]
    association = entity.associate("127.0.0.1", port, contexts=contexts, ae_title="CARINA")
    assert association.is_established
    assert association.send_c_store(film).Status == 0x0000
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = []
    for sop_class, uid in ((str(DX), str(film.SOPInstanceUID)), *others):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        asked.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
    association.release()
    assert status.Status == 0x0000
    return str(asked.TransactionUID)


def test_the_report_commits_to_what_is_held_and_names_what_is_not(study: Study, phantoms: list[Path]) -> None:
    port, film = free_port(), dcmread(phantoms[0])
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    with _modality(port, reports), Node(study, _settings(port), worker=False) as node:
        transaction = _send_and_ask(node.port, film, (str(DX), "1.2.3"))
        event, report = reports.get(timeout=20)
    assert event == 2, "failures exist (PS3.4 J.3.3.1.3)"
    assert report.TransactionUID == transaction
    assert [one.ReferencedSOPInstanceUID for one in report.ReferencedSOPSequence] == [film.SOPInstanceUID]
    (failed,) = report.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.3", 0x0112)


def test_a_class_that_is_not_the_instances_is_a_conflict(study: Study, phantoms: list[Path]) -> None:
    port, film = free_port(), dcmread(phantoms[0])
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    with _modality(port, reports), Node(study, _settings(port), worker=False) as node:
        _send_and_ask(node.port, film, ("1.2.840.10008.5.1.4.1.1.7", str(film.SOPInstanceUID)))
        _, report = reports.get(timeout=20)
    assert [one.FailureReason for one in report.FailedSOPSequence] == [0x0119]


def test_a_film_whose_file_is_gone_is_not_committed_to(study: Study, phantoms: list[Path]) -> None:
    port, film = free_port(), dcmread(phantoms[0])
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    with Node(study, _settings(port), worker=False) as node:
        _send_and_ask(node.port, film)
        (path,) = study.desk.held([str(film.SOPInstanceUID)], organisation_id=1).values()
        study.store.delete(path)
        with _modality(port, reports):
            event, report = reports.get(timeout=20)
    assert event == 2
    assert [one.FailureReason for one in report.FailedSOPSequence] == [0x0112]


def test_a_report_waits_until_the_modality_listens_and_is_then_sent_once(study: Study, phantoms: list[Path]) -> None:
    port = free_port()
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    with Node(study, _settings(port), worker=False) as node:
        _send_and_ask(node.port, dcmread(phantoms[0]))
        until(lambda: any("gave no association" in why for *_, why in study.archive.exchange.problems()), 10)
        with _modality(port, reports):
            event, _ = reports.get(timeout=20)
            until(lambda: study.archive.exchange.counts() == {"commitment_sent": 1}, 10)
    assert event == 1, "all are held"
    assert reports.empty()


def test_a_report_that_is_not_taken_is_sent_again(study: Study, phantoms: list[Path]) -> None:
    port = free_port()
    reports: queue.Queue[tuple[int, Dataset]] = queue.Queue()
    with Node(study, _settings(port), worker=False) as node:
        with _modality(port, reports, status=0x0110):
            _send_and_ask(node.port, dcmread(phantoms[0]))
            reports.get(timeout=20)
        with _modality(port, reports):
            reports.get(timeout=20)
            until(lambda: study.archive.exchange.counts() == {"commitment_sent": 1}, 10)


def test_orthanc_gets_its_commitment(
    orthanc: Any, make_node: Callable[..., RunningNode], storescu: Callable[..., Any], phantoms: list[Path]
) -> None:
    node = make_node(orthanc.dicom)
    assert storescu(node.port, phantoms[0]).returncode == 0
    orthanc.put("/modalities/CARINA", {"AET": "CARINA", "Host": "127.0.0.1", "Port": node.port})
    uid = str(dcmread(phantoms[0]).SOPInstanceUID)
    asked = orthanc.post(
        "/modalities/CARINA/storage-commitment", {"DicomInstances": [[str(DX), uid], [str(DX), "1.2"]]}
    )

    def answered() -> Any:
        found = orthanc.get(f"/storage-commitment/{asked['ID']}")
        return found if found["Status"] != "Pending" else None

    found = until(answered, 30)
    assert found["Status"] == "Failure"
    assert [one["SOPInstanceUID"] for one in found["Success"]] == [uid]
    assert [one["SOPInstanceUID"] for one in found["Failures"]] == ["1.2"]
