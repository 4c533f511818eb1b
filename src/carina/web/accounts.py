"""Requests for referrers' accounts, which anybody may send and an administrator decides; and the organisation."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import Administration
from carina.errors import ArchiveError, InputError
from carina.web.credentials import Throttle, check_password, hash_password
from carina.web.pages import render, render_form
from carina.web.permissions import Guard, Permission, RefusedError, Visitor, address_of

__all__ = ["router"]

router = APIRouter()

_Anyone = Annotated[Visitor, Depends(Guard(Permission.anyone))]
_Manage = Annotated[Visitor, Depends(Guard(Permission.manage_users))]
_Number = Annotated[int, Path(ge=1, le=2**53)]
_NOBODY: Final = "account request"  # no user's name holds a space, so that this counts against none
_SLOW: Final = "Too many requests came from here; wait 15 minutes, or ask the administrator in person."
_FIELDS: Final = ("name", "full_name", "contact", "organisation")


@router.get("/account-request")
def request_page(request: Request, visitor: _Anyone) -> Response:
    """Show the form."""
    return _form(request, visitor)


@router.post("/account-request")
def ask(request: Request, visitor: _Anyone) -> Response:
    """Keep a request; the answer is the same whether or not the name is taken."""
    throttle = Throttle(request.app.state.study.accounts)  # not the application's, whose count is of failed sign-ins
    where = address_of(request)
    if throttle.refuses(_NOBODY, where, None):
        return _form(request, visitor, _SLOW, 429)
    throttle.failed(_NOBODY, where, None)  # each counts: the attack is a heap of requests, or of hashes to be made
    password = visitor.form.get("password")
    name = visitor.text("name", 128).lower()
    try:
        check_password(password if isinstance(password, str) else "", name)
        _administration(request).ask(
            _organisation(request, visitor),
            name=name,
            full_name=visitor.text("full_name", 128),
            contact=visitor.text("contact", 1_000),
            password_hash=hash_password(str(password)),
        )
    except (ArchiveError, InputError) as error:
        return _form(request, visitor, f"{error}.", 400)
    return _form(request, visitor, done=True)


@router.get("/administration/requests")
def requests(request: Request, visitor: _Manage) -> Response:
    """List the requests that wait, and the last that were decided."""
    return _requests(request, visitor)


@router.post("/administration/requests/{request_id}")
def decide(request: Request, visitor: _Manage, request_id: _Number) -> Response:
    """Approve a request, which makes the account, or refuse it with a reason."""
    approved, reason = visitor.text("decision") == "approved", visitor.text("reason", 1_000)
    if not approved and not reason:
        return _requests(request, visitor, "A refusal needs a reason.", 400)
    try:
        done = _administration(request).decide(
            request_id,
            "approved" if approved else "refused",
            organisation_id=visitor.user.organisation_id,
            by=visitor.user.user_id,
            name=visitor.text("name", 128).lower(),
            reason=None if approved else reason,
        )
    except ArchiveError as error:
        return _requests(request, visitor, f"{error}.", 400)
    if not done:
        raise RefusedError(404, "There is no such request that waits in your organisation.")
    return RedirectResponse("/administration/requests", 303)


@router.get("/administration/organisation")
def organisation(request: Request, visitor: _Manage) -> Response:
    """Show the organisation, with its users and films in numbers."""
    return _show(request, visitor)


@router.post("/administration/organisation")
def change(request: Request, visitor: _Manage) -> Response:
    """Rename the organisation, or let referrers ask it for accounts."""
    user = visitor.user
    try:
        _administration(request).change_organisation(
            user.organisation_id,
            name=visitor.text("name", 129),
            takes_requests=visitor.text("takes_requests") == "yes",
            by=user.user_id,
        )
    except ArchiveError as error:
        return _show(request, visitor, f"{error}.", 400)
    return RedirectResponse("/administration/organisation", 303)


def _administration(request: Request) -> Administration:
    return cast("Administration", request.app.state.study.administration)


def _organisation(request: Request, visitor: Visitor) -> int:
    """Find the organisation that was chosen.

    Raises
    ------
    ArchiveError
        If none was chosen that takes requests.
    """
    asked = {str(each.organisation_id) for each in _administration(request).asked_organisations()}
    chosen = visitor.text("organisation", 20)
    if chosen not in asked:
        raise ArchiveError("choose an organisation from the list")
    return int(chosen)


def _form(
    request: Request, visitor: Visitor, message: str | None = None, status: int = 200, *, done: bool = False
) -> Response:
    given = {name: "" if done else visitor.text(name, 1_000) for name in _FIELDS}
    organisations = _administration(request).asked_organisations()
    values: dict[str, Any] = {"message": message, "done": done, "given": given, "organisations": organisations}
    return render_form(request, "account_request", visitor, status=status, **values)


def _requests(request: Request, visitor: Visitor, message: str | None = None, status: int = 200) -> Response:
    found, home = _administration(request), visitor.user.organisation_id
    waiting, decided = found.requests(home), found.requests(home, waiting=False)
    return render(request, "requests", visitor, status=status, message=message, waiting=waiting, decided=decided)


def _show(request: Request, visitor: Visitor, message: str | None = None, status: int = 200) -> Response:
    found = _administration(request).organisation(visitor.user.organisation_id)
    return render(request, "organisation", visitor, status=status, message=message, found=found)
