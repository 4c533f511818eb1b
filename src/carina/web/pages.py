"""Templates filled for a visitor; every value is escaped there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from carina.report.page import words
from carina.web.permissions import Permission, Visitor
from carina.web.told import Told, told_to

__all__ = ["age_in_words", "audited", "render", "render_form"]

_MENU: Final = (
    ("/worklist", "Worklist", Permission.see_films),
    ("/upload", "Send films", Permission.send_films),
    ("/glass", "Break-glass", Permission.break_glass),
    ("/studies", "Studies", Permission.see_studies),
    ("/models", "Models", Permission.see_studies),
    ("/equity", "Equity", Permission.see_equity),
    ("/users", "Administration", Permission.manage_users),
    ("/health", "Health", Permission.see_health),
    ("/account", "Account", Permission.own_account),
)
_ROOMS: Final = {"/users": "/administration/", "/account": "/account/"}
"""What else lies behind an entry of the menu."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def age_in_words(then: float, now: float | None = None) -> str:
    """Time gone by, in its largest unit.

    Examples
    --------
    >>> age_in_words(0, 59), age_in_words(0, 125), age_in_words(0, 7300), age_in_words(0, 200_000)
    ('now', '2 min', '2 h', '2 d')
    """
    seconds = int((time.time() if now is None else now) - then)
    if seconds < _MINUTE:
        return "now"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < _DAY else f"{seconds // _DAY} d"


def audited(model: Mapping[str, Any]) -> str:
    """Verdict of a model's shortcut audit in one sentence.

    Examples
    --------
    >>> audited({"verdicts": {"pneumonia": "not supported", "effusion": "supported"}})
    'Shortcut audit: 1 of 2 contrasts supported.'
    >>> audited({})
    'Shortcut audit: not audited.'
    """
    verdicts = model.get("verdicts") or {}
    if not verdicts:
        return "Shortcut audit: not audited."
    held = sum(each == "supported" for each in verdicts.values())
    return f"Shortcut audit: {held} of {len(verdicts)} contrasts supported."


def span_in_words(seconds: float) -> str:
    """Length of time, in its largest unit.

    Examples
    --------
    >>> span_in_words(45), span_in_words(125), span_in_words(7300), span_in_words(200_000)
    ('45 s', '2.1 min', '2.0 h', '2.3 d')
    """
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


@cache
def _environment() -> jinja2.Environment:
    room = files("carina.web") / "templates"
    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: (room / name).read_text(encoding="utf-8")),
    )
    made.filters.update(words=words, age=age_in_words, span=span_in_words, audited=audited)
    return made


def render(
    request: Request, template: str, visitor: Visitor | None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Fill a template.

    Parameters
    ----------
    request : Request
    template : str
        Without its ending.
    visitor : Visitor or None
    status : int
    **values
        What the template asks for.
    """
    session = None if visitor is None else visitor.session
    full = session is not None and session.stage == "full"
    menu = [(to, word) for to, word, needs in _MENU if full and visitor is not None and visitor.may(needs)]
    here = request.url.path
    room = next((to for to, begins in _ROOMS.items() if here.startswith(begins)), here)
    told = Told() if visitor is None or not full or request.headers.get("hx-request") else told_to(request, visitor)
    text = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            user=session.user if session is not None and full else None,
            form_token=session.form_token if session is not None else values.pop("form_token", ""),
            menu=menu,
            here=here,
            room=room,
            told=told,
            model=request.app.state.model,
            **values,
        )
    )
    return HTMLResponse(text, status)


def render_form(request: Request, template: str, visitor: Visitor, **values: Any) -> HTMLResponse:
    """Fill a template with a form for somebody who is not signed in: its token is tied to a cookie of its own."""
    token = request.cookies.get("carina_form") or secrets.token_urlsafe(32)
    answer = render(request, template, visitor, **values, form_token=token)
    answer.set_cookie("carina_form", token, secure=request.app.state.secure, httponly=True, samesite="strict")
    return answer
