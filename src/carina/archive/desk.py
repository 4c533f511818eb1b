"""Films at the desk of a service study: received, read by the model, reported by a doctor.

Each query names the organisation whose films it may touch; there is no default. A film's state is the truth about it,
and the queue of jobs only a hint: what was received and not read is found again after any kill.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import and_, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_records import COLUMNS, NAMES, DeskFilm, DeskRead, DeskResult, NewFilm, Page
from carina.archive.desk_tables import DeskFilmRow, DeskOpeningRow, DeskReadRow, DeskResultRow, DeskWordRow, UserRow
from carina.archive.desk_work import DeskWork
from carina.archive.exchange import OwedItem, owe
from carina.archive.worklist import REPORTED, State, WorklistQuery, count_open, due, query_page, words_of

__all__ = ["Desk", "DeskFilm", "DeskRead", "DeskResult", "NewFilm", "Page"]

_AT_ONCE = 500


class Desk(DeskWork):
    """Films of a service study; get it from `Study.desk`.

    Parameters
    ----------
    engine : Engine
    """

    def receive(
        self,
        film: NewFilm,
        *,
        organisation_id: int,
        longest_wait: float,
        by: int | None = None,
        prior: bool = False,
        owed: Sequence[OwedItem] = (),
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
        prior : bool
            Whether it was fetched to compare another film with; then no model reads it, and no doctor is asked to.
        owed : sequence of OwedItem
            What a new film brings to do, put into the outbox with it; its entry takes the place of the instance's UID.

        Returns
        -------
        tuple of (DeskFilm, bool)
            And whether it is new to the organisation; the same file again is the film that is there. A prior film
            that is then sent to be read counts as new.
        """
        now = time.time()
        made = DeskFilm(
            **asdict(film),
            entry_id=secrets.token_hex(16),
            organisation_id=organisation_id,
            received_at=now,
            due_at=REPORTED + now if prior else due(now, None, longest_wait),
            urgency=None,
            state="prior" if prior else "received",
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
                return self._again(connection, made)
            words = words_of(film.patient_id, film.patient_name, film.accession_number)
            rows = [{"organisation_id": organisation_id, "word": each, "entry_id": made.entry_id} for each in words]
            if rows:
                connection.execute(insert(DeskWordRow), rows)
            for each in owed:
                owe(connection, replace(each, sop_instance_uid=made.entry_id))
            said = {"entry": made.entry_id, "organisation": organisation_id, "source": film.source, "by": by}
            append_audit(connection, "film_received", said)
        return made, True

    def _again(self, connection: Any, film: DeskFilm) -> tuple[DeskFilm, bool]:
        """Find the film that is there; one fetched as a prior and now sent to be read begins to wait."""
        same = and_(DeskFilmRow.organisation_id == film.organisation_id, DeskFilmRow.film_id == film.film_id)
        found = DeskFilm(*connection.execute(select(*COLUMNS).where(same)).one())
        if found.state != "prior" or film.state == "prior":
            return found, False
        values: dict[str, Any] = {"state": film.state, "source": film.source, "due_at": film.due_at}
        values["received_at"] = film.received_at
        connection.execute(self._update(found.entry_id, found.organisation_id).values(**values))
        said = {"entry": found.entry_id, "organisation": found.organisation_id, "source": film.source}
        append_audit(connection, "prior_to_be_read", said)
        return replace(found, **values), True

    # -- looking ---------------------------------------------------------------------------------------------------

    def film(self, entry_id: str, *, organisation_id: int, referrer_id: int | None) -> DeskFilm | None:
        """Find a film of an organisation, and of one referrer where one is named; None where it is not theirs."""
        query = select(*COLUMNS).where(DeskFilmRow.entry_id == entry_id, DeskFilmRow.organisation_id == organisation_id)
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
        films = tuple(DeskFilm(**{name: row[name] for name in NAMES}) for row in rows[: wanted.rows])
        if len(rows) <= wanted.rows:
            return Page(films, None)
        last = films[-1]
        return Page(films, (last.due_at if wanted.order == "due" else last.received_at, last.entry_id))

    def count_open(
        self, *, organisation_id: int, referrer_id: int | None, state: State | None = None, most: int = 1_000
    ) -> int:
        """Films that wait for a doctor, of one state or any; counted up to `most`."""
        with reading(self._engine) as connection:
            return count_open(
                connection, organisation_id=organisation_id, referrer_id=referrer_id, state=state, most=most
            )

    def priors(self, film: DeskFilm, *, organisation_id: int, referrer_id: int | None) -> tuple[DeskFilm, ...]:
        """Other films of the same patient, newest first, at most 20."""
        if film.patient_id is None:
            return ()
        query = select(*COLUMNS).where(
            DeskFilmRow.organisation_id == organisation_id,
            DeskFilmRow.patient_id == film.patient_id,
            DeskFilmRow.entry_id != film.entry_id,
        )
        if referrer_id is not None:
            query = query.where(DeskFilmRow.referrer_id == referrer_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DeskFilmRow.received_at.desc()).limit(20)).fetchall()
        return tuple(DeskFilm(*row) for row in rows)

    def held(self, sop_instance_uids: Sequence[str], *, organisation_id: int) -> dict[str, str]:
        """Of these instances, those that an organisation has, with their files' places in the store."""
        columns = (DeskFilmRow.sop_instance_uid, DeskFilmRow.path)
        query = select(*columns).where(DeskFilmRow.organisation_id == organisation_id)
        found: dict[str, str] = {}
        with reading(self._engine) as connection:
            for begin in range(0, len(sop_instance_uids), _AT_ONCE):
                some = DeskFilmRow.sop_instance_uid.in_(sop_instance_uids[begin : begin + _AT_ONCE])
                found |= {str(row[0]): str(row[1]) for row in connection.execute(query.where(some))}
        return found

    def earlier(
        self, film: DeskFilm, *, organisation_id: int, referrer_id: int | None, most: int = 20
    ) -> tuple[DeskFilm, ...]:
        """Films of the same patient that were taken before this one and can be shown, the last taken first."""
        if film.patient_id is None or film.acquired_at is None:
            return ()
        query = select(*COLUMNS).where(
            DeskFilmRow.organisation_id == organisation_id,
            DeskFilmRow.patient_id == film.patient_id,
            DeskFilmRow.entry_id != film.entry_id,
            DeskFilmRow.acquired_at < film.acquired_at,
            DeskFilmRow.state.not_in(("refused", "failed")),
        )
        if referrer_id is not None:
            query = query.where(DeskFilmRow.referrer_id == referrer_id)
        query = query.order_by(DeskFilmRow.acquired_at.desc(), DeskFilmRow.entry_id).limit(most)
        with reading(self._engine) as connection:
            return tuple(DeskFilm(*row) for row in connection.execute(query))

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
        query = select(UserRow.name, row.blind, row.call, row.agrees, row.comment, row.at, row.user_id, row.confidence)
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
        mine = and_(DeskOpeningRow.entry_id == entry_id, DeskOpeningRow.user_id == user_id)
        with writing(self._engine) as connection:
            values["opened_at"] = connection.execute(select(DeskOpeningRow.opened_at).where(mine)).scalar()
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
