"""Walk a DICOM file's elements without reading their values (PS3.5 section 7, PS3.10 section 7).

pydicom reads a file that ends too early without complaint and descends into nested sequences by recursion. This walk
does neither: a loop over element heads finds where the pixel data lie, and refuses what does not fit together.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR

from carina.imaging.rejections import rejection

__all__ = ["Encoding", "Layout", "fragments_of", "guess_encoding", "has_meta", "read_meta", "walk"]

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010
_OTHER_PIXELS = (0x7FE00008, 0x7FE00009)
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_TRANSFER_SYNTAX = 0x00020010
_META_LIMIT = 1000
_FIRST_GROUPS = 0x0020
_DELIMITERS = 0xFFFE
_ELEMENT_LIMIT = 200_000
"""Element heads in a header; a chest film has a few hundred. More would cost minutes to walk (denial of service)."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written: with or without VRs, and in which byte order."""

    implicit: bool
    little: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, in bytes from the start of the data walked.

    Attributes
    ----------
    header_end : int
        Offset of the pixel data element's tag, or the end of the data set when it has none.
    pixels_start : int or None
        Offset of the pixel data's value; None without pixel data.
    pixels_length : int or None
        Length of the value in bytes; None for encapsulated pixel data, whose length is undefined.
    """

    header_end: int
    pixels_start: int | None
    pixels_length: int | None


@dataclass(frozen=True, slots=True)
class _Head:
    tag: int
    vr: bytes | None
    length: int
    start: int


@dataclass(frozen=True, slots=True)
class _Level:
    is_sequence: bool
    end: int
    open_ended: bool
    implicit: bool


def has_meta(data: bytes) -> int | None:
    """Offset of the file meta information, or None when there is none (PS3.10 section 7.1).

    Examples
    --------
    >>> has_meta(bytes(128) + b"DICM" + bytes(8))
    132
    """
    if data[128:132] == b"DICM":
        return 132
    return 0 if data[:2] == b"\x02\x00" and data[4:6].isupper() else None


def read_meta(data: bytes, start: int) -> tuple[str | None, int]:
    """Transfer syntax UID and the offset of the data set.

    Parameters
    ----------
    data : bytes
    start : int
        Offset of the file meta information, explicit VR little endian.

    Returns
    -------
    tuple of (str or None, int)

    Raises
    ------
    FilmRejectedError
        ``truncated`` or ``damaged``.
    """
    syntax, position = None, start
    encoding = Encoding(implicit=False, little=True)
    for _ in range(_META_LIMIT):
        if data[position : position + 2] != b"\x02\x00":
            return syntax, position
        head = _head(data, position, encoding)
        position = head.start + head.length
        if head.length == _UNDEFINED or position > len(data):
            raise rejection("truncated", "ends inside its file meta information; copy it again")
        if head.tag == _TRANSFER_SYNTAX:
            syntax = data[head.start : position].rstrip(b"\0 ").decode("ascii", "replace")
    raise rejection("damaged", f"has more than {_META_LIMIT} file meta elements; export it again")


def guess_encoding(data: bytes, start: int) -> Encoding | None:
    r"""Tell from the first element how a data set is written, whatever its transfer syntax claims.

    Returns
    -------
    Encoding or None
        None when the bytes do not begin a data set of group 0008 (or an even lower group).

    Examples
    --------
    >>> guess_encoding(b"\x08\x00\x05\x00CS\x0a\x00", 0)
    Encoding(implicit=False, little=True)
    """
    head = data[start : start + 8]
    if len(head) < 8:  # noqa: PLR2004 - an element head has 8 bytes (PS3.5 section 7.1)
        return None
    groups = {"<": struct.unpack_from("<H", head)[0], ">": struct.unpack_from(">H", head)[0]}
    little = groups["<"] <= groups[">"]
    if not 0 < min(groups.values()) <= _FIRST_GROUPS:
        return None
    implicit = not (head[4:6].isalpha() and head[4:6].isupper())
    return Encoding(implicit=implicit, little=little)


def walk(data: bytes, start: int, encoding: Encoding, depth_limit: int) -> Layout:
    """Walk a data set up to its pixel data.

    Parameters
    ----------
    data : bytes
    start : int
        Offset of the first element.
    encoding : Encoding
    depth_limit : int
        Deepest nesting of sequences that is accepted.

    Returns
    -------
    Layout

    Raises
    ------
    FilmRejectedError
        ``truncated``, ``damaged``, ``nested_too_deep`` or ``too_complex``.
    """
    levels = [_Level(is_sequence=False, end=len(data), open_ended=False, implicit=encoding.implicit)]
    position = start
    for _ in range(_ELEMENT_LIMIT):
        while position >= levels[-1].end and not levels[-1].open_ended:
            if len(levels) == 1:
                return Layout(position, None, None)
            levels.pop()
        level = levels[-1]
        head = _head(data, position, Encoding(level.implicit, encoding.little), level.end)
        if level.is_sequence or head.tag in (_ITEM_END, _SEQUENCE_END):
            position = _step_item(levels, head)
            continue
        if len(levels) == 1 and head.tag == _PIXEL_DATA:
            return _pixels_at(data, position, head)
        if len(levels) == 1 and head.tag in _OTHER_PIXELS:
            raise rejection("unsupported_pixels", "has floating-point pixels, which no radiograph uses")
        position = _step_element(data, levels, head, encoding.little, depth_limit)
    raise rejection("too_complex", f"has more than {_ELEMENT_LIMIT} header elements; export the film alone")


def _head(data: bytes, position: int, encoding: Encoding, end: int | None = None) -> _Head:
    """Read tag, VR and length; delimiters and items have no VR in any encoding (PS3.5 section 7.5)."""
    end = len(data) if end is None else end
    if position + 8 > end:
        raise rejection("truncated", "ends inside its header; copy it again from its source")
    order = "<" if encoding.little else ">"
    group, element, length = struct.unpack_from(f"{order}HHI", data, position)
    tag = group << 16 | element
    vr = data[position + 4 : position + 6]
    # some writers fall back to implicit elements inside sequences of explicit files
    if encoding.implicit or group == _DELIMITERS or not (vr.isalpha() and vr.isupper()):
        return _Head(tag, None, length, position + 8)
    if vr not in _LONG:
        return _Head(tag, vr, struct.unpack_from(f"{order}H", data, position + 6)[0], position + 8)
    if position + 12 > end:
        raise rejection("truncated", "ends inside its header; copy it again from its source")
    return _Head(tag, vr, struct.unpack_from(f"{order}I", data, position + 8)[0], position + 12)


def _step_item(levels: list[_Level], head: _Head) -> int:
    """Enter an item, or leave an item or a sequence; returns where to go on."""
    level = levels[-1]
    if head.tag == _ITEM and level.is_sequence:
        levels.append(_inside(level, head, is_sequence=False, implicit=level.implicit))
        return head.start
    closes = _SEQUENCE_END if level.is_sequence else _ITEM_END
    if head.tag == closes and len(levels) > 1:
        levels.pop()
        return head.start + (0 if head.length == _UNDEFINED else head.length)
    raise rejection("damaged", "has a sequence that is not made of items; export it again")


def _step_element(data: bytes, levels: list[_Level], head: _Head, little: bool, depth_limit: int) -> int:  # noqa: FBT001 - private, byte order
    """Skip an element's value, or enter it if it is a sequence; returns where to go on."""
    level = levels[-1]
    if _is_sequence(data, head, little=little):
        depth = 1 + sum(each.is_sequence for each in levels)
        if depth > depth_limit:
            raise rejection(
                "nested_too_deep", f"nests sequences deeper than {depth_limit}; raise the limit sequence_depth"
            )
        implicit = level.implicit or head.vr in (None, b"UN")
        levels.append(_inside(level, head, is_sequence=True, implicit=implicit))
        return head.start
    if head.length == _UNDEFINED:
        return fragments_of(data, head.start, little=little, limit=0)[1]
    if head.start + head.length > level.end:
        if len(levels) > 1 and not level.open_ended:
            raise rejection("damaged", "has an element that is longer than the item it stands in; export it again")
        raise rejection("truncated", "ends inside its header; copy it again from its source")
    return head.start + head.length


def _inside(level: _Level, head: _Head, *, is_sequence: bool, implicit: bool) -> _Level:
    open_ended = head.length == _UNDEFINED
    end = level.end if open_ended else head.start + head.length
    if end > level.end:
        raise rejection("truncated", "ends inside a sequence of its header; copy it again from its source")
    return _Level(is_sequence, end, open_ended, implicit)


def _is_sequence(data: bytes, head: _Head, *, little: bool) -> bool:
    if head.vr is not None and head.vr != b"UN":
        return head.vr == b"SQ"
    if head.length == _UNDEFINED and head.tag != _PIXEL_DATA:
        return True  # PS3.5 section 6.2.2: UN of undefined length is an implicit sequence
    if head.vr == b"UN":
        return False
    try:
        return dictionary_VR(head.tag) == "SQ"
    except KeyError:
        item = b"\xfe\xff\x00\xe0" if little else b"\xff\xfe\xe0\x00"
        return head.length >= 8 and data[head.start : head.start + 4] == item  # noqa: PLR2004 - an item head


def _pixels_at(data: bytes, position: int, head: _Head) -> Layout:
    if head.length == _UNDEFINED:
        return Layout(position, head.start, None)
    if head.start + head.length > len(data):
        raise rejection("truncated", "ends inside its pixel data; copy it again from its source")
    return Layout(position, head.start, head.length)


def fragments_of(data: bytes, start: int, *, little: bool = True, limit: int = 100_000) -> tuple[list[bytes], int]:
    """Fragments of encapsulated pixel data, without the basic offset table (PS3.5 section A.4).

    Parameters
    ----------
    data : bytes
    start : int
        Offset of the first item.
    little : bool
        Byte order of the item heads.
    limit : int
        Fragments kept; 0 walks past all and keeps none.

    Returns
    -------
    tuple of (list of bytes, int)
        The fragments, and the offset behind the sequence delimiter.

    Raises
    ------
    FilmRejectedError
        ``truncated`` when an item or the delimiter is missing, ``damaged`` when something else stands in between.
    """
    kept: list[bytes] = []
    position, first = start, True
    while True:
        head = _head(data, position, Encoding(implicit=True, little=little))
        if head.tag == _SEQUENCE_END:
            return kept, head.start
        if head.tag != _ITEM or head.length == _UNDEFINED:
            raise rejection("damaged", "has compressed pixel data that are not made of fragments; export it again")
        position = head.start + head.length
        if position > len(data):
            raise rejection("truncated", "ends inside its pixel data; copy it again from its source")
        if not first and len(kept) < limit:
            kept.append(data[head.start : position])
        first = False
