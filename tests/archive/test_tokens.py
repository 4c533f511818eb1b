"""API tokens, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import time

import pytest

from carina.archive import Study, User
from carina.errors import ArchiveError

DAY = 86_400.0


@pytest.fixture
def user(study: Study) -> User:
    """A referrer of the first organisation."""
    home = study.accounts.add_organisation("ZZZ District").organisation_id
    return study.accounts.add_user("zzz.referrer", organisation_id=home, role="referrer", password_hash="x")  # noqa: S106 - no password


def _events(study: Study) -> list[str]:
    return [each.event for each in study.archive.audit_log()]


def test_a_token_gives_its_user_and_scopes_until_it_expires(study: Study, user: User) -> None:
    secret, token = study.tokens.create(user.user_id, "  night  job ", ["results:read", "films:write"], 1e12)
    assert (token.label, token.scopes, token.user) == ("night job", ("films:write", "results:read"), "zzz.referrer")
    found = study.tokens.find(secret, now=1e12 - 1)
    assert found is not None
    assert (found[0].user_id, found[1]) == (user.user_id, ("films:write", "results:read"))
    assert study.tokens.find(secret, now=1e12) is None
    assert study.tokens.find(secret[:-1]) is None


def test_what_a_browser_is_known_by_opens_nothing(study: Study, user: User) -> None:
    cookie = study.accounts.remember_browser(user.user_id, DAY)
    assert study.accounts.knows_browser(cookie, "zzz.referrer")
    assert not study.accounts.knows_browser(cookie, "zzz.other")
    assert study.tokens.find(cookie) is None
    assert study.tokens.of_user(user.user_id) == []


def test_a_token_does_not_tell_which_browser_is_known(study: Study, user: User) -> None:
    secret, _ = study.tokens.create(user.user_id, "t", ["results:read"], time.time() + DAY)
    assert not study.accounts.knows_browser(secret, "zzz.referrer")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (("", ("results:read",), DAY), "label"),
        (("x" * 65, ("results:read",), DAY), "label"),
        (("t", (), DAY), "scopes"),
        (("t", ("results:read", "films:judge"), DAY), "scopes"),
        (("t", ("results:read",), -1.0), "future"),
        (("t", ("results:read",), float("nan")), "future"),
    ],
)
def test_a_token_without_sense_is_refused(
    study: Study, user: User, wanted: tuple[str, tuple[str, ...], float], said: str
) -> None:
    label, scopes, seconds = wanted
    with pytest.raises(ArchiveError, match=said):
        study.tokens.create(user.user_id, label, scopes, time.time() + seconds)
    assert study.tokens.of_user(user.user_id) == []


def test_last_use_is_kept_to_the_minute(study: Study, user: User) -> None:
    secret, _ = study.tokens.create(user.user_id, "t", ["results:read"], 1e12)
    used = []
    for now in (1_000.0, 1_030.0, 1_061.0):
        study.tokens.find(secret, now=now)
        used.append(study.tokens.of_user(user.user_id)[0].used_at)
    assert used == [1_000.0, 1_000.0, 1_061.0]


def test_a_user_ends_own_tokens_and_an_administrator_those_of_the_organisation(study: Study, user: User) -> None:
    other = study.accounts.add_organisation("ZZZ Other").organisation_id
    secret, token = study.tokens.create(user.user_id, "t", ["results:read"], time.time() + DAY)
    where = {"organisation_id": user.organisation_id}
    assert study.tokens.of_organisation(other) == []
    assert study.tokens.of_organisation(user.organisation_id) == [token]
    assert not study.tokens.end(token.key, organisation_id=other, by=9)
    assert not study.tokens.end(token.key, **where, by=9, user_id=user.user_id + 1)
    assert study.tokens.find(secret) is not None
    assert study.tokens.end(token.key, **where, by=9, user_id=user.user_id)
    assert study.tokens.find(secret) is None
    assert _events(study)[-2:] == ["token_added", "token_ended"]
    assert study.archive.verify_audit() == []


@pytest.mark.parametrize("change", ["disabled", "password"])
def test_tokens_end_when_a_user_is_kept_out_or_changes_password(study: Study, user: User, change: str) -> None:
    secret, _ = study.tokens.create(user.user_id, "t", ["results:read"], time.time() + DAY)
    if change == "disabled":
        study.accounts.set_state(user, "disabled", by=None)
    else:
        study.accounts.set_password(user, "y", initial=False, by=user.user_id)
    assert study.tokens.find(secret) is None


def test_nobody_has_more_than_twenty_tokens(study: Study, user: User) -> None:
    for number in range(20):
        study.tokens.create(user.user_id, f"t{number}", ["results:read"], time.time() + DAY)
    with pytest.raises(ArchiveError, match="20 tokens"):
        study.tokens.create(user.user_id, "one more", ["results:read"], time.time() + DAY)


def test_what_has_run_out_is_cleared_and_nothing_that_still_counts(study: Study, user: User) -> None:
    now = time.time()
    accounts = study.accounts
    alive, old = (accounts.begin_session(user, "full", now=at) for at in (now, now - 2 * DAY))
    _, soon = study.tokens.create(user.user_id, "soon", ["results:read"], now + 10 * DAY)
    study.tokens.create(user.user_id, "sooner", ["results:read"], now + 1 * DAY)
    cookie = accounts.remember_browser(user.user_id, 40 * DAY)
    accounts.note_failure({"new": 900.0}, now=now)
    accounts.note_failure({"old": 900.0}, now=now - 31 * DAY)
    limits = {"idle": DAY, "absolute": DAY, "kept": 30 * DAY}
    assert accounts.clear_expired(**limits, now=now) == 2, "a session and a count"
    assert accounts.session(old, idle=1e9, absolute=1e9) is None
    assert accounts.session(alive, idle=1e9, absolute=1e9) is not None
    assert accounts.failures({"new": 900.0, "old": 1e9}) == {"new": 1, "old": 0}
    assert accounts.clear_expired(**limits, now=now + 32 * DAY) == 3, "the other session, the other count, a token"
    assert study.tokens.of_user(user.user_id) == [soon], "it expired 22 days ago, and is still shown"
    assert accounts.knows_browser(cookie, user.name)
    assert accounts.clear_expired(**limits, now=now + 71 * DAY) == 2
    assert not accounts.knows_browser(cookie, user.name)
