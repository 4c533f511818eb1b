"""Doctors' calls at the desk, as the reader study that the evaluation reads."""

from __future__ import annotations

import io
import time
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("huey", reason="the service needs the extra 'web'")

from typer.testing import CliRunner

from carina.archive import DeskFilm, DeskResult, LedgerEntry, Study, create_study
from carina.cli.main import app
from carina.evidence.readers import read_readers
from carina.imaging import read_film
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.ingest import ingest_films
from carina.ingest.films import describe_film
from carina.service import reader_table, receive_film
from carina.settings import Settings
from carina.tasks import default_task


def _film(study: Study, seed: int, decision: str | None = None) -> DeskFilm:
    made = phantom_dicom(phantom_film(seed, size=256), patient=f"ZZZ00{16 + 8 * seed}")
    content = io.BytesIO()
    made.save_as(content)
    film, _ = receive_film(study, content.getvalue(), organisation_id=1, source="upload", settings=Settings())
    # as the worker does, so that the film may pass on to research
    record = describe_film(read_film(content.getvalue()), content.getvalue(), film.path, None, Settings().limits)
    study.archive.admit(record, LedgerEntry(film.film_id, "accepted", film_id=film.film_id), 0)
    if decision is not None:
        said = {"decision": decision, "probabilities": {"normal": 0.2, "viral": 0.8}}
        result = DeskResult("f" * 64, said, {}, 0.1, time.time())
        study.desk.finish(film, result, urgency=0.8, longest_wait=60)
    return film


@pytest.fixture
def desk(tmp_path: Path) -> Study:
    with create_study(tmp_path / "service", "service", blind_first=True) as study:
        home = study.accounts.add_organisation("ZZZ District").organisation_id
        for name in ("zzz.one", "zzz.two"):
            study.accounts.add_user(name, organisation_id=home, role="radiologist", password_hash="-")  # noqa: S106 - none
        first, second = _film(study, 1, "viral"), _film(study, 2, "viral")
        study.blind.note_opened(first, user_id=1, output=False)
        study.blind.keep_call(first, user_id=1, call="normal", confidence=0.6, comment="of TEST^PATIENT")
        study.blind.keep_call(first, user_id=2, call="viral")
        study.blind.keep_call(second, user_id=1, call="pneumonia")
        keys = {"organisation_id": home, "blind": False}
        study.desk.add_read(first.entry_id, user_id=1, agrees=True, **keys)
        study.desk.add_read(first.entry_id, user_id=2, agrees=False, call="covid19", **keys)
    return study


def test_blind_calls_are_a_reader_study_as_the_evaluation_reads_it(desk: Study, tmp_path: Path) -> None:
    out = tmp_path / "readers.csv"
    done = CliRunner().invoke(app, ["readers", str(desk.folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    found = read_readers(out, default_task())
    assert sorted(zip(found.readers, found.calls, strict=True)) == [
        ("reader 1", "normal"),
        ("reader 1", "pneumonia"),
        ("reader 2", "viral"),
    ]
    assert found.confidences[0] == 0.6
    text = out.read_text(encoding="utf-8")
    assert "TEST^PATIENT" not in text
    assert "zzz.one" not in text


def test_final_calls_are_the_last_ones_and_agreeing_is_calling_what_the_model_said(desk: Study) -> None:
    table = reader_table(desk, calls="final", names=True)
    assert table.rows.select("reader", "call", "blind_call", "agrees").rows() == [
        ("zzz.one", "viral", "normal", True),
        ("zzz.two", "covid19", "viral", False),
    ]
    assert table.without_call == 1
    row = table.rows.row(0, named=True)
    assert row["blind_at"] <= row["final_at"]
    assert row["seconds_to_blind_call"] >= 0


def test_with_a_research_study_films_have_the_names_of_its_film_table(desk: Study, tmp_path: Path) -> None:
    with create_study(tmp_path / "research", "research") as research:
        ingest_films(research, [], service=desk.folder)
        known = set(research.archive.films()["film_id"])
        table = reader_table(desk, research=research)
    assert (table.rows.height, table.elsewhere) == (3, 0)
    assert set(table.rows["image_id"]) == known
    assert not set(reader_table(desk).rows["image_id"]) & known


def test_a_service_study_is_no_research_study(desk: Study) -> None:
    with pytest.raises(Exception, match="must come from a research study"):
        reader_table(desk, research=desk)


def test_nobodys_calls_are_an_empty_table(tmp_path: Path) -> None:
    with create_study(tmp_path / "empty", "service") as study:
        assert reader_table(study).rows.height == 0
        assert isinstance(reader_table(study).rows, pl.DataFrame)
