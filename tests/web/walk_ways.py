"""A district at work for the walks through the pages: phantom films that the shipped model read, and a study beside."""

from __future__ import annotations

import base64
import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
from api_ways import token_of
from fastapi import FastAPI

import carina.synthesis.hospital
from carina.archive import ROLES, DeskFilm, DeskResult, NewApproval, NewFilm, NewProgramme, Person, Study, create_study
from carina.cohort import CohortTables, build_cohort, load_rules, write_cohort
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.records import load_mapping, read_extract
from carina.report.flow import write_flow
from carina.service import FilmWorker, receive_film
from carina.settings import Settings
from carina.web import create_app, hash_password

SECRET = base64.b32encode(b"12345678901234567890").decode()
PASSWORD = "eleven geese and a goose"  # noqa: S105 - of invented users
HOME, ELSEWHERE = "ZZZ District", "ZZZ Other"
# patient, seed, class, film of the patient, side
FILMS = (
    ("ZZZ0016", 12, "viral", 0, 256),
    ("ZZZ0016", 12, "viral", 1, 512),
    ("ZZZ0024", 5013, "bacterial", 0, 256),
    ("ZZZ0032", 11, "normal", 0, 256),
    ("ZZZ0040", 14, "bacterial", 0, 256),
)


@dataclass
class District:
    """The application, and what its pages are about."""

    study: Study
    app: FastAPI
    settings: Settings
    job: str
    films: dict[str, DeskFilm] = field(default_factory=dict)

    def cookie(self, name: str) -> str:
        """Token of a session of a user who gave password and code: `cookie("radiologist")`."""
        user = self.study.accounts.user(f"zzz.{name}")
        assert user is not None
        return self.study.accounts.begin_session(user, "full")


def district(folder: Path) -> District:
    """Make it: users of every role, films read, refused and waiting, and a page's worth of everything else."""
    study = create_study(folder / "service", "service")
    _users(study)
    runs = _research(folder)
    named = {"name": "zzz-study", "title": "Pneumonia at the ZZZ hospital", "organisations": [HOME]}
    named |= {"folder": str(folder / "research"), "runs": str(runs)}
    peer = {"ae_title": "ZZZPACS", "host": "127.0.0.1", "port": 9, "results": True, "organisation": HOME}
    settings = Settings.model_validate(
        {"web": {"reserve_bytes": 0}, "pacs": {"peers": [peer]}, "research": {"studies": [named], "period": "month"}}
    )
    job = _order(study)
    made = District(study, create_app(study, settings, secure=False), settings, job)
    _offices(study)
    _last_year(study)
    _films(made)
    return made


def _users(study: Study) -> None:
    password = hash_password(PASSWORD)
    everybody = [
        *((HOME, role, role) for role in ROLES),
        (HOME, "reader", "radiologist"),
        (HOME, "lead", "administrator"),
    ]
    homes = {name: study.accounts.add_organisation(name).organisation_id for name in (HOME, ELSEWHERE)}
    for home, name, role in (*everybody, (ELSEWHERE, "elsewhere", "administrator")):
        user = study.accounts.add_user(f"zzz.{name}", organisation_id=homes[home], role=role, password_hash=password)
        study.accounts.set_password(user, password, initial=False, by=user.user_id)
        study.accounts.set_second_factor(user, SECRET, 0)


def _received(made: District, content: bytes, name: str) -> None:
    owner = made.study.accounts.user("zzz.referrer")
    assert owner is not None
    film, _ = receive_film(
        made.study, content, organisation_id=1, source="upload", settings=made.settings, referrer_id=owner.user_id
    )
    made.films[name] = film


def _films(made: District) -> None:
    """Read phantoms with the shipped model; one picture is no film, one film waits."""
    for patient, seed, label, number, side in FILMS:
        taken = phantom_dicom(phantom_film(seed, label=label, size=side, film=number), patient=patient)
        taken.PatientName = "PHANTOM^Nobody"
        taken.AccessionNumber = f"ZZZ{seed}{number}"
        taken.AcquisitionDate = taken.StudyDate = taken.ContentDate = f"2026010{number + 1}"
        taken.SOPInstanceUID = taken.file_meta.MediaStorageSOPInstanceUID = f"{taken.SOPInstanceUID}.{number}"
        content = io.BytesIO()
        taken.save_as(content)
        _received(made, content.getvalue(), f"{patient}-{number}")
    flat = np.random.default_rng(1).integers(0, 255, (300, 300), np.uint8)
    _received(made, cv2.imencode(".png", flat)[1].tobytes(), "refused")
    with FilmWorker(made.study, made.settings) as worker:
        for film in made.films.values():
            worker.read(1, film.entry_id)
    _received(made, cv2.imencode(".png", flat // 2)[1].tobytes(), "waiting")
    made.films = {
        name: made.study.desk.film(film.entry_id, organisation_id=1, referrer_id=None) or film
        for name, film in made.films.items()
    }


def _offices(study: Study) -> None:
    """Something for each page of the administration."""
    users = {name: study.accounts.user(f"zzz.{name}") for name in ("radiologist", "administrator", "researcher")}
    reader, lead, researcher = users.values()
    assert reader is not None
    assert lead is not None
    assert researcher is not None
    study.administration.change_organisation(1, name=HOME, takes_requests=True, by=lead.user_id)
    for name in ("asking", "asked"):
        said = {"full_name": f"Test {name.title()}", "contact": "ZZZ Practice", "password_hash": "none"}
        study.administration.ask(1, name=f"zzz.{name}", **said)
    first = study.administration.requests(1)[0].request_id
    study.administration.decide(first, "refused", organisation_id=1, by=lead.user_id, reason="Not known here.")
    token_of(study, "zzz.radiologist", "results:read")
    film = NewFilm(film_id="d" * 64, path="received/x", source="upload", patient_id="ZZZ0058")
    study.desk.receive(film, organisation_id=2, longest_wait=60)
    reason = "Seen here in the emergency department tonight."
    study.glass.open("ZZZ0058", organisation_id=2, user_id=reader.user_id, home_id=1, reason=reason, seconds=3600)
    approval = NewApproval("ethics", "ZZZ/26/1", "ZZZ Committee", "2026-01-02")
    study.approvals.add(approval, study="zzz-study", organisation_id=1, user_id=researcher.user_id)
    free = NewProgramme("Free reading", "No charge to the patient.", ("Maori",))
    study.programmes.add(free, organisation_id=1, by=lead.user_id)
    study.programmes.link([Person("ZZZ0016", "Maori", "F", "1980-01-01")], organisation_id=1)


def _last_year(study: Study) -> None:
    """Forty people of two groups, read and judged in a month that is over: what the equity page tells of."""
    import sqlalchemy as sa  # noqa: PLC0415 - a test alone moves time

    reader = study.accounts.user("zzz.reader")
    assert reader is not None
    groups = ["Maori", "European"]
    study.programmes.link([Person(f"P{at}", groups[at % 2], "F", None) for at in range(40)], organisation_id=1)
    for at in range(40):
        new = NewFilm(film_id=f"{at:064x}", path=f"received/{at}", source="upload", patient_id=f"P{at}")
        film, _ = study.desk.receive(new, organisation_id=1, longest_wait=60)
        said = {"decision": "viral" if at % 4 < 2 else "normal", "model": {}, "probabilities": {"normal": 0.5}}
        study.desk.finish(film, DeskResult("f" * 64, said, {}, 0.1, time.time()), urgency=0.5, longest_wait=60)
        seen = {"organisation_id": 1, "user_id": reader.user_id}
        study.desk.add_read(film.entry_id, **seen, blind=False, agrees=True)
    with study.archive.engine.connect() as connection, connection.begin():
        connection.execute(
            sa.text("UPDATE desk_films SET received_at = received_at - 5184000 WHERE organisation_id = 1")
        )


def _order(study: Study) -> str:
    """A job of the study that waits."""
    researcher = study.accounts.user("zzz.researcher")
    assert researcher is not None
    order = {"study": "zzz-study", "verb": "texture", "run": "texture-1", "organisation_id": 1}
    choices = {"table": "cohort/film_table.csv", "regions": "all nine", "lungs": "found"}
    return study.jobs.order(**order, choices=choices, user_id=researcher.user_id).job_id  # type: ignore[arg-type]  # strings and a number


def _research(folder: Path) -> Path:
    """A research study with the cohort of a synthetic hospital's records, and its folder of runs."""
    from test_web_study import _evaluation  # noqa: PLC0415 - the evaluations of the pages' own tests

    with create_study(folder / "research", "research"):
        pass
    cohort = build_cohort(_records(folder / "hospital"), load_rules(None))
    out = folder / "research" / "cohort"
    write_cohort(cohort, out, store=folder / "research")
    write_flow(cohort.flow.to_dicts(), out / "flow.svg")
    runs = folder / "runs"
    runs.mkdir()
    _evaluation(runs, "evaluate-1", 40, 0.0)
    run = _evaluation(runs, "evaluate-2", 40, 0.5, model="b" * 64)
    (run / "report.html").write_text("<!doctype html><html lang='en'><title>R</title><h1>Report</h1>", "utf-8")
    return runs


def _records(folder: Path) -> CohortTables:
    """The hospital's extracts, and the headers of its films as the archive would list them; no film is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        plans: list[Any] = []
        truth = carina.synthesis.hospital.film_rows
        patch.setattr(carina.synthesis.hospital, "write_media", lambda *_, **__: None)
        patch.setattr(
            carina.synthesis.hospital, "film_rows", lambda plan, places: [plans.append(plan), truth(plan, places)][1]
        )
        carina.synthesis.hospital.write_hospital(folder, patients=60, seed=5)
    films = [
        {
            "film_id": film.sop_uid,
            "path": "film",
            "patient_id": film.person.nhi,
            "sop_instance_uid": film.sop_uid,
            "accession_number": film.accession,
            "acquired_at": film.acquired.replace(microsecond=0),
            "series_number": film.series_number,
            "instance_number": film.instance_number,
            "view_position": film.view_position or None,
            "series_description": film.series_description,
            "modality": film.modality,
            "accepted": True,
            "age_years": float(min(90, film.person.age(film.acquired.date()))),
        }
        for film in plans[0].films
        if film.truth["exclusion_expected"] != "refused"
    ]
    mapping = load_mapping(folder / "mapping.toml")
    names = ("admissions", "vitals", "reads", "microbiology")
    rows = {
        name: read_extract(folder / f"{name}.csv", name, mapping).rows.rename({"nhi": "patient_id"}) for name in names
    }
    rows["reads"] = rows["reads"].drop("sop_instance_uid")
    table = pl.DataFrame(films).with_columns(pl.col("acquired_at").cast(pl.Datetime("us")))
    return CohortTables(films=table.lazy(), **{name: each.lazy() for name, each in rows.items()})
