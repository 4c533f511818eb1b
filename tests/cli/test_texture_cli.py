"""`carina texture` and `carina texture-stability` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.errors import CarinaError, InputError, TextureError
from carina.imaging.phantom import phantom_film

pytest.importorskip("numba", reason="texture needs the extra 'texture'")

FAST = "wavelets = false\nsigmas = []\nlbp = false\nscales = []\n"


@pytest.fixture
def films(tmp_path: Path, make_film: Callable[..., Path]) -> Path:
    """Table of ten phantom films, with settings beside it that measure the film alone."""
    lines = ["image_id,path,label,patient_id,source"]
    for number in range(10):
        pixels = phantom_film(number, label="normal", size=128).pixels
        make_film(tmp_path / f"{number}.png", (pixels * 255).round().astype("uint8"))
        lines.append(f"{number},{number}.png,normal,ZZZ{number},{'south' if number % 2 else 'north'}")
    (tmp_path / "films.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "fast.toml").write_text(FAST, "utf-8")
    return tmp_path


def _run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_features_then_maps_then_stability(films: Path) -> None:
    table, out = str(films / "films.csv"), films / "features.parquet"
    more = ("--settings", str(films / "fast.toml"), "--regions", "lungs")
    said = json.loads(_run("texture", table, "--out", str(out), *more, "--maps", "glcm_Contrast", "--json"))
    assert (said["films"], said["statuses"]) == (10, {"measured": 10})
    frame = pl.read_parquet(out)
    assert frame.height == 10
    drawn = np.load(films / "maps" / "3.npz")["glcm_Contrast"]
    assert drawn.shape == cv2.imread(str(films / "maps" / "3.glcm_Contrast.png")).shape[:2]
    assert np.isfinite(drawn).any()
    marks = films / "stability.parquet"
    words = ("texture-stability", table, "--features", str(out), "--films", "10", "--out", str(marks))
    assert "not estimable" in _run(*words)
    found = pl.read_parquet(marks)
    assert set(found["feature"]) <= set(frame.columns)
    assert found["keep"].dtype == pl.Boolean
    assert found["icc_noise"].is_between(-1, 1).all()


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("texture", "absent.png", "--out", "f.parquet"), InputError, "absent.png"),
        (("texture", "films.csv", "--out", "f.parquet", "--regions", "liver"), TextureError, "liver"),
        (("texture", "films.csv", "--out", "f.csv"), CarinaError, ".parquet"),
        (("texture-stability", "films.csv", "--out", "s.parquet", "--least-icc", "2"), InputError, "least_icc"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(
    films: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], error: type[CarinaError], said: str
) -> None:
    monkeypatch.chdir(films)
    with pytest.raises(error, match=said):
        CliRunner().invoke(app, list(words), catch_exceptions=False)
