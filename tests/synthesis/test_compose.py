"""What a hospital is composed of, before any file is written."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from carina.records import classify_report, prioritise
from carina.synthesis.compose import Composer
from carina.synthesis.headers import PLANTS
from carina.synthesis.people import GROUPS, draw_person
from carina.synthesis.plans import HospitalPlan
from carina.synthesis.templates import templates
from carina.synthesis.words import REPORTS


@pytest.fixture(scope="module")
def plan() -> HospitalPlan:
    composer = Composer(3)
    for _ in range(300):
        composer.patient()
    return composer.plan


def test_every_kind_of_episode_occurs(plan: HospitalPlan) -> None:
    table = templates()
    seen = {
        name: {film.truth[name] for film in plan.films} for name in ("reading", "aetiology_case", "suspicion", "stay")
    }
    assert {entry.name for entry in table.reading if entry.reads} <= seen["reading"]
    assert {entry.name for entry in table.aetiology} <= seen["aetiology_case"]
    assert {entry.name for entry in table.suspicion} <= seen["suspicion"]
    assert {entry.name for entry in table.stay} <= seen["stay"]
    assert {place for film in plan.films for place in film.plants} == set(PLANTS)


def test_every_exclusion_is_expected_of_some_film(plan: HospitalPlan) -> None:
    found = {film.truth["exclusion_expected"] for film in plan.films}
    assert found == {"", "not_admitted", "not_suspected", "before_suspicion", "no_read", "not_first_or_last"}


def test_uids_and_numbers_name_one_thing(plan: HospitalPlan) -> None:
    for numbers in (
        [film.sop_uid for film in plan.films],
        [event.event_id for event in plan.events],
        [read.accession for read in plan.reads],
        [person.nhi for person in plan.people],
    ):
        assert max(Counter(numbers).values()) == 1


def test_events_of_one_stay_are_under_a_day_apart_and_stays_a_day_or_more(plan: HospitalPlan) -> None:
    """M9, from the admissions alone: as many stays as films and gaps say."""
    by_patient = defaultdict(list)
    for event in plan.events:
        by_patient[event.person.nhi].append(event)
    gaps = []
    for events in by_patient.values():
        for one, other in pairwise(events):
            gap = other.admitted - one.discharged
            assert gap >= dt.timedelta(0)
            gaps.append(gap)
    day = dt.timedelta(hours=24)
    assert day in gaps, "exactly a day: not merged"
    assert any(dt.timedelta(hours=23) < gap < day for gap in gaps)
    assert not any(day < gap < dt.timedelta(hours=30) for gap in gaps)


def test_films_of_an_episode_lie_within_its_events(plan: HospitalPlan) -> None:
    by_patient = defaultdict(list)
    for event in plan.events:
        by_patient[event.person.nhi].append((event.admitted, event.discharged))
    for film in plan.films:
        inside = any(begin <= film.acquired <= end for begin, end in by_patient[film.person.nhi])
        assert inside == (film.truth["exclusion_expected"] != "not_admitted")


def test_specimens_stay_out_of_other_stays_windows(plan: HospitalPlan) -> None:
    """Each lies within 15 days before and 16 after one admission alone, so that M15 has one answer."""
    starts = defaultdict(list)
    for event in plan.events:
        seen = starts[event.person.nhi]
        if not seen or event.admitted - seen[-1] > dt.timedelta(days=30):
            seen.append(event.admitted)
    for result in plan.results:
        before, after = dt.timedelta(days=15), dt.timedelta(days=16)
        near = [at for at in starts[result.person.nhi] if at - before < result.collected < at + after]
        assert len(near) == 1


def test_reports_say_what_their_sign_says() -> None:
    calls = {"P": "pneumonia", "N": "none", "E": "equivocal"}
    for sign, texts in REPORTS.items():
        assert [classify_report(text).finding for text in texts] == [calls[sign]] * len(texts)


def test_people_look_like_counties_manukau() -> None:
    rng = np.random.default_rng(1)
    people = [draw_person(i, "ZZZ0016", dt.date(1980, 1, 1), rng) for i in range(4000)]
    shares = Counter(person.ethnicity for person in people)
    for group, (percent, _) in GROUPS.items():
        assert shares[group] / 4000 == pytest.approx(percent / 100, abs=0.03)
    assert all(prioritise(person.ethnicities) == person.ethnicity for person in people)
    assert 0.05 < sum(len(person.ethnicities) > 1 for person in people) / 4000 < 0.25
    assert all(person.surname.startswith("ZZ") and person.given.startswith("SYN") for person in people)


def test_ages_reach_from_birth_to_beyond_89(plan: HospitalPlan) -> None:
    ages = {film.person.age(film.acquired.date()) for film in plan.films}
    assert 0 in ages
    assert max(ages) >= 90
