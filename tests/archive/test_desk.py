"""Films and accounts of a service study, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import time

import pytest

from carina.archive import DeskFilm, DeskResult, NewFilm, Study, User, WorklistQuery
from carina.errors import ArchiveError

WAIT = 3600.0


def _people(study: Study, role: str = "radiologist", organisation: str = "ZZZ District") -> User:
    home = study.accounts.add_organisation(organisation).organisation_id
    return study.accounts.add_user(f"zzz.{role}.{home}", organisation_id=home, role=role, password_hash="x")  # type: ignore[arg-type]  # noqa: S106 - any role; no password


def _film(study: Study, name: str, user: User, **values: object) -> DeskFilm:
    new = NewFilm(film_id=name * 64, path=f"received/{name}.dcm", source="upload", **values)  # type: ignore[arg-type]  # as loose as its callers
    return study.desk.receive(new, organisation_id=user.organisation_id, longest_wait=WAIT, by=user.user_id)[0]


def _result(decision: str = "viral") -> DeskResult:
    return DeskResult("f" * 64, {"decision": decision}, {"heatmap": "results/x.png"}, 0.1, time.time())


def test_a_film_received_twice_is_one_entry(study: Study) -> None:
    user = _people(study)
    new = NewFilm(film_id="a" * 64, path="received/a.dcm", source="upload")
    where = {"organisation_id": user.organisation_id, "longest_wait": WAIT}
    first, again = (study.desk.receive(new, **where) for _ in range(2))  # type: ignore[arg-type]  # by its name
    assert (first[1], again[1]) == (True, False)
    assert first[0].entry_id == again[0].entry_id


def test_another_organisation_sees_no_film_result_read_or_worklist_row(study: Study) -> None:
    mine, other = _people(study), _people(study, organisation="ZZZ Other")
    film = _film(study, "a", mine, patient_id="ZZZ0016")
    study.desk.finish(film, _result(), urgency=0.5, longest_wait=WAIT)
    study.desk.add_read(film.entry_id, organisation_id=mine.organisation_id, user_id=mine.user_id, blind=True)
    desk, there = study.desk, other.organisation_id
    assert desk.film(film.entry_id, organisation_id=there, referrer_id=None) is None
    assert desk.result(film.entry_id, organisation_id=there) is None
    assert desk.reads(film.entry_id, organisation_id=there) == ()
    assert desk.claim(film.entry_id, organisation_id=there, lease=60) is None
    for search in ("", "zzz0016"):
        assert desk.worklist(WorklistQuery(search=search), organisation_id=there, referrer_id=None).films == ()
    assert desk.film(film.entry_id, organisation_id=mine.organisation_id, referrer_id=None) is not None


def test_a_referrer_sees_own_requests_alone(study: Study) -> None:
    user, referrer = _people(study), _people(study, "referrer")
    own = _film(study, "a", user, referrer_id=referrer.user_id, patient_id="ZZZ0016")
    other = _film(study, "b", user, patient_id="ZZZ0016")
    home, who = user.organisation_id, referrer.user_id
    page = study.desk.worklist(WorklistQuery(), organisation_id=home, referrer_id=who)
    assert [film.entry_id for film in page.films] == [own.entry_id]
    assert study.desk.film(other.entry_id, organisation_id=home, referrer_id=who) is None
    assert study.desk.priors(own, organisation_id=home, referrer_id=who) == ()


def test_an_urgent_film_comes_first_but_passes_none_that_waited_longest(study: Study) -> None:
    user = _people(study)
    calm = _film(study, "a", user)
    study.desk.finish(calm, _result(), urgency=0.0, longest_wait=0.2)
    urgent = _film(study, "b", user)
    study.desk.finish(urgent, _result(), urgency=1.0, longest_wait=0.2)

    def order() -> list[str]:
        page = study.desk.worklist(WorklistQuery(), organisation_id=user.organisation_id, referrer_id=None)
        return [film.film_id[0] for film in page.films]

    assert order() == ["b", "a"]
    time.sleep(0.25)  # the longest wait of the calm film is over
    late = _film(study, "c", user)
    study.desk.finish(late, _result(), urgency=1.0, longest_wait=0.2)
    assert order() == ["b", "a", "c"]


@pytest.mark.parametrize("order", ["due", "received"])
def test_pages_follow_each_other_without_gap_or_repeat(study: Study, order: str) -> None:
    user = _people(study)
    made = [_film(study, name, user).entry_id for name in "abcdefg"]
    seen: list[str] = []
    after = None
    while True:
        wanted = WorklistQuery(order=order, after=after, rows=3)  # type: ignore[arg-type]  # one of the two
        page = study.desk.worklist(wanted, organisation_id=user.organisation_id, referrer_id=None)
        seen += [film.entry_id for film in page.films]
        after = page.following
        if after is None:
            break
    assert seen == (made if order == "due" else made[::-1])


def test_a_search_fits_the_beginnings_of_all_its_words(study: Study) -> None:
    user = _people(study)
    _film(study, "a", user, patient_id="ZZZ0016", patient_name="TEST^Anna")
    _film(study, "b", user, patient_id="ZZZ0024", patient_name="TEST^Ben")

    def found(search: str) -> list[str]:
        page = study.desk.worklist(WorklistQuery(search=search), organisation_id=user.organisation_id, referrer_id=None)
        return [film.film_id[0] for film in page.films]

    assert (found("zzz"), found("test an"), found("0016"), found("%%")) == (["a", "b"], ["a"], [], [])


def test_a_search_of_one_letter_is_refused(study: Study) -> None:
    with pytest.raises(ArchiveError, match="at least 2"):
        study.desk.worklist(WorklistQuery(search="z"), organisation_id=_people(study).organisation_id, referrer_id=None)


def test_one_worker_alone_holds_a_film_until_its_lease_ends(study: Study) -> None:
    user = _people(study)
    film = _film(study, "a", user)
    where = {"organisation_id": user.organisation_id}
    assert study.desk.waiting() == [(user.organisation_id, film.entry_id)]
    assert study.desk.claim(film.entry_id, **where, lease=0.1) is not None
    assert study.desk.claim(film.entry_id, **where, lease=0.1) is None
    assert study.desk.waiting() == []
    time.sleep(0.15)  # the worker was killed
    assert study.desk.waiting() == [(user.organisation_id, film.entry_id)]
    again = study.desk.claim(film.entry_id, **where, lease=60)
    assert again is not None
    assert again.attempts == 2


def test_a_result_is_stored_once_a_model(study: Study) -> None:
    user = _people(study)
    film = _film(study, "a", user)
    assert study.desk.finish(film, _result(), urgency=0.5, longest_wait=WAIT)
    assert not study.desk.finish(film, _result("normal"), urgency=0.5, longest_wait=WAIT)
    found = study.desk.result(film.entry_id, organisation_id=user.organisation_id)
    assert found is not None
    assert found.reading == {"decision": "viral"}
    assert study.archive.verify_audit() == []


def test_a_blind_call_leaves_a_film_open_and_a_report_closes_it(study: Study) -> None:
    user = _people(study)
    film = _film(study, "a", user)
    home = user.organisation_id
    study.desk.finish(film, _result(), urgency=0.5, longest_wait=WAIT)
    study.desk.add_read(film.entry_id, organisation_id=home, user_id=user.user_id, blind=True, call="normal")
    assert len(study.desk.worklist(WorklistQuery(), organisation_id=home, referrer_id=None).films) == 1
    study.desk.add_read(film.entry_id, organisation_id=home, user_id=user.user_id, blind=False, agrees=False)
    assert study.desk.worklist(WorklistQuery(), organisation_id=home, referrer_id=None).films == ()
    page = study.desk.worklist(WorklistQuery(open_only=False), organisation_id=home, referrer_id=None)
    assert [each.state for each in page.films] == ["reported"]
    assert [each.call for each in study.desk.reads(film.entry_id, organisation_id=home)] == ["normal", None]


def test_a_session_ends_when_idle_when_old_and_when_its_user_is_disabled(study: Study) -> None:
    user, accounts = _people(study), study.accounts
    idle = accounts.begin_session(user, "full", now=0.0)
    assert accounts.session(idle, idle=100, absolute=1000, now=99.0) is not None
    assert accounts.session(idle, idle=100, absolute=1000, now=198.0) is not None
    assert accounts.session(idle, idle=100, absolute=1000, now=299.0) is None
    assert accounts.session(idle, idle=100, absolute=1000, now=199.0) is None  # it does not come back
    old = accounts.begin_session(user, "full", now=0.0)
    assert accounts.session(old, idle=1e9, absolute=1000, now=1001.0) is None
    cut = accounts.begin_session(user, "full")
    accounts.set_state(user, "disabled", by=None)
    assert accounts.session(cut, idle=1e9, absolute=1e9) is None


def test_neither_session_nor_browser_nor_api_token_stands_in_the_database(study: Study) -> None:
    user = _people(study)
    made = [study.accounts.begin_session(user, "full"), study.accounts.remember_browser(user.user_id, 60)]
    made.append(study.tokens.create(user.user_id, "t", ("results:read",), 1e12)[0])
    dumped = b"\n".join(data for _, data in study.archive.dump_rows())
    assert [token for token in made if token.encode() in dumped] == []


def test_a_second_factor_code_is_taken_once(study: Study) -> None:
    user = _people(study)
    assert study.accounts.use_code(user, 7)
    assert not study.accounts.use_code(user, 7)
    assert not study.accounts.use_code(user, 6)


def test_failed_sign_ins_are_counted_over_a_span(study: Study) -> None:
    for now in (0.0, 1.0):
        study.accounts.note_failure({"a": 10.0}, now=now)
    assert study.accounts.failures({"a": 10.0, "b": 10.0}, now=5.0) == {"a": 2, "b": 0}
    assert study.accounts.failures({"a": 10.0}, now=11.0) == {"a": 0}


def test_a_research_study_has_neither_desk_nor_accounts(tmp_path: object) -> None:
    from pathlib import Path  # noqa: PLC0415 - for this test alone

    from carina.archive import create_study  # noqa: PLC0415 - as above

    with create_study(Path(str(tmp_path)) / "r", "research") as made:
        with pytest.raises(ArchiveError, match="needs a service study"):
            _ = made.desk
        with pytest.raises(ArchiveError, match="needs a service study"):
            _ = made.accounts
