"""Break-glass in the browser's terms: what opens, to whom, for how long, and who is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")

from fastapi.testclient import TestClient
from sqlalchemy import update

from carina.archive import DeskFilm
from carina.archive.database import writing
from carina.archive.desk_tables import GlassRow

WHY = "Transferred to us tonight, ventilated."
LOOKED_AT = ("", "/film.png", "/pixels", "/layers/heat-viral", "/texture")


@dataclass(frozen=True)
class Visit:
    """A desk, its films of two patients, and a radiologist of another organisation."""

    desk: Any
    films: dict[str, DeskFilm]
    client: TestClient
    form: str

    def open(self, patient: str = "ZZZ0016", **more: str) -> Any:
        sent = {"form_token": self.form, "organisation": "1", "patient": patient, "reason": WHY, "confirmed": "yes"}
        return self.client.post("/glass", data={**sent, **more})

    def seen(self, name: str) -> list[int]:
        address = f"/films/{self.films[name].entry_id}"
        return [self.client.get(address + each).status_code for each in LOOKED_AT]


@pytest.fixture
def visit(make_desk: Callable[..., Any]) -> Callable[..., Visit]:
    def make(**sections: Any) -> Visit:
        desk = make_desk(**sections)
        study = desk.study
        home = study.accounts.add_organisation("ZZZ Away").organisation_id
        for role in ("radiologist", "administrator"):
            user = study.accounts.add_user(f"zzz.away.{role}", organisation_id=home, role=role, password_hash="-")  # noqa: S106 - none
            study.accounts.set_password(user, "-", initial=False, by=user.user_id)
        films = {
            "first": desk.film(1, decision="viral"),
            "second": desk.film(2, decision="viral"),
            "other": desk.film(3, patient="ZZZ0024", decision="viral"),
        }
        return Visit(desk, films, *desk.client("away.radiologist"))

    return make


def test_an_opening_shows_the_patients_films_and_layers_and_no_others(visit: Callable[..., Visit]) -> None:
    away = visit()
    assert away.seen("first") == [404] * 5
    assert away.open().status_code == 303
    assert away.seen("first") == [200] * 5
    assert away.seen("other") == [404] * 5
    page = away.client.get(f"/films/{away.films['first'].entry_id}").text
    assert "to look at, not to judge" in page
    assert f"/films/{away.films['second'].entry_id}" in page  # the patient's other film
    assert "are open to you for 60 min more" in away.client.get("/worklist").text
    assert away.films["first"].entry_id not in away.client.get("/worklist").text


def test_nothing_is_done_with_a_film_that_is_open_by_break_glass(visit: Callable[..., Visit]) -> None:
    away = visit()
    away.open()
    entry = away.films["first"].entry_id
    page = away.client.get(f"/films/{entry}").text
    assert "/judgement" not in page
    assert "Your judgement" not in page
    for act in ("call", "judgement", "texture", "programmes"):
        sent = {"form_token": away.form, "agrees": "yes", "call": "viral"}
        assert away.client.post(f"/films/{entry}/{act}", data=sent).status_code == 404, act
    assert away.desk.study.desk.reads(entry, organisation_id=1) == ()


def test_what_is_over_is_closed(visit: Callable[..., Visit]) -> None:
    away = visit()
    away.open()
    with writing(away.desk.study.archive.engine) as connection:  # as if the hour had gone by
        connection.execute(update(GlassRow).values(until_at=time.time() - 1))
    assert away.seen("first") == [404] * 5
    assert "are open to you" not in away.client.get("/worklist").text


def test_the_settings_say_how_long_it_stays_open(visit: Callable[..., Visit]) -> None:
    away = visit(web={"glass_minutes": 7})
    away.open()
    (opened,) = away.desk.study.glass.open_now(user_id=away.desk.study.accounts.user("zzz.away.radiologist").user_id)
    assert opened.until_at - opened.at == pytest.approx(420)


def test_its_user_ends_it_early(visit: Callable[..., Visit]) -> None:
    away = visit()
    away.open()
    assert away.client.post("/glass/1/close", data={"form_token": away.form}).status_code == 303
    assert away.seen("first") == [404] * 5
    assert "are open to you" not in away.client.get("/worklist").text


def test_another_radiologist_of_the_same_organisation_sees_nothing_of_it(visit: Callable[..., Visit]) -> None:
    away = visit()
    away.open()
    study = away.desk.study
    home = study.accounts.user("zzz.away.radiologist").organisation_id
    user = study.accounts.add_user("zzz.away.second", organisation_id=home, role="radiologist", password_hash="-")  # noqa: S106 - none
    study.accounts.set_password(user, "-", initial=False, by=user.user_id)
    client, form = away.desk.client("away.second")
    assert client.get(f"/films/{away.films['first'].entry_id}").status_code == 404
    assert client.post("/glass/1/close", data={"form_token": form}).status_code == 404


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"confirmed": ""}, 400),
        ({"reason": "because"}, 400),
        ({"organisation": "2"}, 400),  # the own one
        ({"organisation": "9"}, 400),
        ({"patient": "ZZZ00"}, 404),
        ({"patient": ""}, 400),
    ],
)
def test_an_opening_that_lacks_something_is_refused_in_words(
    visit: Callable[..., Visit], more: dict[str, str], status: int
) -> None:
    away = visit()
    answer = away.open(**more)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert away.seen("first") == [404] * 5


def test_patients_cannot_be_tried_one_after_another(visit: Callable[..., Visit]) -> None:
    away = visit()
    tries = [away.open(f"ZZZ{number:04}").status_code for number in range(11)]
    assert tries == [404] * 10 + [429]
    assert away.open().status_code == 429


def test_it_can_be_switched_off(visit: Callable[..., Visit]) -> None:
    away = visit(web={"glass_minutes": 0})
    assert away.open().status_code == 403
    assert "switched off" in away.client.get("/glass").text


def test_administrators_of_both_organisations_are_told_until_the_patients_own_has_looked(
    visit: Callable[..., Visit],
) -> None:
    away = visit()
    away.open()
    (mine, form), (theirs, _) = (away.desk.client(name) for name in ("administrator", "away.administrator"))
    for client in (mine, theirs):
        assert "1 opening has not been looked at" in client.get("/users").text
        page = client.get("/administration/openings").text
        assert WHY in page
        assert "ZZZ Away" in page
        assert "ZZZ0016" not in page  # an administrator sees no patient
    assert "I have looked at it" not in theirs.get("/administration/openings").text
    assert mine.post("/administration/openings/1/seen", data={"form_token": form}).status_code == 303
    for client in (mine, theirs):
        assert "not been looked at" not in client.get("/users").text


def test_both_organisations_read_of_each_look_in_the_log(visit: Callable[..., Visit]) -> None:
    away = visit()
    away.open()
    away.seen("first")
    for name in ("administrator", "away.administrator"):
        client, form = away.desk.client(name)
        text = client.post("/administration/log", data={"form_token": form, "event": "glass"}).text
        for event in ("glass broken", "glass film seen", "glass film picture sent", "glass sheet seen"):
            assert event in text, (name, event)
    details = "".join(entry.details for entry in away.desk.study.archive.audit_log())
    assert "ZZZ0016" not in details
    assert WHY not in details


def test_in_blind_reading_the_output_opens_once_a_doctor_of_the_own_house_has_reported(
    visit: Callable[..., Visit],
) -> None:
    away = visit(blind_first=True)
    away.open()
    entry = away.films["first"].entry_id
    page = away.client.get(f"/films/{entry}").text
    assert "opens when a doctor has reported" in page
    assert "because viral" not in page
    assert away.seen("first") == [200, 200, 200, 404, 404]
    assert "Viral" not in away.client.get("/glass").text
    doctor = away.desk.study.accounts.user("zzz.radiologist")
    away.desk.study.blind.keep_call(away.films["first"], user_id=doctor.user_id, call="normal")
    assert "because viral" not in away.client.get(f"/films/{entry}").text  # called is not reported
    away.desk.study.desk.add_read(entry, organisation_id=1, user_id=doctor.user_id, blind=False, agrees=True)
    assert "because viral" in away.client.get(f"/films/{entry}").text
