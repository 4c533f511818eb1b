"""From a synthetic hospital to a cohort, on both databases: every answer as the hospital's truth has it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.synthesis import write_hospital

pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_hospital", ROOT / "scripts/check_hospital.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hospital") / "hospital"
    write_hospital(out, patients=16, seed=3, size=256, workers=2)
    return out


def _study(hospital: Path, folder: Path, archive: str | None) -> None:
    """Type the commands of a hospital team; 3 says that bad rows and broken films were listed."""
    runner = CliRunner()

    def run(*words: object, status: tuple[int, ...] = (0,)) -> None:
        result = runner.invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code in status, result.output

    run("init", folder, "--kind", "research", *(["--archive", archive] if archive else []))
    run("ingest", folder, hospital / "films", "--workers", 2, status=(3,))
    tables = ("admissions", "vitals", "reads", "microbiology")
    extracts = [word for name in tables for word in (f"--{name}", hospital / f"{name}.csv")]
    run("records", folder, *extracts, "--mapping", hospital / "mapping.toml", status=(3,))
    run("cohort", folder)


def _compare(checker: ModuleType, hospital: Path, folder: Path) -> pl.DataFrame:
    found, names = checker.study_rows(folder, folder / "cohort")
    wrong: pl.DataFrame = checker.differences(checker.truth_rows(hospital, names), found)
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_cohort_is_what_the_method_gives(
    database: str, hospital: Path, checker: ModuleType, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None if database == "sqlite" else str(request.getfixturevalue("postgres_url"))
    _study(hospital, tmp_path / "study", url)
    wrong = _compare(checker, hospital, tmp_path / "study")
    assert wrong.select("column", "expected", "found", "place").rows() == []
