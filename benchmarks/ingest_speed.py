"""Films a second into a research study, against a plain anonymiser's loop and against the OCR alone.

Run: python benchmarks/ingest_speed.py [--patients 40] [--rounds 3]

The films are a synthetic hospital's: DICOM with identifiers in headers and pixels, in folders, zips and on a medium.
Each round, in turn, on the same films:

- *ingest*, one worker and two: read under limits, right way up, quality gate, identifiers out of header and pixels with
  OCR, hashes, file and database row durable;
- *anonymiser*: dicognito on the header, the file written and fsynced, by one process; neither pixels nor gate nor rows;
- *OCR alone*: tesseract on every whole film, once, which is what blanking text cannot be had without.

Printed: median films a second, and the ratios of this run.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
from dicognito.anonymizer import Anonymizer

from carina.archive import create_study
from carina.ingest import ingest_films
from carina.synthesis import write_hospital


def main() -> None:
    """Write the hospital, take it in, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_hospital(work / "hospital", patients=chosen.patients, seed=1, workers=2)
        films = plain_films(work / "hospital/films")
        ways: dict[str, Callable[[Path], int]] = {
            "ingest, one worker": lambda to: taken_in(work / "hospital/films", to, 1),
            "ingest, two workers": lambda to: taken_in(work / "hospital/films", to, 2),
            "anonymiser": lambda to: anonymised(films, to),
            "OCR alone": lambda _: read(films),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(chosen.rounds):
            for name, way in ways.items():
                begin = time.perf_counter()
                count = way(work / f"{number}-{name.replace(' ', '_')}")
                rates[name].append(count / (time.perf_counter() - begin))
    median = {name: statistics.median(values) for name, values in rates.items()}
    one = median["ingest, one worker"]
    report = {
        "films a second": {
            name: [round(value, 1), *(round(v, 1) for v in sorted(rates[name]))] for name, value in median.items()
        },
        "two workers over one": round(median["ingest, two workers"] / one, 2),
        "one worker over anonymiser": round(one / median["anonymiser"], 2),
        "one worker over OCR alone": round(one / median["OCR alone"], 2),
    }
    print(json.dumps(report, indent=1))
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(report, indent=1), "utf-8")


def plain_films(folder: Path) -> list[bytes]:
    """Files of the folder that are whole DICOM films, as bytes: the easy part of what `ingest` gets."""
    films = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if data[128:132] != b"DICM" or path.name == "DICOMDIR":
            continue
        try:
            pydicom.dcmread(io.BytesIO(data)).pixel_array  # noqa: B018 - whether it can be read
        except (ValueError, AttributeError, RuntimeError, EOFError):
            continue
        films.append(data)
    return films


def taken_in(films: Path, folder: Path, workers: int) -> int:
    """Ingest into a new study; how many sources were read."""
    with create_study(folder, "research") as study:
        return ingest_films(study, [films], workers=workers).sources


def anonymised(films: list[bytes], folder: Path) -> int:
    """Headers by dicognito, each file durable."""
    folder.mkdir()
    anonymiser = Anonymizer(seed="benchmark")
    for number, data in enumerate(films):
        film = pydicom.dcmread(io.BytesIO(data))
        anonymiser.anonymize(film)
        with (folder / f"{number}.dcm").open("wb") as stream:
            film.save_as(stream)
            stream.flush()
            os.fsync(stream.fileno())
    return len(films)


def read(films: list[bytes]) -> int:
    """Read every film by tesseract, once."""
    for data in films:
        pixels = pydicom.dcmread(io.BytesIO(data)).pixel_array.astype(np.float32)
        scaled = (255 * (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1.0)).astype(np.uint8)
        encoded = cv2.imencode(".png", scaled)[1].tobytes()
        command = ["tesseract", "stdin", "stdout", "--psm", "11"]
        subprocess.run(command, input=encoded, capture_output=True, check=True, timeout=120)  # noqa: S603 - a fixed command
    return len(films)


if __name__ == "__main__":
    main()
