"""A folder of phantom films with its film table, masks and boxes."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import OutputError
from carina.imaging.phantom.dicom import phantom_dicom
from carina.imaging.phantom.film import Phantom, phantom_film
from carina.imaging.phantom.opacity import LABELS

__all__ = ["Collection", "write_phantoms"]

_COLUMNS = (
    "path",
    "label",
    "patient_id",
    "image_id",
    "source",
    "sex",
    "age",
    "view",
    "film_order",
    "lung_mask",
    "opacity_mask",
    "where",
)
_BOX_COLUMNS = ("image_id", "finding", "x", "y", "w", "h")


@dataclass(frozen=True, slots=True)
class Collection:
    """What to make.

    Attributes
    ----------
    folder : Path
        Where it goes; made when missing.
    films : int
        How many, 1 or more.
    seed : int
        Of the first patient; each further patient has the next.
    labels : tuple of str
        Classes, dealt out in turn.
    format : {"dicom", "png"}
        ``"png"`` has 16 bits.
    size : int
        Side of a film, pixels.
    pairs : bool
        Two films a patient, the class's and a normal one of the same anatomy (matched pairs, M10).
    """

    folder: Path
    films: int
    seed: int = 0
    labels: tuple[str, ...] = LABELS
    format: Literal["dicom", "png"] = "dicom"
    size: int = 512
    pairs: bool = False

    def plan(self) -> Iterator[tuple[int, int, str]]:
        """Patient (seed), film number and label of each film, in order."""
        for index in range(self.films):
            patient, film = divmod(index, 2) if self.pairs else (index, 0)
            label = "normal" if film else self.labels[patient % len(self.labels)]
            yield self.seed + patient, film, label


def write_phantoms(wanted: Collection, *, workers: int = 1, done: Callable[[int], None] | None = None) -> Path:
    """Write phantom films, their masks, boxes and film table.

    Re-running with the same arguments writes the same bytes. The tables come last, so that an interrupted run leaves no
    table that names missing films.

    Parameters
    ----------
    wanted : Collection
        What to make.
    workers : int
        Processes.
    done : callable, optional
        Called with the number of films finished.

    Returns
    -------
    Path
        The film table, ``films.csv``. Beside it: ``boxes.csv`` (x, y, w, h in pixels), ``phantoms.jsonl`` (every drawn
        parameter), ``films/`` and ``masks/`` (0 and 255; lungs, right_lung, left_lung, opacity).

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    rows, boxes, notes = [], [], []
    try:
        for part in ("films", "masks"):
            (wanted.folder / part).mkdir(parents=True, exist_ok=True)
        for row, film_boxes, note in _made(wanted, workers):
            rows.append(row)
            boxes.extend(film_boxes)
            notes.append(json.dumps(note, sort_keys=True))
            if done is not None:
                done(len(rows))
        _place(wanted.folder / "boxes.csv", _csv(_BOX_COLUMNS, boxes))
        _place(wanted.folder / "phantoms.jsonl", ("\n".join(notes) + "\n").encode())
        table = wanted.folder / "films.csv"
        _place(table, _csv(_COLUMNS, rows))
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(
            f"phantom films must go to a folder that can be written; {str(wanted.folder)!r}: {why}"
        ) from error
    return table


_Made = tuple[dict[str, object], list[dict[str, object]], dict[str, object]]


def _made(wanted: Collection, workers: int) -> Iterator[_Made]:
    """Make every film, in order."""
    jobs = [(wanted, *film) for film in wanted.plan()]
    if workers <= 1:
        yield from map(_make, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_make, jobs, chunksize=4)


def _make(job: tuple[Collection, int, int, str]) -> _Made:
    """Make and write one film and its masks."""
    wanted, seed, film, label = job
    phantom = phantom_film(seed, label=label, size=wanted.size, film=film)
    patient = f"PHANTOM{seed:04d}"
    image = f"{patient}-{film}-{label}"
    path = f"films/{image}.{'dcm' if wanted.format == 'dicom' else 'png'}"
    _place(wanted.folder / path, _encode(phantom, wanted.format, patient))
    lungs = phantom.right_lung | phantom.left_lung
    masks = {
        "lungs": lungs,
        "right_lung": phantom.right_lung,
        "left_lung": phantom.left_lung,
        "opacity": phantom.opacity,
    }
    for name, mask in masks.items():
        _place(wanted.folder / f"masks/{image}_{name}.png", _png(mask.astype(np.uint8) * np.uint8(255)))
    row: dict[str, object] = {
        "path": path,
        "label": label,
        "patient_id": patient,
        "image_id": image,
        "source": "phantom",
        "sex": phantom.sex,
        "age": phantom.age_years,
        "view": phantom.view,
        "film_order": film,
        "lung_mask": f"masks/{image}_lungs.png",
        "opacity_mask": f"masks/{image}_opacity.png",
        "where": phantom.where,
    }
    boxes = [{"image_id": image, "finding": label, "x": x, "y": y, "w": w, "h": h} for x, y, w, h in phantom.boxes]
    note = {"image_id": image, "seed": seed, "film": film, "label": label, **phantom.parameters}
    return row, boxes, note


def _encode(phantom: Phantom, format_: str, patient: str) -> bytes:
    if format_ == "png":
        return _png(np.rint(phantom.pixels * np.float32(65535)).astype(np.uint16))
    stream = io.BytesIO()
    phantom_dicom(phantom, patient=patient).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _png(picture: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def _csv(columns: tuple[str, ...], rows: list[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _place(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
