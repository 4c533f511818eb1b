"""`carina report`: files, sentences, status."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.errors import InputError, MissingExtraError

sys.path.append(str(Path(__file__).parents[1] / "report"))
from evaluated_run import numbers, write_run


def _run(folder: Path) -> Path:
    few = [one for one in numbers() if one["group"] != "subgroup"]
    return write_run(folder, curves={}, numbers=few)


def test_report_writes_its_files_and_says_where(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(_run(tmp_path))])
    assert done.exit_code == 0, done.output
    assert {"report.html", "checklists.json", "MODEL_CARD.md"} <= {path.name for path in tmp_path.iterdir()}
    assert "1 supported, 1 not supported, 1 not shown" in done.output
    assert "CLAIM 2024:" in done.output
    assert "1 of 1 failures are not shown; name the films' folder with --data" in done.output


def test_report_prints_json(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(_run(tmp_path)), "--json"])
    told = json.loads(done.stdout)
    assert set(told) == {"written", "guidelines"}
    assert sum(told["guidelines"]["CLAIM 2024"].values()) == 44


def test_report_of_no_evaluation_is_a_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(done.exception, InputError)


def test_pdf_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carina.cli.extras.find_spec", lambda name: None if name == "weasyprint" else object())
    done = CliRunner().invoke(app, ["report", str(_run(tmp_path)), "--pdf"])
    assert isinstance(done.exception, MissingExtraError)
    assert "carina-cxr[report]" in str(done.exception)
