"""DICOM objects made of films' results: which organisation's, of which film, and where in the store.

What DICOMweb lists and returns, and what a node sends to its PACS, are the same files.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.database import reading, writing
from carina.archive.desk_tables import DeskFilmRow, ResultObjectRow

__all__ = ["ObjectQuery", "ResultObjects", "StoredObject"]


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
    """What is looked for; everything that is given must fit exactly.

    Attributes
    ----------
    study_uid, series_uid, sop_class_uid, sop_instance_uid : str or None
    patient_id, accession_number : str or None
        Of the film.
    most, skip : int
        Rows.
    """

    study_uid: str | None = None
    series_uid: str | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    patient_id: str | None = None
    accession_number: str | None = None
    most: int = 1_000
    skip: int = 0


_NAMES = [each.name for each in fields(StoredObject)]
_COLUMNS = [getattr(ResultObjectRow, name) for name in _NAMES]
_OF_FILM = ("patient_id", "accession_number")
_OF_OBJECT = ("study_uid", "series_uid", "sop_class_uid", "sop_instance_uid")


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
        new = 0
        with writing(self._engine) as connection:
            dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
            for each in objects:
                values = {**asdict(each), "organisation_id": organisation_id, "made_at": each.made_at or time.time()}
                statement = dialect.insert(ResultObjectRow).values(**values).on_conflict_do_nothing()
                new += connection.execute(statement.returning(ResultObjectRow.object_id)).first() is not None
        return new

    def find(self, wanted: ObjectQuery, *, organisation_id: int, referrer_id: int | None) -> list[StoredObject]:
        """Objects of an organisation's films, and of one referrer's where one is named; oldest first."""
        query = self._query(_COLUMNS, wanted, organisation_id, referrer_id)
        query = query.order_by(ResultObjectRow.object_id).offset(wanted.skip).limit(wanted.most)
        with reading(self._engine) as connection:
            return [StoredObject(*row) for row in connection.execute(query)]

    def studies(
        self, wanted: ObjectQuery, *, organisation_id: int, referrer_id: int | None
    ) -> list[Mapping[str, str | None]]:
        """Return the studies that the objects belong to: ``study_uid``, ``entry_id`` of one film of each."""
        columns = [ResultObjectRow.study_uid, ResultObjectRow.entry_id]
        query = self._query(columns, wanted, organisation_id, referrer_id).distinct()
        query = query.order_by(ResultObjectRow.study_uid, ResultObjectRow.entry_id)
        found: dict[str, Mapping[str, str | None]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query.offset(wanted.skip).limit(wanted.most)).mappings():
                found.setdefault(str(row["study_uid"]), dict(row))
        return list(found.values())

    def _query(
        self, columns: Sequence[Any], wanted: ObjectQuery, organisation_id: int, referrer_id: int | None
    ) -> Select[Any]:
        query = select(*columns).join(DeskFilmRow, DeskFilmRow.entry_id == ResultObjectRow.entry_id)
        query = query.where(
            ResultObjectRow.organisation_id == organisation_id, DeskFilmRow.organisation_id == organisation_id
        )
        if referrer_id is not None:
            query = query.where(DeskFilmRow.referrer_id == referrer_id)
        for table, names in ((ResultObjectRow, _OF_OBJECT), (DeskFilmRow, _OF_FILM)):
            for name in names:
                value = getattr(wanted, name)
                if value is not None:
                    query = query.where(getattr(table, name) == value)
        return query
