"""Every route, every role, another's film; signing in, and what an attacker would try."""

from __future__ import annotations

import base64
import io
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from carina.archive import ROLES, DeskResult, NewFilm, Study, create_study
from carina.errors import ArchiveError, InputError
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import receive_film
from carina.settings import Settings
from carina.web import GRANTED, Permission, create_app
from carina.web import guards as guards_of_all
from carina.web.credentials import check_password, find_step, hash_password, one_time_code

SECRET = base64.b32encode(b"12345678901234567890").decode()
MODEL = {"name": "tiny", "version": "1", "sha256": "f" * 64, "points": [], "classes": ("normal", "viral")}
PASSWORD = "eleven geese and a goose"  # noqa: S105 - of invented users
HASH = hash_password(PASSWORD)
PAGE = {"accept": "text/html"}
# what each role may reach; written here a second time on purpose, so that a change of the table is seen
ALLOWED = {
    "administrator": {
        *("own_account", "own_access", "see_health", "manage_users", "read_audit", "see_openings", "see_peers"),
        *("see_studies", "record_approvals", "propose_models", "activate_models", "see_equity", "manage_programmes"),
    },
    "researcher": {
        *("own_account", "own_access", "see_health", "see_studies", "run_jobs", "record_approvals"),
        *("propose_models", "see_equity"),
    },
    "radiologist": {
        *("own_account", "own_access", "see_films", "send_films", "judge_films", "break_glass", "request_programme"),
    },
    "referrer": {"own_account", "own_access", "see_films", "send_films", "request_programme"},
}


def guards(app: FastAPI) -> dict[tuple[str, str], Permission]:
    """Guards of the pages; what a token opens is enumerated in ``test_web_api.py``."""
    by_token = ("/api/v1/", "/dicomweb/", "/metrics")
    return {route: held for route, held in guards_of_all(app).items() if not route[1].startswith(by_token)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    with create_study(tmp_path_factory.mktemp("web") / "service", "service") as made:
        for organisation in ("ZZZ District", "ZZZ Other"):
            home = made.accounts.add_organisation(organisation).organisation_id
            for role in (*ROLES, "referrer"):
                name = f"zzz.{role}{home}"
                if made.accounts.user(name) is not None:
                    name += ".second"
                user = made.accounts.add_user(name, organisation_id=home, role=role, password_hash=HASH)
                made.accounts.set_password(user, HASH, initial=False, by=user.user_id)
                made.accounts.set_second_factor(user, SECRET, 0)
        yield made


@pytest.fixture(scope="module")
def app(study: Study, tiny_bundle: Path) -> FastAPI:
    settings = Settings.model_validate({"service": {"model": str(tiny_bundle)}, "web": {"upload_bytes": 4_000_000}})
    return create_app(study, settings, secure=False, model=MODEL)


@pytest.fixture
def visit(app: FastAPI, study: Study) -> Callable[..., tuple[TestClient, str]]:
    """Signed-in client and its form token: `visit("radiologist1")`."""

    def make(name: str, stage: str = "full") -> tuple[TestClient, str]:
        user = study.accounts.user(f"zzz.{name}")
        assert user is not None
        token = study.accounts.begin_session(user, stage)  # type: ignore[arg-type]  # one of the two
        session = study.accounts.session(token, idle=1e9, absolute=1e9)
        assert session is not None
        client = TestClient(app, cookies={"carina": token}, follow_redirects=False, raise_server_exceptions=False)
        return client, session.form_token

    return make


@pytest.fixture(scope="module")
def film(study: Study, app: FastAPI) -> str:
    """A read film of the first organisation and its first referrer, of a patient with HTML in the name."""
    picture = io.BytesIO()
    made = phantom_dicom(phantom_film(1, size=256), patient="ZZZ0016")
    made.PatientName = "<script>alert(1)</script>^ZZZ"
    made.save_as(picture)
    owner = study.accounts.user("zzz.referrer1")
    assert owner is not None
    got, _ = receive_film(
        study,
        picture.getvalue(),
        organisation_id=1,
        source="upload",
        settings=app.state.settings,
        referrer_id=owner.user_id,
    )
    stored = study.store.put(b"\x89PNG layer", folder="results", suffix=".png")
    reading = {"decision": "viral", "reason": "", "probabilities": {"normal": 0.2, "viral": 0.8}, "model": MODEL}
    result = DeskResult("f" * 64, reading, {"heat-viral": stored.path}, 0.1, time.time())
    study.desk.finish(got, result, urgency=0.8, longest_wait=60)
    return got.entry_id


def _address(path: str, film: str, other: str = "99999") -> str:
    path = path.replace("{entry_id}", film).replace("{name}", "heat-viral")
    return re.sub(r"\{(user_id|request_id|break_id|key)\}", other, path)


def _pages(app: FastAPI) -> dict[tuple[str, str], Permission]:
    """Routes that a session opens; those of the API take tokens."""
    return {
        (method, path): permission
        for (method, path), permission in guards(app).items()
        if not path.startswith(("/api/", "/dicomweb/", "/metrics"))
    }


def test_every_route_times_every_role_is_refused_or_allowed_as_written(
    app: FastAPI, visit: Callable[..., tuple[TestClient, str]], film: str
) -> None:
    routes = _pages(app)
    assert len(routes) >= 20
    for role in ROLES:
        client, token = visit(f"{role}1")
        for (method, path), permission in routes.items():
            if permission in (Permission.anyone, Permission.second_step) or path == "/sign-out":
                continue
            answer = client.request(
                method, _address(path, film), data={"form_token": token} if method == "POST" else None
            )
            allowed = permission.value in ALLOWED[role]
            assert (answer.status_code != 403) is allowed, (role, method, path, answer.status_code)
            assert answer.status_code < 500, (role, method, path)
    assert {role: {each.value for each in held} for role, held in GRANTED.items()} == ALLOWED


def test_without_a_session_every_route_but_the_open_ones_leads_to_signing_in(app: FastAPI, film: str) -> None:
    client = TestClient(app, follow_redirects=False)
    for (method, path), permission in _pages(app).items():
        answer = client.request(method, _address(path, film), headers=PAGE)
        if permission is not Permission.anyone:
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path


def test_with_the_password_alone_no_page_opens(
    app: FastAPI, visit: Callable[..., tuple[TestClient, str]], film: str
) -> None:
    client, token = visit("radiologist1", "password")
    for (method, path), permission in _pages(app).items():
        if permission not in (Permission.anyone, Permission.second_step):
            sent = {"form_token": token} if method == "POST" else None
            answer = client.request(method, _address(path, film), data=sent, headers=PAGE)
            assert (answer.status_code, answer.headers["location"]) == (303, "/second-factor"), path


@pytest.mark.parametrize("who", ["radiologist2", "referrer2", "referrer1.second"])
def test_anothers_film_by_its_address_looks_like_none_at_all(
    app: FastAPI, visit: Callable[..., tuple[TestClient, str]], film: str, who: str
) -> None:
    client, token = visit(who)
    for (method, path), permission in _pages(app).items():
        if "{entry_id}" not in path or (permission is Permission.judge_films and "referrer" in who):
            continue
        sent = {"form_token": token, "agrees": "yes"} if method == "POST" else None
        theirs, none = (client.request(method, _address(path, each), data=sent) for each in (film, "0" * 32))
        assert (theirs.status_code, theirs.text) == (404, none.text), path
    listed = client.post("/worklist", data={"form_token": token, "search": "zzz0016", "all": "yes"})
    assert film not in listed.text


def test_an_administrator_changes_nobody_of_another_organisation(
    study: Study, visit: Callable[..., tuple[TestClient, str]]
) -> None:
    client, token = visit("administrator1")
    other = study.accounts.user("zzz.radiologist2")
    assert other is not None
    for act in ("reset", "state"):
        assert client.post(f"/users/{other.user_id}/{act}", data={"form_token": token}).status_code == 404
    assert study.accounts.user("zzz.radiologist2") == other
    assert "radiologist2" not in client.get("/users").text


@pytest.fixture
def belongings(study: Study) -> Iterator[dict[str, str]]:
    """What of the first organisation has an address, by the route's last words: nobody else may reach it."""
    desk = study.administration
    desk.change_organisation(1, name="ZZZ District", takes_requests=True, by=None)
    desk.ask(1, name="zzz.asking", full_name="Test", contact="ZZZ", password_hash=HASH)
    users = {role: study.accounts.user(f"zzz.{role}1") for role in ROLES}
    reader, lead = users["radiologist"], users["administrator"]
    assert reader is not None
    assert lead is not None
    _, token = study.tokens.create(reader.user_id, "t", ["results:read"], time.time() + 60)
    study.accounts.begin_session(reader, "full")
    session = desk.sessions(1, idle=1e9, absolute=1e9, user_id=reader.user_id)[0]
    new = NewFilm(film_id="d" * 64, path="received/x", source="upload", patient_id="ZZZ0032")
    study.desk.receive(new, organisation_id=2, longest_wait=60)
    glass = study.glass.open(
        "ZZZ0032", organisation_id=2, user_id=reader.user_id, home_id=1, reason="x" * 20, seconds=60
    )
    assert glass is not None
    yield {
        "/users/{user_id}/reset": str(reader.user_id),
        "/users/{user_id}/role": str(reader.user_id),
        "/users/{user_id}/state": str(reader.user_id),
        "/administration/requests/{request_id}": str(desk.requests(1)[0].request_id),
        "/administration/sessions/{key}/end": session.key,
        "/administration/tokens/{key}/end": token.key,
        "/administration/openings/{break_id}/seen": str(glass),
        "/account/sessions/{key}/end": session.key,
        "/account/tokens/{key}/end": token.key,
        "/glass/{break_id}/close": str(glass),
    }
    desk.change_organisation(1, name="ZZZ District", takes_requests=False, by=None)
    for request in desk.requests(1):
        desk.decide(request.request_id, "refused", organisation_id=1, by=lead.user_id, reason="over")
    study.glass.close(glass, user_id=reader.user_id)


def test_what_is_anothers_cannot_be_told_from_what_is_not_there(
    app: FastAPI, study: Study, visit: Callable[..., tuple[TestClient, str]], belongings: dict[str, str]
) -> None:
    named = {path for _, path in _pages(app) if re.search(r"\{(user_id|request_id|break_id|key)\}", path)}
    assert named == set(belongings)  # a new route with an address of this kind must be thought about here
    begin = len(study.archive.audit_log())
    for path, permission in ((path, held) for (_, path), held in _pages(app).items() if path in belongings):
        for who in (f"{role}{home}" for role in ROLES for home in (1, 2)):
            own = path.startswith(("/account", "/glass")) and who == "radiologist1"
            theirs = who.endswith("1") and path.startswith(("/users", "/administration")) and "openings" not in path
            seen = who.endswith("2") and "openings" in path  # it is the second organisation's patient
            if own or theirs or seen or permission.value not in ALLOWED[who[:-1]]:
                continue
            client, token = visit(who)
            sent = {"form_token": token, "decision": "approved", "role": "referrer", "state": "disabled"}
            there, none = (client.post(_address(path, "", other), data=sent) for other in (belongings[path], "99999"))
            assert (there.status_code, there.text) == (404, none.text), (who, path)
    events = {entry.event for entry in study.archive.audit_log()[begin:]}
    assert events.isdisjoint({"session_ended", "token_ended", "glass_closed", "glass_seen", "account_approved"})


def test_a_route_without_a_permission_does_not_start() -> None:
    bare = FastAPI(openapi_url=None)
    bare.add_api_route("/films", lambda: "all films")
    with pytest.raises(ArchiveError, match="must have one guard"):
        guards(bare)


def test_a_form_without_its_token_or_from_another_site_is_refused(
    visit: Callable[..., tuple[TestClient, str]], film: str
) -> None:
    client, token = visit("radiologist1")
    to = f"/films/{film}/judgement"
    assert client.post(to, data={"agrees": "yes"}).status_code == 403
    assert client.post(to, data={"agrees": "yes", "form_token": "x" * 43}).status_code == 403
    sent = {"agrees": "yes", "form_token": token}
    assert client.post(to, data=sent, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_every_answer_carries_the_headers_and_no_page_a_script_of_its_own(
    visit: Callable[..., tuple[TestClient, str]], film: str
) -> None:
    client, _ = visit("radiologist1")
    for path in ("/worklist", f"/films/{film}", "/no-such-page", "/upload", "/static/desk.css"):
        answer = client.get(path, headers=PAGE)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        if answer.headers["content-type"].startswith("text/html"):
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(
                r"<script(?! src=\"/static/)|<style|\son\w+=|style=\"|https?://(?!www.w3.org)", answer.text
            )


def test_html_in_a_name_is_shown_as_text(visit: Callable[..., tuple[TestClient, str]], film: str) -> None:
    client, _ = visit("radiologist1")
    for text in (client.get("/worklist").text, client.get(f"/films/{film}").text):
        assert "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text


def test_logs_and_audit_hold_no_patient(
    study: Study, visit: Callable[..., tuple[TestClient, str]], film: str, caplog: pytest.LogCaptureFixture
) -> None:
    client, token = visit("radiologist1")
    with caplog.at_level(logging.DEBUG, logger="carina"):
        client.get(f"/films/{film}")
        client.post("/worklist", data={"form_token": token, "search": "zzz0016"})
    assert "/films/{entry_id}" in caplog.text
    for text in (caplog.text, *(entry.details for entry in study.archive.audit_log())):
        assert "ZZZ0016" not in text.upper()
        assert "alert(1)" not in text
    events = [entry.event for entry in study.archive.audit_log()]
    assert {"film_seen", "worklist_seen", "film_received"} <= set(events)
    assert study.archive.verify_audit() == []


def test_the_film_is_the_original_under_a_window(visit: Callable[..., tuple[TestClient, str]], film: str) -> None:
    cv2 = pytest.importorskip("cv2")
    import numpy as np  # noqa: PLC0415 - here alone

    client, _ = visit("radiologist1")

    def grey(query: str) -> np.ndarray:
        answer = client.get(f"/films/{film}/film.png{query}")
        assert answer.headers["content-type"] == "image/png"
        return np.asarray(cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED))

    whole, narrow = grey(""), grey("?centre=0.5&width=0.1")
    assert whole.shape == (256, 256)
    assert whole.std() > 10
    assert ((narrow == 0) | (narrow == 255)).mean() > 0.5
    assert client.get(f"/films/{film}/film.png?width=0").status_code == 422


def test_a_judgement_closes_the_film_and_is_shown(visit: Callable[..., tuple[TestClient, str]], film: str) -> None:
    client, token = visit("radiologist1")
    sent = {"form_token": token, "agrees": "no", "call": "normal", "comment": "<b>clear</b>"}
    assert client.post(f"/films/{film}/judgement", data=sent).status_code == 303
    text = client.get(f"/films/{film}").text
    assert "disagrees" in text
    assert "&lt;b&gt;clear" in text
    assert film not in client.get("/worklist").text
    assert film in client.post("/worklist", data={"form_token": token, "all": "yes"}).text


def test_uploads_are_taken_refused_in_words_and_limited(visit: Callable[..., tuple[TestClient, str]]) -> None:
    client, token = visit("referrer1")
    picture = io.BytesIO()
    phantom_dicom(phantom_film(2, size=256), patient="ZZZ0024").save_as(picture)
    files = [("films", ("a.dcm", picture.getvalue())), ("films", ("<i>.txt", b"hello" * 100))]
    answer = client.post("/upload", data={"form_token": token}, files=files)
    assert "1 new of 2" in answer.text
    assert "&lt;i&gt;.txt" in answer.text
    assert "neither DICOM nor a picture" in answer.text
    assert "ZZZ0024" in client.get("/worklist").text
    large = [("films", ("a.dcm", b"x" * 5_000_000))]
    assert client.post("/upload", data={"form_token": token}, files=large).status_code == 413


def _sign_in(app: FastAPI, name: str, password: str, client: TestClient | None = None) -> tuple[TestClient, int, str]:
    client = client or TestClient(app, follow_redirects=False)
    page = client.get("/sign-in").text
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token is not None
    answer = client.post("/sign-in", data={"form_token": token[1], "name": name, "password": password})
    return client, answer.status_code, answer.text


def _give_code(client: TestClient, step: int) -> int:
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/second-factor").text)
    assert token is not None
    return client.post("/second-factor", data={"form_token": token[1], "code": one_time_code(SECRET, step)}).status_code


def test_signing_in_takes_password_and_code_and_no_code_twice(app: FastAPI) -> None:
    client, status, _ = _sign_in(app, "ZZZ.radiologist1", PASSWORD)
    assert status == 303
    before = client.cookies["carina"]
    step = int(time.time() // 30)
    assert _give_code(client, step) == 303
    assert client.cookies["carina"] != before  # a session planted before signing in is worth nothing
    assert client.get("/worklist").status_code == 200
    second, _, _ = _sign_in(app, "zzz.radiologist1", PASSWORD)
    assert _give_code(second, step) == 401


def test_wrong_names_and_wrong_passwords_are_told_apart_by_nothing(app: FastAPI) -> None:
    wrong, none = (_sign_in(app, name, "wrong wrong wrong") for name in ("zzz.referrer2", "zzz.nobody"))
    strip = re.compile(r'value="[^"]*"')
    assert wrong[1] == none[1] == 401
    assert strip.sub("", wrong[2]) == strip.sub("", none[2])


def test_guessing_locks_the_guesser_out_and_not_the_user(app: FastAPI) -> None:
    name = "zzz.referrer1.second"
    own, _, _ = _sign_in(app, name, PASSWORD)
    assert _give_code(own, int(time.time() // 30)) == 303  # from now on this browser is no stranger
    guesser = TestClient(app, follow_redirects=False)
    for _ in range(10):
        assert _sign_in(app, name, "guess guess guess", guesser)[1] == 401
    assert _sign_in(app, name, PASSWORD, guesser)[1] == 429
    assert _sign_in(app, name, PASSWORD, own)[1] == 303


def test_a_first_password_opens_nothing_but_the_page_that_changes_it(
    study: Study, visit: Callable[..., tuple[TestClient, str]]
) -> None:
    study.accounts.add_user("zzz.new", organisation_id=1, role="radiologist", password_hash=HASH)
    client, token = visit("new")
    assert client.get("/worklist", headers=PAGE).headers["location"] == "/account"
    sent = {"form_token": token, "old": PASSWORD, "new": "a quite different sentence"}
    answer = client.post("/account", data=sent)
    assert answer.status_code == 303
    assert client.get("/worklist").status_code == 200
    assert study.accounts.user("zzz.new").password_is_initial is False  # type: ignore[union-attr]  # it was just made


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_one_time_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert one_time_code(SECRET, seconds // 30, digits=8) == code


def test_a_code_is_good_for_one_step_before_and_after() -> None:
    code = one_time_code(SECRET, 100)
    assert [find_step(SECRET, code, now=now) for now in (2969.0, 2970.0, 3059.0, 3060.0)] == [None, 100, 100, None]


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaaaaaa", "my zzz.name is here", "x" * 300])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(InputError, match="a password must"):
        check_password(password, "zzz.name")


def test_a_new_film_of_an_unread_study_opens(study: Study, visit: Callable[..., tuple[TestClient, str]]) -> None:
    new = NewFilm(film_id="e" * 64, path="received/none.dcm", source="upload")
    made, _ = study.desk.receive(new, organisation_id=1, longest_wait=60)
    client, _ = visit("radiologist1")
    assert "waits for the model" in client.get(f"/films/{made.entry_id}").text
