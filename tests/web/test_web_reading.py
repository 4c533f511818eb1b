"""Blind reading: no route tells what the model says before the reader's own call is kept; both calls stay."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from carina.archive import DeskFilm
from carina.web import guards

MARK = "zzz_marker"  # a class that nothing but this film's reading names
SHARE = 0.8137


@pytest.fixture
def blind(make_desk: Callable[..., Any]) -> Any:
    return make_desk(blind_first=True)


def _answers(desk: Any, who: str, film: DeskFilm) -> dict[tuple[str, str], str]:
    """What every route answers that may be asked without changing anything, and a judgement too early."""
    client, token = desk.client(who)
    found = {}
    for method, path in guards(desk.app):
        address = path.replace("{entry_id}", film.entry_id).replace("{name}", f"heat-{MARK}")
        if path in ("/sign-out", "/films/{entry_id}/call") or ("{" in address and "{entry_id}" not in path):
            continue
        sent = {"form_token": token, "agrees": "yes", "all": "yes", "search": "zzz0016", "decision": MARK}
        answer = client.request(method, re.sub(r"\{\w+\}", "1", address), data=sent if method == "POST" else None)
        assert answer.status_code < 500, (method, path)
        found[method, path] = answer.text + str(sorted(answer.headers.items()))
    return found


@pytest.mark.parametrize("who", ["radiologist", "referrer"])
def test_no_route_tells_the_output_before_the_readers_call(blind: Any, who: str) -> None:
    film = blind.film(1, decision=MARK, urgency=SHARE)
    for route, text in _answers(blind, who, film).items():
        for told in (MARK, MARK.replace("_", " "), "8137", "81 %", "81.4", 'data-decision="'):
            assert told not in text.lower(), (route, told)


def test_the_output_opens_with_the_readers_own_call_and_with_nobody_elses(blind: Any) -> None:
    film = blind.film(1, decision=MARK, urgency=SHARE)
    client, token = blind.client("radiologist")
    page = client.get(f"/films/{film.entry_id}").text
    assert "before the model's" in page
    sent = {"form_token": token, "call": "viral", "confidence": "70", "comment": "left base"}
    assert client.post(f"/films/{film.entry_id}/call", data=sent).status_code == 303
    text = client.get(f"/films/{film.entry_id}").text
    assert "Zzz marker" in text
    assert client.get(f"/films/{film.entry_id}/layers/heat-{MARK}").status_code == 200
    for other in ("radiologist.second", "referrer"):
        theirs = blind.client(other)[0].get(f"/films/{film.entry_id}").text
        assert "arker" not in theirs
        assert "left base" not in theirs


def test_a_blind_call_is_kept_once_and_not_after_the_output(blind: Any) -> None:
    film = blind.film(1, decision=MARK)
    client, token = blind.client("radiologist")
    to = f"/films/{film.entry_id}/call"
    assert client.post(to, data={"form_token": token, "call": "pneumonia"}).status_code == 303
    again = client.post(to, data={"form_token": token, "call": "normal"})
    assert again.status_code == 409
    assert "was not kept" in again.text
    assert client.post(to, data={"form_token": token, "call": "no such"}).status_code == 400
    assert [each.call for each in blind.study.blind.calls()] == ["pneumonia"]


def test_no_judgement_before_the_blind_call(blind: Any) -> None:
    film = blind.film(1, decision=MARK)
    client, token = blind.client("radiologist")
    answer = client.post(f"/films/{film.entry_id}/judgement", data={"form_token": token, "agrees": "yes"})
    assert answer.status_code == 409
    assert blind.study.blind.calls() == ()


def test_both_calls_are_kept_with_their_times(blind: Any) -> None:
    film = blind.film(1, decision=MARK)
    client, token = blind.client("radiologist")
    begin = time.time()
    client.get(f"/films/{film.entry_id}")
    client.post(f"/films/{film.entry_id}/call", data={"form_token": token, "call": "viral", "confidence": "70"})
    client.post(
        f"/films/{film.entry_id}/judgement",
        data={"form_token": token, "agrees": "no", "call": "normal", "comment": "seen again"},
    )
    first, second = blind.study.blind.calls()
    assert (first.blind, first.call, first.confidence, first.agrees) == (True, "viral", 0.7, None)
    assert (second.blind, second.call, second.agrees, second.comment) == (False, "normal", False, "seen again")
    assert begin <= first.opened_at == second.opened_at <= first.at <= second.at  # type: ignore[operator]  # all are there
    assert blind.study.desk.film(film.entry_id, organisation_id=1, referrer_id=None).state == "reported"


def test_neither_order_nor_filters_of_the_blind_list_follow_the_model(blind: Any) -> None:
    films = [blind.film(seed, decision=MARK, urgency=urgency) for seed, urgency in ((1, 0.1), (2, 0.9), (3, 0.5))]
    client, token = blind.client("radiologist")
    listed = re.compile(r'<a href="/films/([0-9a-f]{32})">')
    received = [film.entry_id for film in films]
    assert listed.findall(client.get("/worklist").text) == received
    asked = {"form_token": token, "order": "due", "decision": MARK, "state": "read"}
    assert listed.findall(client.post("/worklist", data=asked).text) == received
    newest = client.post("/worklist", data={"form_token": token, "order": "received"}).text
    assert listed.findall(newest) == received[::-1]


def test_a_reader_can_list_what_waits_for_their_own_call(blind: Any) -> None:
    films = [blind.film(seed, decision=MARK).entry_id for seed in (1, 2)]
    client, token = blind.client("radiologist")
    client.post(f"/films/{films[0]}/call", data={"form_token": token, "call": "viral"})
    client.post(f"/films/{films[0]}/judgement", data={"form_token": token, "agrees": "yes"})
    listed = re.compile(r'<a href="/films/([0-9a-f]{32})">')

    def mine(name: str) -> list[str]:
        reader, form = blind.client(name)
        return listed.findall(reader.post("/worklist", data={"form_token": form, "mine": "yes"}).text)

    assert mine("radiologist") == films[1:]
    assert mine("radiologist.second") == films


def test_what_was_seen_before_the_study_asked_for_calls_is_called_blind_no_more(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision=MARK)
    client, token = desk.client("radiologist")
    assert "Zzz marker" in client.get(f"/films/{film.entry_id}").text
    asks = type(desk.study.blind)(desk.study.archive.engine, wanted=True)
    user = desk.study.accounts.user("zzz.radiologist")
    assert asks.open_to([film], user_id=user.user_id, judges=True) == {film.entry_id}
    answer = client.post(f"/films/{film.entry_id}/call", data={"form_token": token, "call": "viral"})
    assert answer.status_code == 409


def test_a_referrer_sees_the_output_once_a_doctor_has_reported(blind: Any) -> None:
    film = blind.film(1, decision=MARK)
    doctor, token = blind.client("radiologist")
    referrer, _ = blind.client("referrer")
    assert "arker" not in referrer.get(f"/films/{film.entry_id}").text
    doctor.post(f"/films/{film.entry_id}/call", data={"form_token": token, "call": "viral"})
    doctor.post(f"/films/{film.entry_id}/judgement", data={"form_token": token, "agrees": "yes"})
    assert "Zzz marker" in referrer.get(f"/films/{film.entry_id}").text
    assert "arker" not in blind.client("radiologist.second")[0].get(f"/films/{film.entry_id}").text


def test_without_blind_reading_the_output_shows_at_once(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision=MARK, urgency=SHARE)
    client, _ = desk.client("radiologist")
    assert "81.4 %" in client.get(f"/films/{film.entry_id}").text
    assert "81 %" in client.get("/worklist").text


def test_results_are_asked_for_in_one_place_alone() -> None:
    modules = {each.name: each.read_text(encoding="utf-8") for each in files("carina.web").iterdir() if each.is_file()}
    assert [name for name, text in modules.items() if name.endswith(".py") and "desk.result(" in text] == ["seeing.py"]
