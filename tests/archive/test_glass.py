"""Break-glass, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from carina.archive import DeskFilm, NewFilm, Study, User
from carina.errors import ArchiveError

WHY = "Transferred to us tonight, ventilated."


@dataclass(frozen=True)
class Ward:
    """A radiologist, and another organisation's films: two of one patient, one of another, one without an id."""

    reader: User
    home: User
    films: dict[str, DeskFilm]


@pytest.fixture
def ward(study: Study) -> Ward:
    users = []
    for name in ("ZZZ District", "ZZZ Other"):
        home = study.accounts.add_organisation(name).organisation_id
        user = study.accounts.add_user(f"zzz.{home}", organisation_id=home, role="radiologist", password_hash=f"{home}")
        users.append(user)
    films = {}
    for name, patient, number in (
        ("a", "ZZZ0016", "ACC-17/A"),
        ("b", "ZZZ0016", None),
        ("c", "ZZZ0024", None),
        ("d", None, "ACC-18"),
    ):
        new = NewFilm(f"{ord(name):064x}", f"received/{name}", "upload", patient_id=patient, accession_number=number)
        films[name], _ = study.desk.receive(new, organisation_id=users[1].organisation_id, longest_wait=60)
    return Ward(users[0], users[1], films)


def _open(study: Study, ward: Ward, patient: str, *, seconds: float = 60.0, reason: str = WHY) -> int | None:
    return study.glass.open(
        patient,
        organisation_id=ward.home.organisation_id,
        user_id=ward.reader.user_id,
        home_id=ward.reader.organisation_id,
        reason=reason,
        seconds=seconds,
    )


def _reached(study: Study, ward: Ward, user: User | None = None) -> str:
    who = (user or ward.reader).user_id
    return "".join(
        name for name, film in ward.films.items() if study.glass.film(film.entry_id, user_id=who) is not None
    )


def test_an_opening_reaches_every_film_of_the_patient_and_no_other(study: Study, ward: Ward) -> None:
    assert _reached(study, ward) == ""
    made = _open(study, ward, "ZZZ0016")
    assert made is not None
    assert _reached(study, ward) == "ab"
    assert _reached(study, ward, ward.home) == ""  # another user's opening opens nothing
    listed = study.glass.films(made, user_id=ward.reader.user_id)
    assert {each.entry_id for each in listed} == {ward.films["a"].entry_id, ward.films["b"].entry_id}
    assert study.glass.films(made, user_id=ward.home.user_id) == []


@pytest.mark.parametrize(("number", "reached"), [("ACC-17/A", "ab"), ("ACC-18", "d"), ("ACC-17", ""), ("acc-18", "")])
def test_an_accession_number_opens_exactly_what_it_names(study: Study, ward: Ward, number: str, reached: str) -> None:
    assert (_open(study, ward, number) is not None) is bool(reached)
    assert _reached(study, ward) == reached


@pytest.mark.parametrize("patient", ["ZZZ00", "zzz0016", "ZZZ9999", "%", "-"])
def test_a_patient_who_is_not_there_opens_nothing_and_is_noted(study: Study, ward: Ward, patient: str) -> None:
    assert _open(study, ward, patient) is None
    last = study.archive.audit_log()[-1]
    assert last.event == "glass_not_broken"
    assert patient == "-" or patient not in last.details


def test_an_opening_ends_by_itself_and_by_its_user(study: Study, ward: Ward) -> None:
    _open(study, ward, "ZZZ0016", seconds=0.05)
    time.sleep(0.1)
    assert _reached(study, ward) == ""
    made = _open(study, ward, "ZZZ0016")
    assert made is not None
    assert not study.glass.close(made, user_id=ward.home.user_id)
    assert study.glass.close(made, user_id=ward.reader.user_id)
    assert not study.glass.close(made, user_id=ward.reader.user_id)
    assert _reached(study, ward) == ""
    assert study.glass.open_now(user_id=ward.reader.user_id) == []


def test_the_reason_stands_by_the_opening_and_by_its_hash_in_the_chain(study: Study, ward: Ward) -> None:
    _open(study, ward, "ZZZ0016", reason=f"  {WHY} ")
    (opened,) = study.glass.open_now(user_id=ward.reader.user_id)
    assert (opened.reason, opened.organisation, opened.user) == (WHY, "ZZZ Other", ward.reader.name)
    last = study.archive.audit_log()[-1]
    assert last.event == "glass_broken"
    # printf '...' | sha256sum
    assert "ccb94385be783fc880968358e680b31ed7646d76af50c1269dc9eb22e2aa0d19" in last.details
    assert WHY not in last.details
    assert "ZZZ0016" not in last.details
    assert study.archive.verify_audit() == []


@pytest.mark.parametrize(
    ("patient", "reason", "said"),
    [("ZZZ0016", "because I can", "reason"), ("ZZZ0016", "x" * 1_001, "reason"), ("", WHY, "named by")],
)
def test_an_opening_without_reason_or_patient_is_refused(
    study: Study, ward: Ward, patient: str, reason: str, said: str
) -> None:
    with pytest.raises(ArchiveError, match=said):
        _open(study, ward, patient, reason=reason)


def test_the_own_organisation_is_no_matter_of_break_glass(study: Study, ward: Ward) -> None:
    with pytest.raises(ArchiveError, match="another organisation"):
        study.glass.open(
            "ZZZ0016",
            organisation_id=ward.home.organisation_id,
            user_id=ward.home.user_id,
            home_id=ward.home.organisation_id,
            reason=WHY,
            seconds=60,
        )


def test_both_organisations_see_it_until_the_patients_own_has_looked(study: Study, ward: Ward) -> None:
    third = study.accounts.add_organisation("ZZZ Third").organisation_id
    made = _open(study, ward, "ZZZ0016")
    assert made is not None
    reader, home = ward.reader.organisation_id, ward.home.organisation_id
    listed = {each: len(study.glass.of_organisation(each)) for each in (reader, home, third)}
    assert listed == {reader: 1, home: 1, third: 0}
    assert [study.glass.unseen(each) for each in (reader, home, third)] == [1, 1, 0]
    assert not study.glass.see(made, organisation_id=reader, user_id=1)
    assert study.glass.see(made, organisation_id=home, user_id=ward.home.user_id)
    assert not study.glass.see(made, organisation_id=home, user_id=ward.home.user_id)
    assert [study.glass.unseen(each) for each in (reader, home)] == [0, 0]
    assert study.glass.of_organisation(reader)[0].seen_at is not None
