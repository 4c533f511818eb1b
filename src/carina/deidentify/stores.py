"""Every stored byte as something that can be searched: text, bytes or a picture, out of whatever it is wrapped in."""

from __future__ import annotations

import base64
import bz2
import csv
import gzip
import io
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePath
from typing import Any, Final

from carina.deidentify.document import Document
from carina.deidentify.sqlite_file import MAGIC, opened_sqlite, tables

__all__ = ["documents", "is_text"]

_DEEPEST: Final = 8
_MOST_BYTES: Final = 2 * 1024**3
_ROWS: Final = 2000
_PNG, _JPEG, _TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JP2: Final = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_TAR_MAGIC: Final = slice(257, 262)
_BASE64: Final = re.compile(
    rb"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{76}\r?\n|[A-Za-z0-9+/]{4}){12,}[A-Za-z0-9+/]{0,3}={0,2}"
)
_PDF_STREAM: Final = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_COMPRESSED_CHUNKS: Final = (b"zTXt", b"iTXt", b"iCCP")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SEVEN_BITS: Final = 0x80


def is_text(data: bytes) -> bool:
    """Whether bytes are text: UTF-8 without control characters but tabs and ends of lines."""
    if _CONTROL.search(data, 0, 65536) or _CONTROL.search(data):
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def documents(where: str, data: bytes, depth: int = 0) -> Iterator[Document]:
    """Unwrap bytes: themselves first, then whatever they hold.

    Parameters
    ----------
    where : str
        What to call them.
    data : bytes
    depth : int
        How often they were unwrapped already.

    Yields
    ------
    Document
    """
    if depth > _DEEPEST:
        yield Document(where, "problem", f"is wrapped more than {_DEEPEST} times".encode())
        return
    text = is_text(data)
    yield Document(where, "text" if text else "bytes", data)
    try:
        if text:
            yield from _in_text(where, data, depth)
        else:
            yield from _inside(where, data, depth)
    except _TooLargeError:
        yield Document(where, "problem", f"unpacks to more than {_MOST_BYTES} bytes".encode())


class _TooLargeError(Exception):
    """More comes out than is worth searching: a decompression bomb."""


def _inside(where: str, data: bytes, depth: int) -> Iterator[Document]:
    if data[128:132] == b"DICM" or (data[:2] == b"\x08\0" and data[4:6].isupper()):
        from carina.deidentify.dicom_store import dicom_documents  # noqa: PLC0415 - pydicom starts slowly

        yield from dicom_documents(where, data, depth, documents)
    elif data.startswith((_PNG, _JPEG, *_TIFF, *_JP2)):
        yield Document(where, "picture", data)
        if data.startswith(_PNG):
            yield from _png_text(where, data)
    elif data.startswith(MAGIC):
        yield from _sqlite(where, data, depth)
    elif data.startswith((b"PAR1", b"ARROW1")):
        yield from _columns(where, data)
    elif data.startswith(b"PK\x03\x04"):
        yield from _zip(where, data, depth)
    elif data.startswith(b"%PDF"):
        yield from _pdf(where, data, depth)
    else:
        yield from _stream(where, data, depth)


def _stream(where: str, data: bytes, depth: int) -> Iterator[Document]:
    """Unwrap a single compressed stream or a tar archive."""
    if data[_TAR_MAGIC] == b"ustar":
        yield from _tar(where, data, depth)
        return
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        plain = data.decode("utf-16", "replace").encode("utf-8", "replace")
        yield Document(f"{where} (UTF-16)", "text", plain)
        return
    readers: dict[tuple[bytes, ...], Any] = {
        (b"\x1f\x8b",): gzip.open,
        (b"BZh",): bz2.open,
        (b"\xfd7zXZ\0", b"\x5d\0\0"): lzma.open,
    }
    for magic, reader in readers.items():
        if data.startswith(magic):
            with closing(reader(io.BytesIO(data))) as file:
                unpacked = _limited(file, where)
            yield from unpacked if isinstance(unpacked, list) else documents(f"{where} > unpacked", unpacked, depth + 1)
            return
    if data.startswith(_ZLIB):
        inflated = _inflated(data, zlib.MAX_WBITS)
        if inflated:
            yield from documents(f"{where} > inflated", inflated, depth + 1)


def _limited(file: Any, where: str) -> bytes | list[Document]:
    try:
        data: bytes = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return [Document(where, "problem", b"is compressed and cannot be unpacked to its end")]
    if len(data) > _MOST_BYTES:
        raise _TooLargeError
    return data


def _inflated(data: bytes, window: int) -> bytes:
    """Inflate what can be inflated; a stream that breaks gives what came before."""
    stream = zlib.decompressobj(window)
    try:
        out = stream.decompress(data, _MOST_BYTES + 1)
    except zlib.error:
        return b""
    if len(out) > _MOST_BYTES:
        raise _TooLargeError
    return out


def _zip(where: str, data: bytes, depth: int) -> Iterator[Document]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        yield Document(where, "problem", b"begins like a zip and cannot be opened")
        return
    with archive:
        yield Document(f"{where} (comment)", "bytes", archive.comment)
        for entry in archive.infolist():
            inner = f"{where} > {entry.filename}"
            yield Document(f"{inner} (name)", "text", entry.filename.encode("utf-8", "replace"))
            if entry.is_dir():
                continue
            try:
                with archive.open(entry) as file:
                    unpacked = _limited(file, inner)
            except (RuntimeError, zipfile.BadZipFile, NotImplementedError):
                unpacked = [Document(inner, "problem", b"is encrypted or damaged inside its zip")]
            yield from unpacked if isinstance(unpacked, list) else documents(inner, unpacked, depth + 1)


def _tar(where: str, data: bytes, depth: int) -> Iterator[Document]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                yield Document(f"{where} > {entry.name} (name)", "text", entry.name.encode("utf-8", "replace"))
                file = archive.extractfile(entry) if entry.isfile() else None
                if file is not None:
                    yield from documents(f"{where} > {entry.name}", file.read(_MOST_BYTES), depth + 1)
    except tarfile.TarError:
        yield Document(where, "problem", b"begins like a tar archive and cannot be read to its end")


def _sqlite(where: str, data: bytes, depth: int) -> Iterator[Document]:
    """Rows of every table; what deleted rows left behind is searched as bytes."""
    try:
        with opened_sqlite(data) as database:
            for name, cursor in tables(database):
                columns = [column[0] for column in cursor.description]
                yield from _rows(f"{where} > {name}", columns, cursor, depth)
    except sqlite3.Error:
        yield Document(where, "problem", b"begins like an SQLite database and cannot be read to its end")


def _rows(where: str, columns: list[str], rows: Any, depth: int) -> Iterator[Document]:
    """Rows as lines ``column: value; ...``, so that what belongs together stands together; blobs by themselves."""
    lines: list[bytes] = []
    for number, row in enumerate(rows, start=1):
        cells: list[bytes] = []
        for column, value in zip(columns, row, strict=False):
            if value is None:
                continue
            plain = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
            if isinstance(value, bytes) and not is_text(plain):
                yield from documents(f"{where}[{number}].{column}", plain, depth + 1)
            else:
                cells.append(column.encode() + b": " + plain.replace(b"\n", b" "))
        lines.append(b"; ".join(cells))
        if len(lines) >= _ROWS:
            yield Document(f"{where}[to {number}]", "text", b"\n".join(lines))
            lines = []
    if lines:
        yield Document(where, "text", b"\n".join(lines))


def _columns(where: str, data: bytes) -> Iterator[Document]:
    import polars as pl  # noqa: PLC0415 - only tables need it

    try:
        read = pl.read_parquet if data.startswith(b"PAR1") else pl.read_ipc
        frame = read(io.BytesIO(data))
        for part in frame.iter_slices(_ROWS):
            yield from _rows(where, part.columns, part.iter_rows(), _DEEPEST)
    except (pl.exceptions.PolarsError, OSError, ValueError):
        yield Document(where, "problem", b"begins like a Parquet or Arrow table and cannot be read to its end")


def _png_text(where: str, data: bytes) -> Iterator[Document]:
    """Compressed text chunks of a PNG; plain ones are found in the file's bytes."""
    position = len(_PNG)
    while position + 12 <= len(data):
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        position += 12 + length
        if name not in _COMPRESSED_CHUNKS:
            continue
        starts = [match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", body)]
        for start in starts:
            inflated = _inflated(body[start:], zlib.MAX_WBITS)
            if inflated:
                yield Document(f"{where} > {name.decode('ascii')}", "text" if is_text(inflated) else "bytes", inflated)
                break


def _pdf(where: str, data: bytes, depth: int) -> Iterator[Document]:
    for number, match in enumerate(_PDF_STREAM.finditer(data), start=1):
        inflated = _inflated(match[1], zlib.MAX_WBITS)
        if inflated:
            yield from documents(f"{where} > stream {number}", inflated, depth + 1)


def _in_text(where: str, data: bytes, depth: int) -> Iterator[Document]:
    """Unwrap what text can hold: base64, and a table whose birth dates stand far from their heading."""
    for number, match in enumerate(_BASE64.finditer(data), start=1):
        plain = match[0].translate(None, b"\r\n=")
        plain = plain[: len(plain) // 4 * 4] if len(plain) % 4 == 1 else plain + b"=" * (-len(plain) % 4)
        decoded = base64.b64decode(plain)
        yield from documents(f"{where} > base64 {number}", decoded, depth + 1)
    heading = data[: data.find(b"\n") if b"\n" in data else 0].lower()
    if b"birth" in heading or b"dob" in heading:
        delimiter = next((mark for mark in ("\t", ";", ",") if mark.encode() in heading), None)
        if delimiter is not None and PurePath(where).suffix.lower() not in (".json", ".jsonl"):
            table = csv.reader(io.StringIO(data.decode("utf-8")), delimiter=delimiter)
            columns = next(table, [])
            yield from _rows(f"{where} (table)", columns, table, _DEEPEST)
