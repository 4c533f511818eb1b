"""DICOM objects made of films' results: which organisation's, of which film, and where in the store.

What DICOMweb lists and returns, and what a node sends to its PACS, are the same files.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, exists, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.database import reading, writing
from carina.archive.desk_tables import DeskFilmRow, DeskOpeningRow, ResultObjectRow

__all__ = ["FoundSeries", "FoundStudy", "ObjectQuery", "ObjectScope", "ResultObjects", "StoredObject", "keep_objects"]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A result object whose file is durable in the store.

    Attributes
    ----------
    entry_id : str
        Of the film at the desk.
    model_sha256 : str
    kind : str
        Such as ``"report"``.
    study_uid, series_uid, sop_class_uid, sop_instance_uid : str
    path : str
        Relative to the store.
    size : int
        Bytes.
    made_at : float
        Seconds since 1970; 0 for the present when it is kept.
    """

    entry_id: str
    model_sha256: str
    kind: str
    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    size: int
    made_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectQuery:
    """What is looked for; everything that is given must fit exactly, one of several UIDs.

    Attributes
    ----------
    study_uids, series_uids, sop_class_uids, sop_instance_uids : tuple of str
        Empty for any.
    patient_id, accession_number : str or None
        Of the film.
    most, skip : int
        Rows.
    """

    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    sop_class_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
    patient_id: str | None = None
    accession_number: str | None = None
    most: int = 1_000
    skip: int = 0


@dataclass(frozen=True, slots=True)
class ObjectScope:
    """Whose objects are looked at.

    Attributes
    ----------
    organisation_id : int
    referrer_id : int or None
        Of the organisation's films, the requests of one user alone.
    blind_reader : tuple of (int, bool) or None
        A user, and whether they judge films: objects of films whose output is open to them alone, as
        `carina.archive.BlindReading` tells; None where a study has no blind reading.
    """

    organisation_id: int
    referrer_id: int | None
    blind_reader: tuple[int, bool] | None = None


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series of result objects.

    Attributes
    ----------
    study_uid, series_uid : str
    path : str
        Of the file of one of its objects.
    instances : int
    """

    study_uid: str
    series_uid: str
    path: str
    instances: int


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study that holds result objects.

    Attributes
    ----------
    study_uid : str
    path : str
        Of the file of one of its objects.
    series, instances : int
        That are result objects.
    sop_class_uids : tuple of str
    """

    study_uid: str
    path: str
    series: int
    instances: int
    sop_class_uids: tuple[str, ...]


_Row: Final[Any] = ResultObjectRow
_COLUMNS: Final = [getattr(_Row, each.name) for each in fields(StoredObject)]
_OF_OBJECT: Final = {
    "study_uids": _Row.study_uid,
    "series_uids": _Row.series_uid,
    "sop_class_uids": _Row.sop_class_uid,
    "sop_instance_uids": _Row.sop_instance_uid,
}
_OF_FILM: Final = ("patient_id", "accession_number")


class ResultObjects:
    """Result objects of a service study; get it from `Study.objects`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, objects: Sequence[StoredObject], *, organisation_id: int) -> int:
        """Note objects; one that is there already stays as it is.

        Returns
        -------
        int
            How many are new.
        """
        with writing(self._engine) as connection:
            return keep_objects(connection, objects, organisation_id=organisation_id)

    def find(self, wanted: ObjectQuery, scope: ObjectScope) -> list[StoredObject]:
        """Objects, oldest first."""
        query = _matching(select(*_COLUMNS), wanted, scope).order_by(_Row.object_id)
        with reading(self._engine) as connection:
            return [StoredObject(*row) for row in connection.execute(query.offset(wanted.skip).limit(wanted.most))]

    def series(self, wanted: ObjectQuery, scope: ObjectScope) -> list[FoundSeries]:
        """Series that hold such objects, by their UIDs."""
        keys = (_Row.study_uid, _Row.series_uid)
        matching = _matching(select(*keys), wanted, scope).distinct().order_by(*keys)
        with reading(self._engine) as connection:
            some = connection.execute(matching.offset(wanted.skip).limit(wanted.most)).fetchall()
            whole = ObjectQuery(series_uids=tuple(row.series_uid for row in some))
            counted = select(*keys, func.min(_Row.path), func.count())
            query = _matching(counted, whole, scope).group_by(*keys)
            known = {(row[0], row[1]): FoundSeries(*row) for row in connection.execute(query)} if some else {}
        return [known[row.study_uid, row.series_uid] for row in some]

    def studies(self, wanted: ObjectQuery, scope: ObjectScope) -> list[FoundStudy]:
        """Studies that hold such objects, by their UIDs."""
        matching = _matching(select(_Row.study_uid), wanted, scope).distinct().order_by(_Row.study_uid)
        with reading(self._engine) as connection:
            some = list(connection.execute(matching.offset(wanted.skip).limit(wanted.most)).scalars())
            if not some:
                return []
            told = select(_Row.study_uid, _Row.series_uid, _Row.sop_class_uid, _Row.path)
            rows = connection.execute(_matching(told, ObjectQuery(study_uids=tuple(some)), scope)).fetchall()
        found = []
        for uid in some:
            mine = [row for row in rows if row.study_uid == uid]
            series, classes = {row.series_uid for row in mine}, sorted({row.sop_class_uid for row in mine})
            found.append(FoundStudy(uid, min(row.path for row in mine), len(series), len(mine), tuple(classes)))
        return found


def keep_objects(connection: Connection, objects: Sequence[StoredObject], *, organisation_id: int) -> int:
    """Note objects within a transaction, and tell how many are new."""
    new = 0
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    for each in objects:
        values = {**asdict(each), "organisation_id": organisation_id, "made_at": each.made_at or time.time()}
        statement = dialect.insert(_Row).values(**values).on_conflict_do_nothing()
        new += connection.execute(statement.returning(_Row.object_id)).first() is not None
    return new


def _matching(query: Select[Any], wanted: ObjectQuery, scope: ObjectScope) -> Select[Any]:
    film, home = DeskFilmRow, scope.organisation_id
    query = query.join(film, film.entry_id == _Row.entry_id)
    query = query.where(_Row.organisation_id == home, film.organisation_id == home)
    if scope.referrer_id is not None:
        query = query.where(film.referrer_id == scope.referrer_id)
    if scope.blind_reader is not None:
        user_id, judges = scope.blind_reader
        opening = DeskOpeningRow
        seen = exists().where(opening.entry_id == film.entry_id, opening.user_id == user_id)
        seen = seen.where(opening.output_at.is_not(None))
        query = query.where(seen if judges else or_(seen, film.state == "reported"))
    for name, column in _OF_OBJECT.items():
        if getattr(wanted, name):
            query = query.where(column.in_(getattr(wanted, name)))
    for name in _OF_FILM:
        if getattr(wanted, name) is not None:
            query = query.where(getattr(film, name) == getattr(wanted, name))
    return query
