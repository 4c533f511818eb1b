"""From where users sign in: browsers that are known, and failed sign-ins, both kept by hash alone."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from carina.archive.archive import append_audit
from carina.archive.database import reading, writing
from carina.archive.desk_tables import FailureRow, SessionRow, TokenRow, UserRow

__all__ = ["Browsers", "digest"]

_BROWSER: Final = ["device"]
"""Scope of a known browser's cookie: it opens nothing."""


class Browsers:
    """Known browsers and failed sign-ins; part of `Accounts`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def remember_browser(self, user_id: int, seconds: float) -> str:
        """Remember a browser that a user has signed in with.

        Returns
        -------
        str
            Its cookie, which opens nothing; it alone counts failed sign-ins apart from those of strangers.
        """
        secret, now = secrets.token_urlsafe(32), time.time()
        values = {"token_hash": digest(secret), "user_id": user_id, "label": "browser", "scopes": _BROWSER}
        with writing(self._engine) as connection:
            connection.execute(insert(TokenRow).values(**values, created_at=now, expires_at=now + seconds))
            append_audit(connection, "browser_remembered", {"user": user_id})
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

    # -- what has run out ------------------------------------------------------------------------------------------

    def clear_expired(self, *, idle: float, absolute: float, kept: float, now: float | None = None) -> int:
        """Delete sessions that have ended, and tokens, known browsers and counts of failures that ran out long ago.

        Parameters
        ----------
        idle, absolute : float
            Seconds since a session was last used, and since it began, after which it has ended.
        kept : float
            Seconds for which an expired API token still stands in its user's list, and a count of failed sign-ins in
            the database: longer than any span that failures are counted over.
        now : float or None
            Seconds since 1970; the present when left out.

        Returns
        -------
        int
            Rows deleted. Nothing that still opens anything, or still counts, is among them.
        """
        at = time.time() if now is None else now
        ended = or_(SessionRow.seen_at < at - idle, SessionRow.created_at < at - absolute)
        old = (
            delete(SessionRow).where(ended),
            delete(TokenRow).where(TokenRow.expires_at < at - kept),
            delete(FailureRow).where(FailureRow.since < at - kept),
        )
        with writing(self._engine) as connection:
            return sum(connection.execute(each).rowcount for each in old)


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
