"""Texture sheets of films at the desk: asked for by a doctor, made by a worker, kept in the store."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Engine, and_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk import DeskFilm
from carina.archive.desk_tables import DeskSheetRow

__all__ = ["Sheet", "SheetState", "Sheets"]

SheetState: TypeAlias = Literal["asked", "made", "failed"]
_PAGE: Final = "page"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A film's texture sheet.

    Attributes
    ----------
    entry_id : str
    organisation_id : int
    state : {"asked", "made", "failed"}
    reason : str or None
        Why it could not be made.
    files : dict of str to str, or None
        ``"page"`` with its place in the store.
    attempts : int
        How often a worker began it.
    """

    entry_id: str
    organisation_id: int
    state: SheetState
    reason: str | None
    files: dict[str, str] | None
    attempts: int

    @property
    def page(self) -> str | None:
        """Place of the page in the store."""
        return (self.files or {}).get(_PAGE)


_COLUMNS: Final = [getattr(DeskSheetRow, each.name) for each in fields(Sheet)]


class Sheets:
    """Texture sheets of a service study; get it from `Study.sheets`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, film: DeskFilm, *, user_id: int) -> None:
        """Ask for a sheet; one that failed is tried again, one that waits or is made stays as it is."""
        now = time.time()
        fresh = {"state": "asked", "reason": None, "files": None, "attempts": 0, "claimed_until": 0.0, "asked_at": now}
        keys = {"entry_id": film.entry_id, "organisation_id": film.organisation_id}
        with writing(self._engine) as connection:
            dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
            statement = dialect.insert(DeskSheetRow).values(**keys, **fresh)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["entry_id"], set_=fresh, where=DeskSheetRow.state == "failed"
                )
            )
            append_audit(connection, "sheet_asked", {**_told(film), "user": user_id})

    def of(self, film: DeskFilm) -> Sheet | None:
        """Return the sheet of a film; None where nobody asked."""
        mine = and_(DeskSheetRow.entry_id == film.entry_id, DeskSheetRow.organisation_id == film.organisation_id)
        with reading(self._engine) as connection:
            row = connection.execute(select(*_COLUMNS).where(mine)).first()
        return None if row is None else Sheet(*row)

    def waiting(self, most: int = 100) -> list[tuple[int, str]]:
        """Sheets asked for that no worker holds, the first asked for first: organisation and entry."""
        row = DeskSheetRow
        query = select(row.organisation_id, row.entry_id).where(row.state == "asked", row.claimed_until < time.time())
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(row.asked_at).limit(most)).fetchall()
        return [(int(each[0]), str(each[1])) for each in rows]

    def claim(self, entry_id: str, *, organisation_id: int, lease: float) -> Sheet | None:
        """Take a sheet to make it, for `lease` seconds; None where another worker holds it or it is made."""
        now = time.time()
        free = and_(
            DeskSheetRow.entry_id == entry_id,
            DeskSheetRow.organisation_id == organisation_id,
            DeskSheetRow.state == "asked",
            DeskSheetRow.claimed_until < now,
        )
        values = {"claimed_until": now + lease, "attempts": DeskSheetRow.attempts + 1}
        with writing(self._engine) as connection:
            row = connection.execute(update(DeskSheetRow).where(free).values(**values).returning(*_COLUMNS)).first()
        return None if row is None else Sheet(*row)

    def finish(self, film: DeskFilm, path: str) -> None:
        """Note where the sheet lies."""
        self._settle(film, {"state": "made", "files": {_PAGE: path}})

    def fail(self, film: DeskFilm, reason: str) -> None:
        """Note why there is none."""
        self._settle(film, {"state": "failed", "reason": reason})

    def _settle(self, film: DeskFilm, values: dict[str, Any]) -> None:
        mine = and_(DeskSheetRow.entry_id == film.entry_id, DeskSheetRow.organisation_id == film.organisation_id)
        with writing(self._engine) as connection:
            connection.execute(update(DeskSheetRow).where(mine).values(**values, claimed_until=0.0))
            append_audit(connection, f"sheet_{values['state']}", _told(film))


def _told(film: DeskFilm) -> dict[str, Any]:
    return {"entry": film.entry_id, "organisation": film.organisation_id}
