"""Break-glass: a radiologist opens the films of another organisation's patient, for a time and with a reason.

Nothing is hidden about it: each is an entry of the audit chain, and stands before the administrators of both
organisations until those of the patient's own have looked at it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk import DeskFilm
from carina.archive.desk_tables import DeskFilmRow, DeskWordRow, GlassRow, OrganisationRow, UserRow
from carina.archive.worklist import words_of
from carina.errors import ArchiveError

__all__ = ["LEAST_GLASS_REASON", "Glass", "GlassBreak"]

LEAST_GLASS_REASON: Final = 20
"""Characters of the shortest reason."""
_LONGEST: Final = 1_000
_NAMES = list(DeskFilm.__slots__)
_FILM = [getattr(DeskFilmRow, name) for name in _NAMES]


@dataclass(frozen=True, slots=True)
class GlassBreak:
    """One opening.

    Attributes
    ----------
    break_id : int
    user, user_organisation : str
        Who, and of which organisation.
    organisation : str
        Whose patient.
    organisation_id : int
        Of the patient.
    home_id : int
        Of the user.
    entry_id : str
        Of the film that was asked for.
    reason : str
    at, until_at : float
        Seconds since 1970.
    seen_at : float or None
        When an administrator of the patient's organisation had looked at it.
    """

    break_id: int
    user: str
    user_organisation: str
    organisation: str
    organisation_id: int
    home_id: int
    entry_id: str
    reason: str
    at: float
    until_at: float
    seen_at: float | None


_HOME = aliased(OrganisationRow)
_BREAK: tuple[Any, ...] = (
    GlassRow.break_id,
    UserRow.name,
    _HOME.name,
    OrganisationRow.name,
    GlassRow.organisation_id,
    GlassRow.home_id,
    GlassRow.entry_id,
    GlassRow.reason,
    GlassRow.at,
    GlassRow.until_at,
    GlassRow.seen_at,
)


class Glass:
    """Openings of a service study; get it from `Study.glass`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(
        self, patient: str, *, organisation_id: int, user_id: int, home_id: int, reason: str, seconds: float
    ) -> int | None:
        """Open the films of a patient of another organisation.

        Parameters
        ----------
        patient : str
            Patient's id, or an accession number, exactly as in the film.
        organisation_id : int
            Whose patient.
        user_id, home_id : int
            Who, and of which organisation.
        reason : str
            In words.
        seconds : float
            For how long.

        Returns
        -------
        int or None
            Number of the opening; None where the organisation has no film of such a patient. Both are entries of the
            audit chain, with the hash of the reason: its words may name the patient.

        Raises
        ------
        ArchiveError
            If the reason is too short or too long, the patient is not named, or the organisation is the user's own.
        """
        now, reason = time.time(), " ".join(reason.split())
        if not LEAST_GLASS_REASON <= len(reason) <= _LONGEST:
            raise ArchiveError(f"a reason must have {LEAST_GLASS_REASON} to {_LONGEST} characters")
        if not patient or organisation_id == home_id:
            raise ArchiveError("break-glass is for a patient of another organisation, named by id or accession number")
        sealed = hashlib.sha256(reason.encode("utf-8", "surrogateescape")).hexdigest()
        who: dict[str, Any] = {"user": user_id, "home": home_id, "organisation": organisation_id}
        who["reason_sha256"] = sealed
        with writing(self._engine) as connection:
            found = _film_of(connection, patient, organisation_id)
            if found is None:
                append_audit(connection, "glass_not_broken", who)
                return None
            values = {
                "user_id": user_id,
                "home_id": home_id,
                "organisation_id": organisation_id,
                "entry_id": found.entry_id,
                "patient_id": found.patient_id,
                "reason": reason,
                "at": now,
                "until_at": now + seconds,
            }
            made = connection.execute(insert(GlassRow).values(**values).returning(GlassRow.break_id)).scalar_one()
            said = {**who, "break": made, "entry": found.entry_id, "minutes": round(seconds / 60)}
            append_audit(connection, "glass_broken", said)
        return int(made)

    def close(self, break_id: int, *, user_id: int) -> bool:
        """End an opening of one's own before its time; False where there is none."""
        mine = (GlassRow.break_id == break_id, GlassRow.user_id == user_id, GlassRow.until_at > time.time())
        with writing(self._engine) as connection:
            done = connection.execute(
                update(GlassRow).where(*mine).values(until_at=time.time()).returning(GlassRow.organisation_id)
            ).first()
            if done is not None:
                said = {"break": break_id, "user": user_id, "organisation": done.organisation_id}
                append_audit(connection, "glass_closed", said)
        return done is not None

    def film(self, entry_id: str, *, user_id: int) -> DeskFilm | None:
        """Find a film that an opening of the user's reaches now: one of that patient, or the one asked for."""
        query = select(*_FILM).join(GlassRow, self._reaches()).where(DeskFilmRow.entry_id == entry_id)
        query = query.where(GlassRow.user_id == user_id, GlassRow.until_at > time.time())
        with reading(self._engine) as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else DeskFilm(*row)

    def films(self, break_id: int, *, user_id: int) -> list[DeskFilm]:
        """Films that one opening of the user's reaches now, newest first, at most 100."""
        query = select(*_FILM).join(GlassRow, self._reaches()).where(GlassRow.break_id == break_id)
        query = query.where(GlassRow.user_id == user_id, GlassRow.until_at > time.time())
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DeskFilmRow.received_at.desc()).limit(100)).fetchall()
        return [DeskFilm(*row) for row in rows]

    def others(self, film: DeskFilm, *, user_id: int) -> tuple[DeskFilm, ...]:
        """Other films of the same patient that openings of the user's reach now, last taken first, at most 20."""
        mine = and_(self._reaches(), GlassRow.user_id == user_id, GlassRow.until_at > time.time())
        query = select(*_FILM).where(
            DeskFilmRow.organisation_id == film.organisation_id,
            DeskFilmRow.patient_id == film.patient_id,
            DeskFilmRow.entry_id != film.entry_id,
            DeskFilmRow.state.not_in(("refused", "failed")),
            exists().where(mine),
        )
        order = (DeskFilmRow.acquired_at.desc(), DeskFilmRow.entry_id)
        with reading(self._engine) as connection:
            return tuple(DeskFilm(*row) for row in connection.execute(query.order_by(*order).limit(20)))

    def open_now(self, *, user_id: int) -> list[GlassBreak]:
        """List the openings of a user that have not ended."""
        return self._breaks(GlassRow.user_id == user_id, GlassRow.until_at > time.time())

    def of_organisation(self, organisation_id: int) -> list[GlassBreak]:
        """List the openings of an organisation's patients or by its users, newest first, at most 200."""
        return self._breaks(or_(GlassRow.organisation_id == organisation_id, GlassRow.home_id == organisation_id))

    def unseen(self, organisation_id: int) -> int:
        """Count openings of an organisation's patients, or by its users, that the patient's own has not looked at."""
        concerns = or_(GlassRow.organisation_id == organisation_id, GlassRow.home_id == organisation_id)
        query = select(func.count()).where(concerns, GlassRow.seen_at.is_(None))
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def see(self, break_id: int, *, organisation_id: int, user_id: int) -> bool:
        """Note that an administrator of the patient's organisation has looked at an opening."""
        theirs = (
            GlassRow.break_id == break_id,
            GlassRow.organisation_id == organisation_id,
            GlassRow.seen_at.is_(None),
        )
        with writing(self._engine) as connection:
            done = connection.execute(
                update(GlassRow).where(*theirs).values(seen_at=time.time(), seen_by=user_id)
            ).rowcount
            if done:
                said = {"break": break_id, "user": user_id, "organisation": organisation_id}
                append_audit(connection, "glass_seen", said)
        return bool(done)

    def _breaks(self, *where: Any) -> list[GlassBreak]:
        query = select(*_BREAK).join(UserRow, UserRow.user_id == GlassRow.user_id)
        query = query.join(_HOME, _HOME.organisation_id == GlassRow.home_id)
        query = query.join(OrganisationRow, OrganisationRow.organisation_id == GlassRow.organisation_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(*where).order_by(GlassRow.at.desc()).limit(200)).fetchall()
        return [GlassBreak(*row) for row in rows]

    @staticmethod
    def _reaches() -> Any:
        same = or_(GlassRow.entry_id == DeskFilmRow.entry_id, GlassRow.patient_id == DeskFilmRow.patient_id)
        return and_(GlassRow.organisation_id == DeskFilmRow.organisation_id, same)


def _film_of(connection: Connection, patient: str, organisation_id: int) -> Any:
    """Newest film of a patient, or the one of an accession number; each by an index."""
    query = select(DeskFilmRow.entry_id, DeskFilmRow.patient_id).where(DeskFilmRow.organisation_id == organisation_id)
    newest = query.order_by(DeskFilmRow.received_at.desc()).limit(1)
    found = connection.execute(newest.where(DeskFilmRow.patient_id == patient)).first()
    if found is not None:
        return found
    word = max(words_of(patient), key=len, default="")
    same = and_(DeskWordRow.organisation_id == organisation_id, DeskWordRow.entry_id == DeskFilmRow.entry_id)
    numbered = newest.join(DeskWordRow, same).where(DeskWordRow.word == word)
    return connection.execute(numbered.where(DeskFilmRow.accession_number == patient)).first()
