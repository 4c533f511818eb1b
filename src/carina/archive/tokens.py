"""API tokens: made by a user, for a time and for named purposes; their hashes alone are kept."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from carina.archive.accounts import COLUMNS, User
from carina.archive.archive import append_audit
from carina.archive.browsers import digest
from carina.archive.database import reading, writing
from carina.archive.desk_tables import TokenRow, UserRow
from carina.errors import ArchiveError

__all__ = ["SCOPES", "Scope", "Token", "Tokens"]

Scope: TypeAlias = Literal["films:write", "health:read", "results:read", "worklist:read"]
SCOPES: Final[tuple[Scope, ...]] = ("films:write", "health:read", "results:read", "worklist:read")
"""What a token may be good for; whoever holds it can do no more than its user either."""

_PREFIX: Final = "carina_"
_KEY: Final = 16
_LONGEST_LABEL: Final = 64
_MOST: Final = 20
_FRESH: Final = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """An API token, without what opens.

    Attributes
    ----------
    key : str
        First 16 hex digits of its hash; it names the token and opens nothing.
    user_id : int
    user : str
        Name of the user whose it is.
    label : str
    scopes : tuple of str
        Out of `SCOPES`.
    created_at, expires_at : float
        Seconds since 1970.
    used_at : float or None
        Last use, to the minute.
    """

    key: str
    user_id: int
    user: str
    label: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float
    used_at: float | None


class Tokens:
    """API tokens of a service study; get it from `Study.tokens`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, user_id: int, label: str, scopes: Sequence[str], expires_at: float) -> tuple[str, Token]:
        """Make a token.

        Parameters
        ----------
        user_id : int
        label : str
            1 to 64 characters: what it is for.
        scopes : sequence of str
            At least one of `SCOPES`.
        expires_at : float
            Seconds since 1970.

        Returns
        -------
        tuple of (str, Token)
            The secret, 256 random bits, seen once and never again; and the token.

        Raises
        ------
        ArchiveError
            If label, scopes or expiry are none, there is no such active user, or the user has 20 tokens already.
        """
        now, label = time.time(), " ".join(label.split())
        wanted = tuple(each for each in SCOPES if each in scopes)
        if not label or len(label) > _LONGEST_LABEL:
            raise ArchiveError("a token must have a label of 1 to 64 characters, which says what it is for")
        if not wanted or set(scopes) != set(wanted):
            raise ArchiveError(f"a token must have scopes, and each must be one of {', '.join(SCOPES)}")
        if not expires_at > now:
            raise ArchiveError("a token must expire in the future")
        secret = f"{_PREFIX}{secrets.token_urlsafe(32)}"
        values = {"label": label, "scopes": list(wanted), "created_at": now, "expires_at": expires_at}
        with writing(self._engine) as connection:
            of_user = select(UserRow.name, UserRow.organisation_id)
            of_user = of_user.where(UserRow.user_id == user_id, UserRow.state == "active")
            owner = connection.execute(of_user).first()
            if owner is None:
                raise ArchiveError("a token must belong to an active user")
            if len(_found(connection, TokenRow.user_id == user_id, TokenRow.expires_at > now)) >= _MOST:
                raise ArchiveError(f"a user may have {_MOST} tokens; end one that is no longer needed")
            connection.execute(insert(TokenRow).values(token_hash=digest(secret), user_id=user_id, **values))
            made = Token(digest(secret)[:_KEY], user_id, owner.name, label, wanted, now, expires_at, None)
            said = {"user": user_id, "organisation": owner.organisation_id, "token": made.key, "scopes": list(wanted)}
            append_audit(connection, "token_added", said)
        return secret, made

    def find(self, secret: str, *, now: float | None = None) -> tuple[User, tuple[Scope, ...]] | None:
        """User and scopes of a token that has not expired, of a user who is active; None otherwise."""
        at, key = time.time() if now is None else now, digest(secret)
        query = select(*COLUMNS, TokenRow.scopes, TokenRow.used_at).join(UserRow, UserRow.user_id == TokenRow.user_id)
        query = query.where(TokenRow.token_hash == key, TokenRow.expires_at > at, UserRow.state == "active")
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        scopes = () if row is None else _scopes(row.scopes)
        if row is None or not scopes:  # the cookie of a known browser is no token
            return None
        if row.used_at is None or at - row.used_at > _FRESH:  # one write a minute, not one a request
            with writing(self._engine) as connection:
                connection.execute(update(TokenRow).where(TokenRow.token_hash == key).values(used_at=at))
        return User(*row[: len(COLUMNS)]), scopes

    def of_user(self, user_id: int) -> list[Token]:
        """Tokens of a user, newest first, expired ones too until they are ended."""
        with reading(self._engine) as connection:
            return _found(connection, TokenRow.user_id == user_id)

    def of_organisation(self, organisation_id: int) -> list[Token]:
        """Tokens of an organisation's users, newest first."""
        with reading(self._engine) as connection:
            return _found(connection, UserRow.organisation_id == organisation_id)

    def end(self, key: str, *, organisation_id: int, by: int | None, user_id: int | None = None) -> bool:
        """End a token at once.

        Parameters
        ----------
        key : str
            Its `Token.key`.
        organisation_id : int
            Whose users' tokens alone may be ended.
        by : int or None
            Who ends it; None from the command line.
        user_id : int or None
            Whose tokens alone may be ended, where it is a user who ends their own.

        Returns
        -------
        bool
            False where there is none.
        """
        where = [UserRow.organisation_id == organisation_id, func.substr(TokenRow.token_hash, 1, _KEY) == key]
        if user_id is not None:
            where.append(TokenRow.user_id == user_id)
        with writing(self._engine) as connection:
            found = _found(connection, *where)
            for each in found:
                mine = (TokenRow.user_id == each.user_id, func.substr(TokenRow.token_hash, 1, _KEY) == each.key)
                connection.execute(delete(TokenRow).where(*mine))
                said = {"user": each.user_id, "organisation": organisation_id, "token": each.key, "by": by}
                append_audit(connection, "token_ended", said)
        return bool(found)


def _found(connection: Connection, *where: Any) -> list[Token]:
    row = TokenRow
    columns = (row.token_hash, row.user_id, UserRow.name, row.label, row.scopes, row.created_at, row.expires_at)
    query = select(*columns, row.used_at).join(UserRow, UserRow.user_id == row.user_id).where(*where)
    found = []
    for each in connection.execute(query.order_by(row.created_at.desc())):
        if known := _scopes(each.scopes):
            values = (each.label, known, each.created_at, each.expires_at, each.used_at)
            found.append(Token(each.token_hash[:_KEY], each.user_id, each.name, *values))
    return found


def _scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    """Those that this version knows; what another one gave opens nothing here."""
    return cast("tuple[Scope, ...]", tuple(each for each in SCOPES if each in scopes))
