"""`carina audit` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.errors import InputError, TableError
from carina.imaging.phantom import phantom_film
from carina.inference import load_bundle

pytest.importorskip("onnx", reason="the tiny bundle is built with the extra 'train'")


@pytest.fixture
def films(tmp_path: Path, make_film: Callable[..., Path]) -> Path:
    """Table of six phantom films, one of them no picture."""
    lines = ["image_id,path,label,patient_id,source,split"]
    for number, label in enumerate(("normal", "bacterial", "viral", "covid19", "normal", "normal")):
        pixels = phantom_film(number, label=label, size=96).pixels
        make_film(tmp_path / f"{number}.png", (pixels * 255).round().astype("uint8"))
        split = "test" if number else "train"
        lines.append(f"{number},{number}.png,{label},ZZZ{number},{'south' if number % 2 else 'north'},{split}")
    (tmp_path / "5.png").write_bytes(b"no picture")
    (tmp_path / "films.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def _run(*words: str) -> str:
    result = CliRunner().invoke(app, ["audit", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_verb_leaves_json_and_csv(tiny_bundle: Path, films: Path) -> None:
    out = films / "out"
    words = [str(tiny_bundle), str(films / "films.csv"), "--out", str(out), "--split", "test", "--json"]
    printed = json.loads(_run(*words))
    assert printed == json.loads((out / "audit.json").read_text("utf-8"))
    assert {path.name for path in out.iterdir()} == {"audit.json", "audit.csv"}
    assert printed["counts"]["given"] == printed["counts"]["judged"] + printed["counts"]["refused"] == 5
    assert "5" in {one["image_id"] for one in printed["films_listed"] if one["probe"] == "refused"}
    assert {one["verdict"] for one in printed["verdicts"].values()} == {"not shown"}


def test_a_copy_of_the_bundle_says_the_verdicts_in_its_card(tiny_bundle: Path, films: Path) -> None:
    copy, again = films / "audited", films / "audited_again"
    words = [str(films / "films.csv"), "--split", "test", "--out", str(films / "out")]
    _run(str(tiny_bundle), *words, "--card", str(copy))
    card = (copy / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# Tiny\n\nFor tests.\n\n## Shortcut audit\n")
    assert "| covid19_given_pneumonia | **not shown** |" in card
    assert load_bundle(copy).model_sha256 == load_bundle(tiny_bundle).model_sha256
    _run(str(copy), *words, "--card", str(again))
    assert (again / "MODEL_CARD.md").read_text("utf-8").count("## Shortcut audit") == 1


def test_a_task_file_has_no_card(films: Path) -> None:
    task = films / "task.toml"
    task.write_text(files("carina.tasks").joinpath("pneumonia.toml").read_text("utf-8"), "utf-8")
    with pytest.raises(InputError, match="--card needs a model"):
        CliRunner().invoke(
            app,
            ["audit", str(task), str(films / "films.csv"), "--out", str(films / "o"), "--card", str(films / "c")],
            catch_exceptions=False,
        )


def test_a_task_file_asks_of_the_films_alone(films: Path) -> None:
    task = films / "task.toml"
    task.write_text(files("carina.tasks").joinpath("pneumonia.toml").read_text("utf-8"), "utf-8")
    told = _run(str(task), str(films / "films.csv"), "--out", str(films / "out"))
    assert "pneumonia: not shown\n  no model was asked: these probes describe the films" in told


def test_films_of_training_patients_alone_are_refused(
    make_bundle: Callable[..., Path], films: Path, tmp_path: Path
) -> None:
    from carina.sampling import patient_key  # noqa: PLC0415 - beside its only use

    patients = [patient_key(f"ZZZ{number}") for number in range(6)]
    bundle = make_bundle(tmp_path / "b", training={"films": {"perceptual_hashes": [], "patients": patients}})
    with pytest.raises(TableError, match="films of patients that the model was not trained on are needed"):
        _run(str(bundle), str(films / "films.csv"), "--out", str(films / "out"))
