"""Bad rows in every table, which must be rejected with line, column and reason, and odd ones, which must not.

No bad row bears on the answer for a good one as long as it is rejected; taken in silence, several would: a positive
SARS-CoV-2 result without a time belongs to an untested patient, a read of pneumonia to a film that nobody has read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from carina.synthesis.compose import Composer
from carina.synthesis.extracts import Row, admission_row, read_row, result_row, vital_row
from carina.synthesis.people import Person
from carina.synthesis.plans import Event, Read, Result, Vital

__all__ = ["Dirty", "dirt"]


@dataclass(frozen=True, slots=True)
class Dirty:
    """One row of dirt.

    Attributes
    ----------
    table : str
        Extract.
    row : dict of str to str
        The row, in the hospital's columns.
    column : str
        The canonical column that is wrong, empty where none is.
    kind : str
        What is wrong.
    expected : {"rejected", "accepted", "either"}
        What must become of the row. Of two rows that contradict each other, one or both may be rejected: ``either``.
    """

    table: str
    row: Row
    column: str
    kind: str
    expected: str = "rejected"


def dirt(composer: Composer, times: int, rng: np.random.Generator) -> list[Dirty]:
    """Make bad rows; the patients they need are composed, some with a film that no admission row is left for.

    Parameters
    ----------
    composer : Composer
        Of the hospital; grows by the patients.
    times : int
        How often each kind.
    rng : numpy.random.Generator
        Luck.

    Returns
    -------
    list of Dirty
    """
    found: list[Dirty] = []
    for _ in range(times):
        found.extend(_admissions(composer, rng))
        found.extend(_vitals(composer, rng))
        found.extend(_reads(composer, rng))
        found.extend(_results(composer))
    return found


def _event(composer: Composer, rng: np.random.Generator, *, codes: tuple[str, ...] = ("J18.9",)) -> Event:
    """One admission of a new patient, with nothing wrong yet."""
    start = composer.start("since")
    person = composer.person(float(rng.uniform(20, 85)), start.date())
    end = start + dt.timedelta(hours=float(rng.uniform(30, 120)))
    return Event(person, composer.serials.event(), start, end, codes, "Pneumonia")


def _film(composer: Composer, event: Event) -> None:
    """Add a film during an admission whose row must be rejected: nothing admits its patient any more."""
    composer.studies.write_outside(event.person, event.admitted + dt.timedelta(hours=4), sign="P", why="not_admitted")


def _admissions(composer: Composer, rng: np.random.Generator) -> Iterator[Dirty]:
    table = "admissions"
    # One cell changed in an otherwise good row.
    day = dt.date(2021, 3, 29)
    changes: tuple[tuple[str, str, str, str], ...] = (
        ("Adm Dt", f"{day:%Y-%m-%d} 10:15", "admitted_at", "iso_date_among_day_first"),
        ("Adm Dt", "03/29/2021 10:15", "admitted_at", "month_first_date"),
        ("Adm Dt", "", "admitted_at", "no_admission_time"),
        ("Disch Dt", "31/02/2021 09:00", "discharged_at", "impossible_date"),
        ("DOB", "14/07/1871", "birth_date", "impossible_age"),
        ("DOB", "14/07/2039", "birth_date", "born_after_admission"),
        ("Gender", "9", "sex", "unknown_sex"),
        ("Ethnic 1", "88", "ethnicity", "unknown_ethnicity"),
        ("Diagnoses", "PNEUMONIA", "codes", "unknown_code"),
        ("NHI No", "", "nhi", "no_nhi"),
        ("Event No", "", "event_id", "no_event"),
    )
    for number, (column, value, ours, kind) in enumerate(changes):
        event = _event(composer, rng)
        if number % 3 == 0:
            _film(composer, event)
        yield Dirty(table, admission_row(event) | {column: value}, ours, kind)
    event = _event(composer, rng)
    yield Dirty(
        table, admission_row(event) | {"NHI No": _wrong_check(event.person.nhi)}, "nhi", "wrong_check_character"
    )
    event = _event(composer, rng)
    _film(composer, event)
    turned = replace(event, admitted=event.discharged, discharged=event.admitted)
    yield Dirty(table, admission_row(turned), "discharged_at", "discharged_before_admitted")
    yield from _contradictions(composer, rng)
    yield from _oddities(composer, rng)


def _contradictions(composer: Composer, rng: np.random.Generator) -> Iterator[Dirty]:
    """Two rows that cannot both be true."""
    table = "admissions"
    event = _event(composer, rng)
    inside = replace(
        event,
        event_id=composer.serials.event(),
        admitted=event.admitted + dt.timedelta(hours=10),
        discharged=event.discharged + dt.timedelta(hours=10),
    )
    yield Dirty(table, admission_row(event), "", "overlapped_admission", "either")
    yield Dirty(table, admission_row(inside), "admitted_at", "overlapping_admission")
    for kind, column in (("birth_date_contradicts", "birth_date"), ("sex_contradicts", "sex")):
        event = _event(composer, rng)
        if column == "sex":
            other = replace(event.person, sex="M" if event.person.sex == "F" else "F")
        else:
            other = replace(event.person, birth=dt.date(1950, 1, 31))
        later = replace(
            event,
            person=other,
            event_id=composer.serials.event(),
            admitted=event.admitted + dt.timedelta(days=90),
            discharged=event.discharged + dt.timedelta(days=90),
        )
        yield Dirty(table, admission_row(event), column, kind, "either")
        yield Dirty(table, admission_row(later), column, kind, "either")
    event = _event(composer, rng)
    yield Dirty(table, admission_row(event), "", "event_number_twice", "either")
    moved = replace(
        event, admitted=event.admitted + dt.timedelta(days=40), discharged=event.discharged + dt.timedelta(days=40)
    )
    yield Dirty(table, admission_row(moved), "event_id", "event_number_twice", "either")


def _oddities(composer: Composer, rng: np.random.Generator) -> Iterator[Dirty]:
    """Rows that look odd and must be taken."""
    table = "admissions"
    yield Dirty(table, admission_row(_event(composer, rng), dotless=True), "", "codes_without_dot", "accepted")
    lower = admission_row(_event(composer, rng))
    yield Dirty(table, lower | {"NHI No": lower["NHI No"].lower()}, "", "nhi_in_lower_case", "accepted")
    several = admission_row(_event(composer, rng)) | {"Ethnic 1": "11", "Ethnic 2": "32", "Ethnic 3": "21"}
    yield Dirty(table, several, "", "several_ethnicities", "accepted")
    open_ = admission_row(_event(composer, rng))
    yield Dirty(table, open_ | {"Disch Dt": ""}, "", "not_yet_discharged", "accepted")


def _vitals(composer: Composer, rng: np.random.Generator) -> Iterator[Dirty]:
    person = _someone(composer, rng)
    vital = vital_row(Vital(person, composer.start("since"), 37.2, 95, 18))
    adult = {"Ht cm": "172.0", "Wt kg": "74.0", "BMI": "25.0"}
    for change, ours, kind in (
        (adult | {"Ht cm": "1.72"}, "height_cm", "height_in_metres"),
        (adult | {"Wt kg": "163.1"}, "bmi", "weight_in_pounds"),
        (adult | {"BMI": "0.0025"}, "bmi", "bmi_of_centimetres"),
        ({"Temp": "378"}, "temperature_c", "decimal_point_lost"),
        ({"SpO2": "940"}, "spo2_percent", "impossible_saturation"),
        ({"Obs Date": "2021-02-03"}, "measured_at", "iso_date_among_day_first"),
        ({"NHI": _wrong_check(person.nhi)}, "nhi", "wrong_check_character"),
    ):
        yield Dirty("vitals", vital | change, ours, kind)


def _reads(composer: Composer, rng: np.random.Generator) -> Iterator[Dirty]:
    person = _someone(composer, rng)
    when = composer.start("since")
    good = read_row(
        Read(person, composer.serials.accession(), when, when + dt.timedelta(hours=2), "?pneumonia", "", "", "PN", "")
    )
    for change, ours, kind in (
        ({"Accession No": ""}, "accession_number", "no_accession"),
        ({"CXR Code": "PNX"}, "finding", "unknown_code"),
        ({"Exam Dt": f"{when:%Y%m%d}"}, "acquired_at", "date_without_separators"),
        ({"Position": "SIDEWAYS"}, "position", "unknown_position"),
        ({"Patient ID": person.nhi[:5]}, "nhi", "nhi_cut_off"),
    ):
        yield Dirty("reads", good | {"Accession No": composer.serials.accession()} | change, ours, kind)
    # Taken in silence, this read would label a film that has none.
    for film in composer.plan.films:
        if film.truth.get("exclusion_expected") == "no_read" and film.truth["reading"] == "only_film_unread":
            late = film.acquired
            row = read_row(Read(film.person, film.accession, late, late, film.request, "", "", "??", ""))
            yield Dirty("reads", row, "finding", "unknown_code_of_an_unread_film")
            break


def _results(composer: Composer) -> Iterator[Dirty]:
    table = "microbiology"
    # Taken in silence, these would give an untested patient COVID-19.
    film = next((f for f in composer.plan.films if f.truth.get("aetiology_case") == "untested"), composer.plan.films[0])
    number = composer.serials.specimen(film.acquired)
    good = result_row(
        Result(film.person, number, film.acquired, "nasopharyngeal_swab", "pcr", "SARS-CoV-2", "positive")
    )
    for change, ours, kind in (
        ({"Collected Dt": ""}, "collected_at", "no_specimen_time"),
        ({"Collected Dt": f"{film.acquired:%Y-%m-%dT%H:%M}"}, "collected_at", "iso_date_among_day_first"),
        ({"Spec": "ZZZ"}, "specimen", "unknown_specimen"),
        ({"Test": "MAGIC"}, "test", "unknown_test"),
        ({"Organism": "Unheard-of virus"}, "organism", "unknown_organism"),
        ({"Result": "PERHAPS"}, "result", "unknown_result"),
        ({"NHI": _wrong_check(film.person.nhi)}, "nhi", "wrong_check_character"),
    ):
        yield Dirty(table, good | {"Lab No": composer.serials.specimen(film.acquired)} | change, ours, kind)


def _someone(composer: Composer, rng: np.random.Generator) -> Person:
    """One of the patients."""
    people = composer.plan.people
    return people[int(rng.integers(len(people)))]


def _wrong_check(nhi: str) -> str:
    """Return the number with a check character that no rule gives; both moduli of the new shape are avoided."""
    if nhi[-1].isdigit():
        return nhi[:-1] + str((int(nhi[-1]) + 1) % 10)
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return nhi[:-1] + letters[(letters.index(nhi[-1]) + 11) % len(letters)]
