"""Who may do what: every route names its permission, and without one it does not exist."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from carina.archive import Role, Session, Study, User
from carina.settings import Settings

__all__ = ["GRANTED", "Guard", "Permission", "RefusedError", "Visitor", "address_of", "cookie_name"]

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_SAFE: Final = frozenset({"GET", "HEAD"})


class Permission(StrEnum):
    """What a route lets its visitor do."""

    anyone = "anyone"
    second_step = "second_step"
    own_account = "own_account"
    own_access = "own_access"
    see_films = "see_films"
    send_films = "send_films"
    judge_films = "judge_films"
    break_glass = "break_glass"
    see_health = "see_health"
    manage_users = "manage_users"
    read_audit = "read_audit"
    see_openings = "see_openings"
    see_peers = "see_peers"
    see_studies = "see_studies"
    run_jobs = "run_jobs"
    record_approvals = "record_approvals"
    propose_models = "propose_models"
    activate_models = "activate_models"
    see_equity = "see_equity"
    manage_programmes = "manage_programmes"
    request_programme = "request_programme"


GRANTED: Final[dict[Role, frozenset[Permission]]] = {
    "administrator": frozenset(
        {
            Permission.own_account,
            Permission.own_access,
            Permission.see_health,
            Permission.manage_users,
            Permission.read_audit,
            Permission.see_openings,
            Permission.see_peers,
            Permission.see_studies,
            Permission.record_approvals,
            Permission.propose_models,
            Permission.activate_models,
            Permission.see_equity,
            Permission.manage_programmes,
        }
    ),
    "researcher": frozenset(
        {
            Permission.own_account,
            Permission.own_access,
            Permission.see_health,
            Permission.see_studies,
            Permission.run_jobs,
            Permission.record_approvals,
            Permission.propose_models,
            Permission.see_equity,
        }
    ),
    "radiologist": frozenset(
        {
            Permission.own_account,
            Permission.own_access,
            Permission.see_films,
            Permission.send_films,
            Permission.judge_films,
            Permission.break_glass,
            Permission.request_programme,
        }
    ),
    "referrer": frozenset(
        {
            Permission.own_account,
            Permission.own_access,
            Permission.see_films,
            Permission.send_films,
            Permission.request_programme,
        }
    ),
}
"""Permissions by role; an administrator sees no film."""


class RefusedError(Exception):
    """A request that must not go on.

    Parameters
    ----------
    status : int
        Of the answer: 401 where signing in would help, 403, 404 or 413.
    message : str
        One sentence for the visitor.
    to : str
        Where a visitor who is not signed in is led.
    """

    def __init__(self, status: int, message: str, to: str = "/sign-in") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.to = to


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, and what the form says.

    Attributes
    ----------
    session : Session or None
        None for anyone.
    form : FormData
        Empty unless a form was sent.
    """

    session: Session | None
    form: FormData = field(default_factory=FormData)

    @property
    def user(self) -> User:
        """The user who is signed in."""
        if self.session is None:
            raise RefusedError(401, "Sign in first.")
        return self.session.user

    @property
    def scope(self) -> dict[str, Any]:
        """Whose films the visitor sees: all of the organisation, or a referrer's own requests alone."""
        user = self.user
        own = user.user_id if user.role == "referrer" else None
        return {"organisation_id": user.organisation_id, "referrer_id": own}

    def text(self, name: str, most: int = 256) -> str:
        """One field of the form, at most so many characters; empty where it is missing."""
        value = self.form.get(name)
        return value[:most].strip() if isinstance(value, str) else ""

    def may(self, permission: Permission) -> bool:
        """Whether the visitor's role has a permission."""
        return self.session is not None and permission in GRANTED[self.user.role]


def cookie_name(*, secure: bool) -> str:
    """Name of the session's cookie; the prefix ties it to this host and to TLS (RFC 6265bis, 4.1.3)."""
    return "__Host-carina" if secure else "carina"


def address_of(request: Request) -> str:
    """Address that a request came from."""
    return request.client.host if request.client is not None else "unknown"


class Guard:
    """Dependency of every route: finds the visitor and refuses what the role does not allow.

    Parameters
    ----------
    permission : Permission
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> AsyncIterator[Visitor]:
        """Yield the visitor; what was uploaded is gone when the request ends.

        Raises
        ------
        RefusedError
        """
        session = await run_in_threadpool(self._session, request)
        self._allow(session)
        if request.method in _SAFE:
            yield Visitor(session)
            return
        web = request.app.state.settings.web
        # after the role was checked: a stranger's upload is not even read
        async with request.form(max_files=web.upload_files, max_fields=50, max_part_size=64 * 1024) as form:
            self._same_site(request, session, form)
            yield Visitor(session, form)

    def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(cookie_name(secure=request.app.state.secure))
        if token is None or self.permission is Permission.anyone:
            return None
        study: Study = request.app.state.study
        settings: Settings = request.app.state.settings
        idle, absolute = settings.web.idle_minutes * _MINUTE, settings.web.session_hours * _HOUR
        return study.accounts.session(token, idle=idle, absolute=absolute)

    def _allow(self, session: Session | None) -> None:
        if self.permission is Permission.anyone:
            return
        if session is None:
            raise RefusedError(401, "Sign in first.")
        if self.permission is Permission.second_step:
            if session.stage == "password":
                return
            raise RefusedError(403, "The second factor was given already.")
        if session.stage != "full":
            raise RefusedError(401, "Give the second factor first.", "/second-factor")
        if session.user.password_is_initial and self.permission is not Permission.own_account:
            raise RefusedError(401, "Choose a password of your own first.", "/account")
        if self.permission not in GRANTED[session.user.role]:
            raise RefusedError(403, f"The role {session.user.role} does not allow this; ask an administrator.")

    def _same_site(self, request: Request, session: Session | None, form: FormData) -> None:
        # the attack is another site's page that sends our form with our cookie (CSRF)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise RefusedError(403, "The form came from another site; open the page here and send it again.")
        known = request.cookies.get("carina_form", "") if session is None else session.form_token
        sent = form.get("form_token")
        if not isinstance(sent, str) or not known or not hmac.compare_digest(sent.encode(), known.encode()):
            raise RefusedError(403, "The form is of an earlier session; open the page again and send it once more.")
