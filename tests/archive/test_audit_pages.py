"""Pages of the audit log, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from carina.archive import AuditPages, AuditQuery, Study, User, verify_chain
from carina.archive.database import writing


@pytest.fixture
def people(study: Study) -> tuple[User, User]:
    made = []
    for name in ("ZZZ District", "ZZZ Other"):
        home = study.accounts.add_organisation(name).organisation_id
        user = study.accounts.add_user(f"zzz.{home}", organisation_id=home, role="radiologist", password_hash=f"{home}")
        made.append(user)
    return made[0], made[1]


def _told(study: Study, user: User, **wanted: object) -> list[tuple[int, str]]:
    page = study.audit_pages.page(AuditQuery(**wanted), organisation_id=user.organisation_id)  # type: ignore[arg-type]  # as loose as its callers
    return [(each.sequence, each.event) for each in page.entries]


def test_an_organisation_reads_its_own_entries_alone_newest_first(study: Study, people: tuple[User, User]) -> None:
    for user, entry in ((people[0], "a" * 32), (people[1], "b" * 32)):
        study.desk.note_access("film_seen", organisation_id=user.organisation_id, user_id=user.user_id, entry_id=entry)
    study.archive.audit("health_checked")
    assert [event for _, event in _told(study, people[0])] == ["film_seen", "user_added", "organisation_added"]
    assert _told(study, people[0], text="b" * 32) == []
    assert len(_told(study, people[1], text="B" * 32)) == 1


def test_what_concerns_two_organisations_is_read_by_both(study: Study, people: tuple[User, User]) -> None:
    mine, other = people
    # a user of the one who looked at a film of the other, as break-glass notes it
    study.desk.note_access("film_seen", organisation_id=other.organisation_id, user_id=mine.user_id, entry_id="a" * 32)
    assert _told(study, mine, event="film_seen") == _told(study, other, event="film_seen") != []


def test_filters_hold_together(study: Study, people: tuple[User, User]) -> None:
    mine, _ = people
    second = study.accounts.add_user(
        "zzz.second",
        organisation_id=mine.organisation_id,
        role="referrer",
        password_hash="x",  # noqa: S106 - none
    )
    for user in (mine, second):
        for event in ("film_seen", "film_picture_sent", "worklist_seen"):
            study.desk.note_access(event, organisation_id=mine.organisation_id, user_id=user.user_id)
    assert len(_told(study, mine, event="film_")) == 4
    assert len(_told(study, mine, event="film_", user_id=second.user_id)) == 2
    assert len(_told(study, mine, event="film%")) == 0
    assert len(_told(study, mine, text="100%")) == 0


def test_a_user_of_another_organisation_filters_to_nothing(study: Study, people: tuple[User, User]) -> None:
    assert _told(study, people[0], user_id=people[1].user_id) == []


def test_pages_follow_each_other_without_gap_or_repeat(study: Study, people: tuple[User, User]) -> None:
    mine, _ = people
    for _ in range(7):
        study.desk.note_access("film_seen", organisation_id=mine.organisation_id, user_id=mine.user_id)
    seen: list[int] = []
    before = None
    while True:
        wanted = AuditQuery(event="film_seen", before=before, rows=3)
        page = study.audit_pages.page(wanted, organisation_id=mine.organisation_id)
        seen += [each.sequence for each in page.entries]
        before = page.following
        if before is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 7


def test_a_page_gives_up_after_many_entries_of_others_and_the_next_goes_on(
    study: Study, people: tuple[User, User]
) -> None:
    mine, other = people
    for _ in range(100):
        study.desk.note_access("film_seen", organisation_id=other.organisation_id, user_id=other.user_id)
    pages = AuditPages(study.archive.engine, most=80)
    page = pages.page(AuditQuery(), organisation_id=mine.organisation_id)
    assert page.entries == ()
    assert page.following is not None
    rest = pages.page(AuditQuery(before=page.following), organisation_id=mine.organisation_id)
    assert [each.event for each in rest.entries] == ["user_added", "organisation_added"]
    assert rest.following is None


def test_the_chain_is_checked_over_every_organisation(study: Study, people: tuple[User, User]) -> None:
    assert people[0] != people[1]
    chain = study.audit_pages.chain()
    assert (chain.entries, chain.problems) == (5, ())  # the study, and two organisations with a user each
    assert chain.head == study.archive.audit_head()


def test_an_entry_that_was_changed_is_told_and_does_not_break_the_page(study: Study, people: tuple[User, User]) -> None:
    mine, _ = people
    broken = study.archive.audit_log()[-1]
    with writing(study.archive.engine) as connection:  # as one with the rights of the database's owner may
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET details = '{broken' WHERE sequence = :at"), {"at": broken.sequence})
    assert len(_told(study, mine)) == 2
    chain = study.audit_pages.chain()
    assert chain.problems == tuple(verify_chain(study.archive.audit_log()))
    assert chain.problems == (f"audit entry {broken.sequence} was changed after it was written",)
