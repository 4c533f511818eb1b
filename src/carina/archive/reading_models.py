"""Which model reads: proposed by one person, activated by another or with a written reason, and taken back.

Nothing is changed in place: a rollback is an activation of its own. The bundle lies in the store, where nobody edits
it. Films that were read keep their reading with the model that made it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.orm import aliased

from carina.archive.archive import append_audit
from carina.archive.database import lock_audit, reading, writing
from carina.archive.desk_tables import UserRow
from carina.archive.study_tables import ActivationRow
from carina.errors import ArchiveError

__all__ = ["LEAST_REASON", "Activation", "ActivationState", "NewModel", "ReadingModels"]

ActivationState: TypeAlias = Literal["proposed", "active", "replaced", "withdrawn"]

LEAST_REASON: Final = 20
"""Fewest characters of a reason that takes the place of a second person."""

_LONGEST_REASON: Final = 2_000


@dataclass(frozen=True, slots=True)
class NewModel:
    """A bundle that was checked and lies in the store.

    Attributes
    ----------
    path : str or None
        Of the zipped bundle in the store; None for the model that the settings name.
    name, version, model_sha256, bundle_sha256 : str
    origin : str
        Where it came from, in words.
    verdicts : dict of str to str
        Of the shortcut audit of this network, by contrast; empty where it was not audited.
    """

    path: str | None
    name: str
    version: str
    model_sha256: str
    bundle_sha256: str
    origin: str
    verdicts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Activation(NewModel):
    """A proposal and what became of it.

    Attributes
    ----------
    activation_id : int
    state : {"proposed", "active", "replaced", "withdrawn"}
    reason : str
        Of who proposed.
    proposed_by : int
    proposed_at : float
        Seconds since 1970.
    decided_at : float or None
    decision_reason : str or None
    proposer, decider : str or None
        Names of the users.
    """

    activation_id: int
    state: ActivationState
    reason: str
    proposed_by: int
    proposed_at: float
    decided_at: float | None
    decision_reason: str | None
    proposer: str | None
    decider: str | None


_NEW: Final = tuple(each.name for each in fields(NewModel))
_OWN: Final = ("activation_id", "state", "reason", "proposed_by", "proposed_at", "decided_at", "decision_reason")


class ReadingModels:
    """Models that read in a service study; get it from `Study.models`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def active(self) -> Activation | None:
        """Return the activation in force; None where the settings' model reads."""
        found = self._found(ActivationRow.state == "active", most=1)
        return found[0] if found and found[0].path is not None else None

    def active_id(self) -> int:
        """Return the number of the activation in force; 0 before any."""
        query = select(ActivationRow.activation_id).where(ActivationRow.state == "active")
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar() or 0)

    def activation(self, activation_id: int) -> Activation | None:
        """Find one; None where there is none."""
        found = self._found(ActivationRow.activation_id == activation_id, most=1)
        return found[0] if found else None

    def history(self, most: int = 50) -> list[Activation]:
        """Proposals and activations, newest first."""
        return self._found(ActivationRow.activation_id > 0, most=most)

    def propose(self, new: NewModel, *, reason: str, by: int) -> Activation:
        """Keep a proposal."""
        values = {name: getattr(new, name) for name in _NEW}
        with writing(self._engine) as connection:
            number = self._add(connection, values, reason, by)
            append_audit(connection, "model_proposed", {"activation": number, **_said(new), **_who(connection, by)})
        made = self.activation(number)
        assert made is not None  # noqa: S101 - it was just made
        return made

    def withdraw(self, activation: Activation, *, by: int) -> None:
        """Take a proposal back."""
        with writing(self._engine) as connection:
            self._decide(connection, activation.activation_id, "withdrawn", None, by)
            said = {"activation": activation.activation_id, **_who(connection, by)}
            append_audit(connection, "model_withdrawn", said)

    def activate(self, activation: Activation, *, by: int, reason: str | None) -> None:
        """Let a proposed model read from now on.

        Parameters
        ----------
        activation : Activation
        by : int
            Another user than the one who proposed; else a reason must be written.
        reason : str or None
            Needed too where the shortcut audit does not support every contrast.

        Raises
        ------
        ArchiveError
            If it is no longer proposed, or the reason is missing.
        """
        why = (reason or "").strip()[:_LONGEST_REASON]
        alone = by == activation.proposed_by
        if (alone or not is_supported(activation.verdicts)) and len(why) < LEAST_REASON:
            because = "one who proposed it confirms it" if alone else "the shortcut audit does not support it"
            raise ArchiveError(f"where {because}, a reason of {LEAST_REASON} characters or more must be written")
        with writing(self._engine) as connection:
            lock_audit(connection)  # two that confirm at once must not make two active models
            self._replace(connection)
            self._decide(connection, activation.activation_id, "active", why or None, by)
            said = {"activation": activation.activation_id, **_said(activation), "alone": alone, **_who(connection, by)}
            append_audit(connection, "model_activated", {**said, "reason": why or None})

    def roll_back(self, to: Activation | None, settings_model: NewModel, *, reason: str, by: int) -> None:
        """Let an earlier model read again, or the one that the settings name where `to` is None.

        Raises
        ------
        ArchiveError
            If the reason is too short, or `to` never read.
        """
        why = reason.strip()[:_LONGEST_REASON]
        if len(why) < LEAST_REASON:
            raise ArchiveError(f"to go back to a model, a reason of {LEAST_REASON} characters or more must be written")
        if to is not None and to.state != "replaced":
            raise ArchiveError("only a model that has read before can be gone back to")
        new = settings_model if to is None else to
        values = {name: getattr(new, name) for name in _NEW} | ({"path": None} if to is None else {})
        with writing(self._engine) as connection:
            lock_audit(connection)
            self._replace(connection)
            number = self._add(connection, values, why, by)
            self._decide(connection, number, "active", why, by)
            said = {"activation": number, "to": None if to is None else to.activation_id, **_said(new)}
            append_audit(connection, "model_rolled_back", {**said, **_who(connection, by), "reason": why})

    def _found(self, condition: Any, most: int) -> list[Activation]:
        proposer, decider = aliased(UserRow), aliased(UserRow)
        wanted = [getattr(ActivationRow, name) for name in (*_NEW, *_OWN)]
        query = select(*wanted, proposer.name, decider.name)
        query = query.outerjoin(proposer, proposer.user_id == ActivationRow.proposed_by)
        query = query.outerjoin(decider, decider.user_id == ActivationRow.decided_by).where(condition)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(ActivationRow.activation_id.desc()).limit(most)).fetchall()
        return [Activation(*tuple(row)) for row in rows]

    @staticmethod
    def _add(connection: Connection, values: dict[str, Any], reason: str, by: int) -> int:
        more = {"state": "proposed", "reason": reason[:_LONGEST_REASON], "proposed_by": by, "proposed_at": time.time()}
        made = insert(ActivationRow).values(**values, **more).returning(ActivationRow.activation_id)
        return int(connection.execute(made).scalar_one())

    @staticmethod
    def _replace(connection: Connection) -> None:
        connection.execute(update(ActivationRow).where(ActivationRow.state == "active").values(state="replaced"))

    @staticmethod
    def _decide(connection: Connection, number: int, state: ActivationState, why: str | None, by: int) -> None:
        values = {"state": state, "decided_by": by, "decided_at": time.time(), "decision_reason": why}
        this = update(ActivationRow).where(ActivationRow.activation_id == number, ActivationRow.state == "proposed")
        if connection.execute(this.values(**values)).rowcount != 1:
            raise ArchiveError("a model must be proposed and not yet decided on")


def is_supported(verdicts: dict[str, str]) -> bool:
    """Whether the shortcut audit was done and supports every contrast.

    Examples
    --------
    >>> is_supported({"pneumonia": "supported"}), is_supported({"pneumonia": "not shown"}), is_supported({})
    (True, False, False)
    """
    return bool(verdicts) and all(each == "supported" for each in verdicts.values())


def _said(new: NewModel) -> dict[str, Any]:
    return {"model": new.model_sha256, "bundle": new.bundle_sha256, "name": new.name, "version": new.version}


def _who(connection: Connection, by: int) -> dict[str, int | None]:
    home = connection.execute(select(UserRow.organisation_id).where(UserRow.user_id == by)).scalar()
    return {"user": by, "organisation": home}
