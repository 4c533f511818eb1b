"""Who may sign in to a service study: organisations, users, sessions, known browsers, failed sign-ins.

Passwords arrive hashed and tokens leave no trace but their SHA-256: whoever reads the database can sign in as nobody.
Everything that changes an account is an entry of the audit chain, in the same transaction.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from carina.archive.archive import append_audit
from carina.archive.browsers import Browsers, digest
from carina.archive.database import reading, writing
from carina.archive.desk_tables import OrganisationRow, SessionRow, TokenRow, UserRow
from carina.errors import ArchiveError

__all__ = [
    "COLUMNS",
    "NAME",
    "ROLES",
    "Accounts",
    "Organisation",
    "Role",
    "Session",
    "Stage",
    "User",
    "insert_user",
]

Role: TypeAlias = Literal["administrator", "researcher", "radiologist", "referrer"]
Stage: TypeAlias = Literal["password", "full"]
"""A session after the password alone, or after the second factor too."""

ROLES: Final[tuple[Role, ...]] = ("administrator", "researcher", "radiologist", "referrer")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,127}")
"""What a user's name is made of."""
COLUMNS: Final[tuple[Any, ...]] = (
    UserRow.user_id,
    UserRow.organisation_id,
    UserRow.name,
    UserRow.role,
    UserRow.state,
    UserRow.password_hash,
    UserRow.password_is_initial,
    UserRow.totp_secret,
    UserRow.totp_step,
)


@dataclass(frozen=True, slots=True)
class Organisation:
    """A district whose films its own users alone see.

    Attributes
    ----------
    organisation_id : int
    name : str
    """

    organisation_id: int
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in.

    Attributes
    ----------
    user_id, organisation_id : int
    name : str
        Lower case, unique in the study.
    role : {"administrator", "researcher", "radiologist", "referrer"}
    state : {"active", "disabled"}
    password_hash : str
        Argon2.
    password_is_initial : bool
        Whether somebody else set the password; it must then be changed at the first sign-in.
    totp_secret : str or None
        Base32; None until the second factor is set up.
    totp_step : int
        Last time step whose code was used; no code is taken twice (RFC 6238, 5.2).
    """

    user_id: int
    organisation_id: int
    name: str
    role: Role
    state: str
    password_hash: str
    password_is_initial: bool
    totp_secret: str | None
    totp_step: int


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes
    ----------
    user : User
    stage : {"password", "full"}
    form_token : str
        What every form of the session must send back.
    token_hash : str
    """

    user: User
    stage: Stage
    form_token: str
    token_hash: str


class Accounts(Browsers):
    """Accounts of a service study; get it from `Study.accounts`.

    Parameters
    ----------
    engine : Engine
    """

    # -- organisations and users -----------------------------------------------------------------------------------

    def add_organisation(self, name: str) -> Organisation:
        """Add an organisation, or return the one of that name."""
        name = " ".join(name.split())
        if not name or len(name) > 128:  # noqa: PLR2004 - the column's width
            raise ArchiveError("an organisation must have a name of 1 to 128 characters")
        with writing(self._engine) as connection:
            known = select(OrganisationRow.organisation_id).where(OrganisationRow.name == name)
            found = connection.execute(known).scalar_one_or_none()
            if found is None:
                values = {"name": name, "created_at": time.time()}
                made = insert(OrganisationRow).values(**values).returning(OrganisationRow.organisation_id)
                found = connection.execute(made).scalar_one()
                append_audit(connection, "organisation_added", {"organisation": found})
        return Organisation(int(found), name)

    def organisations(self) -> list[Organisation]:
        """Every organisation, by name."""
        with reading(self._engine) as connection:
            query = select(OrganisationRow.organisation_id, OrganisationRow.name).order_by(OrganisationRow.name)
            return [Organisation(*row) for row in connection.execute(query)]

    def add_user(
        self, name: str, *, organisation_id: int, role: Role, password_hash: str, by: int | None = None
    ) -> User:
        """Add a user, whose password somebody else has set and who must change it.

        Parameters
        ----------
        name : str
            2 to 128 lower-case letters, digits and ``._@-``.
        organisation_id : int
        role : {"administrator", "researcher", "radiologist", "referrer"}
        password_hash : str
        by : int or None
            The administrator; None from the command line.

        Raises
        ------
        ArchiveError
            If name or role is not one, or the name is taken.
        """
        with writing(self._engine) as connection:
            return insert_user(
                connection,
                name,
                organisation_id=organisation_id,
                role=role,
                password_hash=password_hash,
                initial=True,
                by=by,
            )

    def user(self, name: str) -> User | None:
        """Find a user by name; None where there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(select(*COLUMNS).where(UserRow.name == name.lower())).first()
        return None if row is None else User(*row)

    def users(self, organisation_id: int) -> list[User]:
        """Users of one organisation, by name."""
        query = select(*COLUMNS).where(UserRow.organisation_id == organisation_id).order_by(UserRow.name)
        with reading(self._engine) as connection:
            return [User(*row) for row in connection.execute(query)]

    def administrators(self) -> list[User]:
        """Active administrators of all organisations."""
        query = select(*COLUMNS).where(UserRow.role == "administrator", UserRow.state == "active")
        with reading(self._engine) as connection:
            return [User(*row) for row in connection.execute(query.order_by(UserRow.name))]

    def set_password(self, user: User, password_hash: str, *, initial: bool, by: int | None) -> None:
        """Set a password and end every session of the user; an initial one also takes the second factor away."""
        values: dict[str, Any] = {"password_hash": password_hash, "password_is_initial": initial}
        if initial:
            values |= {"totp_secret": None, "totp_step": 0}
        self._change(user, values, "password_reset" if initial else "password_changed", by)

    def set_second_factor(self, user: User, secret: str, step: int) -> None:
        """Set the second factor, whose first code was that of `step`."""
        self._change(user, {"totp_secret": secret, "totp_step": step}, "second_factor_set", user.user_id, end=False)

    def set_state(self, user: User, state: Literal["active", "disabled"], *, by: int | None) -> None:
        """Let a user sign in, or keep them out from now on."""
        self._change(user, {"state": state}, f"user_{state}", by)

    def set_role(self, user: User, role: Role, *, by: int | None) -> None:
        """Give a user another role, which ends every session and token of theirs.

        Raises
        ------
        ArchiveError
            If the role is none.
        """
        if role not in ROLES:
            raise ArchiveError(f"a role is one of {', '.join(ROLES)}; found {role!r}")
        self._change(user, {"role": role}, f"role_set_{role}", by)

    def use_code(self, user: User, step: int) -> bool:
        """Take the code of a time step; False where it, or a later one, was used before (RFC 6238, 5.2)."""
        with writing(self._engine) as connection:
            statement = update(UserRow).where(UserRow.user_id == user.user_id, UserRow.totp_step < step)
            return connection.execute(statement.values(totp_step=step)).rowcount == 1

    def _change(self, user: User, values: Mapping[str, Any], event: str, by: int | None, *, end: bool = True) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(UserRow).where(UserRow.user_id == user.user_id).values(**values))
            if end:
                connection.execute(delete(SessionRow).where(SessionRow.user_id == user.user_id))
                connection.execute(delete(TokenRow).where(TokenRow.user_id == user.user_id))
            said = {"user": user.user_id, "organisation": user.organisation_id, "by": by}
            append_audit(connection, event, said)

    # -- sessions --------------------------------------------------------------------------------------------------

    def begin_session(
        self,
        user: User,
        stage: Stage,
        *,
        address: str | None = None,
        agent: str | None = None,
        now: float | None = None,
    ) -> str:
        """Begin a session.

        Parameters
        ----------
        user : User
        stage : {"password", "full"}
        address, agent : str or None
            Where the browser is, and what it calls itself; users see both in the list of their sessions.
        now : float or None
            Seconds since 1970; the present when left out.

        Returns
        -------
        str
            The cookie's value, 256 random bits; only its hash is kept.
        """
        token, at = secrets.token_urlsafe(32), time.time() if now is None else now
        values = {
            "token_hash": digest(token),
            "user_id": user.user_id,
            "form_token": secrets.token_urlsafe(32),
            "stage": stage,
            "created_at": at,
            "seen_at": at,
            "address": None if address is None else address[:64],
            "agent": None if agent is None else agent[:200],
        }
        with writing(self._engine) as connection:
            connection.execute(insert(SessionRow).values(**values))
            if stage == "full":
                said = {"user": user.user_id, "organisation": user.organisation_id}
                append_audit(connection, "signed_in", said)
        return token

    def session(self, token: str, *, idle: float, absolute: float, now: float | None = None) -> Session | None:
        """Find a session that is still alive, of a user who is still active.

        Parameters
        ----------
        token : str
            The cookie's value.
        idle, absolute : float
            Seconds since it was last used, and since it began, after which it has ended.
        now : float or None
            Seconds since 1970; the present when left out.
        """
        at, key = time.time() if now is None else now, digest(token)
        wanted = (SessionRow.stage, SessionRow.form_token, SessionRow.created_at, SessionRow.seen_at)
        query = select(*COLUMNS, *wanted).join(UserRow, UserRow.user_id == SessionRow.user_id)
        with reading(self._engine) as connection:
            row = connection.execute(query.where(SessionRow.token_hash == key, UserRow.state == "active")).first()
        if row is None:
            return None
        if at - row.seen_at > idle or at - row.created_at > absolute:
            self.end_session(token)
            return None
        if at - row.seen_at > min(60.0, idle / 4):  # one write a minute, not one a request
            with writing(self._engine) as connection:
                connection.execute(update(SessionRow).where(SessionRow.token_hash == key).values(seen_at=at))
        return Session(User(*row[: len(COLUMNS)]), row.stage, row.form_token, key)

    def end_session(self, token: str) -> None:
        """End a session; without complaint where there is none."""
        with writing(self._engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.token_hash == digest(token)))


def insert_user(
    connection: Connection,
    name: str,
    *,
    organisation_id: int,
    role: Role,
    password_hash: str,
    initial: bool,
    by: int | None,
) -> User:
    """Add a user within a transaction, see `Accounts.add_user`; `initial` where somebody else set the password.

    Raises
    ------
    ArchiveError
        If name or role is not one, or the name is taken.
    """
    if not NAME.fullmatch(name):
        raise ArchiveError("a user's name must be 2 to 128 lower-case letters, digits, dots, dashes or @")
    if role not in ROLES:
        raise ArchiveError(f"a role is one of {', '.join(ROLES)}; found {role!r}")
    values = {
        "organisation_id": organisation_id,
        "name": name,
        "role": role,
        "state": "active",
        "password_hash": password_hash,
        "password_is_initial": initial,
        "totp_step": 0,
        "created_at": time.time(),
    }
    if connection.execute(select(UserRow.user_id).where(UserRow.name == name)).first() is not None:
        raise ArchiveError("a user's name must be free; this one is taken")
    try:
        made = connection.execute(insert(UserRow).values(**values).returning(*COLUMNS)).one()
    except IntegrityError as error:
        raise ArchiveError("a user must belong to an organisation that exists") from error
    said = {"user": made.user_id, "organisation": organisation_id, "role": role, "by": by}
    append_audit(connection, "user_added", said)
    return User(*made)
