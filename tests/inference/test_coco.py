"""Boxes of a folder of predictions as COCO has them (M21)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carina.errors import OutputError
from carina.inference.coco import write_coco

_BOX = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "score": 0.75, "zone": "left_lower"}


def _line(file: str, boxes: list[dict[str, object]], *, judged: bool = True) -> str:
    size = {"rows": 100, "columns": 200}
    return json.dumps({"file": file, "film": size, "probabilities": {"a": 1.0} if judged else None, "boxes": boxes})


def test_films_and_boxes_are_as_coco_has_them(tmp_path: Path) -> None:
    lines = [_line("a.png", [_BOX]), _line("bad.png", [], judged=False), _line("b.png", [_BOX, _BOX])]
    (tmp_path / "predictions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = json.loads(write_coco(tmp_path).read_text("utf-8"))
    assert found["images"] == [
        {"id": 1, "file_name": "a.png", "width": 200, "height": 100},
        {"id": 2, "file_name": "b.png", "width": 200, "height": 100},
    ]
    assert [one["image_id"] for one in found["annotations"]] == [1, 2, 2]
    assert [one["id"] for one in found["annotations"]] == [1, 2, 3]
    first = found["annotations"][0]
    assert (first["bbox"], first["area"], first["score"]) == ([10.0, 20.0, 30.0, 40.0], 1200.0, 0.75)
    assert found["categories"] == [{"id": first["category_id"], "name": "opacity"}]


def test_no_films_are_an_empty_file_of_the_same_form(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text("", encoding="utf-8")
    found = json.loads(write_coco(tmp_path).read_text("utf-8"))
    assert (found["images"], found["annotations"]) == ([], [])


def test_a_folder_without_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="boxes"):
        write_coco(tmp_path)
