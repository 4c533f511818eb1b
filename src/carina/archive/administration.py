"""What an administrator of one organisation sees and does: requests for accounts, sessions, traffic with peers.

Each query names the organisation; there is no default.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Engine, delete, func, insert, select, update

from carina.archive.accounts import NAME, Organisation, insert_user
from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_tables import AccountRequestRow, DeskFilmRow, OrganisationRow, SessionRow, UserRow
from carina.archive.tables import OutboxRow
from carina.errors import ArchiveError

__all__ = ["AccountRequest", "Administration", "OpenSession", "PeerTraffic"]

_WAITING_MOST: Final = 200
_KEY: Final = 16
_RECENT: Final = 30 * 86_400.0
_LONGEST: Final = {"name": 128, "full_name": 128, "contact": 1_000, "reason": 1_000}
Decision: TypeAlias = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """Somebody who asks for a referrer's account.

    Attributes
    ----------
    request_id : int
    name : str
        Wanted to sign in with.
    full_name, contact : str
        Who it is, and how to reach them.
    state : {"waiting", "approved", "refused"}
    asked_at : float
        Seconds since 1970.
    decided_at : float or None
    reason : str or None
        Of a refusal.
    """

    request_id: int
    name: str
    full_name: str
    contact: str
    state: str
    asked_at: float
    decided_at: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser that is signed in.

    Attributes
    ----------
    key : str
        Beginning of the token's hash; it opens nothing.
    user_id : int
    user : str
    stage : {"password", "full"}
    created_at, seen_at : float
        Seconds since 1970.
    address, agent : str or None
        Where the browser is, and what it calls itself.
    """

    key: str
    user_id: int
    user: str
    stage: str
    created_at: float
    seen_at: float
    address: str | None
    agent: str | None


@dataclass(frozen=True, slots=True)
class PeerTraffic:
    """What went between Carina and one peer.

    Attributes
    ----------
    last_film_at : float or None
        When its last film came, within the last 30 days; seconds since 1970.
    last_sent_at : str or None
        When it last took something; UTC, ISO 8601.
    waiting, sent, failed : int
        Items of the outbox.
    error : str or None
        Of the newest item that failed or waits to be tried again.
    """

    last_film_at: float | None
    last_sent_at: str | None
    waiting: int
    sent: int
    failed: int
    error: str | None


_REQUEST = tuple(getattr(AccountRequestRow, name) for name in AccountRequest.__slots__)


class Administration:
    """The administrators' side of a service study; get it from `Study.administration`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- organisations ---------------------------------------------------------------------------------------------

    def asked_organisations(self) -> list[Organisation]:
        """Organisations whom a referrer may ask for an account, by name."""
        query = select(OrganisationRow.organisation_id, OrganisationRow.name).where(OrganisationRow.takes_requests)
        with reading(self._engine) as connection:
            return [Organisation(*row) for row in connection.execute(query.order_by(OrganisationRow.name))]

    def organisation(self, organisation_id: int) -> dict[str, Any]:
        """Name, whether it takes requests, users by role and films by state of one organisation."""
        own = OrganisationRow.organisation_id == organisation_id
        users = select(UserRow.role, func.count()).where(UserRow.organisation_id == organisation_id)
        films = select(DeskFilmRow.state, func.count()).where(DeskFilmRow.organisation_id == organisation_id)
        with reading(self._engine) as connection:
            row = connection.execute(select(OrganisationRow.name, OrganisationRow.takes_requests).where(own)).one()
            return {
                "name": row.name,
                "takes_requests": bool(row.takes_requests),
                "users": {role: int(number) for role, number in connection.execute(users.group_by(UserRow.role))},
                "films": {
                    state: int(number) for state, number in connection.execute(films.group_by(DeskFilmRow.state))
                },
            }

    def change_organisation(self, organisation_id: int, *, name: str, takes_requests: bool, by: int | None) -> None:
        """Give an organisation a name, and say whether a referrer may ask it for an account.

        Raises
        ------
        ArchiveError
            If the name is empty, too long or another's.
        """
        name = " ".join(name.split())
        if not name or len(name) > _LONGEST["name"]:
            raise ArchiveError("an organisation must have a name of 1 to 128 characters")
        with writing(self._engine) as connection:
            others = select(OrganisationRow.organisation_id).where(
                OrganisationRow.name == name, OrganisationRow.organisation_id != organisation_id
            )
            if connection.execute(others).first() is not None:
                raise ArchiveError("an organisation's name must be free; this one is taken")
            values = {"name": name, "takes_requests": takes_requests}
            own = OrganisationRow.organisation_id == organisation_id
            connection.execute(update(OrganisationRow).where(own).values(**values))
            said = {"organisation": organisation_id, "takes_requests": takes_requests, "by": by}
            append_audit(connection, "organisation_changed", said)

    # -- requests for accounts -------------------------------------------------------------------------------------

    def ask(self, organisation_id: int, *, name: str, full_name: str, contact: str, password_hash: str) -> None:
        """Keep a request for a referrer's account; nothing says whether the name is taken.

        Raises
        ------
        ArchiveError
            If a field is empty or too long, the organisation takes no requests, or too many wait.
        """
        if not NAME.fullmatch(name):
            raise ArchiveError("a user's name must be 2 to 128 lower-case letters, digits, dots, dashes or @")
        for what, value in (("full_name", full_name), ("contact", contact)):
            if not 0 < len(value) <= _LONGEST[what]:
                raise ArchiveError(f"{what.replace('_', ' ')} must be 1 to {_LONGEST[what]} characters long")
        waiting = select(func.count()).where(
            AccountRequestRow.organisation_id == organisation_id, AccountRequestRow.state == "waiting"
        )
        takes = select(OrganisationRow.takes_requests).where(OrganisationRow.organisation_id == organisation_id)
        with writing(self._engine) as connection:
            if not connection.execute(takes).scalar_one_or_none():
                raise ArchiveError("an organisation must take requests for accounts; ask its administrator in person")
            if connection.execute(waiting).scalar_one() >= _WAITING_MOST:
                raise ArchiveError("too many requests wait for this organisation's administrator; try again later")
            values = {"organisation_id": organisation_id, "name": name, "full_name": full_name, "contact": contact}
            values |= {"password_hash": password_hash, "state": "waiting", "asked_at": time.time()}
            made = insert(AccountRequestRow).values(**values).returning(AccountRequestRow.request_id)
            number = connection.execute(made).scalar_one()
            append_audit(connection, "account_asked", {"request": number, "organisation": organisation_id})

    def requests(self, organisation_id: int, *, waiting: bool = True) -> list[AccountRequest]:
        """List the requests of one organisation: those that wait, oldest first, or the last 50 decided."""
        row, state = AccountRequestRow, AccountRequestRow.state
        query = select(*_REQUEST).where(row.organisation_id == organisation_id)
        if waiting:
            query = query.where(state == "waiting").order_by(row.request_id)
        else:
            query = query.where(state != "waiting").order_by(row.decided_at.desc()).limit(50)
        with reading(self._engine) as connection:
            return [AccountRequest(*each) for each in connection.execute(query)]

    def decide(
        self,
        request_id: int,
        decision: Decision,
        *,
        organisation_id: int,
        by: int,
        name: str = "",
        reason: str | None = None,
    ) -> bool:
        """Approve a request, which makes the account, or refuse it; the hash of its password goes from the request.

        Parameters
        ----------
        request_id : int
        decision : {"approved", "refused"}
        organisation_id, by : int
            Of the administrator, and who it is.
        name : str
            To sign in with, where it is not to be the name that was wanted.
        reason : str or None
            Of a refusal.

        Returns
        -------
        bool
            False where the organisation has no such request that waits.

        Raises
        ------
        ArchiveError
            If the name is none, or taken.
        """
        wanted = (
            AccountRequestRow.request_id == request_id,
            AccountRequestRow.organisation_id == organisation_id,
            AccountRequestRow.state == "waiting",
        )
        said: dict[str, Any] = {"request": request_id, "organisation": organisation_id, "by": by}
        with writing(self._engine) as connection:
            columns = (AccountRequestRow.name, AccountRequestRow.password_hash)
            row = connection.execute(select(*columns).where(*wanted).with_for_update()).first()
            if row is None:
                return False
            if decision == "approved":
                made = insert_user(
                    connection,
                    name or row.name,
                    organisation_id=organisation_id,
                    role="referrer",
                    password_hash=str(row.password_hash),
                    initial=False,
                    by=by,
                )
                said["user"] = made.user_id
            values: dict[str, Any] = {
                "state": decision,
                "decided_at": time.time(),
                "decided_by": by,
                "password_hash": None,
            }
            values["reason"] = None if reason is None else reason[: _LONGEST["reason"]]
            connection.execute(update(AccountRequestRow).where(*wanted).values(**values))
            append_audit(connection, f"account_{decision}", said)
        return True

    def waiting_requests(self, organisation_id: int) -> int:
        """How many requests wait."""
        wanted = (AccountRequestRow.organisation_id == organisation_id, AccountRequestRow.state == "waiting")
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.count()).where(*wanted)).scalar_one())

    # -- sessions --------------------------------------------------------------------------------------------------

    def sessions(
        self,
        organisation_id: int,
        *,
        idle: float,
        absolute: float,
        user_id: int | None = None,
        now: float | None = None,
    ) -> list[OpenSession]:
        """Sessions of an organisation's users, or of one of them, that have not ended; last used first.

        Parameters
        ----------
        organisation_id : int
        idle, absolute : float
            As in `Accounts.session`.
        user_id : int or None
        now : float or None
        """
        at, row = time.time() if now is None else now, SessionRow
        columns = (func.substr(row.token_hash, 1, _KEY), row.user_id, UserRow.name, row.stage, row.created_at)
        query = select(*columns, row.seen_at, row.address, row.agent).join(UserRow, UserRow.user_id == row.user_id)
        query = query.where(
            UserRow.organisation_id == organisation_id,
            UserRow.state == "active",
            row.seen_at >= at - idle,
            row.created_at >= at - absolute,
        )
        if user_id is not None:
            query = query.where(row.user_id == user_id)
        with reading(self._engine) as connection:
            return [OpenSession(*each) for each in connection.execute(query.order_by(row.seen_at.desc()).limit(500))]

    def end_session(self, key: str, *, organisation_id: int, by: int, user_id: int | None = None) -> bool:
        """End a session of an organisation's user; of that user alone where one is named. False where there is none."""
        named = func.substr(SessionRow.token_hash, 1, _KEY) == key
        query = select(SessionRow.token_hash, SessionRow.user_id).join(UserRow, UserRow.user_id == SessionRow.user_id)
        query = query.where(named, UserRow.organisation_id == organisation_id)
        if user_id is not None:
            query = query.where(SessionRow.user_id == user_id)
        with writing(self._engine) as connection:
            row = connection.execute(query).first()
            if row is None:
                return False
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == row.token_hash))
            append_audit(connection, "session_ended", {"user": row.user_id, "organisation": organisation_id, "by": by})
        return True

    # -- peers -----------------------------------------------------------------------------------------------------

    def traffic(self, peers: Sequence[str], *, organisation_id: int) -> dict[str, PeerTraffic]:
        """Tell what went between Carina and each of these peers, by AE title."""
        item = OutboxRow
        counts = select(item.peer, item.state, func.count(), func.max(item.sent_at)).where(item.peer.in_(peers))
        wrong = select(item.error).where(item.error.is_not(None), item.state != "sent").order_by(item.item_id.desc())
        film = select(DeskFilmRow.received_at).where(
            DeskFilmRow.organisation_id == organisation_id, DeskFilmRow.received_at > time.time() - _RECENT
        )
        found: dict[str, PeerTraffic] = {}
        with reading(self._engine) as connection:
            rows = connection.execute(counts.group_by(item.peer, item.state)).fetchall()
            for peer in peers:
                of_peer = {state: (number, last) for name, state, number, last in rows if name == peer}
                came = film.where(DeskFilmRow.source == f"pacs:{peer}").order_by(DeskFilmRow.received_at.desc())
                found[peer] = PeerTraffic(
                    last_film_at=connection.execute(came.limit(1)).scalar_one_or_none(),
                    last_sent_at=of_peer.get("sent", (0, None))[1],
                    waiting=of_peer.get("waiting", (0, None))[0],
                    sent=of_peer.get("sent", (0, None))[0],
                    failed=of_peer.get("failed", (0, None))[0],
                    error=connection.execute(wrong.where(item.peer == peer).limit(1)).scalar_one_or_none(),
                )
        return found
