"""What became of an organisation's films, with what is recorded of their patients, for the equity page (M35)."""

from __future__ import annotations

from typing import Final

import polars as pl
from sqlalchemy import Engine, func, select

from carina.archive.database import reading
from carina.archive.desk_tables import DeskFilmRow, DeskReadRow, DeskResultRow
from carina.archive.study_tables import PersonRow
from carina.archive.tables import FilmRow

__all__ = ["EQUITY_SCHEMA", "equity_films", "first_receipt"]

EQUITY_SCHEMA: Final = pl.Schema(
    {
        "patient": pl.String(),
        "received_at": pl.Float64(),
        "acquired_at": pl.String(),
        "state": pl.String(),
        "decision": pl.String(),
        "read_at": pl.Float64(),
        "judged_at": pl.Float64(),
        "agrees": pl.Boolean(),
        "ethnicity": pl.String(),
        "sex": pl.String(),
        "birth_date": pl.String(),
        "film_sex": pl.String(),
        "film_age": pl.Float64(),
    }
)
"""Columns of `equity_films`: times in seconds since 1970; `film_sex` and `film_age` as in the film's file."""


def equity_films(engine: Engine, *, organisation_id: int, since: float, until: float) -> pl.DataFrame:
    """Every film that an organisation received in a span of time, oldest first.

    Parameters
    ----------
    engine : Engine
    organisation_id : int
    since, until : float
        Seconds since 1970; the second is left out.

    Returns
    -------
    DataFrame
        `EQUITY_SCHEMA`; a film without a patient's id is its own patient. `agrees` is of the first judgement after the
        model's output was shown.
    """
    film = DeskFilmRow
    read = select(DeskResultRow.entry_id, func.min(DeskResultRow.made_at).label("at")).group_by(DeskResultRow.entry_id)
    reads = read.where(DeskResultRow.organisation_id == organisation_id).subquery()
    first = select(func.min(DeskReadRow.read_id).label("read_id")).group_by(DeskReadRow.entry_id)
    seen = first.where(DeskReadRow.organisation_id == organisation_id, DeskReadRow.blind.is_(False)).subquery()
    judged = select(DeskReadRow.entry_id, DeskReadRow.at, DeskReadRow.agrees)
    judgement = judged.join(seen, seen.c.read_id == DeskReadRow.read_id).subquery()
    columns = (
        func.coalesce(film.patient_id, film.entry_id),
        film.received_at,
        film.acquired_at,
        film.state,
        film.decision,
        reads.c.at,
        judgement.c.at,
        judgement.c.agrees,
        PersonRow.ethnicity,
        PersonRow.sex,
        PersonRow.birth_date,
        FilmRow.sex,
        FilmRow.age_years,
    )
    person = (PersonRow.organisation_id == film.organisation_id) & (PersonRow.patient_id == film.patient_id)
    query = select(*columns).select_from(film).outerjoin(PersonRow, person)
    query = query.outerjoin(FilmRow, FilmRow.film_id == film.film_id)
    query = query.outerjoin(reads, reads.c.entry_id == film.entry_id)
    query = query.outerjoin(judgement, judgement.c.entry_id == film.entry_id)
    query = query.where(film.organisation_id == organisation_id, film.received_at >= since, film.received_at < until)
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(film.received_at, film.entry_id)).fetchall()
    return pl.DataFrame([tuple(row) for row in rows], schema=EQUITY_SCHEMA, orient="row")


def first_receipt(engine: Engine, *, organisation_id: int) -> float | None:
    """When an organisation's first film was received; None before it."""
    query = select(func.min(DeskFilmRow.received_at)).where(DeskFilmRow.organisation_id == organisation_id)
    with reading(engine) as connection:
        found = connection.execute(query).scalar()
    return None if found is None else float(found)
