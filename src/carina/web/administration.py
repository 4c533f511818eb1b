"""The administrator's pages: users of the own organisation, and the health of every link."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import ROLES, Role, User
from carina.errors import CarinaError
from carina.service import check_health
from carina.web.credentials import hash_password, initial_password
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor

__all__ = ["router"]

router = APIRouter()

_Health = Annotated[Visitor, Depends(Guard(Permission.see_health))]
_Manage = Annotated[Visitor, Depends(Guard(Permission.manage_users))]


@router.get("/health")
def health(request: Request, visitor: _Health) -> Response:
    """Test every link."""
    found = check_health(request.app.state.study, request.app.state.settings)
    return render(request, "health", visitor, checks=found)


@router.get("/users")
def users(request: Request, visitor: _Manage) -> Response:
    """List the users of the organisation."""
    return _users(request, visitor)


@router.post("/users")
def add_user(request: Request, visitor: _Manage) -> Response:
    """Add a user, with a password that is shown once."""
    role, name, password = visitor.text("role"), visitor.text("name", 128).lower(), initial_password()
    try:
        made = request.app.state.study.accounts.add_user(
            name,
            organisation_id=visitor.user.organisation_id,
            role=cast("Role", role),
            password_hash=hash_password(password),
            by=visitor.user.user_id,
        )
    except CarinaError as error:
        return _users(request, visitor, message=f"{error}.", status=400)
    return _users(request, visitor, shown=(made.name, password))


@router.post("/users/{user_id}/reset")
def reset(request: Request, visitor: _Manage, user_id: int) -> Response:
    """Set a new first password; password and second factor of before are gone."""
    user, password = _theirs(request, visitor, user_id), initial_password()
    accounts = request.app.state.study.accounts
    accounts.set_password(user, hash_password(password), initial=True, by=visitor.user.user_id)
    return _users(request, visitor, shown=(user.name, password))


@router.post("/users/{user_id}/state")
def set_state(request: Request, visitor: _Manage, user_id: int) -> Response:
    """Keep a user out, or let them in again."""
    user = _theirs(request, visitor, user_id)
    if user.user_id == visitor.user.user_id:
        raise RefusedError(400, "Nobody keeps themselves out; ask another administrator.")
    state = "active" if visitor.text("state") == "active" else "disabled"
    request.app.state.study.accounts.set_state(user, state, by=visitor.user.user_id)
    return RedirectResponse("/users", 303)


@router.post("/users/{user_id}/role")
def set_role(request: Request, visitor: _Manage, user_id: int) -> Response:
    """Give a user another role; their sessions and tokens end."""
    user, role = _theirs(request, visitor, user_id), visitor.text("role")
    if user.user_id == visitor.user.user_id:
        raise RefusedError(400, "Nobody changes their own role; ask another administrator.")
    if role not in ROLES:
        raise RefusedError(400, "Choose a role from the list.")
    request.app.state.study.accounts.set_role(user, role, by=visitor.user.user_id)
    return RedirectResponse("/users", 303)


def _theirs(request: Request, visitor: Visitor, user_id: int) -> User:
    for user in request.app.state.study.accounts.users(visitor.user.organisation_id):
        if user.user_id == user_id:
            return cast("User", user)
    raise RefusedError(404, "There is no such user in your organisation.")


def _users(
    request: Request,
    visitor: Visitor,
    *,
    message: str | None = None,
    shown: tuple[str, str] | None = None,
    status: int = 200,
) -> Response:
    found = request.app.state.study.accounts.users(visitor.user.organisation_id)
    return render(request, "users", visitor, status=status, users=found, roles=ROLES, message=message, shown=shown)
