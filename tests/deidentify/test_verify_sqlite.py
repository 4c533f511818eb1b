"""The verifier tells what two cells of an SQLite file make up from what one holds or a deleted row left (M6)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from carina.deidentify import verify_removal

NHI = "ZZZ0016"


def kinds(data: bytes) -> set[str]:
    return {leak.kind for leak in verify_removal([("store", data)], [("P" + "A" * 16, "nhi", NHI)], ocr=False)}


def archive(folder: Path, patient: str, taken: str, note: str = "nothing") -> Path:
    """An SQLite file with a pseudonym beside a date, in the table and in an index."""
    path = folder / "archive.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA secure_delete = off")
        database.execute("CREATE TABLE films (number INTEGER PRIMARY KEY, patient, taken, bmi REAL, note)")
        database.execute("CREATE INDEX by_patient ON films (patient, taken)")
        database.execute("INSERT INTO films VALUES (1, ?, ?, 27.5, ?)", (patient, taken, note))
        database.commit()
    return path


JOINED = ("PQLND3NYVKGPB7ZZZ", "0016-03-01")
"""The end of one and the start of the next read like NHI in the file's bytes."""


def test_cells_beside_each_other_that_read_like_an_identifier_are_no_leak(tmp_path: Path) -> None:
    data = archive(tmp_path, *JOINED).read_bytes()
    assert data.count(NHI.encode()) == 2, "in the table's record and in the index's"
    assert kinds(data) == set()


@pytest.mark.parametrize(
    ("patient", "taken", "note"),
    [
        (JOINED[0], JOINED[1], NHI),
        (f"{JOINED[0]}{JOINED[1]}", "2016-03-01", "nothing"),
        (f"P{NHI}", "2016-03-01", f"see {NHI}."),
        ("ZZZ", "0016", "nothing"),
    ],
)
def test_an_identifier_that_cells_hold_is_a_leak(tmp_path: Path, patient: str, taken: str, note: str) -> None:
    assert "nhi" in kinds(archive(tmp_path, patient, taken, note).read_bytes())


@pytest.mark.parametrize("left", [f"x {NHI} x", f"{JOINED[0][5:]}{JOINED[1]}"])
def test_an_identifier_that_a_deleted_row_left_behind_is_a_leak(tmp_path: Path, left: str) -> None:
    path = archive(tmp_path, *JOINED)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA secure_delete = off")
        database.execute("INSERT INTO films VALUES (2, 'other', '2017', 20.0, ?)", (left + "y" * 40,))
        database.execute("INSERT INTO films VALUES (3, 'other', '2017', 20.0, 'kept')")
        database.commit()
        database.execute("DELETE FROM films WHERE number = 2")
        database.commit()
    assert left.encode() in path.read_bytes()
    assert kinds(path.read_bytes()) == {"nhi"}


def test_a_broken_database_is_searched_as_bytes(tmp_path: Path) -> None:
    data = archive(tmp_path, *JOINED).read_bytes()
    assert kinds(data[:100] + b"\xff" * 60 + data[160:]) == {"nhi", "problem"}
