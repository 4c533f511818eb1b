"""What peers stored here and what they are owed: the durable queue of a node, which survives kill -9 at any point.

A received object waits until it was judged; what it gave is put in the outbox in the same transaction that ends its
waiting. An owed object waits until its peer has confirmed it, however long the peer is away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from carina.archive.database import reading, writing
from carina.archive.tables import OutboxRow, ReceivedRow

__all__ = ["Exchange", "OwedItem", "OwedKind", "ReceivedObject"]

OwedKind: TypeAlias = Literal["store", "commitment"]
"""An object to be stored at the peer; an answer to its request for storage commitment."""


@dataclass(frozen=True, slots=True)
class ReceivedObject:
    """An object whose file lies durably in the store.

    Attributes
    ----------
    sha256, path : str
        Of the file, and where in the store.
    size : int
        Bytes.
    sop_class_uid, sop_instance_uid : str
    peer : str
        AE title that sent it.
    received_at : str
        UTC, ISO 8601.
    """

    sha256: str
    path: str
    size: int
    sop_class_uid: str
    sop_instance_uid: str
    peer: str
    received_at: str = ""


@dataclass(frozen=True, slots=True)
class OwedItem:
    """Something owed to a peer.

    Attributes
    ----------
    kind : {"store", "commitment"}
    peer : str
        AE title.
    sop_class_uid, sop_instance_uid : str
        Of the object; for a commitment its transaction UID.
    path : str or None
        Of the object's file in the store.
    body : str or None
        JSON, for a commitment.
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


class Exchange:
    """The queue; get it from `Archive.exchange`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def receive(self, received: ReceivedObject) -> bool:
        """Note an object; when this returns it survives a crash of the machine.

        Returns
        -------
        bool
            False where the same bytes were received before.
        """
        values = {**asdict(received), "received_at": _now(), "state": "waiting", "attempts": 0}
        with writing(self._engine) as connection:
            dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
            done = connection.execute(dialect.insert(ReceivedRow).values(**values).on_conflict_do_nothing())
            return bool(done.rowcount)

    def claim(self, most: int) -> ReceivedObject | None:
        """Take the object that waits longest, counting the attempt before it is made.

        An object that killed its worker `most` times is given up: its state becomes ``"failed"``.
        """
        fields = [getattr(ReceivedRow, name) for name in ReceivedObject.__slots__]
        waiting = ReceivedRow.state == "waiting"
        with reading(self._engine) as connection:
            if connection.execute(select(ReceivedRow.sha256).where(waiting).limit(1)).first() is None:
                return None
        with writing(self._engine) as connection:
            connection.execute(
                update(ReceivedRow)
                .where(waiting, ReceivedRow.attempts >= most)
                .values(state="failed", reason=f"reading it ended the worker {most} times; look at the file by hand")
            )
            order = (ReceivedRow.attempts, ReceivedRow.received_at, ReceivedRow.sha256)
            row = connection.execute(select(*fields).where(waiting).order_by(*order).limit(1)).first()
            if row is None:
                return None
            found = ReceivedObject(*row)
            connection.execute(
                update(ReceivedRow).where(ReceivedRow.sha256 == found.sha256).values(attempts=ReceivedRow.attempts + 1)
            )
            return found

    def release(self, sha256: str) -> None:
        """Give an object back that could not be tried, as if it had not been claimed."""
        with writing(self._engine) as connection:
            connection.execute(
                update(ReceivedRow).where(ReceivedRow.sha256 == sha256).values(attempts=ReceivedRow.attempts - 1)
            )

    def finish(self, sha256: str, state: str, reason: str | None, owed: Sequence[OwedItem] = ()) -> None:
        """End an object's waiting and put what it gave in the outbox, in one transaction."""
        with writing(self._engine) as connection:
            for item in owed:
                _owe(connection, item)
            connection.execute(
                update(ReceivedRow).where(ReceivedRow.sha256 == sha256).values(state=state, reason=reason)
            )

    def owe(self, item: OwedItem) -> None:
        """Put something in the outbox; the same thing twice is once."""
        with writing(self._engine) as connection:
            _owe(connection, item)

    def due(self, most: int = 100) -> list[OwedItem]:
        """Return what is to be tried now, longest due first."""
        fields = [getattr(OutboxRow, name) for name in OwedItem.__slots__]
        wanted = (OutboxRow.state == "waiting", OutboxRow.next_at <= time.time())
        with reading(self._engine) as connection:
            found = connection.execute(
                select(*fields).where(*wanted).order_by(OutboxRow.next_at, OutboxRow.item_id).limit(most)
            ).fetchall()
        return [OwedItem(*row) for row in found]

    def sent(self, item_id: int) -> None:
        """Note that the peer confirmed an item."""
        with writing(self._engine) as connection:
            connection.execute(
                update(OutboxRow).where(OutboxRow.item_id == item_id).values(state="sent", sent_at=_now(), error=None)
            )

    def postpone(self, item_id: int, error: str, seconds: float) -> None:
        """Note a failed attempt, and when the next one is due; nothing is ever given up."""
        with writing(self._engine) as connection:
            connection.execute(
                update(OutboxRow)
                .where(OutboxRow.item_id == item_id)
                .values(attempts=OutboxRow.attempts + 1, next_at=time.time() + seconds, error=error[:500])
            )

    def stored(self, sop_instance_uids: Sequence[str]) -> set[str]:
        """Of these objects, those that lie here."""
        column = ReceivedRow.sop_instance_uid
        with reading(self._engine) as connection:
            return {str(row[0]) for row in connection.execute(select(column).where(column.in_(sop_instance_uids)))}

    def counts(self) -> dict[str, int]:
        """Objects by state: ``received_waiting``, ``received_read``, ``outbox_waiting``, ``outbox_sent`` and so on."""
        counts: dict[str, int] = {}
        with reading(self._engine) as connection:
            for table in (ReceivedRow, OutboxRow):
                rows = connection.execute(select(table.state, func.count()).group_by(table.state))
                counts.update({f"{table.__tablename__}_{state}": int(number) for state, number in rows})
        return counts

    def problems(self, most: int = 100) -> list[tuple[str, str, str]]:
        """Return what gave no result or is overdue: UID, state or peer, and the reason."""
        with reading(self._engine) as connection:
            unread = connection.execute(
                select(ReceivedRow.sop_instance_uid, ReceivedRow.state, ReceivedRow.reason)
                .where(ReceivedRow.reason.is_not(None))
                .limit(most)
            ).fetchall()
            unsent = connection.execute(
                select(OutboxRow.sop_instance_uid, OutboxRow.peer, OutboxRow.error)
                .where(OutboxRow.error.is_not(None))
                .limit(most)
            ).fetchall()
        return [(str(one), str(two), str(three)) for one, two, three in (*unread, *unsent)]


def _owe(connection: Any, item: OwedItem) -> None:
    values = {name: getattr(item, name) for name in OwedItem.__slots__ if name != "item_id"}
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(OutboxRow).values(**values, state="waiting", next_at=time.time())
    connection.execute(statement.on_conflict_do_nothing())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
