"""`carina init` and `carina ingest` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carina.cli.main import app
from carina.errors import ArchiveError, InputError
from carina.imaging.phantom import phantom_dicom, phantom_film

pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    phantom_dicom(phantom_film(1, size=256), patient="ZZZ00AX").save_as(folder / "a.dcm", enforce_file_format=True)
    (folder / "b.dcm").write_bytes(b"no film")
    return folder


def _run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_init_and_ingest_make_a_study_with_its_films(tmp_path: Path, films: Path) -> None:
    status, said = _run("init", tmp_path / "study", "--kind", "service")
    assert status == 0
    assert said.startswith("service study ")
    status, said = _run("ingest", tmp_path / "study", films)
    assert status == 3
    assert "2 files: 1 accepted, 1 unreadable" in said
    assert "b.dcm: unreadable: the file is neither DICOM nor a picture" in said
    assert "Refusals: 1 not_a_picture" in said


def test_json_gives_the_same_counts(tmp_path: Path, films: Path) -> None:
    _run("init", tmp_path / "study", "--kind", "service")
    status, said = _run("ingest", tmp_path / "study", films, "--json")
    values = json.loads(said)
    assert status == 3
    assert (values["sources"], values["accepted"], values["unreadable"]) == (2, 1, 1)
    assert values["films_per_second"] > 0
    assert values["refusals"][0]["code"] == "not_a_picture"


def test_init_says_where_the_key_lies(tmp_path: Path) -> None:
    status, said = _run("init", tmp_path / "study", "--kind", "research", "--keys", tmp_path / "safe")
    assert status == 0
    assert str(tmp_path / "safe") in said
    assert (tmp_path / "safe" / "study.key").is_file()


def test_ingest_from_a_research_study_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _run("init", tmp_path / name, "--kind", "research")
    with pytest.raises(ArchiveError, match="needs a service study"):
        _run("ingest", tmp_path / "one", "--from", tmp_path / "two")


def test_ingest_of_nothing_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be named"):
        _run("ingest", tmp_path)
