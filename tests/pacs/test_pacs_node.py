"""The node with real peers: films sent by storescu, results seen in Orthanc, and nothing lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pacs_peers import RunningNode, until
from pydicom import dcmread

from carina.archive import open_study


def _counts(node: RunningNode) -> dict[str, int]:
    with open_study(node.folder, "service") as study:
        return study.archive.exchange.counts()


def test_results_of_a_sent_film_arrive_in_the_pacs(
    orthanc: Any, make_node: Callable[..., RunningNode], storescu: Callable[..., Any], phantoms: list[Path]
) -> None:
    node = make_node(orthanc.dicom)
    sent = storescu(node.port, phantoms[0])
    assert sent.returncode == 0, sent.stderr
    # The tiny network has no opacity; lungs are found by the shipped network, so a segmentation is among the results.
    until(lambda: len(orthanc.series()) == 5, 60)
    film = dcmread(phantoms[0])
    assert {one["SeriesNumber"] for one in orthanc.series()} == {"9001", "9002", "9003", "9004", "9005"}
    studies = orthanc.get("/studies?expand")
    assert [one["MainDicomTags"]["StudyInstanceUID"] for one in studies] == [str(film.StudyInstanceUID)]
    assert [one["PatientMainDicomTags"]["PatientID"] for one in studies] == [str(film.PatientID)]


def test_results_wait_while_the_pacs_is_away(
    orthanc: Any, make_node: Callable[..., RunningNode], storescu: Callable[..., Any], phantoms: list[Path]
) -> None:
    orthanc.stop()
    node = make_node(orthanc.dicom)
    assert storescu(node.port, phantoms[0]).returncode == 0
    until(lambda: _counts(node).get("store_waiting", 0) >= 4, 60)
    orthanc.start()
    until(lambda: len(orthanc.series()) == 5)


def test_echo_is_answered_to_known_titles_alone(make_node: Callable[..., RunningNode]) -> None:
    echo = shutil.which("echoscu")
    if echo is None:
        pytest.skip("DCMTK is not installed (Debian's package dcmtk)")
    node = make_node()
    for calling, called, status in (("SENDER", "CARINA", 0), ("STRANGER", "CARINA", 1), ("SENDER", "OTHER", 1)):
        command = [echo, "-aet", calling, "-aec", called, "127.0.0.1", str(node.port)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)  # noqa: S603 - ours
        assert min(done.returncode, 1) == status, (calling, called, done.stderr)
