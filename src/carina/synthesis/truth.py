"""What is true of the synthetic hospital, beside it: answers a film, identifiers, dirt and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from carina.synthesis.dirt import Dirty
from carina.synthesis.extracts import Row
from carina.synthesis.media import FilmFile
from carina.synthesis.plans import FilmPlan, HospitalPlan
from carina.synthesis.studies import EXPECTED

__all__ = [
    "DIRT_COLUMNS",
    "FILES_COLUMNS",
    "FILM_COLUMNS",
    "IDENTIFIER_COLUMNS",
    "Agreement",
    "agreement",
    "dirt_rows",
    "file_rows",
    "film_rows",
    "identifier_rows",
]

FILM_COLUMNS = (
    "sop_instance_uid",
    "series_instance_uid",
    "study_instance_uid",
    "nhi",
    "accession_number",
    "acquired_at",
    "disease",
    *EXPECTED,
    "sex",
    "ethnicity_expected",
    "bmi_expected",
    "place",
)
FILES_COLUMNS = ("place", "sop_instance_uid", "expected", "why")
IDENTIFIER_COLUMNS = ("kind", "value", "nhi", "where")
DIRT_COLUMNS = ("file", "line", "column", "kind", "expected")

_OLDEST = 90


@dataclass(frozen=True, slots=True)
class Agreement:
    """Gold standard against simulated disease, films with a label.

    Attributes
    ----------
    both, gold_only, disease_only, neither : int
        Films with pneumonia by both, by the gold standard alone, by the simulation alone, by neither.
    """

    both: int
    gold_only: int
    disease_only: int
    neither: int

    @property
    def films(self) -> int:
        """All films with a label."""
        return self.both + self.gold_only + self.disease_only + self.neither

    @property
    def share(self) -> float:
        """Share of films in which both agree, 0 to 1."""
        return (self.both + self.neither) / self.films if self.films else 0.0

    @property
    def kappa(self) -> float:
        """Cohen's kappa (Cohen 1960, doi:10.1177/001316446002000104); 0 where chance alone agrees everywhere.

        Examples
        --------
        >>> round(Agreement(both=20, gold_only=5, disease_only=10, neither=15).kappa, 3)
        0.4
        """
        if not self.films:
            return 0.0
        gold, sick = self.both + self.gold_only, self.both + self.disease_only
        chance = (gold * sick + (self.films - gold) * (self.films - sick)) / self.films**2
        return (self.share - chance) / (1 - chance) if chance < 1 else 0.0


def agreement(films: Iterable[FilmPlan]) -> Agreement:
    """Compare the expected gold standard with what the films show."""
    pairs = Counter(
        (film.truth["gold_expected"] == "pneumonia", film.label != "normal")
        for film in films
        if film.truth.get("gold_expected")
    )
    return Agreement(pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False])


def film_rows(plan: HospitalPlan, places: dict[str, str]) -> list[Row]:
    """One row a film; `places` by SOP Instance UID."""
    rows = []
    for film in plan.films:
        person, truth = film.person, film.truth
        age = truth.get("age_expected", "")
        rows.append(
            {name: truth.get(name, "") for name in EXPECTED}
            | {
                "sop_instance_uid": film.sop_uid,
                "series_instance_uid": film.series_uid,
                "study_instance_uid": film.study_uid,
                "nhi": person.nhi,
                "accession_number": film.accession,
                "acquired_at": film.acquired.isoformat(timespec="seconds"),
                "disease": film.label,
                "age_expected": str(min(int(age), _OLDEST)) if age else "",
                "sex": person.sex,
                "ethnicity_expected": person.ethnicity,
                "bmi_expected": f"{person.bmi:.1f}",
                "place": places.get(film.sop_uid, ""),
            }
        )
    return rows


def file_rows(files: Iterable[FilmFile]) -> list[Row]:
    """One row a file: what an ingest must make of it."""
    return [
        {
            "place": file.place,
            "sop_instance_uid": file.film.sop_uid if file.film else "",
            "expected": file.expected,
            "why": file.why,
        }
        for file in files
    ]


def identifier_rows(plan: HospitalPlan) -> list[Row]:
    """Every identifier that must not be found behind the door, and where it was planted."""
    planted: dict[str, set[str]] = {}
    filmed: set[str] = set()
    for film in plan.films:
        planted.setdefault(film.person.nhi, set()).update(film.plants)
        filmed.add(film.person.nhi)
    rows: list[Row] = []
    for person in plan.people:
        nhi = person.nhi
        where = "+".join(["records", *(["header"] if nhi in filmed else []), *sorted(planted.get(nhi, set()))])
        for kind, value in (
            ("nhi", nhi),
            ("surname", person.surname),
            ("given_names", person.given),
            ("birth_date", person.birth.isoformat()),
            ("address", person.address),
            ("phone", person.phone),
        ):
            rows.append({"kind": kind, "value": value, "nhi": nhi, "where": where})
    rows.extend(
        {"kind": "event_id", "value": event.event_id, "nhi": event.person.nhi, "where": "records"}
        for event in plan.events
    )
    rows.extend(
        {"kind": "specimen_id", "value": result.specimen_id, "nhi": result.person.nhi, "where": "records"}
        for result in plan.results
    )
    seen: set[tuple[str, str]] = set()
    for film in plan.films:
        for kind, value in (
            ("accession_number", film.accession),
            ("study_instance_uid", film.study_uid),
            ("series_instance_uid", film.series_uid),
            ("sop_instance_uid", film.sop_uid),
        ):
            if (kind, value) not in seen:
                seen.add((kind, value))
                rows.append({"kind": kind, "value": value, "nhi": film.person.nhi, "where": "header"})
    return rows


def dirt_rows(tables: dict[str, list[tuple[Row, Dirty | None]]]) -> list[Row]:
    """Line of every row of dirt; the header is line 1."""
    return [
        {"file": f"{table}.csv", "line": str(line), "column": bad.column, "kind": bad.kind, "expected": bad.expected}
        for table, rows in tables.items()
        for line, (_, bad) in enumerate(rows, start=2)
        if bad is not None
    ]
