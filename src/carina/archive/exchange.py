"""What is owed: to peers, and to the results of films; the durable outbox, which survives kill -9 at any point.

What a step gives is put in the outbox in the same transaction that ends the step, and an owed item waits until it is
done, however long a peer is away. Which films wait to be read is told by the desk, and by nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.database import reading, writing
from carina.archive.objects import StoredObject, keep_objects
from carina.archive.tables import OutboxRow

__all__ = ["Exchange", "OwedItem", "OwedKind", "owe"]

OwedKind: TypeAlias = Literal["make", "send", "store", "commitment", "priors"]
"""A film's result objects to be made; objects made, to be sent to whoever gets them; one object to be stored at one
peer; an answer to its request for storage commitment; earlier films of a patient to be fetched from it."""


@dataclass(frozen=True, slots=True)
class OwedItem:
    """Something to be done.

    Attributes
    ----------
    kind : {"make", "send", "store", "commitment", "priors"}
    peer : str
        AE title; empty for ``"make"`` and ``"send"``.
    sop_class_uid : str
        Of the object; empty where there is none.
    sop_instance_uid : str
        Of the object; for a commitment its transaction UID, for the others what names the film's result or the film.
        One of a kind and peer is owed once.
    path : str or None
        Of the object's file in the store.
    body : str or None
        JSON; what it holds depends on the kind.
    item_id : int
        0 before it is noted.
    attempts : int
        Failed so far.
    """

    kind: OwedKind
    peer: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str | None = None
    body: str | None = None
    item_id: int = 0
    attempts: int = 0

    @property
    def said(self) -> dict[str, Any]:
        """Content of `body`."""
        found = json.loads(self.body or "{}")
        return found if isinstance(found, dict) else {}


class Exchange:
    """The outbox; get it from `Archive.exchange`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def owe(self, item: OwedItem) -> None:
        """Put something in the outbox; the same thing twice is once."""
        with writing(self._engine) as connection:
            owe(connection, item)

    def due(self, kinds: Sequence[OwedKind], most: int = 100) -> list[OwedItem]:
        """Return what is to be tried now, longest due first."""
        wanted = (OutboxRow.state == "waiting", OutboxRow.kind.in_(kinds), OutboxRow.next_at <= time.time())
        with reading(self._engine) as connection:
            found = connection.execute(
                select(*_FIELDS).where(*wanted).order_by(OutboxRow.next_at, OutboxRow.item_id).limit(most)
            ).fetchall()
        return [OwedItem(*row) for row in found]

    def take(self, kind: OwedKind, *, lease: float, most: int) -> OwedItem | None:
        """Take the item that is due longest, for `lease` seconds, counting the attempt before it is made.

        An item that ended its process `most` times is given up: its state becomes ``"failed"``.
        """
        if not self.due((kind,), 1):
            return None
        now = time.time()
        due = (OutboxRow.state == "waiting", OutboxRow.kind == kind, OutboxRow.next_at <= now)
        with writing(self._engine) as connection:
            why = f"it ended the process {most} times; look at the film by hand"
            connection.execute(
                update(OutboxRow).where(*due, OutboxRow.attempts >= most).values(state="failed", error=why)
            )
            row = connection.execute(
                select(*_FIELDS).where(*due).order_by(OutboxRow.next_at, OutboxRow.item_id).limit(1)
            ).first()
            if row is None:
                return None
            found = OwedItem(*row)
            taken = update(OutboxRow).where(*due, OutboxRow.item_id == found.item_id)
            done = connection.execute(taken.values(attempts=OutboxRow.attempts + 1, next_at=now + lease))
            return replace(found, attempts=found.attempts + 1) if done.rowcount else None

    def sent(self, item_id: int, more: Sequence[OwedItem] = ()) -> None:
        """Note that an item is done, and put in the outbox what follows from it, in one transaction."""
        with writing(self._engine) as connection:
            _settle(connection, item_id, {"state": "sent", "sent_at": _now(), "error": None})
            for each in more:
                owe(connection, each)

    def made(self, item: OwedItem, objects: Sequence[StoredObject], *, organisation_id: int) -> None:
        """Note result objects whose files are durable, and that they are to be sent, in one transaction."""
        with writing(self._engine) as connection:
            keep_objects(connection, objects, organisation_id=organisation_id)
            owe(connection, OwedItem("send", "", "", item.sop_instance_uid, body=item.body))
            _settle(connection, item.item_id, {"state": "sent", "sent_at": _now(), "error": None})

    def give_up(self, item_id: int, why: str) -> None:
        """Note that an item cannot be done, ever, and why."""
        with writing(self._engine) as connection:
            _settle(connection, item_id, {"state": "failed", "error": why[:500]})

    def postpone(self, item_id: int, error: str, seconds: float) -> None:
        """Note a failed attempt, and when the next one is due."""
        with writing(self._engine) as connection:
            values = {"attempts": OutboxRow.attempts + 1, "next_at": time.time() + seconds, "error": error[:500]}
            _settle(connection, item_id, values)

    def release(self, item_id: int, error: str, seconds: float) -> None:
        """Give an item back that could not be tried, as if it had not been taken."""
        with writing(self._engine) as connection:
            values = {"attempts": OutboxRow.attempts - 1, "next_at": time.time() + seconds, "error": error[:500]}
            _settle(connection, item_id, values)

    def counts(self) -> dict[str, int]:
        """Items by kind and state: ``store_waiting``, ``store_sent``, ``make_failed`` and so on."""
        query = select(OutboxRow.kind, OutboxRow.state, func.count()).group_by(OutboxRow.kind, OutboxRow.state)
        with reading(self._engine) as connection:
            return {f"{kind}_{state}": int(number) for kind, state, number in connection.execute(query)}

    def problems(self, most: int = 100) -> list[tuple[str, str, str]]:
        """Return what failed or is overdue: kind, peer or state, and the reason."""
        query = select(OutboxRow.kind, OutboxRow.peer, OutboxRow.state, OutboxRow.error)
        query = query.where(OutboxRow.error.is_not(None)).order_by(OutboxRow.item_id.desc()).limit(most)
        with reading(self._engine) as connection:
            return [(str(one), str(two or three), str(four)) for one, two, three, four in connection.execute(query)]


_FIELDS = [getattr(OutboxRow, name) for name in OwedItem.__slots__]


def owe(connection: Connection, item: OwedItem) -> None:
    """Put something in the outbox within a transaction; the same thing twice is once."""
    values = {name: getattr(item, name) for name in OwedItem.__slots__ if name != "item_id"}
    statement = _insert(connection, OutboxRow).values(**values, state="waiting", next_at=time.time())
    connection.execute(statement.on_conflict_do_nothing())


def _insert(connection: Connection, table: Any) -> Any:
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _settle(connection: Connection, item_id: int, values: dict[str, Any]) -> None:
    connection.execute(update(OutboxRow).where(OutboxRow.item_id == item_id).values(**values))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
