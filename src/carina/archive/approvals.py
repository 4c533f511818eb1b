"""The approvals record: what users wrote down of approvals, shown and never asserted (M35).

An entry is never changed: a later one replaces or withdraws it, and the database refuses anything else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

from sqlalchemy import Engine, insert, select

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_tables import UserRow
from carina.archive.study_tables import ApprovalRow
from carina.errors import ArchiveError

__all__ = ["APPROVAL_KINDS", "Approval", "Approvals", "NewApproval"]

APPROVAL_KINDS: Final = {
    "ethics": "ethics committee",
    "protocol": "protocol",
    "locality": "locality (the hospital's own)",
    "data_access": "access to data",
    "maori_consultation": "Maori consultation",
    "other": "other",
}
"""Kinds of approval and their words."""

_LONGEST: Final = {"reference": 128, "body": 128, "note": 2_000}


@dataclass(frozen=True, slots=True)
class NewApproval:
    """What a user writes down.

    Attributes
    ----------
    kind : str
        One of `APPROVAL_KINDS`.
    reference : str
        The protocol's or committee's reference.
    body : str
        Who approved.
    decided_on : str
        ISO 8601 date.
    expires_on : str or None
        ISO 8601 date.
    note : str
    replaces : int or None
        The entry that this one corrects or withdraws.
    withdrawn : bool
        Whether the approval no longer stands.
    """

    kind: str
    reference: str
    body: str
    decided_on: str
    expires_on: str | None = None
    note: str = ""
    replaces: int | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Approval(NewApproval):
    """An entry of the record.

    Attributes
    ----------
    approval_id : int
    user : str
        Who wrote it down.
    at : float
        Seconds since 1970.
    replaced_by : int or None
        The later entry that took its place.
    """

    approval_id: int = 0
    user: str = ""
    at: float = 0.0
    replaced_by: int | None = None

    def stands(self, today: date) -> bool:
        """Whether nothing recorded says that the approval is over."""
        over = self.expires_on is not None and self.expires_on < today.isoformat()
        return self.replaced_by is None and not self.withdrawn and not over


class Approvals:
    """Approvals records of a service study; get it from `Study.approvals`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, new: NewApproval, *, study: str, organisation_id: int, user_id: int) -> int:
        """Add an entry; return its number.

        Raises
        ------
        ArchiveError
            If a field is missing or too long, a date is none, or the entry that it replaces is not the study's or was
            replaced before.
        """
        _check(new)
        values = {each.name: getattr(new, each.name) for each in fields(NewApproval)}
        keys = {"study": study, "organisation_id": organisation_id, "user_id": user_id, "at": time.time()}
        with writing(self._engine) as connection:
            if new.replaces is not None:
                known = select(ApprovalRow.approval_id).where(ApprovalRow.study == study)
                found = connection.execute(known.where(ApprovalRow.approval_id == new.replaces)).first()
                later = connection.execute(known.where(ApprovalRow.replaces == new.replaces)).first()
                if found is None or later is not None:
                    raise ArchiveError("an entry replaces one of the same study that no other has replaced")
            made = insert(ApprovalRow).values(**keys, **values).returning(ApprovalRow.approval_id)
            number = int(connection.execute(made).scalar_one())
            said = {"approval": number, "study": study, "kind": new.kind, "reference": new.reference}
            said |= {"replaces": new.replaces, "withdrawn": new.withdrawn, "user": user_id}
            append_audit(connection, "approval_recorded", {**said, "organisation": organisation_id})
        return number

    def record(self, study: str) -> list[Approval]:
        """Every entry of a study, oldest first."""
        wanted = [getattr(ApprovalRow, each.name) for each in fields(NewApproval)]
        query = select(*wanted, ApprovalRow.approval_id, UserRow.name, ApprovalRow.at)
        query = query.join(UserRow, UserRow.user_id == ApprovalRow.user_id).where(ApprovalRow.study == study)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(ApprovalRow.approval_id)).fetchall()
        later = {row.replaces: row.approval_id for row in rows if row.replaces is not None}
        return [Approval(*row, replaced_by=later.get(row.approval_id)) for row in rows]


def _check(new: NewApproval) -> None:
    if new.kind not in APPROVAL_KINDS:
        raise ArchiveError(f"an approval is one of {', '.join(APPROVAL_KINDS)}; found another")
    for name, longest in _LONGEST.items():
        if len(getattr(new, name)) > longest:
            raise ArchiveError(f"the {name} of an approval must have at most {longest} characters")
    if not new.reference or not new.body:
        raise ArchiveError("an approval must have a reference, and say who approved")
    decided = _date(new.decided_on)
    if decided > date.today():  # noqa: DTZ011 - the day where the server stands is meant
        raise ArchiveError("an approval must have been given by today")
    if new.expires_on is not None and _date(new.expires_on) < decided:
        raise ArchiveError("an approval must not end before it was given")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArchiveError("a date must be written as YYYY-MM-DD") from error
