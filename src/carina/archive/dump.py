"""Rows of a study's database as plain lines, and back: one snapshot out, either database in.

What is written is JSON, a row a line, parts of so many rows compressed apart; so a backup taken from SQLite can be
brought back on PostgreSQL, and no program of the right version has to be at hand years later.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import JSON, Column, Connection, Engine, LargeBinary, MetaData, Table, insert, select, text
from sqlalchemy.types import Date, DateTime

from carina.archive.database import reading, writing
from carina.errors import ArchiveError

__all__ = ["PLACES", "SKIPPED", "Part", "dump_table", "load_tables", "snapshot", "table_names"]

SKIPPED: Final = frozenset({"alembic_version", "sessions", "sign_in_failures"})
"""Not kept: the revision stands in the manifest; a session signed out since must not come back to life."""
PLACES: Final = frozenset({"path", "files"})
"""Columns that say where a file lies in the store. No other is believed: a comment is free to look like a path."""
_PART: Final = 50_000
_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a table.

    Attributes
    ----------
    rows : int
    content : bytes
        Their lines, gzip-compressed.
    paths : list of str
        Files of the store that they name.
    """

    rows: int
    content: bytes
    paths: list[str]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Read as of one moment, whatever others write meanwhile, and keep nobody from writing.

    SQLite's write-ahead log gives it to every reader; PostgreSQL in a transaction that is REPEATABLE READ.
    """
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with reading(engine) as connection:
        yield connection


def table_names(connection: Connection) -> list[str]:
    """Tables to keep, those first that others refer to."""
    return [table.name for table in _tables(connection) if table.name not in SKIPPED]


def dump_table(connection: Connection, name: str) -> Iterator[Part]:
    """Give the rows of a table in its key's order; one part at least, however few they are."""
    table = _table(connection, name)
    places = [column.name for column in table.columns if column.name in PLACES]
    found = connection.execution_options(yield_per=1_000).execute(select(table).order_by(*table.primary_key.columns))
    lines: list[str] = []
    paths: list[str] = []
    first = True
    for row in found.mappings():
        lines.append(json.dumps({key: _out(value) for key, value in row.items()}, ensure_ascii=False))
        paths += [path for place in places for path in _paths(row[place])]
        if len(lines) == _PART:
            yield Part(len(lines), _packed(lines), paths)
            lines, paths, first = [], [], False
    if lines or first:
        yield Part(len(lines), _packed(lines), paths)


def load_tables(engine: Engine, parts: Mapping[str, Callable[[], Iterable[bytes]]]) -> dict[str, int]:
    """Write rows into an empty schema, in one transaction.

    Parameters
    ----------
    engine : Engine
        With the schema that the rows were dumped from.
    parts : mapping of str to callable
        Gives the parts of a table, in their order.

    Returns
    -------
    dict of str to int
        Rows of each table.

    Raises
    ------
    ArchiveError
        If a table is not in the schema.
    """
    counts = {}
    with writing(engine) as connection:
        known = {table.name: table for table in _tables(connection)}
        missing = sorted(set(parts) - set(known))
        if missing:
            raise ArchiveError(f"the schema must have the tables of the backup; it lacks {', '.join(missing)}")
        for table in known.values():
            if table.name in parts:
                counts[table.name] = sum(_load(connection, table, part) for part in parts[table.name]())
                _advance(connection, table)
    return counts


def _load(connection: Connection, table: Table, part: bytes) -> int:
    coders = {column.name: _reader(column) for column in table.columns}
    for column in table.columns:
        if isinstance(column.type, JSON):  # None was no value, not JSON's null
            column.type.none_as_null = True
    rows = [
        {key: None if value is None else coders[key](value) for key, value in json.loads(line).items()}
        for line in gzip.decompress(part).splitlines()
    ]
    for first in range(0, len(rows), 1_000):
        connection.execute(insert(table), rows[first : first + 1_000])
    return len(rows)


def _advance(connection: Connection, table: Table) -> None:
    """Let PostgreSQL go on counting after the rows that came with their numbers; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        place = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": f'"{table.name}"', "column": column.name}
        ).scalar_one()
        if place is not None:
            last = select(column).order_by(column.desc()).limit(1)
            connection.execute(
                text("SELECT setval(:place, :last, :called)"),
                {"place": place, "last": connection.execute(last).scalar() or 1, "called": True},
            )


def _tables(connection: Connection) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return list(metadata.sorted_tables)


def _table(connection: Connection, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=connection)


def _paths(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, str)]
    return [value] if isinstance(value, str) else []


def _packed(lines: list[str]) -> bytes:
    # without a time in its header equal rows give equal bytes, and a table that did not change costs nothing again
    return gzip.compress("\n".join(lines).encode("utf-8"), _LEVEL, mtime=0)


def _out(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value.isoformat() if isinstance(value, date) else value


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, LargeBinary):
        return base64.b64decode
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat
    return date.fromisoformat if isinstance(column.type, Date) else _same


def _same(value: Any) -> Any:
    return value
