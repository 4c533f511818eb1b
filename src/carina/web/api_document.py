"""The OpenAPI document of what programs may ask; pages for people stay out of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from carina import __version__
from carina.web import api, dicomweb, metrics
from carina.web.api_access import TokenGuard
from carina.web.api_models import Problem, WorklistSearch
from carina.web.permissions import Guard, Permission

__all__ = ["document", "router"]

router = APIRouter()

_ROOMS: Final = (api.router, dicomweb.router, metrics.router)
_WORDS: Final = (
    "Worklist, results, films, FHIR, DICOMweb and metrics of one service study. Research use only. Every request shows "
    "a bearer token, made on the account page; it opens what its scopes name, and of that what its user's role and "
    "organisation allow. What is wrong is said in a sentence."
)


@router.get("/api/openapi.json", dependencies=[Depends(Guard(Permission.anyone))])
def openapi(request: Request) -> Response:
    """Return the document; it holds nothing of any study."""
    del request
    return JSONResponse(document())


@cache
def document() -> dict[str, Any]:
    """Make the OpenAPI document, once; do not change it."""
    routes = [each for room in _ROOMS for each in room.routes if isinstance(each, APIRoute)]
    made = get_openapi(title="Carina", version=__version__, description=_WORDS, routes=routes)
    parts = made.setdefault("components", {})
    for model in (Problem, WorklistSearch):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        parts.setdefault("schemas", {}).setdefault(model.__name__, schema)
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "carina_..."}}
    scopes = _scopes(routes)
    for path, item in made["paths"].items():
        for method, operation in item.items():
            operation["security"] = [{"token": [scopes[path, method]]}]
            answer = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            if answer.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
                answer["schema"] = {"$ref": "#/components/schemas/Problem"}
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    return made


def _scopes(routes: list[APIRoute]) -> Mapping[tuple[str, str], str]:
    """Scope of every route, by path and method."""
    found: dict[tuple[str, str], str] = {}
    for each in routes:
        for one in each.dependant.dependencies:
            if isinstance(one.call, TokenGuard):
                found |= {(each.path, method.lower()): one.call.scope for method in each.methods or ()}
    return found
