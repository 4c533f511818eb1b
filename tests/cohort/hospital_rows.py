"""Small hospitals written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from carina.cohort import TABLES, CohortTables

START = datetime(2021, 3, 1, 8)  # noqa: DTZ001 - canonical tables hold naive local times


def frame(table: str, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a canonical table; columns left out are null."""
    schema = {name: kind for name, (kind, _) in TABLES[table].items()}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema, orient="row")


class Hospital:
    """Rows of the five tables; times are hours after `START`."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def admit(self, patient: str, begin: float = 0, end: float | None = 240, **more: Any) -> str:
        event = f"EV{len(self.rows['admissions'])}"
        given = {
            "patient_id": patient,
            "event_id": event,
            "admitted_at": at(begin),
            "discharged_at": None if end is None else at(end),
            "sex": "F",
            "birth_date": date(1960, 3, 1),
            "ethnicity": "Pacific",
            "codes": ["J18.9"],
            "reason": "pneumonia",
        }
        self.rows["admissions"].append({**given, **more})
        return event

    def film(self, patient: str, hours: float | None = 1, finding: str | None = "pneumonia", **more: Any) -> str:
        number = len(self.rows["films"])
        film_id = f"{number:064x}"
        record = {name: more.pop(name) for name in ("request", "mobile", "read_at") if name in more}
        record["position"] = more.pop("position", "erect")
        given = {
            "film_id": film_id,
            "path": f"films/{film_id[:2]}/{film_id[2:4]}/{film_id}.dcm",
            "patient_id": patient,
            "sop_instance_uid": f"2.25.{number}",
            "accession_number": f"A{number}",
            "acquired_at": None if hours is None else at(hours),
            "modality": "DX",
            "accepted": True,
        }
        film = {**given, **more}
        self.rows["films"].append(film)
        if finding != "no read":
            self.rows["reads"].append(
                {"patient_id": patient, "accession_number": film["accession_number"], "finding": finding, **record}
            )
        return film_id

    def specimen(self, patient: str, hours: float, organism: str, **more: Any) -> None:
        given = {
            "patient_id": patient,
            "collected_at": at(hours),
            "specimen": "nasopharyngeal_swab",
            "test": "pcr",
            "organism": organism,
            "result": "positive",
        }
        self.rows["microbiology"].append({**given, **more})

    def measure(self, patient: str, hours: float, **more: Any) -> None:
        self.rows["vitals"].append({"patient_id": patient, "measured_at": at(hours), **more})

    def tables(self) -> CohortTables:
        return CohortTables(**{name: frame(name, rows).lazy() for name, rows in self.rows.items()})


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)
