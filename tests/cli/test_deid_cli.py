"""`carina deid`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.deidentify import Policy
from carina.deidentify.ocr import has_tesseract
from carina.errors import InputError
from carina.imaging.phantom import phantom_dicom, phantom_film

pytestmark = pytest.mark.skipif(not has_tesseract(), reason="tesseract is not installed")


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["deid", *map(str, words)], catch_exceptions=False)
    return result.exit_code, result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    ds = phantom_dicom(phantom_film(5, size=128), patient="ZZZ0016", date="20200311")
    ds.PatientName = "Testcase^Ann"
    ds.save_as(folder / "testcase.dcm", enforce_file_format=True)
    (folder / "notes.txt").write_text("no film")
    return folder


def test_what_if_prints_the_policy_and_does_nothing() -> None:
    status, told = run("--what-if")
    assert status == 0
    assert told.splitlines() == [f"- {sentence}" for sentence in Policy().sentences()]


def test_films_are_written_under_names_of_their_content_and_proved_clean(source: Path, tmp_path: Path) -> None:
    status, told = run("films", source, "--out", tmp_path / "films", "--keys", tmp_path / "keys", "--json")
    summary = json.loads(told)
    assert (status, summary["films"], len(summary["refused"])) == (3, 1, 1)
    assert "notes" not in told
    (film,) = (tmp_path / "films").iterdir()
    assert film.suffix == ".dcm"
    assert stat.S_IMODE(film.stat().st_mode) == 0o600
    before = film.read_bytes()
    run("films", source, "--out", tmp_path / "films", "--keys", tmp_path / "keys")
    assert [path.read_bytes() for path in (tmp_path / "films").iterdir()] == [before]
    status, told = run("verify", tmp_path / "films", "--keys", tmp_path / "keys", "--json")
    assert (status, json.loads(told)["leaks"]) == (0, [])


def test_a_leak_gives_exit_status_1_and_is_not_quoted(source: Path, tmp_path: Path) -> None:
    run("films", source, "--out", tmp_path / "films", "--keys", tmp_path / "keys")
    (tmp_path / "films" / "log.txt").write_text("read the film of Ann Testcase")
    (tmp_path / "films" / "ZZZ0016.txt").write_text("empty")
    status, told = run("verify", tmp_path / "films", "--keys", tmp_path / "keys", "--workers", 2)
    assert status == 1
    assert "log.txt: name of patient P" in told
    assert "nhi" in told
    assert "Testcase" not in told


def test_a_folder_that_is_no_study_needs_the_keys(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--keys"):
        run("verify", source)
    (tmp_path / "keys").mkdir()
    with pytest.raises(InputError, match="is empty"):
        run("verify", source, "--keys", tmp_path / "keys")


def test_a_study_is_verified_with_its_database(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")
    from carina.archive import create_study, open_study  # noqa: PLC0415 - where the extra is installed
    from carina.deidentify import Linkage, Removed  # noqa: PLC0415 - as above

    with create_study(tmp_path / "study", "research") as study:
        keys = study.keys
    with Linkage(keys) as linkage:
        linkage.add(Removed.of("P" + "A" * 16, [("nhi", "ZZZ0016")]))
    assert run("verify", tmp_path / "study")[0] == 0
    with open_study(tmp_path / "study") as study:
        assert study.archive.audit_log()[-1].event == "removal_verified"
        study.archive.audit("note", {"seen": "ZZZ0016"})
    status, told = run("verify", tmp_path / "study")
    assert status == 1
    assert "audit" in told
    assert source.is_dir()
