"""Result objects of a service study: whose they are, what is found by what, and to whom they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from carina.archive import DeskFilm, NewFilm, ObjectQuery, ObjectScope, StoredObject, Study

HOME = ObjectScope(1, None)


@pytest.fixture
def keep(study: Study) -> Callable[..., DeskFilm]:
    """Two objects of a film, in two series of one study: `keep(1, organisation_id=1, accession_number="A-1")`."""
    for name in ("ZZZ District", "ZZZ Other"):
        study.accounts.add_organisation(name)
    for name in ("zzz.one", "zzz.two"):
        study.accounts.add_user(name, organisation_id=1, role="referrer", password_hash="x")  # noqa: S106 - no password

    def make(number: int, *, organisation_id: int = 1, study_uid: str = "", **film: object) -> DeskFilm:
        new = NewFilm(f"{number:064x}", f"received/{number}.dcm", "upload", **film)  # type: ignore[arg-type]  # as loose as its callers
        made, _ = study.desk.receive(new, organisation_id=organisation_id, longest_wait=60)
        uid = study_uid or f"1.2.{number}"
        objects = [
            StoredObject(
                *(made.entry_id, "f" * 64, kind, uid, f"{uid}.{number}.{place}", f"9.9.{place}", f"1.{number}.{place}"),
                f"results/{number}-{place}.dcm",
                100,
            )
            for place, kind in enumerate(("report", "segmentation"), start=1)
        ]
        assert study.objects.keep(objects, organisation_id=organisation_id) == 2
        return made

    return make


def test_an_object_kept_twice_is_there_once(study: Study, keep: Callable[..., DeskFilm]) -> None:
    keep(1)
    (first, _) = study.objects.find(ObjectQuery(), HOME)
    assert study.objects.keep([replace(first, path="elsewhere")], organisation_id=1) == 0
    assert study.objects.find(ObjectQuery(sop_instance_uids=("1.1.1",)), HOME) == [first]


def test_objects_of_another_organisation_are_not_found(study: Study, keep: Callable[..., DeskFilm]) -> None:
    keep(1, organisation_id=2)
    for look in (study.objects.find, study.objects.series, study.objects.studies):
        assert look(ObjectQuery(), HOME) == []
        assert len(look(ObjectQuery(), ObjectScope(2, None))) > 0


def test_a_referrer_finds_objects_of_own_requests_alone(study: Study, keep: Callable[..., DeskFilm]) -> None:
    keep(1, referrer_id=1)
    keep(2, referrer_id=2)
    assert [each.study_uid for each in study.objects.studies(ObjectQuery(), ObjectScope(1, 2))] == ["1.2.2"]


@pytest.mark.parametrize(
    ("wanted", "instances"),
    [
        (ObjectQuery(study_uids=("1.2.1", "1.2.3")), ["1.1.1", "1.1.2"]),
        (ObjectQuery(series_uids=("1.2.2.2.1",)), ["1.2.1"]),
        (ObjectQuery(sop_class_uids=("9.9.2",)), ["1.1.2", "1.2.2"]),
        (ObjectQuery(sop_instance_uids=("1.2.2",)), ["1.2.2"]),
        (ObjectQuery(patient_id="ZZZ0016"), ["1.1.1", "1.1.2"]),
        (ObjectQuery(accession_number="A-2"), ["1.2.1", "1.2.2"]),
        (ObjectQuery(patient_id="ZZZ0016", accession_number="A-2"), []),
        (ObjectQuery(most=1, skip=2), ["1.2.1"]),
    ],
)
def test_what_is_given_must_fit(
    study: Study, keep: Callable[..., DeskFilm], wanted: ObjectQuery, instances: list[str]
) -> None:
    keep(1, patient_id="ZZZ0016", accession_number="A-1")
    keep(2, patient_id="ZZZ0024", accession_number="A-2")
    assert [each.sop_instance_uid for each in study.objects.find(wanted, HOME)] == instances


def test_a_study_of_two_films_is_one_with_all_that_it_holds(study: Study, keep: Callable[..., DeskFilm]) -> None:
    keep(1, study_uid="1.5")
    keep(2, study_uid="1.5")
    keep(3)
    second, first = study.objects.studies(ObjectQuery(sop_class_uids=("9.9.1",)), HOME)
    assert (first.study_uid, first.series, first.instances, first.sop_class_uids) == ("1.5", 4, 4, ("9.9.1", "9.9.2"))
    assert (second.study_uid, second.series, second.instances) == ("1.2.3", 2, 2)
    series = study.objects.series(ObjectQuery(study_uids=("1.5",), most=3), HOME)
    assert [each.series_uid for each in series] == ["1.5.1.1", "1.5.1.2", "1.5.2.1"]


@pytest.mark.parametrize("judges", [True, False])
def test_objects_are_shown_exactly_where_blind_reading_opens_the_output(
    study: Study, keep: Callable[..., DeskFilm], *, judges: bool
) -> None:
    films = [keep(number) for number in range(1, 5)]
    blind = replace(study, file=study.file.model_copy(update={"blind_first": True})).blind
    blind.note_opened(films[0], user_id=1, output=True)
    blind.note_opened(films[1], user_id=1, output=False)
    study.desk.add_read(films[2].entry_id, organisation_id=1, user_id=2, blind=False)
    films = [study.desk.film(each.entry_id, organisation_id=1, referrer_id=None) for each in films]  # type: ignore[misc]  # all are there
    shown = {each.entry_id for each in study.objects.find(ObjectQuery(), ObjectScope(1, None, (1, judges)))}
    assert shown == blind.open_to(films, user_id=1, judges=judges)
