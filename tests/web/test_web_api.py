"""The API for programs: who gets in, what a token opens, and what is said of films."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")

from api_ways import client_of, token_of
from fastapi.testclient import TestClient

from carina.archive import ROLES, SCOPES
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.web import GRANTED, guards
from carina.web.api_access import TokenGuard
from carina.web.api_document import document

# the scope and the permission of every route; written here a second time on purpose
OPENS = {
    "/api/v1/worklist": ("worklist:read", "see_films"),
    "/api/v1/worklist/search": ("worklist:read", "see_films"),
    "/api/v1/films": ("films:write", "send_films"),
    "/api/v1/films/{entry_id}": ("results:read", "see_films"),
    "/api/v1/films/{entry_id}/fhir": ("results:read", "see_films"),
    "/api/v1/films/{entry_id}/layers/{name}": ("results:read", "see_films"),
    "/api/v1/health": ("health:read", "see_health"),
    "/metrics": ("health:read", "see_health"),
}


def _opens(method: str, path: str) -> tuple[str, str]:
    if path.startswith("/dicomweb/"):
        return ("films:write", "send_films") if method == "POST" else ("results:read", "see_films")
    return OPENS[path]


def _address(path: str, film: str = "0" * 32) -> str:
    for name, value in {"entry_id": film, "name": "heat-viral", "study": "1.2", "series": "1.3"}.items():
        path = path.replace(f"{{{name}}}", value)
    return path.replace("{instance}", "1.4")


def _routes(app: Any) -> list[tuple[str, str]]:
    return [(method, path) for method, path in guards(app) if path.startswith(("/api/v1/", "/dicomweb/", "/metrics"))]


def _dicom(seed: int = 7) -> bytes:
    content = io.BytesIO()
    phantom_dicom(phantom_film(seed, size=128), patient="ZZZ0024").save_as(content)
    return content.getvalue()


# -- who gets in ---------------------------------------------------------------------------------------------------


def test_every_route_times_every_role_and_scope_is_refused_or_allowed_as_written(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral").entry_id
    clients = {(role, scope): client_of(desk, role, scope) for role in ROLES for scope in SCOPES}
    routes = _routes(desk.app)
    assert len(routes) == 22
    for method, path in routes:
        needs, permission = _opens(method, path)
        for (role, scope), client in clients.items():
            answer = client.request(method, _address(path, film))
            allowed = scope == needs and permission in {each.value for each in GRANTED[role]}  # type: ignore[index]  # one of the roles
            assert (answer.status_code != 403) is allowed, (role, scope, method, path, answer.status_code)
            assert answer.status_code < 500
            assert answer.status_code != 401


def test_every_route_of_the_api_is_guarded_by_a_token_and_no_page_is(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    for route in desk.app.routes:
        for each in getattr(route, "original_router", None).routes if hasattr(route, "original_router") else [route]:
            held = [isinstance(one.call, TokenGuard) for one in each.dependant.dependencies]
            assert any(held) is each.path.startswith(("/api/v1/", "/dicomweb/", "/metrics")), each.path


def test_without_a_token_nothing_opens_and_a_session_is_none(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, _ = desk.client("radiologist")
    sent = (None, "Basic dXNlcjpwYXNz", "Bearer", "Bearer carina_none", "Bearer \u00e9")
    for (method, path), each in zip(_routes(desk.app), sent * 5, strict=False):
        headers = {} if each is None else {"Authorization": each.encode("latin-1")}
        answer = client.request(method, _address(path), headers={**headers, "Accept": "text/html"})
        assert answer.status_code in (401, 429)
        assert answer.headers["www-authenticate"].startswith('Bearer realm="Carina"')
        assert answer.json()["error"]


def test_a_token_opens_nothing_once_it_expired_or_was_ended_or_its_user_was_kept_out(
    make_desk: Callable[..., Any],
) -> None:
    desk = make_desk()
    tokens, user = desk.study.tokens, desk.study.accounts.user("zzz.radiologist")
    secret, token = tokens.create(user.user_id, "ended", ["worklist:read"], time.time() + 60)
    brief = token_of(desk.study, "zzz.radiologist", seconds=0.2)
    kept_out = token_of(desk.study, "zzz.referrer")
    tokens.end(token.key, organisation_id=1, by=None)
    desk.study.accounts.set_state(desk.study.accounts.user("zzz.referrer"), "disabled", by=None)
    time.sleep(0.25)
    client = TestClient(desk.app)
    for each in (secret, brief, kept_out):
        answer = client.get("/api/v1/worklist", headers={"Authorization": f"Bearer {each}"})
        assert (answer.status_code, 'error="invalid_token"' in answer.headers["www-authenticate"]) == (401, True)


def test_wrong_tokens_are_counted_and_noted_and_hold_no_right_one_up(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    right, wrong = client_of(desk, "radiologist"), TestClient(desk.app, headers={"Authorization": "Bearer carina_x"})
    codes = [wrong.get("/api/v1/worklist").status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert right.get("/api/v1/worklist").status_code == 200
    assert [each.event for each in desk.study.archive.audit_log()].count("token_refused") == 10


def test_the_body_of_a_stranger_is_not_read(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(web={"upload_bytes": 1024})
    large = {"films": ("a.dcm", b"\0" * 100_000)}
    assert TestClient(desk.app).post("/api/v1/films", files=large).status_code == 401
    assert client_of(desk, "radiologist").post("/api/v1/films", files=large).status_code == 413


def test_anothers_film_looks_like_none_at_all(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film, accounts = desk.film(1, decision="viral"), desk.study.accounts
    elsewhere = accounts.add_organisation("ZZZ Other").organisation_id
    for who, home in (("referrer.other", 1), ("radiologist.elsewhere", elsewhere)):
        role = who.partition(".")[0]
        made = accounts.add_user(f"zzz.{who}", organisation_id=home, role=role, password_hash="x")  # noqa: S106 - no password
        accounts.set_password(made, "x", initial=False, by=None)
        client = client_of(desk, who)
        for path in [path for path in OPENS if "{entry_id}" in path]:
            theirs, none = (client.get(_address(path, each)) for each in (film.entry_id, "0" * 32))
            assert (theirs.status_code, theirs.content) == (404, none.content)
        assert client.get("/api/v1/worklist").json()["films"] == []
        assert client.post("/api/v1/worklist/search", json={"search": "zzz0016"}).json()["films"] == []


# -- worklist ------------------------------------------------------------------------------------------------------


def test_the_worklist_comes_by_priority_a_page_at_a_time(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    films = [desk.film(seed, decision="viral", urgency=urgency) for seed, urgency in ((1, 0.1), (2, 0.9), (3, 0.5))]
    client, shown, after = client_of(desk, "radiologist"), [], None
    while True:
        page = client.get("/api/v1/worklist", params={"rows": 1} | ({} if after is None else {"after": after})).json()
        shown += [each["id"] for each in page["films"]]
        after = page["following"]
        if after is None:
            break
    assert shown == [films[1].entry_id, films[2].entry_id, films[0].entry_id]


def test_a_film_of_the_worklist_is_told_field_by_field(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral", urgency=0.75)
    (told,) = client_of(desk, "referrer").get("/api/v1/worklist").json()["films"]
    assert (told["id"], told["patient_id"], told["patient_name"]) == (film.entry_id, "ZZZ0016", "TEST^Reading")
    assert (told["state"], told["decision"], told["urgency"], told["source"]) == ("read", "viral", 0.75, "upload")
    assert told["acquired_at"].startswith("2026-01-01")


def test_a_token_that_may_not_see_results_gets_a_worklist_without_them(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    desk.film(1, decision="viral")
    client = client_of(desk, "radiologist", "worklist:read")
    (told,) = client.get("/api/v1/worklist").json()["films"]
    assert (told["decision"], told["urgency"], told["due_at"]) == (None, None, None)
    for asked in ({"order": "due"}, {"decision": "viral"}):
        assert client.post("/api/v1/worklist/search", json=asked).status_code == 400


def test_a_search_finds_by_the_beginnings_of_words(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1)
    desk.film(2, patient="ZZZ0024")
    client = client_of(desk, "radiologist")
    found = client.post("/api/v1/worklist/search", json={"search": "zzz0016 read"}).json()["films"]
    assert [each["id"] for each in found] == [film.entry_id]


def test_a_search_that_is_none_is_refused_in_words(make_desk: Callable[..., Any]) -> None:
    client = client_of(make_desk(), "radiologist")
    for body, status in (
        (b"{", 422),
        (b"[]", 422),
        (b'{"rows": 0}', 422),
        (b'{"search": "a\\u0000b"}', 422),
        (b'{"nobody": 1}', 422),
        (b'{"search": "z"}', 400),
        (b'{"after": "nan 00000000000000000000000000000000"}', 422),
        (b'{"after": "-. 00000000000000000000000000000000"}', 422),
        (b'{"search": "' + b"x" * 70_000 + b'"}', 413),
        (b"\xff\xfe", 422),
    ):
        answer = client.post("/api/v1/worklist/search", content=body)
        assert answer.status_code == status, body[:60]
        assert answer.json()["error"].endswith(".")


# -- films ---------------------------------------------------------------------------------------------------------


def test_a_film_comes_with_what_the_model_said(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral", urgency=0.75)
    client = client_of(desk, "radiologist")
    told = client.get(f"/api/v1/films/{film.entry_id}").json()
    assert told["output"] == "open"
    assert told["reading"]["probabilities"] == {"viral": 0.75}
    assert told["notice"] == "AI result, research use only"
    assert told["layers"] == ["heat-viral"]
    picture = client.get(f"/api/v1/films/{film.entry_id}/layers/heat-viral")
    assert (picture.headers["content-type"], picture.content) == ("image/png", b"PNG of viral")
    assert client.get(f"/api/v1/films/{film.entry_id}/layers/none").status_code == 404
    assert "film_sent" in [each.event for each in desk.study.archive.audit_log()]


def test_a_film_that_waits_has_no_output(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    told = client_of(desk, "radiologist").get(f"/api/v1/films/{desk.film(1).entry_id}").json()
    assert (told["output"], told["reading"], told["film"]["state"]) == ("none", None, "received")


def test_in_blind_reading_output_opens_with_the_users_own_call(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(blind_first=True)
    film, client = desk.film(1, decision="viral"), client_of(desk, "radiologist")
    told = client.get(f"/api/v1/films/{film.entry_id}")
    assert (told.json()["output"], told.json()["reading"]) == ("blind", None)
    assert "viral" not in told.text + client.get("/api/v1/worklist").text
    for path in ("fhir", "layers/heat-viral"):
        assert client.get(f"/api/v1/films/{film.entry_id}/{path}").status_code == 404
    assert client.get("/api/v1/worklist", params={"order": "due"}).status_code == 400
    assert client.get("/api/v1/worklist", params={"state": "read"}).status_code == 400
    user = desk.study.accounts.user("zzz.radiologist")
    desk.study.blind.keep_call(film, user_id=user.user_id, call="normal")
    assert client.get(f"/api/v1/films/{film.entry_id}").json()["reading"]["decision"] == "viral"
    assert "viral" in client.get("/api/v1/worklist").text
    second = client_of(desk, "radiologist.second")
    assert second.get(f"/api/v1/films/{film.entry_id}").json()["output"] == "blind"


def test_fhir_comes_as_a_bundle_of_a_report_and_observations(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film, client = desk.film(1, decision="viral"), client_of(desk, "radiologist")
    answer = client.get(f"/api/v1/films/{film.entry_id}/fhir")
    assert answer.headers["content-type"] == "application/fhir+json"
    kinds = [each["resource"]["resourceType"] for each in answer.json()["entry"]]
    assert kinds == ["DiagnosticReport", "Observation", "Observation"]


def test_fhir_of_a_film_without_a_result_is_an_outcome_that_says_so(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client = client_of(desk, "radiologist")
    for entry in ("0" * 32, desk.film(1).entry_id):
        answer = client.get(f"/api/v1/films/{entry}/fhir")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/fhir+json")
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert answer.json()["issue"][0]["code"] == "not-found"


# -- films sent ----------------------------------------------------------------------------------------------------


def test_films_sent_are_at_the_desk_and_a_referrers_are_their_own(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("one.dcm", _dicom(7))
    sent = [("films", ("a.zip", packed.getvalue())), ("films", ("b.dcm", _dicom(8)))]
    answer = client_of(desk, "referrer", "films:write").post("/api/v1/films", files=sent)
    assert answer.status_code == 200
    told = answer.json()["films"]
    assert [(each["name"], each["new"], each["code"]) for each in told] == [
        ("a.zip, file 1", True, None),
        ("b.dcm", True, None),
    ]
    owner = desk.study.accounts.user("zzz.referrer")
    for each in told:
        assert desk.study.desk.film(each["id"], organisation_id=1, referrer_id=owner.user_id) is not None


def test_films_that_are_refused_are_told_one_by_one(make_desk: Callable[..., Any]) -> None:
    client = client_of(make_desk(), "radiologist")
    for files, status, codes in (
        ((b"no film", _dicom()), 207, ["not_a_picture", None]),
        ((b"no film", b""), 422, ["not_a_picture", "empty"]),
    ):
        answer = client.post("/api/v1/films", files=[("films", ("x", each)) for each in files])
        assert answer.status_code == status
        assert [each["code"] for each in answer.json()["films"]] == codes


def test_an_upload_that_is_none_is_refused_in_words(make_desk: Callable[..., Any]) -> None:
    client = client_of(make_desk(web={"upload_bytes": 2_000_000}), "radiologist")
    wrong: tuple[tuple[dict[str, Any], int], ...] = (
        ({"content": b"raw", "headers": {"Content-Type": "application/dicom"}}, 415),
        ({"content": b"broken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"content": b"broken", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"files": {"other": ("a", b"b")}}, 400),
        ({"files": {"films": ("a", b"b" * 3_000_000)}}, 413),
    )
    for sent, status in wrong:
        answer = client.post("/api/v1/films", **sent)
        assert answer.status_code == status
        assert answer.json()["error"].endswith(".")


def test_nothing_is_taken_while_the_disk_is_nearly_full(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(web={"reserve_bytes": 1 << 62})
    sent = {"films": ("a.dcm", _dicom())}
    assert client_of(desk, "radiologist").post("/api/v1/films", files=sent).status_code == 507


# -- the rest ------------------------------------------------------------------------------------------------------


def test_health_tells_of_every_link(make_desk: Callable[..., Any]) -> None:
    told = client_of(make_desk(), "administrator", "health:read").get("/api/v1/health").json()
    names = {each["name"] for each in told["checks"]}
    assert {"database", "storage", "queue", "films", "model"} <= names
    assert told["well"] is all(each["well"] for each in told["checks"])


def test_the_document_describes_the_api_and_no_page(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    answer = TestClient(desk.app).get("/api/openapi.json")
    told = answer.json()
    assert told == document()
    assert told["openapi"].startswith("3.1")
    routes = {(method.upper(), path) for path, item in told["paths"].items() for method in item}
    assert routes == set(_routes(desk.app))
    for path, item in told["paths"].items():
        for method, operation in item.items():
            assert operation["security"] == [{"token": [_opens(method.upper(), path)[0]]}]


def test_an_unknown_address_and_a_wrong_method_are_answered_in_json(make_desk: Callable[..., Any]) -> None:
    client = client_of(make_desk(), "radiologist")
    for method, path, status in (("GET", "/api/v1/nothing", 404), ("DELETE", "/api/v1/worklist", 405)):
        answer = client.request(method, path, headers={"Accept": "text/html"})
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.headers["allow"] == "GET"


def test_the_page_of_the_documentation_names_every_route() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
    for path, item in document()["paths"].items():
        for method in item:
            assert f"`{method.upper()} {path}`" in page
