"""`carina synth hospital` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carina.cli.main import app
from carina.errors import OutputError


def test_verb_writes_a_hospital_and_says_how_gold_and_disease_agree(tmp_path: Path) -> None:
    arguments = ["synth", "hospital", "--patients", "1", "--seed", "2", "--size", "128", "--out", str(tmp_path / "h")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "kappa" in result.stdout
    assert {path.name for path in (tmp_path / "h").iterdir()} == {
        "admissions.csv",
        "films",
        "mapping.toml",
        "microbiology.csv",
        "reads.csv",
        "truth",
        "vitals.csv",
    }
    told = json.loads((tmp_path / "h/truth/hospital.json").read_text("utf-8"))
    assert told["seed"] == 2
    with pytest.raises(OutputError, match="empty"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_json_is_the_summary_of_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "h"
    result = CliRunner().invoke(
        app, ["synth", "hospital", "--patients", "1", "--size", "128", "--out", str(out), "--json"]
    )
    assert json.loads(result.stdout) == json.loads((out / "truth/hospital.json").read_text("utf-8"))


def test_a_hospital_of_nobody_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synth", "hospital", "--patients", "0", "--out", str(tmp_path / "h")])
    assert result.exit_code == 2
