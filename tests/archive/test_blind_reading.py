"""To whom a model's output is open, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carina.archive import BlindReading, DeskFilm, DeskResult, NewFilm, Study, WorklistQuery, create_study
from carina.errors import ArchiveError

MINE = {"organisation_id": 1, "referrer_id": None}


@pytest.fixture
def study(tmp_path: Path, archive_url: str | None) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service", archive=archive_url, blind_first=True) as made:
        home = made.accounts.add_organisation("ZZZ One").organisation_id
        for name in ("zzz.one", "zzz.two"):
            made.accounts.add_user(name, organisation_id=home, role="radiologist", password_hash="-")  # noqa: S106 - none
        for number in (1, 2):
            new = NewFilm(f"{number:064x}", f"received/{number}", "upload", patient_id="ZZZ0016")
            film, _ = made.desk.receive(new, organisation_id=1, longest_wait=60)
            result = DeskResult("f" * 64, {"decision": "viral"}, {}, 0.1, time.time())
            made.desk.finish(film, result, urgency=1.0 - number / 10, longest_wait=60)
        yield made


def _films(study: Study) -> tuple[DeskFilm, ...]:
    return study.desk.worklist(WorklistQuery(order="waiting"), **MINE).films


def test_a_call_opens_one_film_to_one_reader(study: Study) -> None:
    first, second = _films(study)
    assert study.blind.open_to([first, second], user_id=1, judges=True) == frozenset()
    study.blind.keep_call(first, user_id=1, call="normal", confidence=0.7)
    assert study.blind.open_to([first, second], user_id=1, judges=True) == {first.entry_id}
    assert study.blind.open_to([first, second], user_id=2, judges=True) == frozenset()


def test_a_call_is_kept_once(study: Study) -> None:
    first, _ = _films(study)
    study.blind.keep_call(first, user_id=1, call="normal")
    with pytest.raises(ArchiveError, match="kept once"):
        study.blind.keep_call(first, user_id=1, call="viral")
    assert [each.call for each in study.blind.calls(organisation_id=1)] == ["normal"]
    assert study.blind.calls(organisation_id=99) == ()


def test_masked_films_look_as_if_nothing_had_read_them(study: Study) -> None:
    for film in study.blind.masked(_films(study), user_id=1, judges=True):
        assert (film.state, film.decision, film.urgency) == ("received", None, None)
        assert film.due_at == film.received_at


def test_a_report_opens_the_film_to_those_who_do_not_judge(study: Study) -> None:
    first, second = _films(study)
    study.blind.keep_call(first, user_id=1, call="normal")
    study.desk.add_read(first.entry_id, organisation_id=1, user_id=1, blind=False, agrees=False, call="normal")
    reported = study.desk.film(first.entry_id, **MINE)
    assert reported is not None
    assert study.blind.open_to([reported, second], user_id=2, judges=False) == {first.entry_id}
    assert study.blind.open_to([reported], user_id=2, judges=True) == frozenset()


def test_without_blind_reading_everything_is_open_and_seeing_is_remembered(study: Study) -> None:
    first, second = _films(study)
    plain = BlindReading(study.archive.engine, wanted=False)
    assert plain.open_to([first, second], user_id=1, judges=True) == {first.entry_id, second.entry_id}
    plain.note_opened(first, user_id=1, output=True)
    plain.note_opened(second, user_id=1, output=False)
    assert study.blind.open_to([first, second], user_id=1, judges=True) == {first.entry_id}


def test_the_setting_outlives_the_process_and_is_for_service_studies(study: Study, tmp_path: Path) -> None:
    assert "blind_first = true" in (study.folder / "study.toml").read_text(encoding="utf-8")
    with pytest.raises(ArchiveError, match="service study alone"):
        create_study(tmp_path / "research", "research", blind_first=True)
    assert not (tmp_path / "research").exists()


def test_a_sheet_asked_for_twice_is_one_and_a_failed_one_is_tried_again(study: Study) -> None:
    first, _ = _films(study)
    for _ in range(2):
        study.sheets.ask(first, user_id=1)
    assert study.sheets.waiting() == [(1, first.entry_id)]
    study.sheets.fail(first, "no lungs")
    study.sheets.ask(first, user_id=2)
    assert study.sheets.of(first).state == "asked"  # type: ignore[union-attr]  # it is there
    study.sheets.finish(first, "sheets/x.html")
    study.sheets.ask(first, user_id=2)
    assert study.sheets.of(first).page == "sheets/x.html"  # type: ignore[union-attr]  # as above
