"""Who may see the model's output: where a study wants it, readers say what they see before the model does.

One rule, asked by every page, picture, list and interface. The output of a film is open to a user who has kept a blind
call of it, or who saw the output before the study asked for blind calls; and to a user who judges no films, once a
doctor has reported it. In a study without blind reading it is open to whoever may see the film.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Engine, and_, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk import DeskFilm
from carina.archive.desk_tables import DeskFilmRow, DeskOpeningRow, DeskReadRow
from carina.errors import ArchiveError

__all__ = ["BlindReading", "KeptCall"]


@dataclass(frozen=True, slots=True)
class KeptCall:
    """What one reader said of one film, once.

    Attributes
    ----------
    entry_id, film_id : str
    organisation_id, user_id : int
    blind : bool
        Whether it was said before the output was shown.
    call : str or None
    confidence : float or None
        That the call is right, in [0, 1].
    agrees : bool or None
        With the model.
    comment : str or None
    opened_at : float or None
        When the reader first opened the film, seconds since 1970.
    at : float
        When the call was kept.
    """

    entry_id: str
    organisation_id: int
    film_id: str
    user_id: int
    blind: bool
    call: str | None
    confidence: float | None
    agrees: bool | None
    comment: str | None
    opened_at: float | None
    at: float


class BlindReading:
    """Blind calls of a service study, and to whom output is open; get it from `Study.blind`.

    Parameters
    ----------
    engine : Engine
    wanted : bool
        Whether the study wants a call before its output is shown: ``blind_first`` in ``study.toml``.
    """

    def __init__(self, engine: Engine, *, wanted: bool) -> None:
        self._engine = engine
        self.wanted = wanted

    def open_to(self, films: Iterable[DeskFilm], *, user_id: int, judges: bool) -> frozenset[str]:
        """Of these films, the entries whose output is open to a user.

        Parameters
        ----------
        films : iterable of DeskFilm
            That the user may see.
        user_id : int
        judges : bool
            Whether the user is one who judges films: another's call opens nothing to them.
        """
        films = tuple(films)
        if not self.wanted:
            return frozenset(film.entry_id for film in films)
        opened = set() if judges else {film.entry_id for film in films if film.state == "reported"}
        row = DeskOpeningRow
        query = select(row.entry_id).where(
            row.user_id == user_id, row.entry_id.in_([film.entry_id for film in films]), row.output_at.is_not(None)
        )
        with reading(self._engine) as connection:
            return frozenset(opened | set(connection.execute(query).scalars()))

    def masked(self, films: Sequence[DeskFilm], *, user_id: int, judges: bool) -> tuple[DeskFilm, ...]:
        """Films without what the model said of them, where that is not open to the user.

        A film that waits, is queued or is read looks the same then: that a film was read, and when it is due, tells
        nothing of the output, and when it is due does.
        """
        seen = self.open_to(films, user_id=user_id, judges=judges)
        return tuple(film if film.entry_id in seen else _without_output(film) for film in films)

    def note_opened(self, film: DeskFilm, *, user_id: int, output: bool) -> None:
        """Note when a user first opened a film, and when they first saw its output."""
        now = time.time()
        keys = {"organisation_id": film.organisation_id, "entry_id": film.entry_id, "user_id": user_id}
        with writing(self._engine) as connection:
            _open(connection, keys, now)
            if output:
                _show(connection, keys, now)

    def keep_call(
        self, film: DeskFilm, *, user_id: int, call: str, confidence: float | None = None, comment: str | None = None
    ) -> None:
        """Keep a blind call; from then on the output is open to the reader.

        Raises
        ------
        ArchiveError
            If the reader has called the film, or seen its output, before.
        """
        now = time.time()
        keys = {"organisation_id": film.organisation_id, "entry_id": film.entry_id, "user_id": user_id}
        with writing(self._engine) as connection:
            _open(connection, keys, now)
            mine = _mine(keys)
            opened = connection.execute(select(DeskOpeningRow.opened_at, DeskOpeningRow.output_at).where(mine)).one()
            if opened.output_at is not None:
                raise ArchiveError("a blind call is kept once, and before the model's output was seen")
            values = {"call": call, "confidence": confidence, "comment": comment, "agrees": None}
            values |= {"blind": True, "at": now, "opened_at": opened.opened_at}
            connection.execute(insert(DeskReadRow).values(**keys, **values))
            _show(connection, keys, now)
            said = {"entry": film.entry_id, "organisation": film.organisation_id, "user": user_id, "blind": True}
            append_audit(connection, "film_judged", said)

    def calls(self, *, organisation_id: int | None = None) -> tuple[KeptCall, ...]:
        """Return what readers said, in the order in which they said it; of every organisation without one."""
        names = [each.name for each in fields(KeptCall)]
        columns = [DeskFilmRow.film_id if name == "film_id" else getattr(DeskReadRow, name) for name in names]
        query = select(*columns).join(DeskFilmRow, DeskFilmRow.entry_id == DeskReadRow.entry_id)
        if organisation_id is not None:
            query = query.where(DeskReadRow.organisation_id == organisation_id)
        with reading(self._engine) as connection:
            return tuple(KeptCall(*row) for row in connection.execute(query.order_by(DeskReadRow.read_id)))


def _without_output(film: DeskFilm) -> DeskFilm:
    bare = replace(film, urgency=None, decision=None, due_at=film.received_at)
    return replace(bare, state="received") if film.state in ("queued", "read") else bare


def _mine(keys: dict[str, Any]) -> Any:
    return and_(DeskOpeningRow.entry_id == keys["entry_id"], DeskOpeningRow.user_id == keys["user_id"])


def _open(connection: Any, keys: dict[str, Any], now: float) -> None:
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(DeskOpeningRow).values(**keys, opened_at=now).on_conflict_do_nothing())


def _show(connection: Any, keys: dict[str, Any], now: float) -> None:
    unseen = update(DeskOpeningRow).where(_mine(keys), DeskOpeningRow.output_at.is_(None))
    connection.execute(unseen.values(output_at=now))
