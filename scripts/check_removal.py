"""Look for the identifiers of a synthetic hospital in a study, without a line of the code that removed them.

Run: python scripts/check_removal.py STUDY HOSPITAL [--beside FILE] [--read N]

`carina deid verify` searches for what the product knows that it removed. This searches for what the truth of `carina
synth hospital` says was planted (``truth/identifiers.csv``): every value, one by one, as a plain substring of
everything in the study but the pixels, with zero bytes left out (UTF-16 and UTF-32 then read as ASCII); and in the
pixels of N films by tesseract on the whole film. Slow and simple on purpose. It imports nothing of Carina. Exit status
1 if a value is found.

Birth dates are looked for in free text and in DICOM's PatientBirthDate, not in columns of dates: all dates are shifted,
and a shifted date can well be another patient's true birthday.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pydicom
from pydicom.dataset import Dataset

_SHORTEST = 5
_TEMPORAL = ("DA", "DT", "TM")
_MOST_SHOWN = 20


def main() -> None:
    """Search and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("hospital", type=Path)
    parser.add_argument("--beside", type=Path, action="append", default=[], help="another file, such as pg_dump's")
    parser.add_argument("--read", type=int, default=100, help="films whose pixels are read; 0 for none")
    chosen = parser.parse_args()
    truth = identifiers(chosen.hospital / "truth" / "identifiers.csv")
    pieces: list[bytes] = []
    films: list[Path] = []
    for path in [*sorted(path for path in chosen.study.rglob("*") if path.is_file()), *chosen.beside]:
        pieces.append(str(path).removeprefix(str(chosen.study)).encode())
        data = path.read_bytes()
        if data[128:132] == b"DICM":
            films.append(path)
        pieces += contents(path, data)
    everything = b"\n".join(pieces).replace(b"\0", b"").lower()
    print(f"{len(pieces)} pieces, {len(everything)} bytes without pixels, {len(films)} films; {len(truth)} identifiers")
    found = search(truth, everything)
    step = max(1, len(films) // chosen.read) if chosen.read else 1
    sample = films[::step][: chosen.read]
    found += read(sample, truth)
    for kind, value in found[:_MOST_SHOWN]:
        print(f"found: {kind} {value!r}")
    print(f"{len(found)} identifiers found; the pixels of {len(sample)} films were read")
    sys.exit(1 if found else 0)


def identifiers(path: Path) -> list[tuple[str, str]]:
    """Kind and value of everything planted, once each."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["kind"], row["value"]) for row in csv.DictReader(file) if len(row["value"]) >= _SHORTEST]
    return list(dict.fromkeys(rows))


def contents(path: Path, data: bytes) -> Iterator[bytes]:
    """Everything in a file but pixels, as bytes of text."""
    if data[128:132] == b"DICM":
        film = pydicom.dcmread(io.BytesIO(data))
        pixels = film.PixelData if "PixelData" in film else b""
        yield data.replace(pixels, b"") if pixels else data
        yield "\n".join(elements(film)).encode()
        birth = str(film.get("PatientBirthDate", ""))
        if birth:
            yield f"birth date {birth}".encode()
    elif data[:4] == b"PAR1":
        for column in pl.read_parquet(path).iter_columns():
            if not column.dtype.is_temporal():
                yield f"{column.name} {column.to_list()!r}".encode()
        return
    elif data.startswith(b"SQLite format 3\0"):
        yield from rows(path)
        # Cells lie side by side: without a space a pseudonym that ends in ZTM reads on into the year of the next one.
        yield re.sub(rb"A[A-Z2-7]{15}|P[A-Z2-7]{16}", rb"\g<0> ", data)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                yield archive.read(entry)
    else:
        yield data


def elements(film: Dataset) -> Iterator[str]:
    """Text of every element that is no date, at any depth."""
    for element in film:
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)
        elif element.VR not in (*_TEMPORAL, "OW", "OB"):
            yield str(element.value)


def rows(path: Path) -> Iterator[bytes]:
    """Text of every table of a database."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name of the file's own list
                yield repr(row).encode()


def search(truth: list[tuple[str, str]], everything: bytes) -> list[tuple[str, str]]:
    """Find identifiers that stand anywhere, in the ways a hospital writes them; all are looked for in one pass."""
    wanted = {form: (kind, value) for kind, value in truth for form in forms(kind, value)}
    text = pl.Series([everything.decode("latin-1")])
    met = set(text.str.extract_many(list(wanted), overlapping=True).explode().drop_nulls())
    # A number or UID must stand by itself: among millions of digits of UIDs any telephone number turns up.
    numbers = {number.decode() for number in set(re.findall(rb"\d[\d.]*\d", everything))}
    found = [wanted[form] for form in met if not re.fullmatch(r"[\d.]+", form) or form in numbers]
    return sorted(set(found))


def forms(kind: str, value: str) -> set[str]:
    """How a value may be written, in small letters, as bytes read one by one."""
    if kind == "birth_date":
        year, month, day = value.split("-")
        written = {f"{day}/{month}/{year}", f"birth date {year}{month}{day}", f"born {value}", f"dob {value}"}
    else:
        written = {value, value.replace(" ", ""), value.translate(str.maketrans("ĀĒĪŌŪāēīōū", "AEIOUaeiou"))}
    return {form.lower().encode().lower().decode("latin-1") for form in written}


def read(films: list[Path], truth: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Read whole films with tesseract, at twice their size, black on white and white on black."""
    known: dict[str, tuple[str, str]] = {}
    for kind, value in truth:
        if kind in ("nhi", "surname"):
            known[confused(value)] = (kind, value)
    by_length: dict[int, set[str]] = defaultdict(set)
    for plain in known:
        by_length[len(plain)].add(plain)
    found: list[tuple[str, str]] = []
    for path in films:
        try:
            pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
        except (AttributeError, ValueError, RuntimeError):
            print(f"{path.name}: its pixels cannot be read")
            continue
        grey = np.uint8(255 * (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1.0))
        grey = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        for picture in (grey, 255 - grey):
            text = confused(recognised(picture))
            for length, values in by_length.items():
                hits = values & {text[start : start + length] for start in range(len(text) - length + 1)}
                found += [known[hit] for hit in hits]
    return found


def confused(text: str) -> str:
    """Letters and digits that look alike, written alike."""
    plain = re.sub(r"[^A-Z0-9]", "", text.translate(str.maketrans("ĀĒĪŌŪāēīōū", "AEIOUaeiou")).upper())
    return plain.translate(str.maketrans("OQIZSB", "001258"))


def recognised(picture: np.ndarray) -> str:
    """Text of a picture."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        cv2.imwrite(file.name, picture)
        command = ["tesseract", file.name, "stdout", "--psm", "11"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=120)  # noqa: S603 - a fixed command
    return done.stdout.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
