"""The API for programs: worklist, what the model says of a film, films sent, FHIR, health; JSON under ``/api/v1``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from carina.archive import DeskFilm, DeskResult, Order, State, WorklistQuery
from carina.errors import ArchiveError
from carina.service import check_health, diagnostic_report, facts_of
from carina.service.codes import NOTICE
from carina.web.api_access import ACCESS, TokenGuard, TokenVisitor, problem, read_small
from carina.web.api_models import (
    FilmResult,
    HealthSummary,
    ListedFilm,
    Problem,
    Sent,
    WorklistPage,
    WorklistSearch,
    contrasts_of,
)
from carina.web.permissions import Permission, RefusedError, Visitor
from carina.web.seeing import find_film, masked, output_is_open, result_of
from carina.web.upload import take_sent

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", responses=ACCESS)

_List = Annotated[TokenVisitor, Depends(TokenGuard(Permission.see_films, "worklist:read"))]
_Results = Annotated[TokenVisitor, Depends(TokenGuard(Permission.see_films, "results:read"))]
_Write = Annotated[TokenVisitor, Depends(TokenGuard(Permission.send_films, "films:write"))]
_Health = Annotated[TokenVisitor, Depends(TokenGuard(Permission.see_health, "health:read"))]
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="`id` of the worklist")]
_FHIR: Final = "application/fhir+json"
_FORM: Final = "multipart/form-data"
_LAYER: Final = re.compile(r"[a-z0-9_-]{1,64}")
_WRONG: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "The request cannot be answered as it stands."},
    422: {"model": Problem, "description": "A value is outside what it may be."},
}
_NONE: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "There is no such film, or it is not the token's to see."},
    422: _WRONG[422],
}


# -- worklist ------------------------------------------------------------------------------------------------------


@router.get("/worklist", response_model=WorklistPage, responses=_WRONG, tags=["worklist"])
def worklist(
    request: Request,
    visitor: _List,
    *,
    order: Annotated[Order | None, Query(description="as in the search")] = None,
    open_only: Annotated[bool, Query(description="leave out what a doctor has reported")] = True,
    state: Annotated[State | None, Query(description="films of one state alone")] = None,
    after: Annotated[
        str | None,
        Query(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})? [0-9a-f]{32}$", description="`following` of the page before"),
    ] = None,
    rows: Annotated[int, Query(ge=1, le=500, description="films on the page")] = 50,
) -> Any:
    """Return a page of the worklist. To search for a patient, post the search: no name belongs in an address."""
    return _page(
        request, visitor, WorklistSearch(order=order, open_only=open_only, state=state, after=after, rows=rows)
    )


async def _search(request: Request, visitor: _List) -> WorklistSearch:
    del visitor  # who may not search is refused before anything is read
    try:
        return WorklistSearch.model_validate_json(await read_small(request) or b"{}")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "the body"
        raise RefusedError(422, f"{name} is wrong: {first['msg']}.") from error


@router.post(
    "/worklist/search",
    response_model=WorklistPage,
    responses={**_WRONG, 413: _WRONG[400]},
    tags=["worklist"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WorklistSearch"}}},
        }
    },
)
def search(request: Request, visitor: _List, wanted: Annotated[WorklistSearch, Depends(_search)]) -> Any:
    """Return a page of what was searched for."""
    return _page(request, visitor, wanted)


def _page(request: Request, visitor: TokenVisitor, wanted: WorklistSearch) -> WorklistPage:
    study, user = request.app.state.study, visitor.user
    output = "results:read" in visitor.scopes
    # where the model's output is not open, neither order nor filter may follow it
    blind = study.blind.wanted or not output
    if blind and (wanted.order == "due" or wanted.decision is not None):
        raise RefusedError(
            400, "Neither priority nor decision can be asked for with a token that may not see the model's output."
        )
    query = WorklistQuery(
        order=wanted.order or ("waiting" if blind else "due"),
        open_only=wanted.open_only and wanted.state != "reported",
        state=wanted.state,
        decision=wanted.decision,
        search=wanted.search,
        after=wanted.place,
        rows=wanted.rows,
    )
    if study.blind.wanted and wanted.state in ("received", "queued", "read"):
        raise RefusedError(400, "In blind reading a film that was read cannot be asked for apart from one that waits.")
    try:
        page = study.desk.worklist(query, **visitor.scope)
    except ArchiveError as error:
        if not wanted.search:
            raise
        raise RefusedError(400, f"{error}.") from error
    study.desk.note_access("worklist_sent", organisation_id=user.organisation_id, user_id=user.user_id)
    films = [ListedFilm.of(each, output=output) for each in masked(request, visitor, page.films)]
    following = None if page.following is None else f"{page.following[0]!r} {page.following[1]}"
    return WorklistPage(films=films, following=following)


# -- films ---------------------------------------------------------------------------------------------------------


@router.get("/films/{entry_id}", response_model=FilmResult, responses=_NONE, tags=["films"])
def film(request: Request, visitor: _Results, entry_id: _Id) -> Any:
    """Return a film and what the model says of it."""
    found, result, output = _opened(request, visitor, entry_id)
    reading = {} if result is None else result.reading
    facts = None if result is None else facts_of(request.app.state.study, result)
    files = {} if result is None else result.files
    return FilmResult(
        film=ListedFilm.of(masked(request, visitor, [found])[0], output=True),
        output=output,
        notice=NOTICE,
        reading=reading or None,
        contrasts=contrasts_of(facts, reading),
        layers=sorted(name for name, path in files.items() if path.endswith(".png")),
    )


@router.get(
    "/films/{entry_id}/layers/{name}",
    response_class=Response,
    responses={**_NONE, 200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
    tags=["films"],
)
def layer(request: Request, visitor: _Results, entry_id: _Id, name: str) -> Response:
    """Return a picture that lies over the film."""
    _, result, _ = _opened(request, visitor, entry_id)
    path = None if result is None or not _LAYER.fullmatch(name) else result.files.get(name)
    if path is None or not path.endswith(".png"):
        raise RefusedError(404, "There is no such layer.")
    return Response(request.app.state.study.store.read(path), media_type="image/png")


@router.get(
    "/films/{entry_id}/fhir",
    response_class=Response,
    responses={
        **_NONE,
        200: {"content": {_FHIR: {"schema": {"type": "object"}}}, "description": "A Bundle."},
        404: {"content": {_FHIR: {"schema": {"type": "object"}}}, "description": "An OperationOutcome."},
    },
    tags=["films"],
)
def fhir(request: Request, visitor: _Results, entry_id: _Id) -> Response:
    """Return a FHIR R4 Bundle: a DiagnosticReport, and an Observation for each number."""
    try:
        found, result = _reported(request, visitor, entry_id)
    except RefusedError as error:
        issue = {"severity": "error", "code": "not-found", "diagnostics": error.message}
        told = {"resourceType": "OperationOutcome", "issue": [issue]}
        return JSONResponse(told, error.status, media_type=_FHIR)
    facts = None if result is None else facts_of(request.app.state.study, result)
    return JSONResponse(diagnostic_report(found, result, facts), media_type=_FHIR)


def _reported(request: Request, visitor: Visitor, entry_id: str) -> tuple[DeskFilm, DeskResult | None]:
    """Find a film of which there is something to report."""
    found, result, output = _opened(request, visitor, entry_id)
    if output == "blind":
        raise RefusedError(404, "The output of this film is not open to the token's user yet.")
    if result is None and found.state not in ("refused", "failed"):
        raise RefusedError(404, "The model has not read this film yet.")
    return found, result


def _opened(
    request: Request, visitor: Visitor, entry_id: str
) -> tuple[DeskFilm, DeskResult | None, Literal["open", "blind", "none"]]:
    """Find a film and its result, and note who got it; as the film's page does."""
    study, user = request.app.state.study, visitor.user
    found = find_film(request, visitor, entry_id)
    study.desk.note_access(
        "film_sent", organisation_id=user.organisation_id, user_id=user.user_id, entry_id=found.entry_id
    )
    opened, result = output_is_open(request, visitor, found), result_of(request, visitor, found)
    study.blind.note_opened(found, user_id=user.user_id, output=result is not None)
    if not opened:
        return found, None, "blind"
    return found, result, "none" if result is None else "open"


# -- films sent ----------------------------------------------------------------------------------------------------


async def _files(request: Request, visitor: _Write) -> AsyncIterator[list[UploadFile]]:
    del visitor  # as in `_search`
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RefusedError(415, f"Send the films as {_FORM}, in fields named films.")
    most = request.app.state.settings.web.upload_files
    async with request.form(max_files=most, max_fields=50, max_part_size=64 * 1024) as form:
        yield [each for each in form.getlist("films") if isinstance(each, UploadFile) and each.filename]


@router.post(
    "/films",
    response_model=Sent,
    responses={
        **_WRONG,
        207: {"model": Sent, "description": "Some were refused."},
        413: {"model": Problem, "description": "The upload is larger than it may be."},
        415: {"model": Problem, "description": "The upload is no form."},
        422: {"model": Sent, "description": "All were refused."},
        507: {"model": Problem, "description": "The disk is nearly full."},
    },
    tags=["films"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _FORM: {
                    "schema": {
                        "type": "object",
                        "required": ["films"],
                        "properties": {"films": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                    }
                }
            },
        }
    },
)
def send(request: Request, visitor: _Write, sent: Annotated[list[UploadFile], Depends(_files)]) -> Response:
    """Take films (DICOM, PNG, JPEG, TIFF, or zips of them); what is taken is durable when this is answered."""
    if not sent:
        return problem(400, "Send at least one film, or a zip of films, in a field named films.")
    done = take_sent(request, visitor, sent)
    taken = sum(each.film is not None for each in done)
    if not taken and any(each.code == "not_stored" for each in done):
        status = 503
    else:
        status = 200 if taken == len(done) and taken else 207 if taken else 422
    return JSONResponse(Sent.of(done).model_dump(mode="json"), status)


# -- health --------------------------------------------------------------------------------------------------------


@router.get("/health", response_model=HealthSummary, tags=["health"])
def health(request: Request, visitor: _Health) -> Any:
    """Test every link of the service, and say how to mend what is not well."""
    del visitor
    return HealthSummary.of(check_health(request.app.state.study, request.app.state.settings))
