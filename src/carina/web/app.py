"""The application: its routes, each with a permission, its headers, its errors in words."""

from __future__ import annotations

import gzip
import logging
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from carina.archive import Study
from carina.errors import ArchiveError, CarinaError
from carina.inference import Bundle
from carina.service import JobQueue, audit_verdicts
from carina.service.study_jobs import StudyQueue
from carina.settings import Settings
from carina.web import (
    access,
    accounts,
    administration,
    api,
    api_document,
    audit_log,
    desk,
    dicomweb,
    equity,
    film,
    glass,
    metrics,
    models,
    peers,
    sign_in,
    studies,
    study_runs,
    study_work,
    texture,
    upload,
)
from carina.web.api_access import TokenRefusedError, is_of_api, problem, refused_token
from carina.web.metrics import CountingThrottle
from carina.web.models import ActiveModel
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError
from carina.web.pictures import FilmPictures

__all__ = ["create_app", "guards"]

_LOG: Final = logging.getLogger("carina.web")
_STATIC: Final = {
    "carina.css": "text/css",
    "desk.css": "text/css",
    "desk.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "study.css": "text/css",
    "viewer.css": "text/css",
    "viewer.js": "text/javascript",
}
_PACKED: Final = 50_000
_TOO_LARGE: Final = "The upload is larger than it may be"
_TOO_MANY: Final = "Others send films at this moment, and there is no room for more"
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def create_app(study: Study, settings: Settings, *, secure: bool, model: dict[str, Any] | None = None) -> FastAPI:
    """Make the application of a service study.

    Parameters
    ----------
    study : Study
    settings : Settings
    secure : bool
        Whether browsers reach it over TLS: cookies are then sent over nothing else.
    model : dict or None
        What is said of the model on every page: ``name``, ``version``, ``sha256`` and ``points``; by default that of
        the bundle that the settings name.

    Raises
    ------
    ArchiveError
        If a route has no permission: it must not exist.
    """
    app = FastAPI(title="Carina", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.study = study
    app.state.settings = settings
    app.state.secure = secure
    app.state.queue = JobQueue(study, settings)
    app.state.totp_offers = {}
    app.state.throttle = CountingThrottle(study.accounts)
    app.state.pictures = FilmPictures(study, settings.limits)
    app.state.model = model or ActiveModel(study, settings, _model)
    app.state.study_queue = StudyQueue(study, settings)
    app.state.study_quality = {}
    for room in (sign_in, desk, film, texture, upload, administration, studies, study_work, study_runs, models, equity):
        app.include_router(room.router)
    for office in (accounts, access, audit_log, glass, peers):
        app.include_router(office.router)
    for programs in (api, dicomweb, metrics, api_document):
        app.include_router(programs.router)
    app.add_api_route("/static/{name}", _static, dependencies=[_anyone()])
    app.add_api_route("/live", _live, dependencies=[_anyone()])
    guards(app)
    app.add_exception_handler(TokenRefusedError, refused_token)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(CarinaError, _went_wrong)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)
    under_way = upload.UnderWay(settings.web.uploads_bytes)
    app.add_middleware(_Envelope, most=settings.web.upload_bytes, under_way=under_way, secure=secure)
    return app


def guards(app: FastAPI) -> dict[tuple[str, str], Permission]:
    """Permission of every route, by method and path.

    Raises
    ------
    ArchiveError
        If a route has none, or more than one.
    """
    found: dict[tuple[str, str], Permission] = {}
    for route in app.routes:
        for each in getattr(route, "original_router", app).routes if not isinstance(route, APIRoute) else [route]:
            if not isinstance(each, APIRoute):
                raise ArchiveError(f"every route must have a guard; {type(each).__name__} cannot have one")
            held = [one.call.permission for one in each.dependant.dependencies if isinstance(one.call, Guard)]
            if len(held) != 1:
                raise ArchiveError(f"every route must have one guard; {each.path!r} has {len(held)}")
            found |= {(method, each.path): held[0] for method in each.methods or ()}
    return found


def _anyone() -> Any:
    from fastapi import Depends  # noqa: PLC0415 - here alone

    return Depends(Guard(Permission.anyone))


def _model(bundle: Bundle) -> dict[str, Any]:
    points = (
        []
        if bundle.calibration is None
        else [
            {
                "contrast": name,
                "threshold": bundle.calibration.thresholds[name].high,
                "sensitivity": point.sensitivity.estimate,
                "specificity": point.specificity.estimate,
            }
            for name, point in bundle.calibration.operating_points.items()
        ]
    )
    said = {"classes": bundle.task.classes, "label_sets": tuple(bundle.task.label_sets)}
    return {**bundle.identity, "points": points, "verdicts": audit_verdicts(bundle.card), **said}


def _static(name: str, request: Request) -> Response:
    kind = _STATIC.get(name)
    if kind is None:
        raise RefusedError(404, "There is no such page.")
    headers = {"Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"}
    plain, packed = _file(name)
    if packed is None or "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(plain, media_type=kind, headers=headers)
    return Response(packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})


@cache
def _file(name: str) -> tuple[bytes, bytes | None]:
    """Content of a file that every page may ask for, and the same packed where that is worth it."""
    room = files("carina.web") / "static"
    if name == "carina.css":
        room = files("carina.report") / "templates" / "page.css"
    else:
        room = room / "viewer" / name if name == "viewer.js" else room / name
    plain = room.read_bytes()
    return plain, gzip.compress(plain, mtime=0) if len(plain) > _PACKED else None


def _live() -> dict[str, str]:
    return {"state": "answering"}


def _answer(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    if "text/html" in request.headers.get("accept", "") and not is_of_api(request):
        return render(request, "refused", None, status=status, status_code=status, message=message)
    return problem(status, message, headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - starlette hands over what is registered for
    if error.status != 401 or is_of_api(request) or "text/html" not in request.headers.get("accept", "text/html"):  # noqa: PLR2004 - HTTP
        return _answer(request, error.status, error.message)
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": error.to})
    return RedirectResponse(error.to, 303)


def _went_wrong(request: Request, error: Exception) -> Response:
    if isinstance(error, ArchiveError):
        _LOG.error("the archive refused: %s", error)
        return _answer(request, 503, "The database or the store does not answer; nothing is lost. Try again soon.")
    return _answer(request, 400, str(error))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return _answer(request, 422, f"{name} is wrong: {first['msg']}.")  # never the value: it could be a patient's


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if isinstance(error, HTTPException) and error.detail == _TOO_LARGE:
        return _answer(request, 413, f"{_TOO_LARGE}; send the films in parts.")
    if isinstance(error, HTTPException) and error.detail == _TOO_MANY:
        return _answer(request, 503, f"{_TOO_MANY}; try again in a few minutes.")
    said = {404: "There is no such page.", 405: "This page does not take that.", 400: "The form cannot be read."}
    headers = dict(getattr(error, "headers", None) or {})
    return _answer(request, status, said.get(status, "The request cannot be answered."), headers)


def _unforeseen(request: Request, error: Exception) -> Response:
    _LOG.error("unforeseen: %s", type(error).__name__)  # its text could hold patient data
    return _answer(request, 500, "This should have been foreseen, and was not; it is logged. Nothing is lost.")


class _Envelope:
    """Around every request: a limit on what is sent, headers on what is answered, a line in the log."""

    def __init__(self, app: Any, most: int, under_way: upload.UnderWay, *, secure: bool) -> None:
        self._app = app
        self._most = most
        self._under_way = under_way
        self._headers = dict(_HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def counted() -> Any:
            nonlocal taken
            message = await receive()
            came = len(message.get("body", b""))
            if taken + came > self._most:  # whatever its length was said to be: the attack is a full disk
                raise MultiPartException(_TOO_LARGE)
            if not self._under_way.take(came):
                raise MultiPartException(_TOO_MANY)
            taken += came
            return message

        async def dressed(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)  # a report for a frame says its own, narrower where it can
                headers.setdefault("Cache-Control", "no-store")
                # the route's pattern, never the address: an address names a film
                path = getattr(scope.get("route"), "path", "-")
                _LOG.info("%s %s %d", scope["method"], path, message["status"])
            await send(message)

        try:
            await self._app(scope, counted, dressed)
        finally:
            self._under_way.give(taken)
