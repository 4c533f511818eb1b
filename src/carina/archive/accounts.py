"""Who may sign in to a service study: organisations, users, sessions, known browsers, failed sign-ins.

Passwords arrive hashed and tokens leave no trace but their SHA-256: whoever reads the database can sign in as nobody.
Everything that changes an account is an entry of the audit chain, in the same transaction.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_tables import FailureRow, OrganisationRow, SessionRow, TokenRow, UserRow
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
    "digest",
    "insert_user",
]

Role: TypeAlias = Literal["administrator", "researcher", "radiologist", "referrer"]
Stage: TypeAlias = Literal["password", "full"]
"""A session after the password alone, or after the second factor too."""

_BROWSER: Final = ["device"]
"""Scope of a known browser's cookie: it opens nothing."""
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


class Accounts:
    """Accounts of a service study; get it from `Study.accounts`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
            append_audit(connection, event, {"user": user.user_id, "by": by})

    # -- sessions --------------------------------------------------------------------------------------------------

    def begin_session(self, user: User, stage: Stage, *, now: float | None = None) -> str:
        """Begin a session.

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
        }
        with writing(self._engine) as connection:
            connection.execute(insert(SessionRow).values(**values))
            if stage == "full":
                append_audit(connection, "signed_in", {"user": user.user_id})
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

    # -- known browsers --------------------------------------------------------------------------------------------

    def remember_browser(self, user: User, seconds: float) -> str:
        """Remember a browser that a user has signed in with.

        Returns
        -------
        str
            Its cookie, which opens nothing; it alone counts failed sign-ins apart from those of strangers.
        """
        secret, now = secrets.token_urlsafe(32), time.time()
        values = {"token_hash": digest(secret), "user_id": user.user_id, "label": "browser", "scopes": _BROWSER}
        with writing(self._engine) as connection:
            connection.execute(insert(TokenRow).values(**values, created_at=now, expires_at=now + seconds))
            append_audit(connection, "browser_remembered", {"user": user.user_id})
        return secret

    def knows_browser(self, cookie: str, name: str) -> bool:
        """Whether the user of this name has signed in with the browser that has this cookie."""
        query = select(TokenRow.scopes).join(UserRow, UserRow.user_id == TokenRow.user_id)
        query = query.where(
            TokenRow.token_hash == digest(cookie),
            TokenRow.expires_at > time.time(),
            UserRow.state == "active",
            UserRow.name == name,
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none() == _BROWSER

    # -- failed sign-ins -------------------------------------------------------------------------------------------

    def failures(self, keys: Mapping[str, float], *, now: float | None = None) -> dict[str, int]:
        """Count recent failed sign-ins.

        Parameters
        ----------
        keys : mapping of str to float
            Whose, and over how many seconds back a count stays.
        """
        at = time.time() if now is None else now
        hashed = {digest(key): key for key in keys}
        query = select(FailureRow.key, FailureRow.failures, FailureRow.since).where(FailureRow.key.in_(hashed))
        with reading(self._engine) as connection:
            found = {hashed[row.key]: (row.failures, row.since) for row in connection.execute(query)}
        return {key: found[key][0] if key in found and at - found[key][1] <= span else 0 for key, span in keys.items()}

    def note_failure(self, keys: Mapping[str, float], *, now: float | None = None) -> None:
        """Count one failed sign-in for each key; a count older than its span begins again."""
        at = time.time() if now is None else now
        with writing(self._engine) as connection:
            for key, span in sorted(keys.items()):
                _count(connection, digest(key), at, span)

    def forget_failures(self, keys: Mapping[str, float]) -> None:
        """Begin the counts again, after a sign-in that succeeded."""
        with writing(self._engine) as connection:
            connection.execute(delete(FailureRow).where(FailureRow.key.in_([digest(key) for key in keys])))


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


def _count(connection: Connection, key: str, at: float, span: float) -> None:
    row = connection.execute(select(FailureRow.since).where(FailureRow.key == key).with_for_update()).first()
    if row is None:
        connection.execute(insert(FailureRow).values(key=key, failures=1, since=at))
        return
    again = at - row.since > span
    values = {"failures": 1, "since": at} if again else {"failures": FailureRow.failures + 1}
    connection.execute(update(FailureRow).where(FailureRow.key == key).values(**values))


def digest(value: str) -> str:
    """SHA-256 of a token, as hex.

    Tokens hold 256 random bits, so that a plain hash of one cannot be guessed back.
    """
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
