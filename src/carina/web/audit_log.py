"""The audit log of the visitor's organisation, filtered, a page at a time; and the check of its chain."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from carina.archive import AuditChain, AuditQuery, ReadEntry, Study
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor

__all__ = ["router"]

router = APIRouter()

_Read = Annotated[Visitor, Depends(Guard(Permission.read_audit))]
_PEOPLE: Final = ("user", "user_id", "by")
_KNOWN: Final = ("organisation", "organisation_id")
_BEGINNINGS: Final = ("film_", "glass_", "signed_", "session_", "token_", "user_", "role_", "password_", "account_")
_CHECKING: Final = Lock()


@router.get("/administration/log")
def log(request: Request, visitor: _Read) -> Response:
    """Show the newest entries."""
    return _page(request, visitor)


@router.post("/administration/log")
def search(request: Request, visitor: _Read) -> Response:
    """Show a page of what was searched for; a form, so that what is searched for stands in no address."""
    return _page(request, visitor)


@router.post("/administration/log/chain")
def check(request: Request, visitor: _Read) -> Response:
    """Check every link of the chain; one check at a time, for each reads the whole log."""
    if not _CHECKING.acquire(blocking=False):
        raise RefusedError(409, "The chain is being checked at this moment; try again when that has ended.")
    try:
        study: Study = request.app.state.study
        found = study.audit_pages.chain()
        told = {"user": visitor.user.user_id, "organisation": visitor.user.organisation_id}
        study.archive.audit("audit_checked", {**told, "entries": found.entries, "problems": len(found.problems)})
    finally:
        _CHECKING.release()
    return _page(request, visitor, chain=found)


def _page(request: Request, visitor: Visitor, chain: AuditChain | None = None) -> Response:
    study: Study = request.app.state.study
    home, message = visitor.user.organisation_id, None
    names = {each.user_id: each.name for each in study.accounts.users(home)}
    ids = {name: user_id for user_id, name in names.items()}
    name, before = visitor.text("user", 128).lower(), visitor.text("before", 18)
    wanted = AuditQuery(
        event=visitor.text("event", 64).lower().replace(" ", "_"),
        text=visitor.text("text", 128),
        user_id=ids.get(name),
        before=int(before) if before.isascii() and before.isdigit() else None,
        rows=request.app.state.settings.web.rows,
    )
    entries: tuple[ReadEntry, ...] = ()
    following = None
    if name and wanted.user_id is None:
        message = "Your organisation has no user of that name."
    else:
        page = study.audit_pages.page(wanted, organisation_id=home)
        entries, following = page.entries, page.following
    return render(
        request,
        "audit_log",
        visitor,
        rows=[(each, _said(each, names)) for each in entries],
        following=following,
        wanted=wanted,
        name=name,
        beginnings=_BEGINNINGS,
        message=message,
        chain=chain,
    )


def _said(entry: ReadEntry, names: dict[int, str]) -> list[tuple[str, Any]]:
    """Details in the order in which they are read, people by their names."""
    told = []
    for name, value in entry.details.items():
        if value is None or name in _KNOWN:
            continue
        if name in _PEOPLE and isinstance(value, int):
            told.append((name, names.get(value, "of another organisation")))
        elif isinstance(value, bool):
            told.append((name.replace("_", " "), "yes" if value else "no"))
        else:
            told.append((name.replace("_", " "), value))
    return told
