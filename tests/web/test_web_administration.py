"""The administrators' pages: requests for accounts, sessions, tokens, the audit log, peers, the organisation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")

from fastapi.testclient import TestClient

from carina.archive import OwedItem

ASKED = {
    "organisation": "1",
    "name": "ZZZ.asking",
    "full_name": "Test Asking",
    "contact": "<b>ZZZ practice</b>",
    "password": "nine ducks on a pond",
}


def _stranger(desk: Any) -> tuple[TestClient, str]:
    client = TestClient(desk.app, follow_redirects=False)
    found = re.search(r'name="form_token" value="([^"]+)"', client.get("/sign-in").text)
    assert found is not None
    return client, found[1]


def _takes_requests(desk: Any, *, takes: bool = True) -> None:
    desk.study.administration.change_organisation(1, name="ZZZ District", takes_requests=takes, by=None)


def _user(desk: Any, name: str) -> Any:
    found = desk.study.accounts.user(name)
    assert found is not None
    return found


# -- requests for accounts ---------------------------------------------------------------------------------------------


def test_a_request_becomes_an_account_that_signs_in_with_the_chosen_password(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    _takes_requests(desk)
    stranger, token = _stranger(desk)
    answer = stranger.post("/account-request", data={"form_token": token, **ASKED})
    assert "with the administrator" in answer.text
    client, form = desk.client("administrator")
    page = client.get("/administration/requests").text
    assert "&lt;b&gt;ZZZ practice" in page
    assert "1 request for an account waits" in client.get("/users").text
    client.post("/administration/requests/1", data={"form_token": form, "decision": "approved", "name": "zzz.asking"})
    assert _user(desk, "zzz.asking").role == "referrer"
    sent = {"form_token": token, "name": "zzz.asking", "password": ASKED["password"]}
    assert stranger.post("/sign-in", data=sent).headers["location"] == "/second-factor"


def test_a_request_for_a_taken_name_is_answered_as_any_other(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    _takes_requests(desk)
    stranger, token = _stranger(desk)
    free, taken = (
        stranger.post("/account-request", data={"form_token": token, **ASKED, "name": name})
        for name in ("zzz.free", "zzz.radiologist")
    )
    assert (free.status_code, free.text) == (taken.status_code, taken.text)
    client, form = desk.client("administrator")
    sent = {"form_token": form, "decision": "approved", "name": "zzz.radiologist"}
    answer = client.post("/administration/requests/2", data=sent)
    assert answer.status_code == 400
    assert "taken" in answer.text
    assert _user(desk, "zzz.radiologist").role == "radiologist"


@pytest.mark.parametrize(
    "wrong", [{"organisation": "7"}, {"password": "short"}, {"full_name": ""}, {"name": "No Name"}]
)
def test_a_request_that_lacks_something_is_refused_in_words_and_kept_on_the_page(
    make_desk: Callable[..., Any], wrong: dict[str, str]
) -> None:
    desk = make_desk()
    _takes_requests(desk)
    stranger, token = _stranger(desk)
    answer = stranger.post("/account-request", data={"form_token": token, **ASKED, **wrong})
    assert answer.status_code == 400
    assert "&lt;b&gt;ZZZ practice" in answer.text
    assert ASKED["password"] not in answer.text
    assert desk.study.administration.requests(1) == []


def test_requests_are_throttled_by_address(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    stranger, token = _stranger(desk)  # no organisation takes requests: each try is refused, and counts
    tries = [stranger.post("/account-request", data={"form_token": token, **ASKED}).status_code for _ in range(12)]
    assert tries == [400] * 10 + [429] * 2


def test_where_no_organisation_takes_requests_the_sign_in_offers_none(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    stranger, _ = _stranger(desk)
    assert "/account-request" not in stranger.get("/sign-in").text
    assert "No organisation takes requests" in stranger.get("/account-request").text
    _takes_requests(desk)
    assert "/account-request" in stranger.get("/sign-in").text


def test_a_refusal_needs_a_reason(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    _takes_requests(desk)
    desk.study.administration.ask(1, name="zzz.asking", full_name="T", contact="c", password_hash="-")  # noqa: S106 - none
    client, form = desk.client("administrator")
    sent = {"form_token": form, "decision": "refused"}
    assert client.post("/administration/requests/1", data=sent).status_code == 400
    assert client.post("/administration/requests/1", data={**sent, "reason": "not known"}).status_code == 303
    assert "not known" in client.get("/administration/requests").text


# -- users and the organisation ----------------------------------------------------------------------------------------


def test_a_role_is_changed_and_the_session_of_before_is_over(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    doctor, _ = desk.client("radiologist")
    assert doctor.get("/worklist").status_code == 200
    client, form = desk.client("administrator")
    who = _user(desk, "zzz.radiologist").user_id
    assert client.post(f"/users/{who}/role", data={"form_token": form, "role": "owner"}).status_code == 400
    assert client.post(f"/users/{who}/role", data={"form_token": form, "role": "researcher"}).status_code == 303
    assert _user(desk, "zzz.radiologist").role == "researcher"
    assert doctor.get("/worklist", headers={"accept": "text/html"}).headers["location"] == "/sign-in"


def test_nobody_changes_their_own_role_or_keeps_themselves_out(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, form = desk.client("administrator")
    own = _user(desk, "zzz.administrator").user_id
    for act, said in (("role", {"role": "referrer"}), ("state", {"state": "disabled"})):
        assert client.post(f"/users/{own}/{act}", data={"form_token": form, **said}).status_code == 400
    assert _user(desk, "zzz.administrator").role == "administrator"


def test_the_organisation_is_renamed_and_takes_requests(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, form = desk.client("administrator")
    sent = {"form_token": form, "name": "ZZZ New", "takes_requests": "yes"}
    assert client.post("/administration/organisation", data=sent).status_code == 303
    assert [each.name for each in desk.study.administration.asked_organisations()] == ["ZZZ New"]
    assert "ZZZ New" in client.get("/administration/organisation").text
    assert client.post("/administration/organisation", data={"form_token": form, "name": ""}).status_code == 400


# -- sessions and tokens -----------------------------------------------------------------------------------------------


def test_a_user_sees_own_sessions_and_ends_another_of_them(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    here, form = desk.client("referrer")
    there, _ = desk.client("referrer")
    desk.client("radiologist")
    page = here.get("/account/sessions").text
    assert "this one" in page
    (key,) = re.findall(r'action="/account/sessions/(\w+)/end"', page)
    assert here.post(f"/account/sessions/{key}/end", data={"form_token": form}).status_code == 303
    assert there.get("/worklist").status_code != 200
    assert here.get("/worklist").status_code == 200


def test_an_administrator_sees_and_ends_sessions_of_the_organisation(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    doctor, _ = desk.client("radiologist")
    client, form = desk.client("administrator")
    page = client.get("/administration/sessions").text
    assert "zzz.radiologist" in page
    (key,) = re.findall(r'action="/administration/sessions/(\w+)/end"', page)
    assert client.post(f"/administration/sessions/{key}/end", data={"form_token": form}).status_code == 303
    assert doctor.get("/worklist").status_code != 200


def test_a_token_is_shown_once_and_is_good_for_what_was_ticked(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, form = desk.client("referrer")
    sent = {"form_token": form, "label": "<i>job</i>", "scope_results:read": "yes", "days": "30"}
    text = client.post("/account/tokens", data=sent).text
    (secret,) = re.findall(r"carina_[\w-]{43}", text)
    found = desk.study.tokens.find(secret)
    assert found is not None
    assert found[1] == ("results:read",)
    again = client.get("/account/tokens").text
    assert secret not in again
    assert "&lt;i&gt;job" in again
    assert "&lt;i&gt;job" in desk.client("administrator")[0].get("/administration/tokens").text
    (key,) = re.findall(r'action="/account/tokens/(\w+)/end"', again)
    client.post(f"/account/tokens/{key}/end", data={"form_token": form})
    assert desk.study.tokens.find(secret) is None


@pytest.mark.parametrize("days", ["0", "366", "", "x", "-1", "1e2"])
def test_a_token_lives_no_longer_than_the_settings_allow(make_desk: Callable[..., Any], days: str) -> None:
    desk = make_desk()
    client, form = desk.client("referrer")
    sent = {"form_token": form, "label": "job", "scope_results:read": "yes", "days": days}
    assert client.post("/account/tokens", data=sent).status_code == 400


def test_no_role_gives_a_token_more_than_it_may(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, form = desk.client("administrator")
    assert "results:read" not in client.get("/account/tokens").text
    sent = {"form_token": form, "label": "job", "scope_results:read": "yes", "days": "1"}
    assert client.post("/account/tokens", data=sent).status_code == 403


def test_a_first_password_makes_no_token(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    desk.study.accounts.add_user("zzz.new", organisation_id=1, role="referrer", password_hash="-")  # noqa: S106 - none
    client, form = desk.client("new")
    sent = {"form_token": form, "label": "job", "scope_results:read": "yes", "days": "1"}
    answer = client.post("/account/tokens", data=sent, headers={"accept": "text/html"})
    assert answer.headers["location"] == "/account"


# -- the audit log and the peers ---------------------------------------------------------------------------------------


def _events(text: str) -> list[str]:
    return re.findall(r'<td class="when">[^<]*</td><td>([^<]*)</td>', text)


def test_the_log_is_filtered_by_event_user_and_text_and_holds_no_other_organisation(
    make_desk: Callable[..., Any],
) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral")
    doctor, _ = desk.client("radiologist")
    doctor.get(f"/films/{film.entry_id}")
    doctor.get("/worklist")
    other = desk.study.accounts.add_organisation("ZZZ Other").organisation_id
    desk.study.desk.note_access("film_seen", organisation_id=other, user_id=10_000, entry_id="e" * 32)
    client, form = desk.client("administrator")

    def shown(**sent: str) -> list[str]:
        return _events(client.post("/administration/log", data={"form_token": form, **sent}).text)

    assert shown(event="film seen") == ["film seen"]
    assert shown(text=film.entry_id[:12].upper(), event="film_") == ["film seen", "film read", "film received"]
    assert shown(user="zzz.radiologist", event="worklist") == ["worklist seen"]
    assert shown(text="e" * 32) == []
    assert (
        "no user of that name"
        in client.post("/administration/log", data={"form_token": form, "user": "zzz.nobody"}).text
    )


def test_the_log_is_read_page_by_page(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(web={"rows": 5})
    for _ in range(7):
        desk.study.desk.note_access("worklist_seen", organisation_id=1, user_id=1)
    client, form = desk.client("administrator")
    sent = {"form_token": form, "event": "worklist"}
    first = client.post("/administration/log", data=sent).text
    (before,) = re.findall(r'name="before" value="(\d+)"', first)
    second = client.post("/administration/log", data={**sent, "before": before}).text
    assert (len(_events(first)), len(_events(second))) == (5, 2)
    assert 'name="before"' not in second


def test_the_chain_is_checked_from_the_page(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, form = desk.client("administrator")
    head = desk.study.archive.audit_head()
    text = client.post("/administration/log/chain", data={"form_token": form}).text
    assert "Whole." in text
    assert head in text
    assert desk.study.archive.audit_log()[-1].event == "audit_checked"


def test_an_administrator_sees_the_peers_of_the_own_organisation_with_what_went_between(
    make_desk: Callable[..., Any],
) -> None:
    peers = [
        {"ae_title": "ZZZPACS", "host": "pacs.invalid", "port": 104, "results": True},
        {"ae_title": "ZZZOTHER", "host": "other.invalid", "port": 104, "organisation": "ZZZ Other"},
    ]
    desk = make_desk(pacs={"peers": peers})
    exchange = desk.study.archive.exchange
    exchange.owe(OwedItem("store", "ZZZPACS", "1.2", "2.25.1"))
    exchange.postpone(exchange.due(("store",))[0].item_id, "it did <not> answer", 60)
    client, _ = desk.client("administrator")
    page = client.get("/administration/peers").text
    assert "pacs.invalid:104" in page
    assert "it did &lt;not&gt; answer" in page
    assert "other.invalid" not in page
    desk.study.accounts.add_organisation("ZZZ Other")  # now that there are two, a peer that names none is nobody's
    assert "pacs.invalid" not in client.get("/administration/peers").text


def test_no_address_of_these_pages_takes_a_number_that_no_database_holds(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    client, form = desk.client("administrator")
    for path in ("requests/{}", "openings/{}/seen"):
        for number in ("0", "9" * 30, "x"):
            answer = client.post(f"/administration/{path.format(number)}", data={"form_token": form})
            assert answer.status_code == 422
    answer = client.post("/administration/log", data={"form_token": form, "before": "9" * 40})
    assert answer.status_code == 200
