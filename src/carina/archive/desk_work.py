"""The worker's side of the desk: which films wait, who holds them, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, Update, and_, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_records import COLUMNS, OPEN, DeskFilm, DeskResult
from carina.archive.desk_tables import DeskFilmRow, DeskResultRow
from carina.archive.exchange import OwedItem, owe
from carina.archive.worklist import due

__all__ = ["DeskWork"]


class DeskWork:
    """Films as workers take and settle them; part of `Desk`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def waiting(self, most: int = 1_000) -> list[tuple[int, str]]:
        """Films of every organisation that no worker holds, most urgent first; for the worker alone.

        Returns
        -------
        list of (organisation_id, entry_id)
        """
        query = select(DeskFilmRow.organisation_id, DeskFilmRow.entry_id).where(
            DeskFilmRow.state.in_(OPEN), DeskFilmRow.claimed_until < time.time()
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DeskFilmRow.received_at).limit(most)).fetchall()
        return [(int(row[0]), str(row[1])) for row in rows]

    def waiting_since(self, before: float) -> bool:
        """Whether a film of any organisation waits that was received before a time and no worker holds."""
        query = select(DeskFilmRow.entry_id).where(
            DeskFilmRow.state.in_(OPEN), DeskFilmRow.claimed_until < time.time(), DeskFilmRow.received_at < before
        )
        with reading(self._engine) as connection:
            return connection.execute(query.limit(1)).first() is not None

    def counts(self) -> dict[str, int]:
        """Films of every organisation by state; for those who run the service."""
        with reading(self._engine) as connection:
            query = select(DeskFilmRow.state, func.count()).group_by(DeskFilmRow.state)
            return {str(state): int(number) for state, number in connection.execute(query)}

    def troubles(self, most: int = 100) -> list[tuple[str, str, str]]:
        """Films that gave no result, newest first: entry, state and reason; for those who run the service."""
        row = DeskFilmRow
        query = select(row.entry_id, row.state, row.reason).where(row.state.in_(("failed", "refused")))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(row.received_at.desc()).limit(most)).fetchall()
        return [(str(one), str(two), str(three)) for one, two, three in rows]

    def claim(self, entry_id: str, *, organisation_id: int, lease: float) -> DeskFilm | None:
        """Take a film to read it, for `lease` seconds; None where another worker holds it or it is read already."""
        now = time.time()
        free = and_(DeskFilmRow.state.in_(OPEN), DeskFilmRow.claimed_until < now)
        statement = self._update(entry_id, organisation_id).where(free)
        values = {"state": "queued", "claimed_until": now + lease, "attempts": DeskFilmRow.attempts + 1}
        with writing(self._engine) as connection:
            row = connection.execute(statement.values(**values).returning(*COLUMNS)).first()
        return None if row is None else DeskFilm(*row)

    def finish(
        self,
        film: DeskFilm,
        result: DeskResult,
        *,
        urgency: float,
        longest_wait: float,
        owed: Sequence[OwedItem] = (),
    ) -> bool:
        """Store a result, once a film and model; the film is then read, unless a doctor was there before.

        Parameters
        ----------
        film : DeskFilm
        result : DeskResult
        urgency : float
            In [0, 1].
        longest_wait : float
            Seconds.
        owed : sequence of OwedItem
            What is to be done with a new result, put into the outbox with it.

        Returns
        -------
        bool
            False where the result was stored already.
        """
        keys = {"organisation_id": film.organisation_id, "entry_id": film.entry_id}
        with writing(self._engine) as connection:
            dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(DeskResultRow).values(**keys, **asdict(result)).on_conflict_do_nothing()
            new = connection.execute(statement.returning(DeskResultRow.result_id)).first() is not None
            values = {"state": "read", "urgency": urgency, "decision": result.reading.get("decision")}
            values |= {"due_at": due(film.received_at, urgency, longest_wait), "claimed_until": 0.0}
            self._settle(connection, film, values)
            if new:
                for each in owed:
                    owe(connection, each)
                append_audit(connection, "film_read", {**keys, "model": result.model_sha256})
        return new

    def refuse(
        self, film: DeskFilm, code: str, reason: str, *, failed: bool = False, owed: Sequence[OwedItem] = ()
    ) -> None:
        """Note that a film cannot be judged, in words; `failed` where it is our fault and not the film's."""
        state = "failed" if failed else "refused"
        with writing(self._engine) as connection:
            for each in owed:
                owe(connection, each)
            self._settle(connection, film, {"state": state, "code": code, "reason": reason, "claimed_until": 0.0})
            said = {"entry": film.entry_id, "organisation": film.organisation_id, "code": code}
            append_audit(connection, f"film_{state}", said)

    def release(self, film: DeskFilm, *, retry_at: float) -> None:
        """Give a film back, to be tried again at a time."""
        with writing(self._engine) as connection:
            self._settle(connection, film, {"state": "received", "claimed_until": retry_at})

    def _settle(self, connection: Any, film: DeskFilm, values: Mapping[str, Any]) -> None:
        statement = self._update(film.entry_id, film.organisation_id)
        connection.execute(statement.where(DeskFilmRow.state.in_(OPEN)).values(**values))

    def _update(self, entry_id: str, organisation_id: int) -> Update:
        where = and_(DeskFilmRow.entry_id == entry_id, DeskFilmRow.organisation_id == organisation_id)
        return update(DeskFilmRow).where(where)
