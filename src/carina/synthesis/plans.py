"""What the synthetic hospital holds, decided before anything is written."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from carina.synthesis.people import Person

__all__ = ["Event", "FilmPlan", "HospitalPlan", "Read", "Result", "Vital"]


@dataclass(frozen=True, slots=True)
class Event:
    """One admission event, a row of the admissions extract."""

    person: Person
    event_id: str
    admitted: dt.datetime
    discharged: dt.datetime
    codes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Vital:
    """One row of the vitals extract."""

    person: Person
    measured: dt.datetime
    temperature_c: float
    spo2_percent: int
    respiratory_rate: int


@dataclass(frozen=True, slots=True)
class Read:
    """One row of the reads extract; `coded` and `report` may be empty."""

    person: Person
    accession: str
    acquired: dt.datetime
    read: dt.datetime | None
    request: str
    position: str
    mobile: str
    coded: str
    report: str
    site: str = "main"


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the microbiology extract."""

    person: Person
    specimen_id: str
    collected: dt.datetime
    specimen: str
    test: str
    organism: str
    result: str


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """One film: what it shows, what its header says, where it lies, and what the method must make of it.

    Attributes
    ----------
    person : Person
        Whose.
    film : int
        Number among the patient's films; exposure of the phantom.
    label : str
        What the phantom shows: ``normal``, ``bacterial``, ``viral`` or ``covid19``.
    truth : dict of str to str
        Expected answers, columns of ``truth/films.csv``.
    plants : frozenset of str
        Where identifiers are planted beside the usual header elements.
    """

    person: Person
    film: int
    label: str
    accession: str
    acquired: dt.datetime
    study_uid: str
    series_uid: str
    sop_uid: str
    series_number: int
    instance_number: int
    view_position: str
    series_description: str
    protocol_name: str
    request: str
    severity: float
    body_part: str = "CHEST"
    syntax: str = "explicit"
    photometric: str = "MONOCHROME2"
    modality: str = "DX"
    medium: str = "folder"
    damage: str = ""
    plants: frozenset[str] = frozenset()
    truth: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class HospitalPlan:
    """Everything."""

    events: list[Event] = field(default_factory=list)
    vitals: list[Vital] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    films: list[FilmPlan] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
