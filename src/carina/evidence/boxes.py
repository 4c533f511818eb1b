"""Boxes that readers drew: read from CSV or COCO JSON, refused by row where they cannot be right."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import TableError

__all__ = ["BoxRow", "BoxTable", "read_boxes"]

_COLUMNS = ("image_id", "x", "y", "w", "h")
_TOLERANCE = 1.0  # pixels by which a box may leave its film: readers' tools round


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One box.

    Attributes
    ----------
    image_id : str
    box : tuple of float
        x, y, width, height, pixels of the film as stored.
    finding : str
        What the reader saw; empty where not said.
    row : int
        Where it stands, from 1: row of the CSV below its header, or annotation of the JSON.
    """

    image_id: str
    box: tuple[float, float, float, float]
    finding: str
    row: int


@dataclass(frozen=True)
class BoxTable:
    """Boxes by film.

    Attributes
    ----------
    rows : tuple of BoxRow
    sha256 : str
        Of the file, lower-case hex.
    """

    rows: tuple[BoxRow, ...]
    sha256: str

    @property
    def image_ids(self) -> tuple[str, ...]:
        """Films with a box, each once, in the file's order."""
        return tuple(dict.fromkeys(row.image_id for row in self.rows))

    def of(self, image_id: str, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Boxes of a film.

        Parameters
        ----------
        image_id : str
        shape : tuple of int
            Rows and columns of the film.

        Returns
        -------
        ndarray of float64, (n, 4)
            x, y, width, height, cut at the film's edges.

        Raises
        ------
        TableError
            If a box leaves its film by more than a pixel; names the row.
        """
        height, width = shape
        kept = []
        for row in (row for row in self.rows if row.image_id == image_id):
            x, y, w, h = row.box
            over = max(-x, -y, x + w - width, y + h - height)
            if over > _TOLERANCE:
                raise TableError(
                    f"a box must lie inside its film; the one in row {row.row} (x {x:g}, y {y:g}, w {w:g}, h {h:g}) "
                    f"leaves its film of {width} x {height} by {over:.1f}; boxes are in pixels of the stored film"
                )
            left, top = max(x, 0.0), max(y, 0.0)
            kept.append((left, top, min(x + w, width) - left, min(y + h, height) - top))
        return np.array(kept, dtype=np.float64).reshape(-1, 4)


def read_boxes(path: Path) -> BoxTable:
    """Read boxes from CSV (`image_id`, `x`, `y`, `w`, `h`, optional `finding`) or COCO JSON (suffix ``.json``).

    In COCO JSON a film is named by its image's `file_name` without folder and ending; `bbox` is x, y, width, height.

    Parameters
    ----------
    path : Path

    Returns
    -------
    BoxTable

    Raises
    ------
    TableError
        If the file cannot be read, has no box, or holds a box without a size or with a value that is no number; names
        the row.

    References
    ----------
    T.-Y. Lin et al., Microsoft COCO 2014, doi:10.1007/978-3-319-10602-1_48.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"a table of boxes must be readable; {str(path)!r}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
        found = _from_coco(text) if path.suffix.lower() == ".json" else _from_csv(text)
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise TableError(
            f"boxes must be CSV in UTF-8, or COCO JSON with the suffix .json; {str(path)!r} is neither: {error}"
        ) from error
    if not found:
        raise TableError(f"a table of boxes must have boxes; {str(path)!r} has none")
    return BoxTable(tuple(found), hashlib.sha256(content).hexdigest())


def _from_csv(text: str) -> list[BoxRow]:
    reader = csv.DictReader(io.StringIO(text))
    names = [name.strip() for name in reader.fieldnames or ()]
    if missing := [name for name in _COLUMNS if name not in names]:
        raise TableError(
            f"a table of boxes must have the columns {', '.join(_COLUMNS)}; it lacks {', '.join(missing)}; "
            f"found {', '.join(names) or 'none'}"
        )
    reader.fieldnames = names
    return [
        _row(line.get("image_id"), [line.get(name) for name in _COLUMNS[1:]], line.get("finding"), number)
        for number, line in enumerate(reader, start=1)
    ]


def _from_coco(text: str) -> list[BoxRow]:
    stored = json.loads(text)
    try:
        films = {image["id"]: Path(str(image["file_name"])).stem for image in stored["images"]}
        words = {kind["id"]: str(kind.get("name", "")) for kind in stored.get("categories", ())}
        annotations = list(stored["annotations"])
        return [_annotated(one, films, words, number) for number, one in enumerate(annotations, start=1)]
    except (KeyError, TypeError, AttributeError) as error:
        raise TableError(
            "COCO JSON must hold `images` with id and file_name, and `annotations` with image_id and bbox; "
            f"{type(error).__name__} at {error}"
        ) from error


def _annotated(one: Mapping[str, Any], films: Mapping[Any, str], words: Mapping[Any, str], number: int) -> BoxRow:
    return _row(films.get(one["image_id"]), list(one["bbox"]), words.get(one.get("category_id")), number)


def _row(image_id: str | None, cells: list[Any], finding: str | None, number: int) -> BoxRow:
    if image_id is None or not image_id.strip():
        raise TableError(f"every box must name its film; the one in row {number} names none that is there")
    try:
        x, y, width, height = (float(cell) for cell in cells)
    except (TypeError, ValueError) as error:
        raise TableError(f"a box must be four numbers x, y, w, h; row {number} has {cells!r}") from error
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise TableError(
            f"a box must have finite x and y, and w and h above 0; the one in row {number} has "
            f"x {x:g}, y {y:g}, w {width:g}, h {height:g}"
        )
    return BoxRow(image_id.strip(), (x, y, width, height), (finding or "").strip(), number)
