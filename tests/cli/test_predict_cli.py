"""`carina predict` as a person or a script meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Importing torch, or what only training and tables need, ends the process.
_BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "lightning", "monai", "kornia", "sklearn", "polars", "scipy", "matplotlib"}:
            raise SystemExit(f"imported {name}")
sys.meta_path.insert(0, Blocker())
from carina.cli import main
if __name__ == "__main__":
    main()
"""


def _carina(
    *arguments: str | Path, code: str = "from carina.cli import main; main()"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - this interpreter


@pytest.fixture
def films(make_film: Callable[..., Path], tmp_path: Path) -> Path:
    for seed in range(3):
        make_film(tmp_path / "films" / f"{seed}.png", seed=seed)
    return tmp_path / "films"


def test_predicting_imports_neither_torch_nor_what_only_training_needs(
    films: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    done = _carina("predict", films, "--out", tmp_path / "out", "--model", tiny_bundle, "--no-gate", code=_BLOCKER)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "films: 3 of 3")


def test_all_films_judged_is_status_0_and_json_counts_them(films: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    done = _carina("predict", films, "--out", tmp_path / "out", "--model", tiny_bundle, "--no-gate", "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 0
    assert [summary[key] for key in ("films", "judged", "refused", "unread", "kept")] == [3, 3, 0, 0, 0]


def test_some_refused_is_status_3_with_the_reason(films: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    (films / "bad.png").write_bytes(b"")
    done = _carina("predict", films, "--out", tmp_path / "out", "--model", tiny_bundle, "--no-gate")
    assert done.returncode == 3
    assert "bad.png: not judged: the file is empty" in done.stdout
    assert "4 films: 3 judged, 0 refused, 1 unreadable" in done.stdout


def test_both_class_mixes_are_printed(films: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    arguments = ("--out", tmp_path / "out", "--model", tiny_bundle, "--no-gate", "--prevalence", "covid19=0.05")
    done = _carina("predict", films / "0.png", *arguments)
    assert "at the prevalence asked for:" in done.stdout
    assert "class mix of the calibration films: normal 0.40, bacterial 0.30, viral 0.20, covid19 0.10" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("no-such-film.png",), "films are named by existing files"),
        ((".", "--model", "lungs"), "a model is a bundle's folder or zip"),
        ((".", "--prevalence", "x"), "a prevalence is written"),
        ((".", "--settings", "none.toml"), "a settings file must be readable TOML"),
    ],
)
def test_wrong_usage_is_status_2_and_one_sentence(
    films: Path, tmp_path: Path, tiny_bundle: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    first = str(films) if arguments[0] == "." else arguments[0]
    model = () if "--model" in arguments else ("--model", tiny_bundle)
    done = _carina("predict", first, "--out", tmp_path / "out", *model, *arguments[1:])
    assert done.returncode == 2
    assert done.stderr.startswith(f"carina: {sentence}")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_keeps_the_finished_films_and_a_second_run_goes_on(
    make_film: Callable[..., Path], tmp_path: Path, tiny_bundle: Path
) -> None:
    film = make_film(tmp_path / "film.png", shape=(1200, 1200))
    folder, out = tmp_path / "films", tmp_path / "out"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.png").symlink_to(film)
    arguments = ("predict", folder, "--out", out, "--model", tiny_bundle, "--no-gate", "--workers", "2")
    command = [sys.executable, "-c", "from carina.cli import main; main()", *map(str, arguments)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603 - this interpreter
    lines = out / "predictions.jsonl"
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    # As a terminal does: to every process of the group.
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.splitlines()[-1].startswith("carina: interrupted; finished films are kept")
    assert "Traceback" not in errors
    kept = len(lines.read_text().splitlines())
    assert 0 < kept < 30
    done = _carina(*arguments, "--json")
    assert json.loads(done.stdout)["kept"] == kept
    assert len(lines.read_text().splitlines()) == 30


def test_help_names_every_option_and_an_example() -> None:
    done = _carina("predict", "--help")
    assert done.returncode == 0
    assert "Example: carina predict film.dcm folder/ --out predictions" in done.stdout
    for option in ("--model", "--engine", "--workers", "--age", "--prevalence", "--no-layers", "--no-gate", "--json"):
        assert option in done.stdout


def test_no_arguments_show_the_verbs() -> None:
    done = _carina()
    assert "predict" in done.stdout + done.stderr
