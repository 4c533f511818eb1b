"""Figures of a service study for those who watch over it: counts and times over all organisations, of nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from carina.archive.database import reading
from carina.archive.desk_records import OPEN
from carina.archive.desk_tables import DeskFilmRow, DeskResultRow
from carina.archive.study_tables import StudyJobRow
from carina.archive.tables import OutboxRow

__all__ = ["ServiceFigures", "service_figures"]

_NEWEST = 1_000


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """What a service study has to do, and how fast it does it.

    Attributes
    ----------
    films : dict of str to int
        By state.
    oldest_waiting : float or None
        When the film that waits longest for the model was received, seconds since 1970.
    latencies : tuple of float
        Seconds from receipt to result, of the newest 1,000 results that are no older than `span`.
    outbox : dict of (str, str) to int
        What waits to be done or failed, by kind and state.
    jobs : dict of str to int
        Of the study pages, by state.
    """

    films: dict[str, int]
    oldest_waiting: float | None
    latencies: tuple[float, ...]
    outbox: dict[tuple[str, str], int]
    jobs: dict[str, int]


def service_figures(engine: Engine, *, span: float = 3600.0, now: float | None = None) -> ServiceFigures:
    """Collect figures.

    Parameters
    ----------
    engine : Engine
        Of a service study.
    span : float
        How far back `latencies` reach, seconds.
    now : float or None
        Seconds since 1970; the present when left out.
    """
    since = (time.time() if now is None else now) - span
    film, result, job, owed = DeskFilmRow, DeskResultRow, StudyJobRow, OutboxRow
    newest = select(result.entry_id, result.made_at).order_by(result.result_id.desc()).limit(_NEWEST).subquery()
    latest = select(newest.c.made_at, film.received_at).join(film, film.entry_id == newest.c.entry_id)
    oldest = select(func.min(film.received_at)).where(film.state.in_(OPEN))
    open_owed = select(owed.kind, owed.state, func.count()).where(owed.state.in_(("waiting", "failed")))
    open_owed = open_owed.group_by(owed.kind, owed.state)
    with reading(engine) as connection:
        films = connection.execute(select(film.state, func.count()).group_by(film.state)).fetchall()
        times = connection.execute(latest).fetchall()
        outbox = connection.execute(open_owed).fetchall()
        jobs = connection.execute(select(job.state, func.count()).group_by(job.state)).fetchall()
        return ServiceFigures(
            films={str(state): int(number) for state, number in films},
            oldest_waiting=connection.execute(oldest).scalar(),
            latencies=tuple(made - received for made, received in times if made >= since),
            outbox={(str(kind), str(state)): int(number) for kind, state, number in outbox},
            jobs={str(state): int(number) for state, number in jobs},
        )
