"""DICOMweb: results found (QIDO-RS) and fetched (WADO-RS), films stored (STOW-RS), under ``/dicomweb`` (PS3.18).

What is found and fetched are the objects that Carina made of films: the same files that a node sends to its PACS.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from carina.archive import ObjectQuery, ObjectScope, StoredObject, Study
from carina.errors import ArchiveError
from carina.web.api_access import ACCESS, TokenGuard, TokenVisitor, accepted
from carina.web.dicomweb_query import MOST, Level, as_json, described, header_of, read_query
from carina.web.dicomweb_store import StoredParts, store_parts
from carina.web.permissions import Permission, RefusedError, Visitor

__all__ = ["router"]

router = APIRouter(prefix="/dicomweb", tags=["dicomweb"], responses=ACCESS)

_GUARD: Final = TokenGuard(Permission.see_films, "results:read")
_WRITE: Final = TokenGuard(Permission.send_films, "films:write")
_Find = Annotated[TokenVisitor, Depends(_GUARD)]
_Send = Annotated[TokenVisitor, Depends(_WRITE)]
_Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
_JSON: Final = "application/dicom+json"
_DICOM: Final = "application/dicom"
_RELATED: Final = "multipart/related"
_SYNTAX: Final = "1.2.840.10008.1.2.1"
_CHUNK: Final = 1 << 18


def _told(media: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        200: {"description": "What fits.", "content": {media: {"schema": schema}}},
        400: {"description": "The query cannot be answered as it stands.", "content": problem},
        404: {"description": "There is none, or it is not the token's to see.", "content": problem},
        406: {"description": "The media type asked for is not served.", "content": problem},
        422: {"description": "A UID is none.", "content": problem},
    }


_LISTED: Final = _told(_JSON, {"type": "array", "items": {"type": "object"}})
_PARTS: Final = _told(_RELATED, {"type": "string", "format": "binary"})


def _parameter(name: str, words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": words, "schema": schema}


_QUERY: Final = {
    "parameters": [
        *(
            _parameter(name, "UIDs, set apart by commas", {"type": "string"})
            for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
        ),
        _parameter("PatientID", "the whole of it", {"type": "string"}),
        _parameter("AccessionNumber", "the whole of it", {"type": "string"}),
        _parameter("Modality", "of a result: OT, PR, SEG or SR", {"type": "string"}),
        _parameter("includefield", "attributes by keyword or tag, set apart by commas, or all", {"type": "string"}),
        _parameter("limit", "most results; 100 without it, at most 1,000", {"type": "integer", "minimum": 0}),
        _parameter("offset", "results left out at the beginning", {"type": "integer", "minimum": 0}),
    ]
}
_WITHOUT_STUDY: Final = {"parameters": [each for each in _QUERY["parameters"] if each["name"] != "StudyInstanceUID"]}
_WITHOUT_SERIES: Final = {
    "parameters": [each for each in _WITHOUT_STUDY["parameters"] if each["name"] != "SeriesInstanceUID"]
}


# -- QIDO-RS -------------------------------------------------------------------------------------------------------


@router.get("/studies", response_class=Response, responses=_LISTED, openapi_extra=_QUERY)
def find_studies(request: Request, visitor: _Find) -> Response:
    """List studies that hold results."""
    return _search(request, visitor, "study")


@router.get("/series", response_class=Response, responses=_LISTED, openapi_extra=_QUERY)
def find_series(request: Request, visitor: _Find) -> Response:
    """List series of results of all studies."""
    return _search(request, visitor, "series")


@router.get("/instances", response_class=Response, responses=_LISTED, openapi_extra=_QUERY)
def find_instances(request: Request, visitor: _Find) -> Response:
    """List results of all studies."""
    return _search(request, visitor, "instance")


@router.get("/studies/{study}/series", response_class=Response, responses=_LISTED, openapi_extra=_WITHOUT_STUDY)
def find_series_of_study(request: Request, visitor: _Find, study: _Uid) -> Response:
    """List series of results of a study."""
    return _search(request, visitor, "series", StudyInstanceUID=study)


@router.get("/studies/{study}/instances", response_class=Response, responses=_LISTED, openapi_extra=_WITHOUT_STUDY)
def find_instances_of_study(request: Request, visitor: _Find, study: _Uid) -> Response:
    """List results of a study."""
    return _search(request, visitor, "instance", StudyInstanceUID=study)


@router.get(
    "/studies/{study}/series/{series}/instances",
    response_class=Response,
    responses=_LISTED,
    openapi_extra=_WITHOUT_SERIES,
)
def find_instances_of_series(request: Request, visitor: _Find, study: _Uid, series: _Uid) -> Response:
    """List results of a series."""
    return _search(request, visitor, "instance", StudyInstanceUID=study, SeriesInstanceUID=series)


def _search(request: Request, visitor: Visitor, level: Level, **path: str) -> Response:
    _refuse_other_media(request, _JSON, "application/json")
    study: Study = request.app.state.study
    wanted = read_query(request.query_params.multi_items(), **path)
    objects, scope = study.objects, _scope(request, visitor)
    found: list[Any] = []
    if level == "study":
        found = objects.studies(wanted.query, scope)
    elif level == "series":
        found = objects.series(wanted.query, scope)
    else:
        found = objects.find(wanted.query, scope)
    found, warnings = wanted.cut(found)
    base = f"{str(request.base_url).rstrip('/')}{router.prefix}"
    above = level != "study" and "StudyInstanceUID" not in path
    content = [described(study, each, wanted, base, above=above) for each in found]
    user = visitor.user
    study.desk.note_access("results_listed", organisation_id=user.organisation_id, user_id=user.user_id)
    headers = {"Warning": ", ".join(f'299 Carina "{each}"' for each in warnings)} if warnings else None
    return JSONResponse(content, headers=headers, media_type=_JSON)


# -- WADO-RS -------------------------------------------------------------------------------------------------------


@router.get("/studies/{study}", response_class=Response, responses=_PARTS)
def fetch_study(request: Request, visitor: _Find, study: _Uid) -> Response:
    """Return every result of a study."""
    return _parts(request, visitor, ObjectQuery(study_uids=(study,)))


@router.get("/studies/{study}/metadata", response_class=Response, responses=_LISTED)
def study_metadata(request: Request, visitor: _Find, study: _Uid) -> Response:
    """Return the headers of a study's results."""
    return _metadata(request, visitor, ObjectQuery(study_uids=(study,)))


@router.get("/studies/{study}/series/{series}", response_class=Response, responses=_PARTS)
def fetch_series(request: Request, visitor: _Find, study: _Uid, series: _Uid) -> Response:
    """Return every result of a series."""
    return _parts(request, visitor, ObjectQuery((study,), (series,)))


@router.get("/studies/{study}/series/{series}/metadata", response_class=Response, responses=_LISTED)
def series_metadata(request: Request, visitor: _Find, study: _Uid, series: _Uid) -> Response:
    """Return the headers of a series' results."""
    return _metadata(request, visitor, ObjectQuery((study,), (series,)))


@router.get("/studies/{study}/series/{series}/instances/{instance}", response_class=Response, responses=_PARTS)
def fetch_instance(request: Request, visitor: _Find, study: _Uid, series: _Uid, instance: _Uid) -> Response:
    """Return one result."""
    return _parts(request, visitor, ObjectQuery((study,), (series,), sop_instance_uids=(instance,)))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/metadata", response_class=Response, responses=_LISTED
)
def instance_metadata(request: Request, visitor: _Find, study: _Uid, series: _Uid, instance: _Uid) -> Response:
    """Return the header of one result."""
    return _metadata(request, visitor, ObjectQuery((study,), (series,), sop_instance_uids=(instance,)))


def _parts(request: Request, visitor: Visitor, wanted: ObjectQuery) -> Response:
    if not any(_takes_files(kind, said) for kind, said in accepted(request)):
        raise RefusedError(
            406, f'Results are served as {_RELATED}; type="{_DICOM}", transfer syntax {_SYNTAX}; accept that.'
        )
    study: Study = request.app.state.study
    found = _theirs(request, visitor, wanted)
    for each in found:
        if not study.store.exists(each.path):
            raise ArchiveError("the store must hold the file of every result, and lacks one; bring it back")
    boundary = secrets.token_hex(16)
    kind = f'{_RELATED}; type="{_DICOM}"; boundary={boundary}'
    return StreamingResponse(_multipart(study, found, boundary), media_type=kind)


def _multipart(study: Study, found: Sequence[StoredObject], boundary: str) -> Iterator[bytes]:
    for each in found:
        yield f"--{boundary}\r\nContent-Type: {_DICOM}; transfer-syntax={_SYNTAX}\r\n\r\n".encode()
        with study.store.open(each.path) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _takes_files(kind: str, said: dict[str, str]) -> bool:
    wanted = said.get("type", _DICOM).lower()
    syntax = said.get("transfer-syntax", "*")
    return kind in (_RELATED, "multipart/*", "*/*") and wanted in (_DICOM, "*/*") and syntax in ("*", _SYNTAX)


def _metadata(request: Request, visitor: Visitor, wanted: ObjectQuery) -> Response:
    _refuse_other_media(request, _JSON, "application/json")
    study: Study = request.app.state.study
    found = _theirs(request, visitor, wanted)
    return JSONResponse([as_json(header_of(study, each.path)) for each in found], media_type=_JSON)


def _theirs(request: Request, visitor: Visitor, wanted: ObjectQuery) -> list[StoredObject]:
    """Find results of the visitor's, and note who got them; another's and none at all look the same."""
    study, user = request.app.state.study, visitor.user
    found: list[StoredObject] = study.objects.find(replace(wanted, most=MOST), _scope(request, visitor))
    about = {"organisation_id": user.organisation_id, "user_id": user.user_id}
    if not found:
        study.desk.note_access("film_refused", **about)
        raise RefusedError(404, "There are no such results, or they are not yours to see.")
    for entry_id in dict.fromkeys(each.entry_id for each in found):
        study.desk.note_access("film_sent", **about, entry_id=entry_id)
        film = study.desk.film(entry_id, **visitor.scope)
        if film is not None:
            study.blind.note_opened(film, user_id=user.user_id, output=True)
    return found


def _scope(request: Request, visitor: Visitor) -> ObjectScope:
    reader = (visitor.user.user_id, visitor.may(Permission.judge_films))
    return ObjectScope(**visitor.scope, blind_reader=reader if request.app.state.study.blind.wanted else None)


def _refuse_other_media(request: Request, *served: str) -> None:
    taken = {kind for kind, _ in accepted(request)}
    if not taken & {*served, "application/*", "*/*"}:
        raise RefusedError(406, f"This is served as {served[0]}; accept that.")


# -- STOW-RS -------------------------------------------------------------------------------------------------------

_STORE: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": {
        **{
            status: {"description": words, "content": {_JSON: {"schema": {"type": "object"}}}}
            for status, words in (
                (200, "Every film is durable."),
                (202, "Some are; the others are refused, each with a reason."),
                (409, "None could be taken."),
            )
        },
        **dict.fromkeys((400, 406, 413, 415, 422, 507), _LISTED[400]),
    },
    "openapi_extra": {
        "requestBody": {
            "description": f"Parts of type {_DICOM}; the content type names that type, and the boundary.",
            "required": True,
            "content": {_RELATED: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
}


async def _films(request: Request, visitor: _Send) -> Any:
    del visitor  # who may not send is refused before anything is read
    _refuse_other_media(request, _JSON, "application/json")
    async with StoredParts.of(request) as parts:
        yield parts


_Films = Annotated[StoredParts, Depends(_films)]


@router.post("/studies", **_STORE)
def store(request: Request, visitor: _Send, parts: _Films) -> Response:
    """Take films, as they are sent to the desk in any other way; what is taken is durable when this is answered."""
    return store_parts(request, visitor, parts, None)


@router.post("/studies/{study}", **_STORE)
def store_in_study(request: Request, visitor: _Send, parts: _Films, study: _Uid) -> Response:
    """Take films of one study."""
    return store_parts(request, visitor, parts, study)
