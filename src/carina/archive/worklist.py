"""The worklist: a page of films out of a million, by keyset, never by counting rows past.

A film's place is ``due_at``: its receipt plus the longest wait times (1 - urgency). It never changes with time, so
that an index gives the order; and nothing received more than the longest wait after a film can pass it: no film
starves. A film that a doctor has reported is due `REPORTED` seconds later than any that waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Select, exists, func, intersect, literal_column, select, tuple_

from carina.archive.desk_tables import DeskFilmRow, DeskOpeningRow, DeskWordRow
from carina.errors import ArchiveError

__all__ = ["REPORTED", "Order", "State", "WorklistQuery", "count_open", "due", "query_page", "words_of"]

State: TypeAlias = Literal["received", "queued", "read", "refused", "failed", "reported", "prior"]
Order: TypeAlias = Literal["due", "waiting", "received"]

REPORTED: Final = 1e11
"""Seconds, some 3,000 years: beyond what any waiting film is due at."""
_REPORTED: Final = "1e11"
_UNDECIDED: Final = frozenset({"received", "queued", "refused", "failed"})
_MOST_MATCHES: Final = 1_000
_MOST_LISTED: Final = 30_000
"""Films of one word that are looked at to find those of several words."""
_MOST_WORDS: Final = 4
_TOO_MANY: Final = f"a search must fit at most {_MOST_MATCHES} films, and this fits more; type more of it"
_LONGEST_WORD: Final = 64
_SHORTEST_SEARCH: Final = 2
_UNKNOWN_URGENCY: Final = 0.5


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """What a page of the worklist shows.

    Attributes
    ----------
    order : {"due", "waiting", "received"}
        By priority, longest waiting first, or newest first.
    open_only : bool
        Leave out what is reported.
    state, decision : str or None
    search : str
        Beginnings of words: patient's id, accession number, parts of the name; all must fit.
    uncalled_by : int or None
        Only films whose output this user has not seen, which in blind reading are those that wait for their call.
    after : tuple of (float, str) or None
        What `Page.following` of the page before said.
    rows : int
    """

    order: Order = "due"
    open_only: bool = True
    state: State | None = None
    decision: str | None = None
    search: str = ""
    uncalled_by: int | None = None
    after: tuple[float, str] | None = None
    rows: int = 50


def due(received_at: float, urgency: float | None, longest_wait: float) -> float:
    """When a film is due, seconds since 1970.

    Parameters
    ----------
    received_at : float
        Seconds since 1970.
    urgency : float or None
        In [0, 1]; None while it is not known, which counts as 0.5.
    longest_wait : float
        Seconds.

    Examples
    --------
    >>> due(1000.0, 1.0, 600.0), due(1000.0, 0.0, 600.0), due(1000.0, None, 600.0)
    (1000.0, 1600.0, 1300.0)
    """
    known = _UNKNOWN_URGENCY if urgency is None else min(1.0, max(0.0, urgency))
    return received_at + longest_wait * (1.0 - known)


def words_of(*texts: str | None) -> set[str]:
    """Words by which a film is found, lower case.

    Examples
    --------
    >>> sorted(words_of("ZZZ0016", "TEST^Anna-Maria", None))
    ['anna', 'maria', 'test', 'zzz0016']
    """
    spaced = " ".join(text or "" for text in texts).lower()
    for mark in "^=-,.'/\\":
        spaced = spaced.replace(mark, " ")
    return {word[:_LONGEST_WORD] for word in spaced.split()}


def query_page(
    connection: Connection, wanted: WorklistQuery, *, organisation_id: int, referrer_id: int | None
) -> list[Any]:
    """Rows of `desk_films` of one page, and one more where another page follows.

    Parameters
    ----------
    connection : Connection
    wanted : WorklistQuery
    organisation_id : int
        Whose films.
    referrer_id : int or None
        Of these, the requests of one user alone; None for all.

    Raises
    ------
    ArchiveError
        If the search is too short, or fits more than 1,000 films.
    """
    if wanted.decision is not None and wanted.state in _UNDECIDED:
        return []  # known without looking at a row
    table, falling = DeskFilmRow, wanted.order == "received"
    key = table.due_at if wanted.order == "due" else table.received_at
    found = _found(connection, wanted.search, organisation_id) if wanted.search.strip() else None
    # the sign keeps the order's index out where a search has named the few rows: SQLite would walk all of it
    home = table.organisation_id if found is None else literal_column("+desk_films.organisation_id")
    query: Select[Any] = select(table.__table__).where(home == organisation_id)
    if referrer_id is not None:
        query = query.where(table.referrer_id == referrer_id)
    # as the indices of open films say it, wherever the state implies it
    if wanted.open_only or wanted.state not in (None, "reported", "prior"):
        query = query.where(table.due_at < literal_column(_REPORTED))
    elif wanted.state == "reported":
        query = query.where(table.due_at >= literal_column(_REPORTED))
    for column, value in ((table.state, wanted.state), (table.decision, wanted.decision)):
        if value is not None:
            query = query.where(column == value)
    if found is not None:
        query = query.where(table.entry_id.in_(found))
    if wanted.uncalled_by is not None:
        row = DeskOpeningRow
        seen = exists().where(row.entry_id == table.entry_id, row.user_id == wanted.uncalled_by)
        query = query.where(~seen.where(row.output_at.is_not(None)))
    if wanted.after is not None:
        place, here = tuple_(key, table.entry_id), tuple_(*wanted.after)
        query = query.where(place < here if falling else place > here)
    ends = (key.desc(), table.entry_id.desc()) if falling else (key, table.entry_id)
    return list(connection.execute(query.order_by(*ends).limit(wanted.rows + 1)).mappings())


def count_open(
    connection: Connection, *, organisation_id: int, referrer_id: int | None, state: State | None, most: int
) -> int:
    """Films that wait for a doctor, of one state or any, counted up to a limit: a count must not cost a million rows.

    Parameters
    ----------
    connection : Connection
    organisation_id : int
    referrer_id : int or None
    state : str or None
    most : int
        Where the count ends.
    """
    table = DeskFilmRow
    query = select(table.entry_id).where(table.organisation_id == organisation_id)
    query = query.where(table.due_at < literal_column(_REPORTED))
    if referrer_id is not None:
        query = query.where(table.referrer_id == referrer_id)
    if state is not None:
        query = query.where(table.state == state)
    return int(connection.execute(select(func.count()).select_from(query.limit(most).subquery())).scalar_one())


def _found(connection: Connection, search: str, organisation_id: int) -> list[str]:
    """Entries in which every word of a search begins a word; found through the rarest word, else by their overlap."""
    words = sorted(words_of(search), key=len, reverse=True)[:_MOST_WORDS]
    if not words or len(words[0]) < _SHORTEST_SEARCH:
        raise ArchiveError(f"a search must have a word of at least {_SHORTEST_SEARCH} letters or digits; type more")
    lists = [_with_word(organisation_id, word).limit(_MOST_LISTED + 1) for word in words]
    counts = [int(connection.execute(select(func.count()).select_from(each.subquery())).scalar_one()) for each in lists]
    fewest = min(range(len(words)), key=counts.__getitem__)
    if counts[fewest] <= _MOST_MATCHES:
        found = list(connection.execute(lists[fewest]).scalars())
        return found if len(words) == 1 else _having(connection, found, words)
    if len(words) == 1 or max(counts) > _MOST_LISTED:
        raise ArchiveError(_TOO_MANY)
    both = intersect(*(select(each.subquery().c.entry_id) for each in lists))
    found = list(connection.execute(both.limit(_MOST_MATCHES + 1)).scalars())
    if len(found) > _MOST_MATCHES:
        raise ArchiveError(_TOO_MANY)
    return found


def _with_word(organisation_id: int, word: str) -> Select[Any]:
    return select(DeskWordRow.entry_id).where(
        DeskWordRow.organisation_id == organisation_id,
        DeskWordRow.word >= word,
        DeskWordRow.word < f"{word}\U0010ffff",
    )


def _having(connection: Connection, entries: list[str], words: list[str]) -> list[str]:
    """Of a few entries, those in which every word begins one."""
    table = DeskFilmRow
    columns = (table.entry_id, table.patient_id, table.patient_name, table.accession_number)
    rows = connection.execute(select(*columns).where(table.entry_id.in_(entries)))
    return [
        str(entry)
        for entry, *texts in rows
        if all(any(known.startswith(word) for known in words_of(*texts)) for word in words)
    ]
