"""The worklist: by priority, searched, filtered, sorted, a page at a time."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from carina.archive import DeskFilm, Order, State, WorklistQuery
from carina.errors import ArchiveError
from carina.web.badges import badges
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, Visitor
from carina.web.seeing import masked

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_films))]
_STATES: Final = ("received", "queued", "read", "refused", "failed", "reported")
_BLIND_STATES: Final = ("refused", "failed", "reported")
_ORDERS: Final = {"due": "by priority", "waiting": "longest waiting first", "received": "newest first"}
_COUNTED: Final = ("read", "refused", "failed")
_MOST: Final = 1_000


@router.get("/worklist")
def worklist(request: Request, visitor: _See) -> Response:
    """Show the first page by priority."""
    return _list(request, visitor, "worklist")


@router.post("/worklist")
def search(request: Request, visitor: _See) -> Response:
    """Show a page of what was searched for; a form, so that no patient's name stands in an address."""
    return _list(request, visitor, "worklist_rows" if request.headers.get("hx-request") else "worklist")


def _list(request: Request, visitor: Visitor, template: str) -> Response:
    study, user = request.app.state.study, visitor.user
    blind = study.blind.wanted
    wanted = _wanted(visitor, request.app.state.settings.web.rows, blind=blind)
    message, following = None, None
    films: tuple[DeskFilm, ...] = ()
    try:
        page = study.desk.worklist(wanted, **visitor.scope)
        films, following = masked(request, visitor, page.films), page.following
    except ArchiveError as error:
        if not wanted.search:
            raise
        message = f"{error}."
    study.desk.note_access("worklist_seen", organisation_id=user.organisation_id, user_id=user.user_id)
    return render(
        request,
        template,
        visitor,
        films=films,
        badges=badges(request, visitor, [each.entry_id for each in films]),
        following=None if following is None else f"{following[0]!r} {following[1]}",
        wanted=wanted,
        blind=blind,
        calls=blind and visitor.may(Permission.judge_films),
        orders=_orders(blind=blind),
        states=_BLIND_STATES if blind else _STATES,
        decisions=() if blind else (*request.app.state.model["classes"], "pneumonia_indeterminate"),
        counts=_counts(request, visitor, blind=blind) if template == "worklist" else [],
        message=message,
    )


def _wanted(visitor: Visitor, rows: int, *, blind: bool) -> WorklistQuery:
    """Tell what is asked for; in blind reading neither order nor filter may follow the model's output."""
    state, decision, order = visitor.text("state"), visitor.text("decision"), visitor.text("order")
    orders, sought = _orders(blind=blind), visitor.text("search", 128)
    # who looks for a patient wants every film of theirs
    mine = blind and visitor.may(Permission.judge_films) and visitor.text("mine") == "yes"
    everything = mine or visitor.text("all") == "yes" or state == "reported" or bool(sought)
    return WorklistQuery(
        order=cast("Order", order if order in orders else next(iter(orders))),
        open_only=not everything,
        state=cast("State", state) if state in (_BLIND_STATES if blind else _STATES) else None,
        decision=None if blind else decision or None,
        search=sought,
        uncalled_by=visitor.user.user_id if mine else None,
        after=_after(visitor.text("after")),
        rows=rows,
    )


def _orders(*, blind: bool) -> dict[str, str]:
    return {name: word for name, word in _ORDERS.items() if not (blind and name == "due")}


def _counts(request: Request, visitor: Visitor, *, blind: bool) -> list[dict[str, Any]]:
    """Open films, counted as far as an index reaches in a moment."""
    desk = request.app.state.study.desk
    states: tuple[str | None, ...] = (None,) if blind or visitor.scope["referrer_id"] is not None else (None, *_COUNTED)
    found = []
    for state in states:
        number = desk.count_open(**visitor.scope, state=state, most=_MOST + 1)
        shown = f"more than {_MOST:,}" if number > _MOST else f"{number:,}"
        found.append({"word": "open" if state is None else state, "number": shown, "any": number > 0})
    return found


def _after(text: str) -> tuple[float, str] | None:
    place, _, entry = text.partition(" ")
    try:
        return (float(place), entry[:32]) if entry else None
    except ValueError:
        return None
