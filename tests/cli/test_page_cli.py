"""`carina page` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from carina.cli.main import app
from carina.errors import TableError


def test_verb_writes_the_page_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text(json.dumps({"file": "a.png", "decision": "normal"}) + "\n")
    result = CliRunner().invoke(app, ["page", str(tmp_path), "--out", str(tmp_path / "films.html")])
    assert result.exit_code == 0
    assert str(tmp_path / "films.html") in result.stdout
    assert "<article" in (tmp_path / "films.html").read_text()


def test_limit_is_said(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text((json.dumps({"file": "a.png", "decision": "normal"}) + "\n") * 3)
    result = CliRunner().invoke(app, ["page", str(tmp_path), "--most", "2"])
    assert "2 of 3" in result.stdout


def test_folder_without_readings_is_a_deliberate_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["page", str(tmp_path)])
    assert isinstance(result.exception, TableError)
