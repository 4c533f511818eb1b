"""What a DICOM file holds, for the search: its text element by element, its pixels, overlays and icons as pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, Final

import cv2
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from carina.deidentify.document import Document
from carina.errors import FilmRejectedError
from carina.imaging.dicom import open_dicom
from carina.imaging.quiet import quiet
from carina.settings import Limits
from carina.types import Bytes

__all__ = ["dicom_documents"]

_DEEPEST: Final = 32
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_BYTES: Final = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})
_PIXELS: Final = 0x7FE0
_OVERLAY, _OVERLAY_DATA = 0x6000, 0x3000
_LIMITS: Final = Limits()


def dicom_documents(
    where: str, data: bytes, depth: int, unwrap: Callable[[str, bytes, int], Iterator[Document]]
) -> Iterator[Document]:
    """Unwrap a DICOM file.

    Parameters
    ----------
    where : str
    data : bytes
    depth : int
    unwrap : callable
        What unwraps the bytes of an element; it gets name, bytes and depth.

    Yields
    ------
    Document
        Text of all elements as one, elements of bytes by themselves, pixels as pictures.
    """
    with quiet():
        try:
            ds = dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
            deflated = str(getattr(ds.file_meta, "TransferSyntaxUID", "")) == _DEFLATED
            lines, parts = [*_lines(ds.file_meta, 0), *_lines(ds, 0)], list(_parts(ds, 0))
        except Exception:  # noqa: BLE001 - a malformed file raises many kinds of error in pydicom; it is reported
            yield Document(where, "problem", b"begins like DICOM and its header cannot be read")
            return
    yield Document(f"{where} > header", "text", "\n".join(lines).encode("utf-8", "replace"))
    for name, value in parts:
        yield from unwrap(f"{where} > {name}", value, depth + 1)
    for name, picture in _pictures(ds):
        yield Document(f"{where} > {name}", "picture", picture)
    if deflated:
        try:
            yield Document(f"{where} > inflated", "bytes", open_dicom(data, _LIMITS).data)
        except FilmRejectedError:
            yield Document(where, "problem", b"is deflated DICOM and cannot be inflated")
    yield Document(where, "picture", data)


def _lines(ds: Dataset, depth: int) -> Iterator[str]:
    """Text of every element, private and nested ones too, as ``Keyword: value``."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value if depth < _DEEPEST else []:
                yield from _lines(item, depth + 1)
        elif element.VR not in _BYTES:
            yield f"{element.keyword or element.tag}: {_plain(element.value)}".replace("\n", " ")


def _plain(value: Any) -> str:
    return "\\".join(str(one) for one in value) if isinstance(value, MultiValue | list) else str(value)


def _parts(ds: Dataset, depth: int) -> Iterator[tuple[str, bytes]]:
    """Elements of bytes, without the pixels."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value if depth < _DEEPEST else []:
                yield from _parts(item, depth + 1)
        elif (
            element.VR in _BYTES and element.tag.group != _PIXELS and isinstance(element.value, bytes) and element.value
        ):
            yield element.keyword or str(element.tag), element.value


def _pictures(ds: Dataset) -> Iterator[tuple[str, bytes]]:
    """Overlays and icons as PNG, for writing can stand in them too."""
    for group in range(_OVERLAY, _OVERLAY + 0x20, 2):
        plane = ds.get((group, _OVERLAY_DATA))
        rows, columns = ds.get((group, 0x0010)), ds.get((group, 0x0011))
        if plane is not None and rows is not None and columns is not None:
            bits = np.unpackbits(np.frombuffer(plane.value, np.uint8), bitorder="little")
            size = int(rows.value) * int(columns.value)
            if 0 < size <= bits.size:
                yield f"overlay {group:04X}", _png(bits[:size].reshape(int(rows.value), -1) * np.uint8(255))
    for icon in ds.get("IconImageSequence", None) or []:
        rows, columns, pixels = icon.get("Rows"), icon.get("Columns"), icon.get("PixelData")
        if rows and columns and pixels and len(pixels) >= rows * columns:
            yield "icon", _png(np.frombuffer(pixels, np.uint8, rows * columns).reshape(rows, columns))


def _png(picture: Bytes) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].tobytes())
