"""`carina explain` from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.errors import CarinaError, MissingExtraError, TableError

pytest.importorskip("onnx", reason="explain needs the extra 'train'")
pytest.importorskip("matplotlib", reason="explain needs the extra 'study'")


@pytest.fixture
def films(tmp_path: Path, make_film: Callable[..., Path]) -> Path:
    """Table of six films, four of them with lung masks."""
    mask = np.zeros((64, 64), np.uint8)
    mask[12:52, 8:28] = mask[12:52, 36:56] = 255
    assert cv2.imwrite(str(tmp_path / "mask.png"), mask)
    lines = ["image_id,path,label,patient_id,source,lung_mask"]
    for number, label in enumerate(("normal", "bacterial", "viral", "covid19", "pneumonia", "normal")):
        make_film(tmp_path / f"{number}.png", seed=number, shape=(64, 64))
        lines.append(f"{number},{number}.png,{label},p{number},here,{'mask.png' if number < 4 else ''}")
    (tmp_path / "films.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "boxes.csv").write_text("image_id,x,y,w,h\n1,10,10,20,20\n", "utf-8")
    return tmp_path


def _run(*words: str) -> str:
    result = CliRunner().invoke(app, ["explain", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_verb_leaves_tables_figures_and_one_page(tiny_bundle: Path, films: Path) -> None:
    out = films / "out"
    words = [str(tiny_bundle), str(films / "films.csv"), "--boxes", str(films / "boxes.csv"), "--out", str(out)]
    printed = json.loads(_run(*words, "--costly-films", "2", "--json"))
    stored = json.loads((out / "explain.json").read_text("utf-8"))
    assert printed["measures"] == stored["measures"]
    assert stored["films"]["with_boxes"] == 1
    assert {path.name for path in out.iterdir()} == {
        "explain.html",
        "explain.json",
        "figures",
        "films.csv",
        "measures.csv",
    }
    names = {path.stem for path in (out / "figures").iterdir()}
    assert names == {"lungs", "boxes", "deletion_insertion", "shuffled_weights", "stability"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (out / "figures").iterdir())
    page = (out / "explain.html").read_text("utf-8")
    assert "default-src &#39;none&#39;" in page
    assert re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"", page) == []
    assert page.count('<article class="finding"') == len(stored["findings"])


def test_findings_are_told_on_the_terminal(tiny_bundle: Path, films: Path) -> None:
    told = _run(str(tiny_bundle), str(films / "films.csv"), "--out", str(films / "out"), "--costly-films", "2")
    assert told.startswith("Lungs: ")
    assert "6 films measured, " in told


@pytest.mark.parametrize(
    ("table", "boxes", "sentence"),
    [
        ("", None, "a film table must have rows"),
        ("path,label,patient_id\n", None, "a film table must have rows"),
        (None, "image_id,x,y,w,h\n", "a table of boxes must have boxes"),
        (None, "image_id,x,y,w,h\n1,10,10,-20,20\n", "the one in row 1 has"),
        (None, "image_id,x,y,w,h\n1,60,10,20,20\n", "the one in row 1 .* leaves its film"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(
    tiny_bundle: Path, films: Path, table: str | None, boxes: str | None, sentence: str
) -> None:
    if table is not None:
        (films / "films.csv").write_text(table, "utf-8")
    if boxes is not None:
        (films / "boxes.csv").write_text(boxes, "utf-8")
    words = [
        str(tiny_bundle),
        str(films / "films.csv"),
        "--boxes",
        str(films / "boxes.csv"),
        "--out",
        str(films / "out"),
    ]
    with pytest.raises(TableError, match=sentence):
        CliRunner().invoke(app, ["explain", *words], catch_exceptions=False)
    assert not (films / "out").exists()


def test_a_missing_extra_is_named(tiny_bundle: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carina.cli.extras.find_spec", lambda _: None)
    words = ["explain", str(tiny_bundle), str(films / "films.csv"), "--out", str(films / "out")]
    with pytest.raises(MissingExtraError, match=r"`carina explain` needs the extra 'study'"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_results_that_cannot_be_written_are_told(tiny_bundle: Path, films: Path) -> None:
    (films / "out").write_text("a file", "utf-8")
    words = ["explain", str(tiny_bundle), str(films / "films.csv"), "--out", str(films / "out"), "--costly-films", "1"]
    with pytest.raises(CarinaError, match="must go to a folder that can be written"):
        CliRunner().invoke(app, words, catch_exceptions=False)
