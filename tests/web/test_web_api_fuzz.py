"""The API under requests that are made up from its own document: no fault of the server, and no answer unannounced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")
pytest.importorskip("schemathesis", reason="made-up requests need schemathesis")

import schemathesis
from api_ways import token_of
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from schemathesis.specs.openapi.checks import status_code_conformance as status_code

PATIENCE = 120.0
RELATED = 'multipart/related; type="application/dicom"; boundary=zzz'
CHECKS = [not_a_server_error, status_code, content_type_conformance, response_schema_conformance]


@schemathesis.serializer("multipart/related")
def _parts(context: Any, value: Any) -> bytes:
    """A message of one part, which is made up."""
    del context
    content = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return b"--zzz\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--zzz--\r\n"


def _made_up(desk: Any, examples: int, mode: GenerationMode) -> int:
    """Send made-up requests to every route, and tell how many."""
    film = desk.film(1, decision="viral").entry_id
    tokens = {name: token_of(desk.study, f"zzz.{name}") for name in ("radiologist", "administrator")}
    api = schemathesis.openapi.from_asgi("/api/openapi.json", desk.app, timeout=PATIENCE)
    sent = []

    def of_route(operation: Any) -> None:
        who = "administrator" if operation.path in ("/api/v1/health", "/metrics") else "radiologist"
        headers = {"Authorization": f"Bearer {tokens[who]}"}
        if operation.method == "post" and operation.path.startswith("/dicomweb/"):
            headers["Content-Type"] = RELATED

        @settings(
            max_examples=examples,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            if len(sent) % 2 and "entry_id" in case.path_parameters:
                case.path_parameters["entry_id"] = film  # every other one hits a film
            sent.append(operation.path)
            case.validate_response(case.call(headers=headers, timeout=PATIENCE), checks=CHECKS)

        send()

    for found in api.get_all_operations():
        of_route(found.ok())
    return len(sent)


def test_made_up_requests_find_no_fault(make_desk: Callable[..., Any]) -> None:
    assert _made_up(make_desk(), 2, GenerationMode.POSITIVE) >= 22


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_many_made_up_requests_find_no_fault(make_desk: Callable[..., Any], mode: GenerationMode) -> None:
    assert _made_up(make_desk(), 60, mode) >= 22
