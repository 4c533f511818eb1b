"""`carina cohort` and `carina sample-size` on the command line."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from carina.cli.main import app
from carina.cohort import load_rules
from carina.errors import CarinaError, CohortError, InputError

pytest.importorskip("sqlalchemy", reason="a study needs the extra 'study'")
from carina.archive import FilmRecord, LedgerEntry, create_study, open_study

START = datetime(2021, 3, 1)  # noqa: DTZ001 - canonical tables hold naive local times


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _refused(*arguments: str) -> CarinaError:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, CarinaError)
    return result.exception


def _admissions(codes: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient_id": [f"P{number}" for number in range(6)],
            "event_id": [f"E{number}" for number in range(6)],
            "admitted_at": [START] * 6,
            "discharged_at": [START + timedelta(days=9)] * 6,
            "sex": ["F"] * 6,
            "birth_date": [date(1950, 1, 1)] * 6,
            "ethnicity": ["Asian"] * 6,
            "codes": [codes, *([["J18.9"]] * 5)],
            "reason": ["?pneumonia"] * 6,
        }
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    with create_study(folder, "research") as made:
        run = made.archive.begin_run("test")
        for number in range(6):
            stored = made.store.put(f"film {number}".encode())
            record = FilmRecord(
                film_id=stored.sha256,
                path=stored.path,
                rows=8,
                columns=8,
                pixels_sha256=f"{number:064x}",
                patient_id=f"P{number}",
                sop_instance_uid=f"2.25.{number}",
                accession_number=f"A{number}",
                acquired_at=START + timedelta(hours=number),
                modality="DX",
                view_position="PA",
            )
            made.archive.admit(record, LedgerEntry(f"{number:064x}", "accepted", film_id=stored.sha256), run)
        made.archive.end_run(run)
        made.archive.put_records("admissions", _admissions(["I50.0"]), {})
        reads = pl.DataFrame(
            {
                "patient_id": [f"P{number}" for number in range(6)],
                "accession_number": [f"A{number}" for number in range(6)],
                "finding": ["pneumonia"] * 6,
            }
        )
        made.archive.put_records("reads", reads, {})
    return folder


def test_a_study_becomes_a_cohort_and_a_corrected_code_is_logged(study: Path) -> None:
    assert "labels: 6 new, 0 changed" in _run("cohort", str(study), "--seed", "3")
    names = {path.name for path in (study / "cohort").iterdir()}
    assert names == {
        *("film_table.parquet", "film_table.csv", "labels.parquet", "flow.csv", "flow.svg"),
        *("exclusions.csv", "coverage.csv", "cohort.json"),
    }
    table = pl.read_csv(study / "cohort" / "film_table.csv")
    assert all((study / "cohort" / path).is_file() for path in table["path"].to_list())
    assert "labels: 0 new, 0 changed" in _run("cohort", str(study), "--seed", "3")
    with open_study(study, "research") as opened:
        opened.archive.put_records("admissions", _admissions(["J18.9"]), {})
    assert "labels: 0 new, 1 changed" in _run("cohort", str(study), "--seed", "3")
    with open_study(study, "research") as opened:
        change = opened.archive.label_changes().to_dicts()[-1]
    assert (json.loads(change["old"])["label"], json.loads(change["new"])["label"]) == ("normal", "pneumonia")
    assert "admissions version 2" in change["reason"]


def test_json_is_the_record_of_the_cohort(study: Path, tmp_path: Path) -> None:
    printed = json.loads(_run("cohort", str(study), "--out", str(tmp_path / "c"), "--json"))
    assert printed == json.loads((tmp_path / "c" / "cohort.json").read_text())
    assert printed["inputs"]["records"]["reads"]["version"] == 1


def test_what_if_prints_every_rule_and_needs_no_study() -> None:
    assert _run("cohort", "--what-if").splitlines() == list(load_rules().sentences())


def test_an_unknown_rule_writes_nothing(study: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[gold]\nequivocals = 'skip'\n")
    error = _refused("cohort", str(study), "--rules", str(rules))
    assert isinstance(error, CohortError)
    assert "'gold.equivocals'" in str(error)
    assert not (study / "cohort").exists()


def test_a_study_without_films_or_records_is_refused(tmp_path: Path) -> None:
    create_study(tmp_path / "empty", "research").close()
    assert "run `carina ingest` first" in str(_refused("cohort", str(tmp_path / "empty")))
    assert "name its folder" in str(_refused("cohort"))


def test_a_service_study_is_refused(tmp_path: Path) -> None:
    create_study(tmp_path / "desk", "service").close()
    assert "research" in str(_refused("cohort", str(tmp_path / "desk")))


def test_sample_size_says_films_patients_and_months() -> None:
    arguments = ["--width", "0.1", "--patients-per-month", "100", "--confirmed", "0.5"]
    both = ["--contrast", "a,0.9,0.9,0.5", "--contrast", "b,0.95,0.95,0.5"]
    printed = _run("sample-size", *arguments, *both)
    # 241 calls at 0.9 and 98.75 % (R, as in the tests of sample_size); half of the films are called.
    assert "a: 482 pneumonia films" in printed
    assert "964 eligible patients in all, 9.7 months of records" in printed
    values = json.loads(_run("sample-size", *arguments, *both, "--above", "0.8", "--json"))
    assert (values["films"]["a"], set(values["calls_for_power"])) == (482, {"a.ppv", "a.npv", "b.ppv", "b.npv"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--contrast", "covid,0.9"], "NAME,SENSITIVITY,SPECIFICITY,PREVALENCE"),
        (["--contrast", "covid,0.9,1.2,0.3"], "specificity must be within"),
        (["--method", "wald"], "clopper-pearson or wilson"),
        (["--above", "0.99"], "must exceed"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(arguments: list[str], said: str) -> None:
    error = _refused("sample-size", "--width", "0.1", "--patients-per-month", "90", *arguments)
    assert isinstance(error, InputError)
    assert said in str(error)
