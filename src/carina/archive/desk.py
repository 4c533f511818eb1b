"""Films at the desk of a service study: received, read by the model, reported by a doctor.

Each query names the organisation whose films it may touch; there is no default. A film's state is the truth about it,
and the queue of jobs only a hint: what was received and not read is found again after any kill.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Engine, Update, and_, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_tables import DeskFilmRow, DeskReadRow, DeskResultRow, DeskWordRow, UserRow
from carina.archive.worklist import REPORTED, State, WorklistQuery, due, query_page, words_of

__all__ = ["Desk", "DeskFilm", "DeskRead", "DeskResult", "NewFilm", "Page"]

_OPEN = ("received", "queued")


@dataclass(frozen=True, slots=True)
class NewFilm:
    """A film whose file is durable in the store.

    Attributes
    ----------
    film_id : str
        SHA-256 of the file.
    path : str
        Relative to the store.
    source : str
        Where it came from: ``"upload"``, or ``"pacs:"`` and the peer's AE title.
    referrer_id : int or None
        The user whose request it is.
    patient_id, patient_name, accession_number, study_uid, series_uid, sop_instance_uid : str or None
        As in the file.
    acquired_at : str or None
        Local time, ISO 8601.
    """

    film_id: str
    path: str
    source: str
    referrer_id: int | None = None
    patient_id: str | None = None
    patient_name: str | None = None
    accession_number: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop_instance_uid: str | None = None
    acquired_at: str | None = None


@dataclass(frozen=True, slots=True)
class DeskFilm:
    """A film at the desk: what `NewFilm` says, and what became of it.

    Attributes
    ----------
    entry_id : str
        32 hex digits, drawn at random: it names the film in addresses and says nothing about it.
    organisation_id : int
    received_at, due_at : float
        Seconds since 1970.
    urgency : float or None
        In [0, 1], of the model.
    state : {"received", "queued", "read", "refused", "failed", "reported"}
    decision : str or None
        Of the model.
    code, reason : str or None
        Why it was refused or failed.
    attempts : int
        How often a worker began to read it.
    """

    entry_id: str
    organisation_id: int
    film_id: str
    path: str
    source: str
    referrer_id: int | None
    patient_id: str | None
    patient_name: str | None
    accession_number: str | None
    study_uid: str | None
    series_uid: str | None
    sop_instance_uid: str | None
    acquired_at: str | None
    received_at: float
    due_at: float
    urgency: float | None
    state: State
    decision: str | None
    code: str | None
    reason: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class DeskResult:
    """What a model said of a film.

    Attributes
    ----------
    model_sha256 : str
    reading : dict
        As `carina.inference.Reading.to_dict` gives it.
    files : dict of str to str
        Layers by name, with their place in the store.
    seconds : float
    made_at : float
        Seconds since 1970.
    """

    model_sha256: str
    reading: dict[str, Any]
    files: dict[str, str]
    seconds: float
    made_at: float


@dataclass(frozen=True, slots=True)
class DeskRead:
    """What a doctor said of a film.

    Attributes
    ----------
    user : str
        Name of the user.
    blind : bool
        Whether it was said before the model's output was shown.
    call : str or None
        The doctor's own decision.
    agrees : bool or None
        With the model.
    comment : str or None
    at : float
        Seconds since 1970.
    """

    user: str
    blind: bool
    call: str | None
    agrees: bool | None
    comment: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the worklist.

    Attributes
    ----------
    films : tuple of DeskFilm
    following : tuple of (float, str) or None
        Where the next page begins; None on the last one.
    """

    films: tuple[DeskFilm, ...]
    following: tuple[float, str] | None


_NAMES = [each.name for each in fields(DeskFilm)]
_COLUMNS = [getattr(DeskFilmRow, name) for name in _NAMES]


class Desk:
    """Films of a service study; get it from `Study.desk`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def receive(
        self, film: NewFilm, *, organisation_id: int, longest_wait: float, by: int | None = None
    ) -> tuple[DeskFilm, bool]:
        """Take a film whose file is durable; when this returns, the film will be read, whatever is killed.

        Parameters
        ----------
        film : NewFilm
        organisation_id : int
        longest_wait : float
            Seconds that a film may wait for a doctor, see `carina.archive.worklist`.
        by : int or None
            The user who sent it.

        Returns
        -------
        tuple of (DeskFilm, bool)
            And whether it is new to the organisation; the same file again is the film that is there.
        """
        now = time.time()
        made = DeskFilm(
            **asdict(film),
            entry_id=secrets.token_hex(16),
            organisation_id=organisation_id,
            received_at=now,
            due_at=due(now, None, longest_wait),
            urgency=None,
            state="received",
            decision=None,
            code=None,
            reason=None,
            attempts=0,
        )
        with writing(self._engine) as connection:
            dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(DeskFilmRow).values(**asdict(made), claimed_until=0.0)
            statement = statement.on_conflict_do_nothing().returning(DeskFilmRow.entry_id)
            if connection.execute(statement).first() is None:
                same = and_(DeskFilmRow.organisation_id == organisation_id, DeskFilmRow.film_id == film.film_id)
                return DeskFilm(*connection.execute(select(*_COLUMNS).where(same)).one()), False
            words = words_of(film.patient_id, film.patient_name, film.accession_number)
            rows = [{"organisation_id": organisation_id, "word": each, "entry_id": made.entry_id} for each in words]
            if rows:
                connection.execute(insert(DeskWordRow), rows)
            said = {"entry": made.entry_id, "organisation": organisation_id, "source": film.source, "by": by}
            append_audit(connection, "film_received", said)
        return made, True

    # -- looking ---------------------------------------------------------------------------------------------------

    def film(self, entry_id: str, *, organisation_id: int, referrer_id: int | None) -> DeskFilm | None:
        """Find a film of an organisation, and of one referrer where one is named; None where it is not theirs."""
        query = select(*_COLUMNS).where(
            DeskFilmRow.entry_id == entry_id, DeskFilmRow.organisation_id == organisation_id
        )
        if referrer_id is not None:
            query = query.where(DeskFilmRow.referrer_id == referrer_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else DeskFilm(*row)

    def worklist(self, wanted: WorklistQuery, *, organisation_id: int, referrer_id: int | None) -> Page:
        """Return one page of the worklist.

        Raises
        ------
        ArchiveError
            If the search is too short, or fits more than 1,000 films.
        """
        with reading(self._engine) as connection:
            rows = query_page(connection, wanted, organisation_id=organisation_id, referrer_id=referrer_id)
        films = tuple(DeskFilm(**{name: row[name] for name in _NAMES}) for row in rows[: wanted.rows])
        if len(rows) <= wanted.rows:
            return Page(films, None)
        last = films[-1]
        return Page(films, (last.received_at if wanted.order == "received" else last.due_at, last.entry_id))

    def priors(self, film: DeskFilm, *, organisation_id: int, referrer_id: int | None) -> tuple[DeskFilm, ...]:
        """Other films of the same patient, newest first, at most 20."""
        if film.patient_id is None:
            return ()
        query = select(*_COLUMNS).where(
            DeskFilmRow.organisation_id == organisation_id,
            DeskFilmRow.patient_id == film.patient_id,
            DeskFilmRow.entry_id != film.entry_id,
        )
        if referrer_id is not None:
            query = query.where(DeskFilmRow.referrer_id == referrer_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DeskFilmRow.received_at.desc()).limit(20)).fetchall()
        return tuple(DeskFilm(*row) for row in rows)

    def result(self, entry_id: str, *, organisation_id: int) -> DeskResult | None:
        """Return the newest result of a film; None before there is one."""
        columns = [getattr(DeskResultRow, each.name) for each in fields(DeskResult)]
        query = select(*columns).where(
            DeskResultRow.entry_id == entry_id, DeskResultRow.organisation_id == organisation_id
        )
        with reading(self._engine) as connection:
            row = connection.execute(query.order_by(DeskResultRow.result_id.desc()).limit(1)).first()
        return None if row is None else DeskResult(*row)

    def reads(self, entry_id: str, *, organisation_id: int) -> tuple[DeskRead, ...]:
        """Return what doctors said of a film, oldest first."""
        row = DeskReadRow
        query = select(UserRow.name, row.blind, row.call, row.agrees, row.comment, row.at)
        query = query.join(UserRow, UserRow.user_id == row.user_id)
        query = query.where(row.entry_id == entry_id, row.organisation_id == organisation_id).order_by(row.read_id)
        with reading(self._engine) as connection:
            return tuple(DeskRead(*each) for each in connection.execute(query))

    def add_read(
        self,
        entry_id: str,
        *,
        organisation_id: int,
        user_id: int,
        blind: bool,
        call: str | None = None,
        agrees: bool | None = None,
        comment: str | None = None,
    ) -> None:
        """Keep what a doctor said; with the output seen, the film is reported and leaves the open worklist."""
        now = time.time()
        values = {"blind": blind, "call": call, "agrees": agrees, "comment": comment, "at": now}
        keys = {"organisation_id": organisation_id, "entry_id": entry_id, "user_id": user_id}
        with writing(self._engine) as connection:
            connection.execute(insert(DeskReadRow).values(**keys, **values))
            if not blind:
                done = self._update(entry_id, organisation_id).where(DeskFilmRow.state != "reported")
                connection.execute(done.values(state="reported", due_at=REPORTED + now))
            said = {"entry": entry_id, "organisation": organisation_id, "user": user_id, "blind": blind}
            append_audit(connection, "film_judged", said)

    def note_access(self, event: str, *, organisation_id: int, user_id: int, entry_id: str | None = None) -> None:
        """Note in the audit chain that a user looked at something."""
        with writing(self._engine) as connection:
            said = {"entry": entry_id, "organisation": organisation_id, "user": user_id}
            append_audit(connection, event, said)

    # -- the worker ------------------------------------------------------------------------------------------------

    def waiting(self, most: int = 1_000) -> list[tuple[int, str]]:
        """Films of every organisation that no worker holds, most urgent first; for the worker alone.

        Returns
        -------
        list of (organisation_id, entry_id)
        """
        query = select(DeskFilmRow.organisation_id, DeskFilmRow.entry_id).where(
            DeskFilmRow.state.in_(_OPEN), DeskFilmRow.claimed_until < time.time()
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DeskFilmRow.received_at).limit(most)).fetchall()
        return [(int(row[0]), str(row[1])) for row in rows]

    def waiting_since(self, before: float) -> bool:
        """Whether a film of any organisation waits that was received before a time and no worker holds."""
        query = select(DeskFilmRow.entry_id).where(
            DeskFilmRow.state.in_(_OPEN), DeskFilmRow.claimed_until < time.time(), DeskFilmRow.received_at < before
        )
        with reading(self._engine) as connection:
            return connection.execute(query.limit(1)).first() is not None

    def claim(self, entry_id: str, *, organisation_id: int, lease: float) -> DeskFilm | None:
        """Take a film to read it, for `lease` seconds; None where another worker holds it or it is read already."""
        now = time.time()
        free = and_(DeskFilmRow.state.in_(_OPEN), DeskFilmRow.claimed_until < now)
        statement = self._update(entry_id, organisation_id).where(free)
        values = {"state": "queued", "claimed_until": now + lease, "attempts": DeskFilmRow.attempts + 1}
        with writing(self._engine) as connection:
            row = connection.execute(statement.values(**values).returning(*_COLUMNS)).first()
        return None if row is None else DeskFilm(*row)

    def finish(self, film: DeskFilm, result: DeskResult, *, urgency: float, longest_wait: float) -> bool:
        """Store a result, once a film and model; the film is then read, unless a doctor was there before.

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
                append_audit(connection, "film_read", {**keys, "model": result.model_sha256})
        return new

    def refuse(self, film: DeskFilm, code: str, reason: str, *, failed: bool = False) -> None:
        """Note that a film cannot be judged, in words; `failed` where it is our fault and not the film's."""
        state = "failed" if failed else "refused"
        with writing(self._engine) as connection:
            self._settle(connection, film, {"state": state, "code": code, "reason": reason, "claimed_until": 0.0})
            said = {"entry": film.entry_id, "organisation": film.organisation_id, "code": code}
            append_audit(connection, f"film_{state}", said)

    def release(self, film: DeskFilm, *, retry_at: float) -> None:
        """Give a film back, to be tried again at a time."""
        with writing(self._engine) as connection:
            self._settle(connection, film, {"state": "received", "claimed_until": retry_at})

    def _settle(self, connection: Any, film: DeskFilm, values: Mapping[str, Any]) -> None:
        statement = self._update(film.entry_id, film.organisation_id)
        connection.execute(statement.where(DeskFilmRow.state.in_(_OPEN)).values(**values))

    def _update(self, entry_id: str, organisation_id: int) -> Update:
        where = and_(DeskFilmRow.entry_id == entry_id, DeskFilmRow.organisation_id == organisation_id)
        return update(DeskFilmRow).where(where)
