"""From a film received to its results in the PACS, when nothing else is to be done.

DCMTK's storescu sends one film at a time to `carina pacs` with its worker and the shipped model; Orthanc is the PACS.
The time counts from the node's acknowledgement until Orthanc holds the last result, after which nothing comes for two
seconds. The first film warms up and does not count.

Run: python benchmarks/pacs_turnaround.py [--count 5] [--side 2048] [--model pneumonia]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.uid import generate_uid

from carina.archive import create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from pacs_receive import free_port, wait_for

LONGEST = 120.0
QUIET = 2.0


def film(folder: Path, number: int, side: int) -> Path:
    """One phantom film in a study of its own, made as large as real ones are."""
    data = phantom_dicom(phantom_film(number + 1, size=512))
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    small = data.pixel_array
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    data.Rows = data.Columns = side
    data.PixelData = np.clip(large, 0, 2**data.BitsStored - 1).astype(small.dtype).tobytes()
    path = folder / f"{number}.dcm"
    data.save_as(path, enforce_file_format=True)
    return path


def start_orthanc(folder: Path, port: int, http: int) -> subprocess.Popen[bytes]:
    """Start a fresh Orthanc."""
    program = shutil.which("Orthanc")
    if program is None:
        sys.exit("Orthanc is needed (Debian's package orthanc)")
    settings = {
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "SyncStorageArea": True,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings), "utf-8")
    return subprocess.Popen([program, str(folder / "orthanc.json")], stderr=subprocess.DEVNULL)  # noqa: S603 - ours


def start_node(folder: Path, port: int, orthanc: int, model: str) -> subprocess.Popen[bytes]:
    """Start `carina pacs` with its worker."""
    with create_study(folder / "service", "service") as study:
        study.accounts.add_organisation("ZZZ District")
    lines = ["[service]", f"model = {json.dumps(model)}", "[pacs]", f"port = {port}"]
    lines += ["[[pacs.peers]]", 'ae_title = "ORTHANC"', 'host = "127.0.0.1"', f"port = {orthanc}", "results = true"]
    lines += ["[[pacs.peers]]", 'ae_title = "SENDER"', 'host = "127.0.0.1"', "port = 104"]
    (folder / "node.toml").write_text("\n".join(lines) + "\n", "utf-8")
    command = [sys.executable, "-m", "carina", "pacs", str(folder / "service"), "--settings", str(folder / "node.toml")]
    with (folder / "node.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S603 - ours


def ask(http: int, path: str) -> Any:
    """Orthanc's answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=10) as answer:
        return json.loads(answer.read())


def seconds_until_results(path: Path, port: int, http: int) -> tuple[float, int]:
    """Send a film, and wait for its results: seconds, and how many."""
    before = len(ask(http, "/series"))
    program = shutil.which("storescu") or sys.exit("DCMTK's storescu is needed (Debian's package dcmtk)")
    subprocess.run([program, "-aet", "SENDER", "-aec", "CARINA", "127.0.0.1", str(port), str(path)], check=True)  # noqa: S603 - ours
    start, held, last = time.perf_counter(), before, 0.0
    while time.perf_counter() - start < LONGEST:
        found = len(ask(http, "/series"))
        if found > held:
            held, last = found, time.perf_counter() - start
        if held > before and time.perf_counter() - start - last > QUIET:
            return last, held - before
        time.sleep(0.02)
    sys.exit("no results came")


def main() -> None:
    """Time one film after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5, help="films that count")
    parser.add_argument("--side", type=int, default=2048, help="rows and columns of a film")
    parser.add_argument("--model", default="pneumonia", help="bundle that reads")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        dicom, http, port = free_port(), free_port(), free_port()
        running = [start_orthanc(folder, dicom, http)]
        try:
            wait_for(http)
            running.append(start_node(folder, port, dicom, options.model))
            wait_for(port)
            paths = [film(folder, number, options.side) for number in range(options.count + 1)]
            times = [seconds_until_results(path, port, http) for path in paths]
        finally:
            for each in reversed(running):
                each.terminate()
                each.wait()
    said = ", ".join(f"{seconds:.2f}" for seconds, _ in times[1:])
    print(f"first film, with the worker's start: {times[0][0]:.2f} s; {times[0][1]} objects a film")
    median = statistics.median(seconds for seconds, _ in times[1:])
    print(f"{options.side} x {options.side}, acknowledged to results in the PACS: median {median:.2f} s ({said})")


if __name__ == "__main__":
    main()
