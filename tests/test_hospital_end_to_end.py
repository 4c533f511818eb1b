"""From a synthetic hospital to a cohort: every answer as the hospital's truth has it."""

from __future__ import annotations

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from typer.testing import CliRunner

import carina.synthesis.hospital
from carina.cli import app
from carina.cohort import CohortTables, build_cohort, load_rules
from carina.deidentify import Policy, Pseudonymiser, pseudonymise_records
from carina.records import load_mapping, read_extract
from carina.synthesis import write_hospital

pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")

ROOT = Path(__file__).resolve().parents[1]
EXTRACTS = ("admissions", "vitals", "reads", "microbiology")
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_hospital", ROOT / "scripts/check_hospital.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- Records alone: as many patients as it takes, films as rows ------------------------------------------------------


@dataclass(frozen=True)
class Ward:
    """A hospital without the films' files: its folder, and the films' headers as the archive would list them."""

    folder: Path
    films: pl.DataFrame

    def extracts(self) -> dict[str, pl.DataFrame]:
        mapping = load_mapping(self.folder / "mapping.toml")
        return {name: read_extract(self.folder / f"{name}.csv", name, mapping).rows for name in EXTRACTS}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    folder = tmp_path_factory.mktemp("ward") / "hospital"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carina.synthesis.hospital, "write_media", lambda *_, **__: None)
        plans = []
        truth = carina.synthesis.hospital.film_rows
        patch.setattr(
            carina.synthesis.hospital, "film_rows", lambda plan, places: [plans.append(plan), truth(plan, places)][1]
        )
        write_hospital(folder, patients=400, seed=5)
    names = Pseudonymiser(KEY)
    films = [
        {
            "film_id": film.sop_uid,
            "path": "film",
            "patient_id": film.person.nhi,
            "sop_instance_uid": names.uid(film.sop_uid),
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
    return Ward(folder, pl.DataFrame(films).with_columns(pl.col("acquired_at").cast(pl.Datetime("us"))))


def _differences(
    checker: ModuleType, ward: Ward, films: pl.DataFrame, tables: dict[str, pl.DataFrame], rules: Path | None
) -> pl.DataFrame:
    made = build_cohort(
        CohortTables(films=films.lazy(), **{name: rows.lazy() for name, rows in tables.items()}), load_rules(rules)
    )
    found = checker.joined_rows(
        films.select("film_id", uid="sop_instance_uid"), made.labels.lazy().collect(), made.film_table.lazy().collect()
    )
    wrong: pl.DataFrame = checker.differences(checker.truth_rows(ward.folder, Pseudonymiser(KEY)), found)
    return wrong


def _pseudonymous(ward: Ward) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    names = Pseudonymiser(KEY)
    tables = {name: pseudonymise_records(name, rows, names, Policy())[0] for name, rows in ward.extracts().items()}
    shifts = pl.Series([names.shift(nhi) for nhi in ward.films["patient_id"]], dtype=pl.Duration("us"))
    films = ward.films.with_columns(
        pl.col("acquired_at") + shifts,
        pl.Series("patient_id", [names.patient(nhi) for nhi in ward.films["patient_id"]]),
        pl.Series("accession_number", [names.accession(text) for text in ward.films["accession_number"]]),
    )
    return films, tables


def test_identified_records_give_every_answer_of_the_method(ward: Ward, checker: ModuleType, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[aetiology]\ndates = "true"\n', "utf-8")
    tables = {name: rows.rename({"nhi": "patient_id"}) for name, rows in ward.extracts().items()}
    # UIDs of the reads are the hospital's, and none is given.
    tables["reads"] = tables["reads"].drop("sop_instance_uid")
    wrong = _differences(checker, ward, ward.films, tables, rules)
    # Ages above 90 are only made 90 where identifiers are removed.
    wrong = wrong.filter((pl.col("column") != "age") | (pl.col("expected") != "90"))
    assert wrong.select("column", "expected", "found", "reading").rows() == []


def test_pseudonyms_and_shifted_dates_change_no_label(ward: Ward, checker: ModuleType) -> None:
    films, tables = _pseudonymous(ward)
    assert (films["acquired_at"] < dt.datetime(2021, 1, 1)).all()  # noqa: DTZ001 - naive as all moments of the tables
    wrong = _differences(checker, ward, films, tables, None)
    # Whole weeks may move a leap day in or out: a birthday can then fall on the other side of the film.
    birthday = (pl.col("column") == "age") & (
        (pl.col("expected").cast(pl.Int64, strict=False) - pl.col("found").cast(pl.Int64, strict=False)).abs() == 1
    )
    assert wrong.filter(birthday).height <= 0.005 * films.height
    wrong = wrong.filter(~birthday)
    assert wrong.select("column", "expected", "found", "reading").rows() == []


def test_pneumonia_before_covid19_stays_a_negative_of_the_contrast(ward: Ward, checker: ModuleType) -> None:
    wrong = _differences(checker, ward, *_pseudonymous(ward), None)
    assert wrong.filter(pl.col("column") == "covid_contrast").height == 0


def test_people_over_89_stay_90_or_more(ward: Ward, checker: ModuleType) -> None:
    wrong = _differences(checker, ward, *_pseudonymous(ward), None)
    assert wrong.filter((pl.col("column") == "age") & (pl.col("expected") == "90")).height == 0


# --- The whole way, by the commands of a hospital team ---------------------------------------------------------------


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hospital") / "hospital"
    write_hospital(out, patients=16, seed=3, workers=2)
    return out


def _study(hospital: Path, folder: Path, archive: str | None) -> None:
    """Type the commands; 3 says that bad rows and broken films were listed."""
    runner = CliRunner()

    def run(*words: object, status: int = 0) -> None:
        result = runner.invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == status, result.output

    run("init", folder, "--kind", "research", *(["--archive", archive] if archive else []))
    run("ingest", folder, hospital / "films", "--workers", 2, status=3)
    extracts = [word for name in EXTRACTS for word in (f"--{name}", hospital / f"{name}.csv")]
    run("records", folder, *extracts, "--mapping", hospital / "mapping.toml", status=3)
    run("cohort", folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_study_is_labelled_as_the_method_says(
    database: str, hospital: Path, checker: ModuleType, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None if database == "sqlite" else str(request.getfixturevalue("postgres_url"))
    folder = tmp_path / "study"
    _study(hospital, folder, url)
    found, names = checker.study_rows(folder, folder / "cohort")
    wrong = checker.differences(checker.truth_rows(hospital, names), found)
    assert wrong.select("column", "expected", "found", "place").rows() == []
