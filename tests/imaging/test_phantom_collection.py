"""A folder of phantom films holds together."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import pytest

from carina.errors import OutputError
from carina.imaging.phantom import Collection, write_phantoms


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_table_names_films_and_masks_that_exist_and_deals_out_the_classes(tmp_path: Path) -> None:
    table = write_phantoms(Collection(tmp_path, films=5, size=64, format="png"))
    rows = _rows(table)
    assert [row["label"] for row in rows] == ["normal", "bacterial", "viral", "covid19", "normal"]
    for row in rows:
        film = cv2.imread(str(tmp_path / row["path"]), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(tmp_path / row["lung_mask"]), cv2.IMREAD_UNCHANGED)
        assert film is not None
        assert film.dtype == "uint16"
        assert mask is not None
        assert mask.shape == film.shape
    assert len({row["patient_id"] for row in rows}) == 5


def test_boxes_name_films_of_the_table(tmp_path: Path) -> None:
    rows = _rows(write_phantoms(Collection(tmp_path, films=4, size=64)))
    boxes = _rows(tmp_path / "boxes.csv")
    assert {box["image_id"] for box in boxes} == {row["image_id"] for row in rows if row["label"] != "normal"}
    assert all(int(box["x"]) + int(box["w"]) <= 64 for box in boxes)


def test_running_again_writes_the_same_bytes_with_any_number_of_processes(tmp_path: Path) -> None:
    write_phantoms(Collection(tmp_path / "a", films=4, size=64))
    write_phantoms(Collection(tmp_path / "b", films=4, size=64), workers=2)
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")


def test_pairs_show_one_patient_sick_and_well(tmp_path: Path) -> None:
    rows = _rows(write_phantoms(Collection(tmp_path, films=4, size=64, labels=("bacterial",), pairs=True)))
    assert [(row["patient_id"], row["label"]) for row in rows] == [
        ("PHANTOM0000", "bacterial"),
        ("PHANTOM0000", "normal"),
        ("PHANTOM0001", "bacterial"),
        ("PHANTOM0001", "normal"),
    ]


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("here")
    with pytest.raises(OutputError, match="taken"):
        write_phantoms(Collection(tmp_path / "taken", films=1, size=64))
