"""Organisations, requests for accounts, sessions and traffic with peers, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import time

import pytest

from carina.archive import NewFilm, OwedItem, Study, User
from carina.errors import ArchiveError

ASKED = {"full_name": "Test Referrer", "contact": "practice of ZZZ", "password_hash": "hash of it"}
ALIVE = {"idle": 1e9, "absolute": 1e9}


@pytest.fixture
def people(study: Study) -> tuple[User, User]:
    """Administrators of two organisations, of which the first takes requests."""
    made = []
    for name in ("ZZZ District", "ZZZ Other"):
        home = study.accounts.add_organisation(name).organisation_id
        user = study.accounts.add_user(
            f"zzz.lead{home}", organisation_id=home, role="administrator", password_hash=f"of {home}"
        )
        made.append(user)
    home = made[0].organisation_id
    study.administration.change_organisation(home, name="ZZZ District", takes_requests=True, by=made[0].user_id)
    return made[0], made[1]


def _events(study: Study) -> list[str]:
    return [each.event for each in study.archive.audit_log()]


def test_an_organisation_takes_requests_only_once_it_says_so(study: Study, people: tuple[User, User]) -> None:
    assert [each.name for each in study.administration.asked_organisations()] == ["ZZZ District"]
    with pytest.raises(ArchiveError, match="must take requests"):
        study.administration.ask(people[1].organisation_id, name="zzz.new", **ASKED)


def test_a_name_of_an_organisation_is_its_own(study: Study, people: tuple[User, User]) -> None:
    with pytest.raises(ArchiveError, match="taken"):
        study.administration.change_organisation(
            people[1].organisation_id, name=" ZZZ  District ", takes_requests=False, by=None
        )
    study.administration.change_organisation(people[1].organisation_id, name="ZZZ New", takes_requests=False, by=None)
    assert study.administration.organisation(people[1].organisation_id)["name"] == "ZZZ New"


def test_an_approved_request_is_an_account_with_the_password_that_was_chosen(
    study: Study, people: tuple[User, User]
) -> None:
    admin, desk = people[0], study.administration
    desk.ask(admin.organisation_id, name="zzz.new", **ASKED)
    (request,) = desk.requests(admin.organisation_id)
    where = {"organisation_id": admin.organisation_id, "by": admin.user_id}
    assert desk.decide(request.request_id, "approved", **where)
    made = study.accounts.user("zzz.new")
    assert made is not None
    assert (made.role, made.organisation_id, made.password_hash) == ("referrer", admin.organisation_id, "hash of it")
    assert not made.password_is_initial
    assert not desk.decide(request.request_id, "refused", **where)
    assert desk.requests(admin.organisation_id) == []
    assert _events(study)[-3:] == ["account_asked", "user_added", "account_approved"]


def test_a_refused_request_keeps_its_reason_and_no_hash_of_a_password(study: Study, people: tuple[User, User]) -> None:
    admin, desk = people[0], study.administration
    desk.ask(admin.organisation_id, name="zzz.new", **ASKED)
    (request,) = desk.requests(admin.organisation_id)
    where = {"organisation_id": admin.organisation_id, "by": admin.user_id}
    assert desk.decide(request.request_id, "refused", **where, reason="unknown to us")
    (refused,) = desk.requests(admin.organisation_id, waiting=False)
    assert (refused.state, refused.reason) == ("refused", "unknown to us")
    assert study.accounts.user("zzz.new") is None
    assert b"hash of it" not in b"".join(data for _, data in study.archive.dump_rows())


def test_a_request_for_a_taken_name_is_kept_and_can_be_approved_under_another(
    study: Study, people: tuple[User, User]
) -> None:
    admin, desk = people[0], study.administration
    desk.ask(admin.organisation_id, name=people[1].name, **ASKED)
    (request,) = desk.requests(admin.organisation_id)
    where = {"organisation_id": admin.organisation_id, "by": admin.user_id}
    with pytest.raises(ArchiveError, match="taken"):
        desk.decide(request.request_id, "approved", **where)
    assert desk.decide(request.request_id, "approved", **where, name="zzz.another")
    assert study.accounts.user("zzz.another") is not None


def test_another_organisation_neither_sees_nor_decides_a_request(study: Study, people: tuple[User, User]) -> None:
    mine, other = people
    study.administration.ask(mine.organisation_id, name="zzz.new", **ASKED)
    (request,) = study.administration.requests(mine.organisation_id)
    assert study.administration.requests(other.organisation_id) == []
    there = {"organisation_id": other.organisation_id, "by": other.user_id}
    assert not study.administration.decide(request.request_id, "approved", **there)
    assert study.administration.waiting_requests(mine.organisation_id) == 1
    assert study.administration.waiting_requests(other.organisation_id) == 0


@pytest.mark.parametrize("wrong", [{"name": "Not Plain"}, {"full_name": ""}, {"contact": "x" * 1_001}])
def test_a_request_without_sense_is_refused(study: Study, people: tuple[User, User], wrong: dict[str, str]) -> None:
    with pytest.raises(ArchiveError, match="must be"):
        study.administration.ask(people[0].organisation_id, **{"name": "zzz.new", **ASKED, **wrong})


def test_no_more_than_200_requests_wait(study: Study, people: tuple[User, User]) -> None:
    home = people[0].organisation_id
    for number in range(200):
        study.administration.ask(home, name=f"zzz.new{number}", **ASKED)
    with pytest.raises(ArchiveError, match="too many"):
        study.administration.ask(home, name="zzz.one.more", **ASKED)


def test_sessions_are_listed_and_ended_within_the_organisation(study: Study, people: tuple[User, User]) -> None:
    mine, other = people
    cookie = study.accounts.begin_session(mine, "full", address="192.0.2.7", agent="Firefox")
    study.accounts.begin_session(other, "full")
    (found,) = study.administration.sessions(mine.organisation_id, **ALIVE)
    assert (found.user, found.address, found.agent) == (mine.name, "192.0.2.7", "Firefox")
    there = {"organisation_id": other.organisation_id, "by": other.user_id}
    assert not study.administration.end_session(found.key, **there)
    here = {"organisation_id": mine.organisation_id, "by": mine.user_id}
    assert not study.administration.end_session(found.key, **here, user_id=mine.user_id + 100)
    assert study.administration.end_session(found.key, **here, user_id=mine.user_id)
    assert study.accounts.session(cookie, **ALIVE) is None
    assert _events(study)[-1] == "session_ended"


def test_a_session_that_is_over_is_not_listed(study: Study, people: tuple[User, User]) -> None:
    study.accounts.begin_session(people[0], "full", now=0.0)

    def listed(now: float) -> int:
        found = study.administration.sessions(people[0].organisation_id, idle=100, absolute=1000, now=now)
        return len(found)

    assert (listed(100.0), listed(101.0)) == (1, 0)


def test_another_role_ends_sessions_and_tokens(study: Study, people: tuple[User, User]) -> None:
    user = people[0]
    cookie = study.accounts.begin_session(user, "full")
    secret, _ = study.tokens.create(user.user_id, "t", ["results:read"], time.time() + 60)
    study.accounts.set_role(user, "researcher", by=9)
    assert study.accounts.session(cookie, **ALIVE) is None
    assert study.tokens.find(secret) is None
    changed = study.accounts.user(user.name)
    assert changed is not None
    assert changed.role == "researcher"
    with pytest.raises(ArchiveError, match="role is one of"):
        study.accounts.set_role(user, "owner", by=9)  # type: ignore[arg-type]  # none of them


def test_traffic_is_told_peer_by_peer(study: Study, people: tuple[User, User]) -> None:
    home, exchange = people[0].organisation_id, study.archive.exchange
    for number, peer in enumerate(("PACS", "PACS", "OTHER")):
        exchange.owe(OwedItem("store", peer, "1.2", f"2.25.{number}"))
    first = exchange.due(("store",))[0]
    exchange.postpone(first.item_id, "it did not answer", 60)
    new = NewFilm(film_id="a" * 64, path="received/a.dcm", source="pacs:PACS")
    film, _ = study.desk.receive(new, organisation_id=home, longest_wait=60)
    told = study.administration.traffic(["PACS", "OTHER", "NEW"], organisation_id=home)
    assert (told["PACS"].waiting, told["PACS"].sent, told["PACS"].error) == (2, 0, "it did not answer")
    assert told["PACS"].last_film_at == pytest.approx(film.received_at, abs=1e-6)
    assert (told["OTHER"].waiting, told["OTHER"].error, told["OTHER"].last_film_at) == (1, None, None)
    assert told["NEW"].waiting == 0
    exchange.sent(first.item_id)
    after = study.administration.traffic(["PACS"], organisation_id=home)["PACS"]
    assert (after.waiting, after.sent, after.error) == (1, 1, None)
    assert after.last_sent_at is not None
