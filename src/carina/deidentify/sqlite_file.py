"""An SQLite file's live cells: in rows, and as they lie beside each other in its bytes."""

from __future__ import annotations

import sqlite3
import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import accumulate, islice
from typing import Any, Final

__all__ = ["MAGIC", "finds_between_cells", "opened_sqlite", "tables"]

MAGIC: Final = b"SQLite format 3\0"
_ROWS: Final = 20_000
_SIZES: Final = (1, 2, 3, 4, 6, 8)
_LEAST_AROUND: Final = 8
_EXACT_BITS: Final = 47
"""Whole floats up to this many bits are stored as integers."""


@contextmanager
def opened_sqlite(data: bytes) -> Iterator[sqlite3.Connection]:
    """Open the bytes of an SQLite file in memory; texts come as bytes.

    Parameters
    ----------
    data : bytes

    Raises
    ------
    sqlite3.Error
        If they are no such file, or a broken one, when it is read.
    """
    # bytes 18 and 19 say whether a write-ahead log belongs to the file; a copy in memory can have none
    plain = data[:18] + b"\x01\x01" + data[20:]
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(plain)
        database.text_factory = bytes
        yield database


def tables(database: sqlite3.Connection) -> Iterator[tuple[str, sqlite3.Cursor]]:
    """Give the name of each table, as it can be quoted, with a cursor over its rows."""
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        quoted = _quoted(name)
        yield quoted, database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - a name out of the file's own list, quoted


def finds_between_cells(
    data: bytes, find: Callable[[list[str]], Iterable[tuple[bytes, list[tuple[int, str]]]]]
) -> dict[str, set[tuple[bytes, bytes]]]:
    """Give the finds that two or more live cells beside each other make up, and none of them holds.

    In a record the cells' lengths stand ahead of them all, so that the end of one and the start of the next can read
    like a word that neither holds (SQLite file format 2.1, "Record Format"). Indices on expressions are left out, and
    so are finds with fewer than eight bytes of their cells around them: those could not be told from the same letters
    elsewhere in the file.

    Parameters
    ----------
    data : bytes
        Of an SQLite file.
    find : callable
        For texts, bytes read as Latin-1 without their zeros, gives each as UTF-8 with offsets and what was found.

    Returns
    -------
    dict of str to set of (bytes, bytes)
        What was found, with what stands before and after it in the cells that it touches, as UTF-8. Empty if the file
        is broken.
    """
    between: dict[str, set[tuple[bytes, bytes]]] = defaultdict(set)
    try:
        with opened_sqlite(data) as database:
            rows = _records(database)
            while part := list(islice(rows, _ROWS)):
                bodies = [b"".join(cells).decode("latin-1") for cells in part]
                for cells, (body, found) in zip(part, find(bodies), strict=True):
                    for offset, match in found:
                        around = _around(cells, len(body[:offset].decode("utf-8")), len(match))
                        if around is not None:
                            between[match].add(around)
    except sqlite3.Error:
        return {}
    return between


def _around(cells: list[bytes], start: int, length: int) -> tuple[bytes, bytes] | None:
    """Give what stands before and after a find in the cells that it touches; None if it lies in one, or fills them."""
    ends = list(accumulate(map(len, cells)))
    first, last = bisect_right(ends, start), bisect_left(ends, start + length)
    if first == last:
        return None
    begin = ends[first] - len(cells[first])
    whole = b"".join(cells[first : last + 1]).decode("latin-1")
    if len(whole) - length < _LEAST_AROUND:
        return None
    return whole[: start - begin].encode("utf-8"), whole[start - begin + length :].encode("utf-8")


def _records(database: sqlite3.Connection) -> Iterator[list[bytes]]:
    """Cells of tables and indices in the order in which the file holds them, their zero bytes left out."""
    for name, rows in tables(database):
        for row in rows:
            yield [_stored(value) for value in row]
        indices = database.execute(f'PRAGMA index_list("{name}")').fetchall()
        for index in indices:
            found = database.execute(f'PRAGMA index_xinfo("{_quoted(index[1])}")').fetchall()
            columns = [b"rowid" if column[2] is None and column[1] == -1 else column[2] for column in found]
            if not columns or None in columns:
                continue
            wanted = ", ".join(f'"{_quoted(column)}"' for column in columns)
            for row in database.execute(f'SELECT {wanted} FROM "{name}"'):  # noqa: S608 - names of its own lists, quoted
                yield [_stored(value) for value in row]


def _quoted(name: bytes) -> str:
    return name.decode("utf-8", "replace").replace('"', '""')


def _stored(value: Any) -> bytes:
    """Bytes of a value in a record's body but for zeros; whole numbers take as few as they fit in."""
    if isinstance(value, bytes):
        return value.translate(None, b"\0")
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= 2**_EXACT_BITS:
            return struct.pack(">d", value).translate(None, b"\0")
        value = int(value)
    if value is None or value in (0, 1):
        return b""
    size = next(size for size in _SIZES if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1)
    return int(value).to_bytes(size, "big", signed=True).translate(None, b"\0")
