"""Found boxes of a folder of predictions as one COCO file (M21)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from carina.errors import OutputError
from carina.inference.sources import PREDICTIONS

__all__ = ["BOXES", "CATEGORY", "write_coco"]

BOXES = "boxes.json"
CATEGORY = {"id": 1, "name": "opacity"}
"""The one category."""


def write_coco(folder: Path) -> Path:
    """Write ``boxes.json`` from the folder's ``predictions.jsonl``, film by film, whatever their number.

    Films that were judged are images; each found box is an annotation with its ``score``, as COCO's results have it, in
    pixels of the film as judged.

    Parameters
    ----------
    folder : Path
        Output folder of `carina predict`.

    Returns
    -------
    Path
        The file; replaced whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written or the predictions cannot be read.

    References
    ----------
    Lin 2014, doi:10.1007/978-3-319-10602-1_48; cocodataset.org, data format.
    """
    target, part = folder / BOXES, folder / f".{BOXES}"
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write('{"images": [')
            _listed(file, _images(folder))
            file.write('],\n"annotations": [')
            _listed(file, _annotations(folder))
            file.write(f'],\n"categories": {json.dumps([CATEGORY])}}}\n')
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{BOXES} in {str(folder)!r} cannot be written: {error.strerror}") from error
    return target


def _listed(file: TextIO, items: Iterator[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        file.write(",\n" if number else "\n")
        file.write(json.dumps(item, allow_nan=False))


def _judged(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with (folder / PREDICTIONS).open(encoding="utf-8") as lines:
        number = 0
        for text in lines:
            line = json.loads(text)
            if line["probabilities"] is not None:
                number += 1
                yield number, line


def _images(folder: Path) -> Iterator[dict[str, Any]]:
    for number, line in _judged(folder):
        size = {"width": line["film"]["columns"], "height": line["film"]["rows"]}
        yield {"id": number, "file_name": line["file"], **size}


def _annotations(folder: Path) -> Iterator[dict[str, Any]]:
    count = 0
    for number, line in _judged(folder):
        for box in line["boxes"]:
            count += 1
            yield {
                "id": count,
                "image_id": number,
                "category_id": CATEGORY["id"],
                "bbox": [box["x"], box["y"], box["width"], box["height"]],
                "area": round(box["width"] * box["height"], 2),
                "score": box["score"],
                "iscrowd": 0,
            }
