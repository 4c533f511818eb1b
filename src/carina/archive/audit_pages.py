"""The audit log as an administrator reads it: one organisation's entries, filtered, newest first; and its chain.

An entry is an organisation's where it names it, or one of its users. The log is looked through backwards, so many
entries a page at most, so that no question takes long, however large the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from carina.archive.audit import START, AuditEntry, verify_chain
from carina.archive.database import reading
from carina.archive.desk_tables import UserRow
from carina.archive.tables import AuditRow

__all__ = ["AuditChain", "AuditPage", "AuditPages", "AuditQuery", "ReadEntry"]

_AT_ONCE: Final = 5_000
_MOST_LOOKED_AT: Final = 50_000
_MOST_PROBLEMS: Final = 20
_PEOPLE: Final = ("user", "user_id", "by")
_ORGANISATIONS: Final = ("organisation", "organisation_id", "home")
"""How entries name people and organisations."""
_COLUMNS: Final = (
    AuditRow.sequence,
    AuditRow.at,
    AuditRow.event,
    AuditRow.details,
    AuditRow.previous,
    AuditRow.hash,
)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is looked for in the log.

    Attributes
    ----------
    event : str
        Beginning of the event's name; empty for every one.
    text : str
        Anywhere in the details, such as the name of a film's entry; whatever its case.
    user_id : int or None
        Who did it, or to whom it was done.
    before : int or None
        Entries of a lower number alone.
    rows : int
    """

    event: str = ""
    text: str = ""
    user_id: int | None = None
    before: int | None = None
    rows: int = 50


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """One entry, as it is read.

    Attributes
    ----------
    sequence : int
    at : str
        UTC, ISO 8601.
    event : str
    details : dict
    hash : str
    """

    sequence: int
    at: str
    event: str
    details: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of the log, newest first.

    Attributes
    ----------
    entries : tuple of ReadEntry
    following : int or None
        What `AuditQuery.before` of the next page is; None at the beginning of the log.
    """

    entries: tuple[ReadEntry, ...]
    following: int | None


@dataclass(frozen=True, slots=True)
class AuditChain:
    """What a check of the whole chain found.

    Attributes
    ----------
    entries : int
        Of every organisation.
    head : str
        Hash of the last entry; noted elsewhere, it proves later that nothing before it was cut off.
    problems : tuple of str
        The first 20 sentences; empty where the log is whole.
    """

    entries: int
    head: str
    problems: tuple[str, ...]


class AuditPages:
    """Pages of the audit log; get it from `Study.audit_pages`.

    Parameters
    ----------
    engine : Engine
    most : int
        Entries that are looked through for one page.
    """

    def __init__(self, engine: Engine, most: int = _MOST_LOOKED_AT) -> None:
        self._engine = engine
        self._most = most

    def page(self, wanted: AuditQuery, *, organisation_id: int) -> AuditPage:
        """Return a page of an organisation's entries.

        A page may hold fewer entries than asked for, or none, and still be followed by another: then so many entries
        of others were looked through that the rest is left to the next.
        """
        query = select(*_COLUMNS).order_by(AuditRow.sequence.desc())
        if wanted.event:
            query = query.where(AuditRow.event.startswith(wanted.event, autoescape=True))
        if wanted.text:
            query = query.where(func.lower(AuditRow.details).contains(wanted.text.lower(), autoescape=True))
        found: list[ReadEntry] = []
        with reading(self._engine) as connection:
            theirs = _Theirs(connection, organisation_id, wanted.user_id)
            last = connection.execute(select(func.max(AuditRow.sequence))).scalar_one_or_none() or 0
            upper = last + 1 if wanted.before is None else min(wanted.before, last + 1)
            lowest = max(1, upper - self._most)
            while upper > lowest:
                lower = max(lowest, upper - _AT_ONCE)
                rows = connection.execute(query.where(AuditRow.sequence >= lower, AuditRow.sequence < upper))
                for row in rows:
                    entry = _read(AuditEntry(*row))
                    if theirs.hold(entry):
                        found.append(entry)
                        if len(found) > wanted.rows:
                            return AuditPage(tuple(found[:-1]), found[-2].sequence)
                upper = lower
        return AuditPage(tuple(found), lowest if lowest > 1 else None)

    def chain(self) -> AuditChain:
        """Check the chain of every entry, whoever's: the links hold the log together as a whole."""
        counted = _Counted()
        with reading(self._engine) as connection:
            query = select(*_COLUMNS).order_by(AuditRow.sequence)
            rows = connection.execution_options(yield_per=_AT_ONCE).execute(query)
            problems = verify_chain(counted.through(AuditEntry(*row) for row in rows))
        return AuditChain(counted.entries, counted.head, tuple(problems[:_MOST_PROBLEMS]))


class _Counted:
    """Entries that pass by, counted, the last hash noted."""

    def __init__(self) -> None:
        self.entries = 0
        self.head = START

    def through(self, entries: Iterator[AuditEntry]) -> Iterator[AuditEntry]:
        for entry in entries:
            self.entries += 1
            self.head = entry.hash
            yield entry


class _Theirs:
    """Whether an entry is an organisation's, and about a user where one is wanted."""

    def __init__(self, connection: Connection, organisation_id: int, user_id: int | None) -> None:
        users = select(UserRow.user_id).where(UserRow.organisation_id == organisation_id)
        self._organisation = organisation_id
        self._users = frozenset(connection.execute(users).scalars())
        self._user = user_id

    def hold(self, entry: ReadEntry) -> bool:
        said = entry.details
        people = {said.get(name) for name in _PEOPLE} & self._users
        if self._organisation not in (said.get(name) for name in _ORGANISATIONS) and not people:
            return False
        return self._user is None or self._user in people


def _read(entry: AuditEntry) -> ReadEntry:
    """Read the details; an entry that was tampered with may hold none, which the check of the chain tells."""
    try:
        details = json.loads(entry.details)
    except ValueError:
        details = None
    said = details if isinstance(details, dict) else {}
    return ReadEntry(entry.sequence, entry.at, entry.event, {k: _plain(v) for k, v in said.items()}, entry.hash)


def _plain(value: Any) -> str | float | bool | None:
    """One value of the details: a list in words, anything nested as JSON."""
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str | int | float) or value is None else json.dumps(value, ensure_ascii=False)
