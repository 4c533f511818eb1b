"""`carina evaluate` from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.errors import CarinaError, InputError, SettingsError, TableError
from carina.tasks import default_task

_CLASSES = default_task().classes


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Table of 48 films of 24 patients in two sources, and no film files."""
    lines = ["image_id,path,label,patient_id,source,sex,age,film_order"]
    for number in range(48):
        label = _CLASSES[(number // 2) % 4]
        source, sex = ("east", "west")[number // 24], "FM"[(number // 8) % 2]
        lines.append(f"f{number},f{number}.png,{label},p{number // 2},{source},{sex},{30 + number},{number % 2}")
    path = tmp_path / "films.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture
def predictions(table: Path) -> Path:
    """Predictions of these films, right but for every fifth."""
    path = table.parent / "theirs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", *(f"probabilities.{name}" for name in _CLASSES)])
        for number in range(48):
            kind = (number // 2 + (number % 5 == 0)) % 4
            writer.writerow([f"f{number}", *(0.7 if place == kind else 0.1 for place in range(4))])
    return path


def _run(*words: object) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, words), "--repeats", "100"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_predictions_of_any_system_are_evaluated(table: Path, predictions: Path) -> None:
    out = table.parent / "out"
    printed = json.loads(_run(predictions, table, "--out", out, "--json"))
    stored = json.loads((out / "metrics.json").read_text("utf-8"))
    assert printed == stored
    assert stored["schema"] == 1
    assert stored["model"] is None
    assert stored["films"]["judged"] == 48
    assert stored["table"]["patients"] == 24
    with (out / "numbers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [one["id"] for one in stored["numbers"]]
    films = pl.read_parquet(out / "films.parquet")
    assert films.height == 48
    assert films["decision"].null_count() == 0
    assert (out / "gallery" / "films.csv").is_file()
    # without the model there is no audit, and what needs it is withheld
    covid = [one for one in stored["numbers"] if one["contrast"] == "covid19_given_pneumonia"]
    assert {one["value"] for one in covid} == {None}


def test_model_is_judged_on_films_it_did_not_learn_from(
    make_bundle: Callable[..., Path], tmp_path: Path, make_film: Callable[..., Path]
) -> None:
    tiny_bundle = make_bundle(tmp_path / "bundle", training={"seed": 1})
    lines = ["image_id,path,label,patient_id,source,split"]
    for number in range(16):
        make_film(tmp_path / f"{number}.png", seed=number, shape=(64, 64))
        split = "train" if number >= 12 else "test"
        lines.append(f"{number},{number}.png,{_CLASSES[number % 4]},p{number},{'ab'[(number // 4) % 2]},{split}")
    path = tmp_path / "films.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    out = tmp_path / "out"
    _run(tiny_bundle, path, "--out", out, "--no-audit", "--no-gate")
    stored = json.loads((out / "metrics.json").read_text("utf-8"))
    assert stored["films"]["left_out"] == {"in split 'train' of the table": 4}
    assert stored["films"]["judged"] == 12
    assert stored["model"]["path"] == str(tiny_bundle)
    opened = [json.loads(line) for line in (out / "test_openings.jsonl").read_text("utf-8").splitlines()]
    assert [one["films"] for one in opened] == [12]
    assert stored["thresholds"]["pneumonia"]["origin"] == "set on the model's calibration films"


def test_terminal_shows_headlines_with_their_verdict(table: Path, predictions: Path) -> None:
    text = _run(predictions, table, "--out", table.parent / "out")
    lines = [line for line in text.splitlines() if line.startswith("pneumonia ")]
    assert any("auc" in line and "no audit" in line for line in lines)
    assert any("withheld: no shortcut audit" in line for line in text.splitlines())


@pytest.mark.parametrize(
    ("words", "sort", "sentence"),
    [
        (["--split", "never"], TableError, "a split must be one of"),
        (["--threshold", "flu=0.5"], SettingsError, "thresholds are of the task's contrasts"),
        (["--interval", "wald"], SettingsError, "clopper-pearson or wilson"),
        (["--prevalence", "normal=0.5"], SettingsError, "gives each of"),
        (["--robustness"], SettingsError, "needs the model itself"),
        (["--readers", "absent.csv"], TableError, "readable CSV"),
        (["--cross-validate", "3"], SettingsError, "--recipe"),
    ],
)
def test_wrong_option_is_a_sentence(
    words: list[str], sort: type[CarinaError], sentence: str, table: Path, predictions: Path
) -> None:
    command = ["evaluate", str(predictions), str(table), "--out", str(table.parent / "out"), *words]
    with pytest.raises(sort, match=sentence):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_films_that_no_model_could_judge_are_a_sentence(tiny_bundle: Path, table: Path) -> None:
    for number in range(48):
        (table.parent / f"f{number}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of 48 could"):
        CliRunner().invoke(
            app, ["evaluate", str(tiny_bundle), str(table), "--out", str(table.parent / "out")], catch_exceptions=False
        )
