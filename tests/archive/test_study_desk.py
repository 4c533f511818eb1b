"""Jobs, approvals, reading models, programmes and equity of a service study, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from carina.archive import (
    Covered,
    DeskResult,
    NewApproval,
    NewFilm,
    NewModel,
    NewProgramme,
    Person,
    Study,
    StudyJob,
    equity_films,
    first_receipt,
)
from carina.errors import ArchiveError

MODEL = NewModel("models/a.zip", "zzz", "1", "a" * 64, "b" * 64, "a run", {"pneumonia": "supported"})
REASON = "Because it was looked at for long."


@pytest.fixture
def home(study: Study) -> int:
    """An organisation with two users, numbers 1 and 2."""
    made = study.accounts.add_organisation("ZZZ District").organisation_id
    for name in ("zzz.one", "zzz.two"):
        study.accounts.add_user(name, organisation_id=made, role="administrator", password_hash="x")  # noqa: S106 - of nobody
    return made


def _order(study: Study) -> StudyJob:
    return study.jobs.order(study="zzz", verb="train", choices={"a": "b"}, run="r", organisation_id=1, user_id=1)


def _state(study: Study, job: StudyJob) -> str:
    found = study.jobs.job(job.job_id)
    assert found is not None
    return found.state


@pytest.mark.usefixtures("home")
def test_a_job_is_held_by_one_worker_and_no_other_runs_beside_it(study: Study) -> None:
    first, second = _order(study), _order(study)
    assert study.jobs.waiting() == [first.job_id, second.job_id]
    held = study.jobs.claim(first.job_id, lease=60)
    assert held is not None
    assert study.jobs.claim(first.job_id, lease=60) is None
    assert study.jobs.claim(second.job_id, lease=60) is None
    assert study.jobs.renew(first.job_id, held[1], lease=60, progress={"done": 1}, log="x" * 30_000) is True
    assert study.jobs.renew(first.job_id, "0" * 32, lease=60, progress=None, log="") is None
    study.jobs.cancel(first, by=1)
    assert study.jobs.renew(first.job_id, held[1], lease=60, progress=None, log="") is False
    assert study.jobs.end(first.job_id, held[1], "cancelled", exit_status=-2, log="")
    assert not study.jobs.end(first.job_id, held[1], "done", exit_status=0, log="")
    assert study.jobs.claim(second.job_id, lease=60) is not None


@pytest.mark.usefixtures("home")
def test_a_job_whose_worker_is_silent_is_lost_and_its_worker_finds_out(study: Study) -> None:
    job = _order(study)
    held = study.jobs.claim(job.job_id, lease=-1.0)
    assert held is not None
    assert study.jobs.mark_lost() == 1
    assert study.jobs.mark_lost() == 0
    assert _state(study, job) == "lost"
    assert study.jobs.renew(job.job_id, held[1], lease=60, progress=None, log="") is None
    study.jobs.again(job, by=2)
    assert _state(study, job) == "queued"
    with pytest.raises(ArchiveError, match="can be started again once"):
        study.jobs.again(job, by=2)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("verb", ["UPDATE study_approvals SET note = 'x'", "DELETE FROM study_approvals"])
def test_the_database_refuses_to_change_an_approval(study: Study, verb: str) -> None:
    new = NewApproval("ethics", "ZZZ/1", "ZZZ committee", "2026-01-02", "2026-02-02")
    number = study.approvals.add(new, study="zzz", organisation_id=1, user_id=1)
    with study.archive.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="append-only"):
        connection.execute(sa.text(verb))
    later = replace(new, replaces=number, withdrawn=True)
    with pytest.raises(ArchiveError, match="of the same study"):
        study.approvals.add(later, study="other", organisation_id=1, user_id=1)
    study.approvals.add(later, study="zzz", organisation_id=1, user_id=2)
    first, second = study.approvals.record("zzz")
    assert (first.user, first.replaced_by, second.user, second.withdrawn) == ("zzz.one", 2, "zzz.two", True)


@pytest.mark.usefixtures("home")
def test_a_model_is_activated_once_by_another_and_one_is_active(study: Study) -> None:
    proposal = study.models.propose(MODEL, reason="better", by=1)
    with pytest.raises(ArchiveError, match="who proposed it"):
        study.models.activate(proposal, by=1, reason="short")
    assert study.models.active() is None
    study.models.activate(proposal, by=2, reason=None)
    other = study.models.propose(replace(MODEL, version="2", verdicts={}), reason="newer", by=1)
    with pytest.raises(ArchiveError, match="audit does not support"):
        study.models.activate(other, by=2, reason=None)
    study.models.activate(other, by=2, reason=REASON)
    with pytest.raises(ArchiveError, match="not yet decided"):
        study.models.activate(other, by=2, reason=REASON)
    first = study.models.activation(proposal.activation_id)
    assert first is not None
    assert (first.state, first.proposer, first.decider) == ("replaced", "zzz.one", "zzz.two")
    study.models.roll_back(first, MODEL, reason=REASON, by=1)
    active = study.models.active()
    assert active is not None
    assert (active.version, active.activation_id, study.models.active_id()) == ("1", 3, 3)
    study.models.roll_back(None, MODEL, reason=REASON, by=1)
    assert (study.models.active(), study.models.active_id()) == (None, 4)
    assert [each.state for each in study.models.history()] == ["active", "replaced", "replaced", "replaced"]


def test_programmes_and_results_by_group_keep_to_their_organisation(study: Study, home: int) -> None:
    there = study.accounts.add_organisation("ZZZ Other").organisation_id
    number = study.programmes.add(NewProgramme("Free", "No charge.", ("Maori",)), organisation_id=home, by=1)
    person = Person("ZZZ0016", "Maori", "F", "1980-01-01")
    study.programmes.link([person], organisation_id=home)
    study.programmes.link([replace(person, ethnicity="Asian")], organisation_id=there)
    films = []
    for organisation in (home, there):
        new = NewFilm(film_id="a" * 64, path="x", source="upload", patient_id="ZZZ0016", acquired_at="2026-01-02")
        film, _ = study.desk.receive(new, organisation_id=organisation, longest_wait=60)
        study.programmes.apply_rules([film.entry_id], organisation_id=organisation)
        films.append(film)
    result = DeskResult("f" * 64, {"decision": "viral"}, {}, 0.1, time.time())
    study.desk.finish(films[0], result, urgency=0.5, longest_wait=60)
    for agrees in (True, False):
        study.desk.add_read(films[0].entry_id, organisation_id=home, user_id=1, blind=False, agrees=agrees)
    covered = study.programmes.covered([each.entry_id for each in films], organisation_id=home)
    assert covered == {films[0].entry_id: (Covered(number, "Free", "No charge.", "rule"),)}
    with pytest.raises(ArchiveError, match="must run the programme"):
        study.programmes.request(films[1].entry_id, number, organisation_id=there, by=1)
    with pytest.raises(ArchiveError, match="one of the organisation"):
        study.programmes.request(films[1].entry_id, number, organisation_id=home, by=1)
    begin = first_receipt(study.archive.engine, organisation_id=home)
    assert begin == films[0].received_at
    (row,) = equity_films(study.archive.engine, organisation_id=home, since=begin, until=begin + 1).to_dicts()
    assert (row["patient"], row["ethnicity"], row["decision"], row["agrees"]) == ("ZZZ0016", "Maori", "viral", True)
    (row,) = equity_films(study.archive.engine, organisation_id=there, since=0, until=1e12).to_dicts()
    assert (row["ethnicity"], row["read_at"], row["agrees"]) == ("Asian", None, None)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "none"}, "one of"),
        ({"reference": ""}, "must have a reference"),
        ({"body": "x" * 129}, "at most 128"),
        ({"decided_on": "yesterday"}, "YYYY-MM-DD"),
        ({"expires_on": "2025-01-01"}, "must not end before"),
    ],
)
@pytest.mark.usefixtures("home")
def test_an_approval_that_says_too_little_is_refused(study: Study, values: dict[str, str], said: str) -> None:
    new = NewApproval("ethics", "ZZZ/1", "ZZZ committee", "2026-01-02")
    with pytest.raises(ArchiveError, match=said):
        study.approvals.add(replace(new, **values), study="zzz", organisation_id=1, user_id=1)  # type: ignore[arg-type]  # text fields
