"""Readers' boxes: CSV, COCO JSON, and what is refused by row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carina.errors import TableError
from carina.evidence import read_boxes


def _csv(folder: Path, *lines: str, header: str = "image_id,finding,x,y,w,h") -> Path:
    path = folder / "boxes.csv"
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


def test_boxes_of_a_film_from_csv(tmp_path: Path) -> None:
    found = read_boxes(_csv(tmp_path, "0012,Pneumonia,1.5,2,3,4", "b,,0,0,1,1", "0012,,5,6,7,8"))
    assert found.image_ids == ("0012", "b")
    assert found.of("0012", (100, 100)).tolist() == [[1.5, 2, 3, 4], [5, 6, 7, 8]]
    assert found.of("absent", (100, 100)).shape == (0, 4)
    assert found.rows[0].finding == "Pneumonia"


def test_boxes_of_a_film_from_coco_json(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    stored = {
        "images": [{"id": 7, "file_name": "films/a.png", "width": 50, "height": 40}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "opacity"}],
    }
    path.write_text(json.dumps(stored), "utf-8")
    found = read_boxes(path)
    assert found.of("a", (40, 50)).tolist() == [[1, 2, 3, 4]]
    assert found.rows[0].finding == "opacity"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("b,,1,2,-3,4", "w and h above 0; the one in row 2 has x 1, y 2, w -3, h 4"),
        ("b,,1,2,3,0", "w and h above 0; the one in row 2"),
        ("b,,nan,2,3,4", "finite x and y.*row 2"),
        ("b,,1,2,inf,4", "finite x and y.*row 2"),
        ("b,,one,2,3,4", "four numbers x, y, w, h; row 2"),
        ("b,,1,2,3", "four numbers x, y, w, h; row 2"),
        (",,1,2,3,4", "name its film; the one in row 2"),
    ],
)
def test_a_box_that_cannot_be_is_refused_by_row(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(TableError, match=sentence):
        read_boxes(_csv(tmp_path, "a,,1,2,3,4", line))


@pytest.mark.parametrize("box", ["95,2,10,4", "1,38,3,10", "-3,2,10,4", "1,-9,3,10", "200,200,10,10"])
def test_a_box_outside_its_film_is_refused_by_row(tmp_path: Path, box: str) -> None:
    found = read_boxes(_csv(tmp_path, "a,,1,2,3,4", f"a,,{box}"))
    with pytest.raises(TableError, match=r"row 2 .* leaves its film of 100 x 40"):
        found.of("a", (40, 100))


def test_a_box_that_rounding_carried_over_the_edge_is_cut_there(tmp_path: Path) -> None:
    found = read_boxes(_csv(tmp_path, "a,,90.4,-0.5,10.2,20"))
    assert found.of("a", (40, 100))[0].tolist() == pytest.approx([90.4, 0.0, 9.6, 19.5])


def test_a_table_without_boxes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="must have boxes"):
        read_boxes(_csv(tmp_path))
    with pytest.raises(TableError, match="lacks image_id, x"):
        read_boxes(_csv(tmp_path, "1,2", header="y,w,h"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("boxes.json", b"{", "neither"),
        ("boxes.json", b"[" * 100_000, "neither"),
        ("boxes.json", b"[]", "COCO JSON must hold"),
        ("boxes.json", b'{"images": [], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}', "name its film"),
        ("boxes.json", b'{"images": [], "annotations": []}', "must have boxes"),
        ("boxes.csv", b"\xff\xfe\x00", "neither"),
        ("boxes.csv", b"", "must have the columns"),
    ],
)
def test_a_file_that_holds_no_boxes_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError, match=sentence):
        read_boxes(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="must be readable"):
        read_boxes(tmp_path / "absent.csv")


def test_the_real_boxes_lie_inside_their_films(films_folder: Path) -> None:
    import cv2  # noqa: PLC0415 - only where the films are

    from carina.sampling import read_film_table  # noqa: PLC0415 - as above
    from carina.tasks import default_task  # noqa: PLC0415 - as above

    table = read_film_table(films_folder / "cxr/images.csv", default_task())
    boxes = read_boxes(films_folder / "cxr/boxes.csv")
    paths = dict(zip(table.image_ids, table.paths, strict=True))
    shapes = {name: cv2.imread(str(paths[name]), cv2.IMREAD_GRAYSCALE).shape for name in boxes.image_ids}
    assert sum(len(boxes.of(name, shape)) for name, shape in shapes.items()) == 39
