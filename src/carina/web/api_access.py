"""Who may use the API: bearer tokens in place of sessions, and what every route of it shares.

A cookie opens nothing here, so that no page of another site can (and no form token is asked for); a token opens what
its scope names, and of that what its user's role and organisation allow.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from carina.archive import Scope, Session, Study, User
from carina.web.credentials import Throttle
from carina.web.permissions import GRANTED, Guard, Permission, RefusedError, Visitor

__all__ = [
    "ACCESS",
    "TokenGuard",
    "TokenRefusedError",
    "TokenVisitor",
    "accepted",
    "is_of_api",
    "problem",
    "read_small",
    "refused_token",
]

_PREFIXES: Final = ("/api/", "/dicomweb/", "/metrics")
_BEARER: Final = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/=-]{1,256}) *")
_NOBODY: Final = "api token"  # no user's name holds a space, so that this counts against none
_SMALL: Final = 64 * 1024
_RANGE: Final = re.compile(r'(?:[^,"]|"[^"]*")+')


def _said(status: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": status, "content": content}


ACCESS: Final[dict[int | str, dict[str, Any]]] = {
    401: _said("There is no token, or it is wrong or has expired."),
    403: _said("The token's scopes, or its user's role, do not allow this."),
    429: _said("Too many wrong tokens came from this address."),
    503: _said("The database or the store does not answer; nothing is lost."),
}
"""Answers that every route of the API may give."""


class TokenRefusedError(RefusedError):
    """A request whose token does not open the route (RFC 6750, 3).

    Parameters
    ----------
    status : int
        401, 403 or 429.
    message : str
    error : str
        Code of RFC 6750, 3.1; empty where no token came.
    scope : str
        That would open the route.
    """

    def __init__(self, status: int, message: str, error: str, scope: str) -> None:
        super().__init__(status, message)
        more = "".join(f', {name}="{value}"' for name, value in (("error", error), ("scope", scope)) if value)
        self.challenge = f'Bearer realm="Carina"{more}'


@dataclass(frozen=True, slots=True)
class TokenVisitor(Visitor):
    """A program that shows a token: a visitor with the rights of the token's user, within its scopes.

    Attributes
    ----------
    scopes : tuple of str
    """

    scopes: tuple[Scope, ...] = ()


class TokenGuard(Guard):
    """Dependency of every route of the API, as `Guard` is of every page.

    Parameters
    ----------
    permission : Permission
        That the token's user must have.
    scope : str
        That the token must have.
    """

    def __init__(self, permission: Permission, scope: Scope) -> None:
        super().__init__(permission)
        self.scope = scope

    async def __call__(self, request: Request) -> AsyncIterator[TokenVisitor]:
        """Yield the visitor; the body is not read before.

        Raises
        ------
        RefusedError
        """
        user, scopes = await run_in_threadpool(self._holder, request)
        yield TokenVisitor(Session(user, "full", "", ""), scopes=scopes)

    def _holder(self, request: Request) -> tuple[User, tuple[Scope, ...]]:
        sent = request.headers.get("authorization")
        if sent is None:
            raise TokenRefusedError(401, "Send a token: Authorization: Bearer carina_...", "", self.scope)
        found = _BEARER.fullmatch(sent)
        study: Study = request.app.state.study
        known = None if found is None else study.tokens.find(found[1])
        if known is None:
            self._refuse_unknown(request, study)
            raise TokenRefusedError(401, "The token is wrong, has expired or was ended.", "invalid_token", self.scope)
        user, scopes = known
        if self.scope not in scopes:
            raise TokenRefusedError(
                403, f"The token must have the scope {self.scope}; make another.", "insufficient_scope", self.scope
            )
        if self.permission not in GRANTED[user.role] or user.password_is_initial:
            raise TokenRefusedError(
                403, f"The role {user.role} does not allow this; ask an administrator.", "insufficient_scope", ""
            )
        return user, scopes

    def _refuse_unknown(self, request: Request, study: Study) -> None:
        """Count and note a wrong token; a right one is never held up by somebody else's wrong ones."""
        throttle: Throttle = request.app.state.throttle
        mark = (_NOBODY, "unknown" if request.client is None else request.client.host, None)
        if throttle.refuses(*mark):  # neither the log nor the database grows by what comes now
            raise TokenRefusedError(429, "Too many wrong tokens came from here; wait 15 minutes.", "", "")
        throttle.failed(*mark)
        study.archive.audit("token_refused", {"scope": self.scope})


def refused_token(request: Request, error: Exception) -> Response:
    """Answer of a `TokenRefusedError`, with the challenge of RFC 6750."""
    del request
    assert isinstance(error, TokenRefusedError)  # noqa: S101 - starlette hands over what is registered for
    return problem(error.status, error.message, {"WWW-Authenticate": error.challenge})


def is_of_api(request: Request) -> bool:
    """Whether a program asks, which gets JSON, and not a browser."""
    return request.url.path.startswith(_PREFIXES)


def problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Answer that says in a sentence what is wrong."""
    return JSONResponse({"error": message}, status, headers)


async def read_small(request: Request) -> bytes:
    """Read a body of at most 64 KiB.

    Raises
    ------
    HTTPException
    """
    content = b""
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > _SMALL:
                raise RefusedError(413, f"The body must have at most {_SMALL} bytes.")
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    return content


def accepted(request: Request) -> list[tuple[str, dict[str, str]]]:
    """Media ranges that the client takes, with their parameters; anything where it names none (RFC 9110, 12.5.1).

    ``q`` is not weighed: the first range that the server has is served, and one of ``q=0`` is left out.
    """
    from python_multipart.multipart import parse_options_header  # noqa: PLC0415 - comes with the web alone

    found = []
    for each in _RANGE.findall(request.headers.get("accept", "") or "*/*"):
        kind, options = parse_options_header(each.strip())
        said = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in options.items()}
        if said.pop("q", "1").rstrip("0").rstrip(".") not in ("", "0"):
            found.append((kind.decode("latin-1").strip().lower(), said))
    return found
