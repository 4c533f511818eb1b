"""What a compressed picture says of itself, read before any decoder sees it.

JPEG (ITU-T T.81 annex B), JPEG-LS (ITU-T T.87 annex C) and JPEG 2000 (ITU-T T.800 annex A) all begin with a frame
header that holds the size, and end with a marker that a truncated file lacks.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from carina.imaging.rejections import rejection

__all__ = ["Codestream", "read_jpeg", "read_jpeg2000"]

_FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
_MARK, _JPEG_LS, _SCAN, _END, _ADOBE, _JFIF = 0xFF, 0xF7, 0xDA, 0xD9, 0xEE, 0xE0
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# after 0xFF: JPEG stuffs a zero byte and allows restart markers; JPEG-LS stuffs a zero bit
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NEXT_MARKER_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_RGB_COMPONENTS = b"RGB"


@dataclass(frozen=True, slots=True)
class Codestream:
    """A compressed picture's own header.

    Attributes
    ----------
    rows, columns, components : int
    precision : int
        Bits of a sample.
    colour : str or None
        ``"rgb"`` or ``"ybr"`` where the codestream tells, else None.
    """

    rows: int
    columns: int
    components: int
    precision: int
    colour: str | None = None


def read_jpeg(data: bytes) -> Codestream:
    """Read the frame header of a JPEG or JPEG-LS picture, and prove that its end is there.

    Raises
    ------
    FilmRejectedError
        ``truncated`` without the end-of-image marker, ``damaged`` without a frame header.
    """
    if data[:2] != b"\xff\xd8":
        raise rejection("damaged", "has compressed pixel data that do not begin like JPEG; export it again")
    frame: tuple[int, bytes] | None = None
    colour: str | None = None
    for marker, segment in _segments(data):
        if marker in _FRAME_HEADERS and frame is None:
            frame = (marker, segment)
        elif marker == _ADOBE and segment[:5] == b"Adobe" and len(segment) >= 12:  # noqa: PLR2004 - T.872 6.5.3
            colour = "rgb" if segment[11] == 0 else "ybr"
        elif marker == _JFIF and segment[:4] == b"JFIF" and colour is None:
            colour = "ybr"
    if frame is None:
        raise rejection("damaged", "has a JPEG picture without a frame header; export it again")
    return _frame(frame[1], colour)


def _frame(segment: bytes, colour: str | None) -> Codestream:
    if len(segment) < 6:  # noqa: PLR2004 - T.81 B.2.2: P, Y, X and Nf
        raise rejection("damaged", "has a JPEG picture with an incomplete frame header; export it again")
    precision, rows, columns, components = struct.unpack_from(">BHHB", segment)
    if bytes(segment[6::3][:3]) == _RGB_COMPONENTS:
        colour = "rgb"
    return Codestream(rows, columns, components, precision, colour)


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marker segments up to the end of the image; scans are jumped over."""
    segments: list[tuple[int, bytes]] = []
    position, lossless_stream = 2, False
    while position + 2 <= len(data):
        if data[position] != _MARK:
            raise rejection("damaged", "has a JPEG picture with bytes between its markers; export it again")
        marker = data[position + 1]
        if marker == _MARK:  # a fill byte
            position += 1
            continue
        if marker == _END:
            return segments
        if marker in _STANDALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:  # noqa: PLR2004 - the length counts itself (T.81 B.1.1.4)
            break
        segments.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + length
        lossless_stream = lossless_stream or marker == _JPEG_LS
        if marker == _SCAN:
            match = (_NEXT_MARKER_LS if lossless_stream else _NEXT_MARKER).search(data, position)
            position = len(data) if match is None else match.start()
    raise rejection("truncated", "has a JPEG picture without its end marker; copy it again from its source")


def read_jpeg2000(data: bytes) -> Codestream:
    """Read the SIZ segment of a JPEG 2000 codestream, bare or in a JP2 file, and prove that its end is there.

    Raises
    ------
    FilmRejectedError
        ``truncated`` without the end-of-codestream marker, ``damaged`` without a SIZ segment.
    """
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 43:
        raise rejection("damaged", "has compressed pixel data that do not begin like JPEG 2000; export it again")
    width, height, left, top = struct.unpack_from(">4I", data, start + 8)
    components, precision = struct.unpack_from(">HB", data, start + 40)
    # padding to an even length may follow, of zeros or, by some writers, ones (PS3.5 section A.4)
    if not data[-64:].rstrip(b"\0\xff").endswith(b"\xff\xd9"):
        raise rejection("truncated", "has a JPEG 2000 picture without its end marker; copy it again from its source")
    return Codestream(height - top, width - left, components, (precision & 0x7F) + 1)
