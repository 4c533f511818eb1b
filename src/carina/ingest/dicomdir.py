"""Files that a DICOMDIR names (PS3.3 Annex F, PS3.10 section 8): read for its references alone.

The attack kept out is a reference that climbs out of the folder, by ``..``, by an absolute path or by a symbolic link.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from carina.errors import FilmRejectedError
from carina.imaging.quiet import quiet
from carina.imaging.rejections import rejection
from carina.settings import Limits

__all__ = ["Reference", "references"]

_MOST_PARTS: Final = 8
"""Components of a File ID (PS3.10 section 8.2)."""
_IMAGES: Final = "IMAGE"


@dataclass(frozen=True, slots=True)
class Reference:
    """One image that a DICOMDIR names.

    Attributes
    ----------
    file : Path or None
        The file; None where it is missing or may not be followed.
    code, message : str
        Why not.
    """

    file: Path | None
    code: str = ""
    message: str = ""


def references(path: Path, limits: Limits) -> list[Reference]:
    """Return the images that a DICOMDIR names, in its order.

    Parameters
    ----------
    path : Path
        The DICOMDIR.
    limits : Limits

    Returns
    -------
    list of Reference

    Raises
    ------
    FilmRejectedError
        If it is too large or no DICOMDIR.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError as error:
        raise rejection("unreadable", "cannot be read: the system reports an error", "the DICOMDIR") from error
    if len(data) > limits.file_bytes:
        raise rejection("file_too_large", f"has more than {limits.file_bytes} bytes", "the DICOMDIR")
    try:
        with quiet():
            records: Sequence[Dataset] = dcmread(io.BytesIO(data)).DirectoryRecordSequence
            names = [_file_id(record) for record in records if record.get("DirectoryRecordType") == _IMAGES]
    except Exception as error:
        raise FilmRejectedError(
            "damaged", "the DICOMDIR cannot be read; name the folder of its films instead"
        ) from error
    top = path.parent.resolve()
    listings: dict[Path, dict[str, str]] = {}
    return [_followed(top, parts, listings) for parts in names]


def _file_id(record: Dataset) -> list[str]:
    value: Any = record.get("ReferencedFileID")
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]


def _followed(top: Path, parts: list[str], listings: dict[Path, dict[str, str]]) -> Reference:
    if not parts or any(part in {"", ".", ".."} or "/" in part or "\\" in part or "\0" in part for part in parts):
        return _outside()
    if len(parts) > _MOST_PARTS:
        return Reference(None, "missing", f"the DICOMDIR names a file {len(parts)} folders deep; at most 8 are allowed")
    place = top
    for part in parts:
        place = place / _as_on_disk(place, part, listings)
    try:
        place = place.resolve(strict=True)
    except (OSError, RuntimeError):
        return Reference(None, "missing", "the DICOMDIR names a file that is not there; copy the whole medium again")
    return Reference(place) if place.is_relative_to(top) else _outside()


def _outside() -> Reference:
    return Reference(None, "outside_folder", "the DICOMDIR names a file outside its own folder; it was not followed")


def _as_on_disk(folder: Path, part: str, listings: dict[Path, dict[str, str]]) -> str:
    """Find a component whatever its case: file systems of optical media lose it."""
    if folder not in listings:
        try:
            listings[folder] = {each.name.upper(): each.name for each in folder.iterdir()}
        except OSError:
            listings[folder] = {}
    return listings[folder].get(part.upper(), part)
