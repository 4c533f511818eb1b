"""Signing in: password, second factor, a password of one's own."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import Session, User
from carina.errors import InputError
from carina.web.credentials import (
    Throttle,
    check_password,
    find_step,
    hash_password,
    new_totp_secret,
    totp_address,
    verify_password,
)
from carina.web.pages import render, render_form
from carina.web.permissions import Guard, Permission, RefusedError, Visitor, address_of, cookie_name

__all__ = ["router"]

router = APIRouter()

_Anyone = Annotated[Visitor, Depends(Guard(Permission.anyone))]
_Step = Annotated[Visitor, Depends(Guard(Permission.second_step))]
_Own = Annotated[Visitor, Depends(Guard(Permission.own_account))]
_DEVICE: Final = "carina_device"
_YEAR: Final = 365 * 86400
_WRONG: Final = "Name or password is wrong, or the account is not active."
_SLOW: Final = "There were too many failed tries from here; wait 15 minutes, or sign in where you did before."


@router.get("/")
def home(visitor: _Own) -> Response:
    """Lead to the page that the role works with."""
    to = {"administrator": "/users", "researcher": "/health"}.get(visitor.user.role, "/worklist")
    return RedirectResponse(to, 303)


@router.get("/sign-in")
def sign_in_page(request: Request, visitor: _Anyone) -> Response:
    """Show the form."""
    return _form(request, visitor)


@router.post("/sign-in")
def sign_in(request: Request, visitor: _Anyone) -> Response:
    """Check name and password; the second factor comes next."""
    name, password = visitor.text("name").lower(), visitor.form.get("password")
    throttle, mark = _throttle(request), _mark(request, name)
    if throttle.refuses(*mark):
        return _form(request, visitor, _SLOW, 429)
    user = request.app.state.study.accounts.user(name)
    known = None if user is None or user.state != "active" else user.password_hash
    if not verify_password(password if isinstance(password, str) else "", known) or user is None:
        throttle.failed(*mark)
        return _form(request, visitor, _WRONG, 401)
    token = request.app.state.study.accounts.begin_session(user, "password", **_browser(request))
    return _with_cookie(request, RedirectResponse("/second-factor", 303), token)


@router.get("/second-factor")
def second_factor_page(request: Request, visitor: _Step) -> Response:
    """Ask for a code, or set the second factor up."""
    return _second(request, visitor)


@router.post("/second-factor")
def second_factor(request: Request, visitor: _Step) -> Response:
    """Check the code and begin the session."""
    user, accounts = visitor.user, request.app.state.study.accounts
    throttle, mark = _throttle(request), _mark(request, user.name)
    if throttle.refuses(*mark):
        return _second(request, visitor, _SLOW, 429)
    secret = user.totp_secret or request.app.state.totp_offers.get(_offer_key(visitor))
    step = None if secret is None else find_step(secret, visitor.text("code", 16))
    if secret is None or step is None or (user.totp_secret is not None and not accounts.use_code(user, step)):
        throttle.failed(*mark)
        return _second(request, visitor, "This code is not right, or was used already; wait for the next.", 401)
    if user.totp_secret is None:
        accounts.set_second_factor(user, secret, step)
        request.app.state.totp_offers.pop(_offer_key(visitor), None)
    throttle.succeeded(*mark)
    # a new token for the new rights: the attack is a session planted before signing in
    accounts.end_session(request.cookies[cookie_name(secure=request.app.state.secure)])
    answer = _with_cookie(
        request, RedirectResponse("/", 303), accounts.begin_session(user, "full", **_browser(request))
    )
    _remember(request, answer, user)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, visitor: _Own) -> Response:
    """End the session."""
    name = cookie_name(secure=request.app.state.secure)
    study = request.app.state.study
    study.archive.audit("signed_out", {"user": visitor.user.user_id})
    study.accounts.end_session(request.cookies[name])
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(name, secure=request.app.state.secure, httponly=True, samesite="strict")
    return answer


@router.get("/account")
def account(request: Request, visitor: _Own) -> Response:
    """Show who is signed in, and the form for a new password."""
    return render(request, "account", visitor, message=None, wrong=False)


@router.post("/account")
def new_password(request: Request, visitor: _Own) -> Response:
    """Change the password; every session ends."""
    user = visitor.user
    old, new = (visitor.form.get(name) for name in ("old", "new"))
    throttle, mark = _throttle(request), _mark(request, user.name)
    if throttle.refuses(*mark):
        return render(request, "account", visitor, status=429, message=_SLOW, wrong=True)
    if not isinstance(old, str) or not isinstance(new, str) or not verify_password(old, user.password_hash):
        throttle.failed(*mark)
        return render(request, "account", visitor, status=400, message="The present password is wrong.", wrong=True)
    try:
        check_password(new, user.name, old)
    except InputError as error:
        return render(request, "account", visitor, status=400, message=f"{error}.", wrong=True)
    accounts = request.app.state.study.accounts
    accounts.set_password(user, hash_password(new), initial=False, by=user.user_id)
    return _with_cookie(request, RedirectResponse("/", 303), accounts.begin_session(user, "full", **_browser(request)))


def _form(request: Request, visitor: Visitor, message: str | None = None, status: int = 200) -> Response:
    asked = bool(request.app.state.study.administration.asked_organisations())
    return render_form(request, "sign_in", visitor, status=status, message=message, asked=asked)


def _second(request: Request, visitor: Visitor, message: str | None = None, status: int = 200) -> Response:
    offer, user = None, visitor.user
    if user.totp_secret is None:
        offers = request.app.state.totp_offers
        secret = offers.setdefault(_offer_key(visitor), new_totp_secret())
        offer = {"secret": secret, "address": totp_address(secret, user.name)}
    return render(request, "second_factor", visitor, status=status, message=message, offer=offer, name=user.name)


def _offer_key(visitor: Visitor) -> str:
    session: Session | None = visitor.session
    if session is None:
        raise RefusedError(401, "Sign in first.")
    return session.token_hash


def _throttle(request: Request) -> Throttle:
    found: Any = request.app.state.throttle
    return found if isinstance(found, Throttle) else Throttle(request.app.state.study.accounts)


def _mark(request: Request, name: str) -> tuple[str, str, str | None]:
    """Name, address, and the device where this browser signed in as that user before."""
    address = address_of(request)
    cookie = request.cookies.get(_DEVICE)
    known = cookie and request.app.state.study.accounts.knows_browser(cookie, name)
    return name, address, cookie if known else None


def _remember(request: Request, answer: Response, user: User) -> None:
    """Leave a cookie by which this browser is no stranger; it opens nothing."""
    if _mark(request, user.name)[2] is None:
        token = request.app.state.study.accounts.remember_browser(user.user_id, _YEAR)
        answer.set_cookie(
            _DEVICE, token, max_age=_YEAR, secure=request.app.state.secure, httponly=True, samesite="strict"
        )


def _browser(request: Request) -> dict[str, str | None]:
    """Tell where a browser is and what it calls itself, for the list of sessions."""
    return {"address": address_of(request), "agent": request.headers.get("user-agent")}


def _with_cookie(request: Request, answer: Response, token: str) -> Response:
    secure = request.app.state.secure
    answer.set_cookie(cookie_name(secure=secure), token, secure=secure, httponly=True, samesite="strict", path="/")
    return answer
