"""`carina backup`, `carina restore` and `carina upgrade`: the drill of a hospital, from its terminal."""

from __future__ import annotations

import io
import json
import re
import time
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="the drill signs in by the web")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")

from fastapi.testclient import TestClient

from carina.archive import DeskResult, create_study, open_study
from carina.archive.database import downgrade, open_engine
from carina.cli import app
from carina.errors import ArchiveError
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import receive_film
from carina.settings import Settings
from carina.web import create_app, hash_password
from carina.web.credentials import one_time_code

PASSWORD = "eleven geese and a goose"  # noqa: S105 - of an invented user
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105 - RFC 6238's own example
MODEL = {"name": "tiny", "version": "1", "sha256": "f" * 64, "points": [], "classes": ("normal", "viral")}


def _run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


def _service(folder: Path) -> tuple[str, bytes]:
    """Make a study with one film, its result and a doctor's judgement; entry and file of the film."""
    made = phantom_dicom(phantom_film(1, size=128), patient="ZZZ0016")
    made.PatientName = "TEST^Drill"
    content = io.BytesIO()
    made.save_as(content)
    with create_study(folder, "service") as study:
        home = study.accounts.add_organisation("ZZZ District").organisation_id
        hashed = hash_password(PASSWORD)
        user = study.accounts.add_user("zzz.doctor", organisation_id=home, role="radiologist", password_hash=hashed)
        study.accounts.set_password(user, hashed, initial=False, by=None)
        study.accounts.set_second_factor(user, SECRET, 0)
        film, _ = receive_film(study, content.getvalue(), organisation_id=home, source="upload", settings=Settings())
        said = {
            "decision": "viral",
            "reason": "because",
            "probabilities": {"viral": 0.9},
            "model": {"name": "tiny", "version": "1", "sha256": "f" * 12},
        }
        study.desk.finish(film, DeskResult("f" * 64, said, {}, 0.1, time.time()), urgency=0.9, longest_wait=3600)
        study.desk.add_read(
            film.entry_id,
            organisation_id=home,
            user_id=user.user_id,
            blind=False,
            call="viral",
            agrees=True,
            comment="Ā",
        )
    return film.entry_id, content.getvalue()


def _token(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]*)"', page)
    assert found is not None
    return unescape(found[1])


def test_after_a_restore_a_doctor_signs_in_and_finds_film_result_and_judgement(tmp_path: Path) -> None:
    entry, film = _service(tmp_path / "service")
    told = json.loads(_run("backup", str(tmp_path / "service"), str(tmp_path / "backups"), "--json"))
    checked = _run("restore", str(tmp_path / "backups"), "--check", "--sha256", told["sha256"])
    assert checked.startswith("whole: service study")
    said = _run("restore", str(tmp_path / "backups"), str(tmp_path / "again"), "--sha256", told["sha256"])
    assert f"whole up to {told['audit_head']}" in said
    with open_study(tmp_path / "again", "service") as study:
        client = TestClient(create_app(study, Settings(), secure=False, model=MODEL), follow_redirects=False)
        page = client.get("/sign-in").text
        client.post("/sign-in", data={"form_token": _token(page), "name": "zzz.doctor", "password": PASSWORD})
        code = one_time_code(SECRET, int(time.time() // 30))
        page = client.get("/second-factor").text
        answer = client.post("/second-factor", data={"form_token": _token(page), "code": code})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        page = client.get(f"/films/{entry}").text
        assert "TEST" in page
        assert "Ā" in page
        assert "viral" in page
        assert client.get(f"/films/{entry}/film.png").headers["content-type"] == "image/png"
        kept = study.desk.film(entry, organisation_id=1, referrer_id=None)
        assert kept is not None
        assert study.store.read(kept.path) == film


def test_a_damaged_backup_is_named(tmp_path: Path) -> None:
    _service(tmp_path / "service")
    _run("backup", str(tmp_path / "service"), str(tmp_path / "backups"))
    path = next((tmp_path / "backups/files").rglob("*.dcm"))
    path.write_bytes(path.read_bytes()[:-1])
    for words in (["--check"], [str(tmp_path / "again")]):
        result = CliRunner().invoke(app, ["restore", str(tmp_path / "backups"), *words])
        assert isinstance(result.exception, ArchiveError)
        assert path.name in f"{result.output} {result.exception}"
    assert not (tmp_path / "again").exists()
    _run("restore", str(tmp_path / "backups"), str(tmp_path / "again"), "--despite-damage", status=3)


def test_a_study_that_lost_a_film_is_told_so(tmp_path: Path) -> None:
    _service(tmp_path / "service")
    next((tmp_path / "service/store").rglob("*.dcm")).unlink()
    told = json.loads(_run("backup", str(tmp_path / "service"), str(tmp_path / "backups"), "--json", status=3))
    assert len(told["missing"]) == 1


def test_upgrade_tells_what_it_did(tmp_path: Path) -> None:
    create_study(tmp_path / "service", "service").close()
    engine = open_engine("sqlite:///archive.sqlite", tmp_path / "service")
    downgrade(engine, "0008")
    engine.dispose()
    told = json.loads(_run("upgrade", str(tmp_path / "service"), "--json"))
    assert told["before"] == "0008"
    assert _run("upgrade", str(tmp_path / "service")) == f"schema {told['after']}, the newest already\n"
