"""Sessions and API tokens: a user's own, and an administrator's view of those of the organisation."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import Scope, Study
from carina.errors import ArchiveError
from carina.settings import Settings
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor

__all__ = ["SCOPE_NEEDS", "browser_in_words", "router"]

router = APIRouter()

_Own = Annotated[Visitor, Depends(Guard(Permission.own_access))]
_Manage = Annotated[Visitor, Depends(Guard(Permission.manage_users))]
SCOPE_NEEDS: Final[dict[Scope, tuple[Permission, str]]] = {
    "worklist:read": (Permission.see_films, "list films and their states"),
    "results:read": (Permission.see_films, "read results of films"),
    "films:write": (Permission.send_films, "send films"),
    "health:read": (Permission.see_health, "read health and metrics"),
}
"""What the role of a token's user must allow for a scope to be good for anything, and what it is good for."""
_NAMES: Final = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"))
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_DAY: Final = 86_400.0
_NO_SESSION: Final = "There is no such session; it may have ended already."
_NO_SUCH: Final = "There is no such token; it may have been ended already."


def browser_in_words(agent: str | None) -> str:
    """Browser and system, as far as a browser says what it is.

    Examples
    --------
    >>> browser_in_words("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    'Firefox on Linux'
    >>> browser_in_words("curl/8.5.0"), browser_in_words(None)
    ('curl/8.5.0', 'unknown')
    """
    said = agent or "unknown"
    name = next((word for mark, word in (*_NAMES, ("Safari/", "Safari")) if mark in said), None)
    system = next((word for mark, word in _SYSTEMS if mark in said), None)
    if name is None:
        return said[:40]
    return name if system is None else f"{name} on {system}"


@router.get("/account/sessions")
def own_sessions(request: Request, visitor: _Own) -> Response:
    """List the visitor's own sessions."""
    return _sessions(request, visitor, own=True)


@router.post("/account/sessions/{key}/end")
def end_own_session(request: Request, visitor: _Own, key: str) -> Response:
    """End one of them."""
    _end_session(request, visitor, key, user_id=visitor.user.user_id)
    return RedirectResponse("/account/sessions", 303)


@router.get("/administration/sessions")
def sessions(request: Request, visitor: _Manage) -> Response:
    """List the sessions of the organisation's users."""
    return _sessions(request, visitor, own=False)


@router.post("/administration/sessions/{key}/end")
def end_session(request: Request, visitor: _Manage, key: str) -> Response:
    """End one of them."""
    _end_session(request, visitor, key)
    return RedirectResponse("/administration/sessions", 303)


@router.get("/account/tokens")
def own_tokens(request: Request, visitor: _Own) -> Response:
    """List the visitor's own tokens, and show the form for a new one."""
    return _tokens(request, visitor)


@router.post("/account/tokens")
def make_token(request: Request, visitor: _Own) -> Response:
    """Make a token; its secret is shown once."""
    may = {scope for scope, (needs, _) in SCOPE_NEEDS.items() if visitor.may(needs)}
    wanted = [scope for scope in SCOPE_NEEDS if visitor.text(f"scope_{scope}") == "yes"]
    if not set(wanted) <= may:
        raise RefusedError(403, "Your role does not allow what this token would be good for.")
    days, most = visitor.text("days", 6), request.app.state.settings.web.token_days
    if not days.isascii() or not days.isdigit() or not 1 <= int(days) <= most:
        return _tokens(request, visitor, message=f"A token is good for 1 to {most} days; choose a number of them.")
    try:
        secret, made = request.app.state.study.tokens.create(
            visitor.user.user_id, visitor.text("label", 65), wanted, time.time() + int(days) * _DAY
        )
    except ArchiveError as error:
        return _tokens(request, visitor, message=f"{error}.")
    return _tokens(request, visitor, shown=(made.label, secret))


@router.post("/account/tokens/{key}/end")
def end_own_token(request: Request, visitor: _Own, key: str) -> Response:
    """End one of the visitor's own tokens."""
    _end_token(request, visitor, key, user_id=visitor.user.user_id)
    return RedirectResponse("/account/tokens", 303)


@router.get("/administration/tokens")
def tokens(request: Request, visitor: _Manage) -> Response:
    """List the tokens of the organisation's users."""
    study: Study = request.app.state.study
    found = study.tokens.of_organisation(visitor.user.organisation_id)
    return render(request, "tokens", visitor, tokens=found, now=time.time())


@router.post("/administration/tokens/{key}/end")
def end_token(request: Request, visitor: _Manage, key: str) -> Response:
    """End one of them."""
    _end_token(request, visitor, key)
    return RedirectResponse("/administration/tokens", 303)


def _sessions(request: Request, visitor: Visitor, *, own: bool) -> Response:
    study: Study = request.app.state.study
    settings: Settings = request.app.state.settings
    user, session = visitor.user, visitor.session
    found = study.administration.sessions(
        user.organisation_id,
        idle=settings.web.idle_minutes * 60,
        absolute=settings.web.session_hours * 3600,
        user_id=user.user_id if own else None,
    )
    rows = [(each, browser_in_words(each.agent)) for each in found]
    here = "" if session is None else session.token_hash[:16]
    template = "own_sessions" if own else "sessions"
    return render(request, template, visitor, sessions=rows, this=here)


def _end_session(request: Request, visitor: Visitor, key: str, user_id: int | None = None) -> None:
    user = visitor.user
    done = request.app.state.study.administration.end_session(
        key, organisation_id=user.organisation_id, by=user.user_id, user_id=user_id
    )
    if not done:
        raise RefusedError(404, _NO_SESSION)


def _end_token(request: Request, visitor: Visitor, key: str, user_id: int | None = None) -> None:
    user = visitor.user
    done = request.app.state.study.tokens.end(
        key, organisation_id=user.organisation_id, by=user.user_id, user_id=user_id
    )
    if not done:
        raise RefusedError(404, _NO_SUCH)


def _tokens(
    request: Request, visitor: Visitor, *, message: str | None = None, shown: tuple[str, str] | None = None
) -> Response:
    study: Study = request.app.state.study
    scopes = [(scope, word) for scope, (needs, word) in SCOPE_NEEDS.items() if visitor.may(needs)]
    values: dict[str, Any] = {"message": message, "shown": shown, "scopes": scopes, "now": time.time()}
    values["most"] = request.app.state.settings.web.token_days
    found = study.tokens.of_user(visitor.user.user_id)
    return render(request, "own_tokens", visitor, status=400 if message else 200, tokens=found, **values)
