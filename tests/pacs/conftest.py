"""Films, readings and real peers: Orthanc and DCMTK as separate programs on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="the node needs the extra 'pacs'")
pytest.importorskip("highdicom", reason="results need the extra 'pacs'")
pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")

import numpy as np
from pacs_peers import Orthanc, Redis, RunningNode, free_port
from pydicom.dataset import Dataset

from carina.archive import create_study
from carina.imaging import read_film
from carina.imaging.lung_fields import LungFields
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.inference import Bundle, Reader, load_bundle
from carina.pacs.found import Found
from carina.service import ModelFacts, ThresholdFacts


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Phantom films as DICOM files; read them, do not change them."""
    folder = tmp_path_factory.mktemp("phantoms")
    paths = []
    for seed in range(1, 9):
        path = folder / f"film{seed}.dcm"
        phantom_dicom(phantom_film(seed, size=256)).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    """The tiny network."""
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="session")
def read(bundle: Bundle, phantoms: list[Path]) -> tuple[Dataset, Found]:
    """A film's data set, and a reading of it with lungs, opacity and one box."""
    from pydicom import dcmread  # noqa: PLC0415 - beside its use

    source = dcmread(phantoms[0])
    judged = Reader(bundle, gate=None).judge(read_film(phantoms[0]))
    assert judged.outputs is not None
    mask = np.zeros(judged.film.pixels.shape, np.uint8)
    mask[60:200, 30:110], mask[60:200, 140:220] = 1, 2
    opacity = np.zeros((1, 32, 32), np.float32)
    opacity[0, 10:16, 6:12] = 0.9
    box = {"x": 40.0, "y": 70.0, "width": 30.0, "height": 20.0, "score": 0.8125, "zone": "right_upper"}
    judged = replace(
        judged,
        reading=replace(judged.reading, boxes=(box,)),
        outputs=replace(judged.outputs, opacity=opacity),
        fields=LungFields(mask),
    )
    facts = replace(
        ModelFacts.of(bundle),
        thresholds={"pneumonia": ThresholdFacts(0.25, 0.5, 0.875, 0.75)},
        verdicts={"pneumonia": "not supported"},
    )
    return source, Found.of(judged, facts)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An empty Orthanc that knows the node CARINA."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed (Debian's package orthanc)")
    dicom, http = free_port(), free_port()
    settings = {
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {"CARINA": ["CARINA", "127.0.0.1", 104]},
        "SyncStorageArea": False,
        "Plugins": [],
    }
    path = tmp_path / "orthanc.json"
    path.write_text(json.dumps(settings), "utf-8")
    made = Orthanc(dicom, http, None, [program, str(path)])  # type: ignore[arg-type]  # started at once
    made.start()
    yield made
    made.stop()


@pytest.fixture
def make_node(tmp_path: Path, tiny_bundle: Path) -> Iterator[Callable[..., RunningNode]]:
    """Factory of nodes that know the peers ORTHANC (at a port) and SENDER.

    `make_node(port, peer={}, archive=url, queue=url, **settings)`.
    """
    made: list[RunningNode] = []

    def _table(name: str, content: dict[str, Any]) -> list[str]:
        return [name, *(f"{key} = {json.dumps(value)}" for key, value in content.items())]

    def make(
        orthanc_port: int = 1,
        peer: dict[str, Any] | None = None,
        archive: str | None = None,
        queue: str = "sqlite:///queue.sqlite",
        **changes: Any,
    ) -> RunningNode:
        folder = tmp_path / "service"
        with create_study(folder, "service", archive=archive) as study:
            study.accounts.add_organisation("ZZZ District")
        port = free_port()
        values = {
            "port": port,
            "retry_seconds": 0.5,
            "retry_longest_seconds": 1.0,
            "acse_seconds": 2.0,
            **changes,
        }
        sender = {"ae_title": "SENDER", "host": "127.0.0.1", "port": 104}
        pacs = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc_port, "results": True, **(peer or {})}
        service = {"model": str(tiny_bundle), "queue": queue, "lease_seconds": 5}
        lines = [*_table("[service]", service), *_table("[pacs]", values)]
        lines += [*_table("[[pacs.peers]]", pacs), *_table("[[pacs.peers]]", sender)]
        settings = tmp_path / "node.toml"
        settings.write_text("\n".join(lines) + "\n", "utf-8")
        node = RunningNode(folder, settings, port, tmp_path / "node.log")
        made.append(node)
        node.start()
        return node

    yield make
    for node in made:
        node.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of this test alone, on loopback."""
    pytest.importorskip("redis", reason="Redis needs the extra 'redis'")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed (Debian's package redis-server)")
    made = Redis(free_port(), [program, "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def storescu() -> Callable[..., subprocess.CompletedProcess[str]]:
    """DCMTK's sender: `storescu(port, *files, calling="SENDER")`."""
    program = shutil.which("storescu")
    if program is None:
        pytest.skip("DCMTK is not installed (Debian's package dcmtk)")

    def send(port: int, *files: Path, calling: str = "SENDER") -> subprocess.CompletedProcess[str]:
        command = [program, "-aet", calling, "-aec", "CARINA", "127.0.0.1", str(port), *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours

    return send
