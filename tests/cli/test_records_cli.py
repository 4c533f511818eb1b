"""`carina records` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from carina.archive import create_study
from carina.cli.main import app
from carina.errors import ArchiveError, InputError, RecordsError

ADMISSIONS = """\
nhi,event_id,admitted_at,discharged_at,sex,birth_date,ethnicity,codes,reason,surname
ZZZ0016,E1,2020-03-01T10:00,2020-03-05T10:00,F,1950-04-03,21,J18.9,cough,Testcase
ZZZ0017,E2,2020-03-01T10:00,2020-03-05T10:00,F,1950-04-03,21,J18.9,cough,Testcase
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    create_study(folder, "research").close()
    return folder


@pytest.fixture
def admissions(tmp_path: Path) -> Path:
    file = tmp_path / "ipm.csv"
    file.write_text(ADMISSIONS)
    return file


def test_records_are_loaded_and_what_is_rejected_is_listed(study: Path, admissions: Path) -> None:
    result = CliRunner().invoke(app, ["records", str(study), "--admissions", str(admissions)])
    assert result.exit_code == 3, result.output
    assert "admissions: 1 rows taken, 1 rejected" in result.stdout
    listed = pl.read_csv(study / "rejected_records.csv")
    assert listed.select("table", "file", "line", "column").rows() == [("admissions", "ipm.csv", 3, "nhi")]
    assert (study / "rejected_records.csv").stat().st_mode & 0o077 == 0


def test_nothing_in_the_study_names_the_patient(study: Path, admissions: Path) -> None:
    CliRunner().invoke(app, ["records", str(study), "--admissions", str(admissions)])
    for file in (path for path in study.rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert b"ZZZ001" not in content
        assert b"Testcase" not in content
    (stored,) = study.glob("store/records/admissions/*.parquet")
    assert "nhi" not in pl.read_parquet(stored).columns


def test_the_summary_may_be_json(study: Path, admissions: Path, tmp_path: Path) -> None:
    arguments = [
        "records",
        str(study),
        "--admissions",
        str(admissions),
        "--rejected",
        str(tmp_path / "r.csv"),
        "--json",
    ]
    result = CliRunner().invoke(app, arguments)
    summary = json.loads(result.stdout)
    assert summary["extracts"]["admissions"]["rows"] == 1
    assert summary["extracts"]["admissions"]["rejected"] == 1
    assert summary["link"]["tables"]["admissions"]["rows"] == 1
    assert (tmp_path / "r.csv").is_file()


def test_fhir_and_an_extract_of_one_table_are_refused(study: Path, admissions: Path, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"resourceType": "Patient", "id": "p"}))
    arguments = ["records", str(study), "--admissions", str(admissions), "--fhir", str(tmp_path / "p.json")]
    assert isinstance(CliRunner().invoke(app, arguments).exception, InputError)


def test_a_service_study_is_refused(tmp_path: Path, admissions: Path) -> None:
    create_study(tmp_path / "service", "service").close()
    result = CliRunner().invoke(app, ["records", str(tmp_path / "service"), "--admissions", str(admissions)])
    assert isinstance(result.exception, ArchiveError)


def test_extracts_must_be_named(study: Path) -> None:
    assert isinstance(CliRunner().invoke(app, ["records", str(study)]).exception, InputError)


def test_a_missing_extract_changes_nothing(study: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["records", str(study), "--admissions", str(tmp_path / "none.csv")])
    assert isinstance(result.exception, RecordsError)
    assert not (study / "rejected_records.csv").exists()


def test_a_mapping_is_proposed_and_written(admissions: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["records", "suggest-mapping", str(admissions), "--out", str(tmp_path / "map.toml")]
    )
    assert result.exit_code == 0
    assert "[admissions.columns]" in (tmp_path / "map.toml").read_text()


def test_a_proposal_may_be_json(admissions: Path) -> None:
    result = CliRunner().invoke(app, ["records", "suggest-mapping", "--admissions", str(admissions), "--json"])
    guesses = json.loads(result.stdout)["guesses"]
    assert {"table", "column", "sources", "confidence", "reason"} <= set(guesses[0])


def test_the_help_of_the_verb_is_that_of_loading() -> None:
    result = CliRunner().invoke(app, ["records", "--help"])
    assert "--microbiology" in result.stdout
    assert "suggest-mapping" in result.stdout
    assert "Example: carina records " in (typer.main.get_command(app).commands["records"].help or "")
