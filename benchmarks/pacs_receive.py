"""Receiving over the network: C-STORE of 8 MB films over 4 associations, against Orthanc in the same run.

Both peers write durably before they answer (Orthanc with SyncStorageArea), get the same films from the same sender,
DCMTK's storescu, with the same PDU size. Alternating runs; films a second, CPU seconds a film of the receiver (other
programs on the machine change them little), and the ratio of medians.

Run: python benchmarks/pacs_receive.py [--count 12] [--pdu 131072] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from carina.archive import create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.pacs.node import Node
from carina.settings import PacsPeer, PacsSettings, Settings

ASSOCIATIONS = 4
SIDE = 2048  # 2048 x 2048 x 2 bytes: 8.4 MB


def films(folder: Path, number: int) -> list[Path]:
    """Films of noise, each another one, so that nothing is stored once for two."""
    data = phantom_dicom(phantom_film(1, size=64))
    noise = np.random.default_rng(1)
    data.Rows = data.Columns = SIDE
    paths = []
    for position in range(number):
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.PixelData = noise.integers(0, 4096, (SIDE, SIDE), dtype=np.uint16).tobytes()
        paths.append(folder / f"{position}.dcm")
        data.save_as(paths[-1], enforce_file_format=True)
    return paths


def send(port: int, called: str, paths: list[Path], pdu: int) -> float:
    """Films a second over all associations at a time."""
    program = shutil.which("storescu")
    if program is None:
        sys.exit("DCMTK's storescu is needed (Debian's package dcmtk)")
    options = ["-aet", "SENDER", "-aec", called, "--max-send-pdu", str(pdu), "--max-pdu", str(pdu)]
    start = time.perf_counter()
    senders = [
        subprocess.Popen([program, *options, "127.0.0.1", str(port), *map(str, paths[part::ASSOCIATIONS])])  # noqa: S603 - ours
        for part in range(ASSOCIATIONS)
    ]
    if any(each.wait() for each in senders):
        sys.exit(f"{called} did not take every film")
    return len(paths) / (time.perf_counter() - start)


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, user and system (proc(5), /proc/pid/stat)."""
    used = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def measured(pid: int, port: int, called: str, paths: list[Path], pdu: int) -> tuple[float, float]:
    """Films a second, and CPU seconds a film of the receiving process."""
    before = cpu_seconds(pid)
    rate = send(port, called, paths, pdu)
    return rate, (cpu_seconds(pid) - before) / len(paths)


def on_orthanc(folder: Path, paths: list[Path], pdu: int) -> tuple[float, float]:
    """One run against a fresh Orthanc."""
    program = shutil.which("Orthanc")
    if program is None:
        sys.exit("Orthanc is needed (Debian's package orthanc)")
    port, http = free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "DicomPort": port,
        "HttpPort": http,
        "DicomAlwaysAllowStore": True,
        "SyncStorageArea": True,
        "OverwriteInstances": True,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings), "utf-8")
    process = subprocess.Popen([program, str(folder / "orthanc.json")], stderr=subprocess.DEVNULL)  # noqa: S603 - ours
    try:
        wait_for(port)
        return measured(process.pid, port, "ORTHANC", paths, pdu)
    finally:
        process.terminate()
        process.wait()


def on_node(folder: Path, paths: list[Path], pdu: int) -> tuple[float, float]:
    """One run against a fresh node, which judges nothing meanwhile."""
    peers = (PacsPeer(ae_title="SENDER", host="127.0.0.1", port=104),)
    settings = Settings(pacs=PacsSettings(port=0, peers=peers, pdu_bytes=pdu))
    with create_study(folder / "study", "service") as study:
        study.accounts.add_organisation("ZZZ District")
        with Node(study, settings, worker=False) as node:
            return measured(os.getpid(), node.port, "CARINA", paths, pdu)


def wait_for(port: int) -> None:
    """Until something listens."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("Orthanc did not start")


def main() -> None:
    """Run both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12, help="films a run")
    parser.add_argument("--pdu", type=int, default=131072, help="PDU size, bytes")
    parser.add_argument("--runs", type=int, default=3, help="runs of each")
    options = parser.parse_args()
    kinds: dict[str, Callable[[Path, list[Path], int], tuple[float, float]]] = {
        "Orthanc": on_orthanc,
        "Carina": on_node,
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as top:
        paths = films(Path(top), options.count)
        for _ in range(options.runs):
            for name, run in kinds.items():
                with tempfile.TemporaryDirectory() as folder:
                    runs[name].append(run(Path(folder), paths, options.pdu))
    rates = {name: statistics.median(rate for rate, _ in values) for name, values in runs.items()}
    for name, values in runs.items():
        said = ", ".join(f"{rate:.2f}" for rate, _ in values)
        used = statistics.median(seconds for _, seconds in values)
        print(f"{name}: {rates[name]:.2f} films a second ({said}), {used:.3f} CPU s a film")
    ratio = rates["Carina"] / rates["Orthanc"]
    print(f"Carina / Orthanc: {ratio:.2f}; PDU {options.pdu} bytes, {ASSOCIATIONS} associations, 8 MB films")


if __name__ == "__main__":
    main()
