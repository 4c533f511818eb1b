"""Equal to PyRadiomics 3.0.1: against values it gave (scripts/texture_oracle.py), and live where it can be run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from carina.texture import TextureSettings, feature_maps, features, map_names

pytest.importorskip("numba", reason="texture is measured with the extra 'texture'")

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "scripts" / "texture_oracle.py"
PICTURES: dict[str, Any] = json.loads((HERE / "oracle_pictures.json").read_text("utf-8"))
FILMS: dict[str, Any] = json.loads((HERE / "oracle_films.json").read_text("utf-8"))
RELATIVE, OF_RANGE = 1e-6, 1e-9
NAMES = {
    "distances": "distances",
    "gldm_a": "alpha",
    "symmetricalGLCM": "symmetric",
    "weightingNorm": "weighting",
    "binCount": "bin_number",
}


def _settings(options: dict[str, Any], **more: Any) -> TextureSettings:
    choices = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    return TextureSettings.pyradiomics(options.get("binWidth"), **choices, **more)


def _unequal(found: list[dict[str, float]], expected: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Features that differ by more than 1e-6 of the value and 1e-9 of their range over the set."""
    wrong = {}
    for name in expected[0]:
        ours, theirs = np.array([one[name] for one in found]), np.array([one[name] for one in expected])
        room = OF_RANGE * float(np.ptp(theirs))
        for mine, peer in zip(ours, theirs, strict=True):
            if not np.isclose(mine, peer, rtol=RELATIVE, atol=room):
                wrong[name] = (float(mine), float(peer))
    return wrong


def _plain(found: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix("original_"): value for name, value in found.items()}


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_93_features_equal_pyradiomics(name: str) -> None:
    image, mask = np.array(PICTURES[name]["image"], float), np.array(PICTURES[name]["mask"], bool)
    cases = PICTURES[name]["cases"]
    found = [_plain(features(image, mask, _settings(case["options"]))) for case in cases]
    assert all(len(each) == 93 for each in found)
    assert _unequal(found, [case["values"] for case in cases]) == {}


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_shape_equals_pyradiomics(name: str) -> None:
    mask = np.array(PICTURES[name]["mask"], bool)
    found = features(np.array(PICTURES[name]["image"]), mask, TextureSettings.pyradiomics(25.0, shape=True))
    expected = {key: value for key, value in PICTURES[name]["shape"].items() if key.startswith("shape2D")}
    assert len(expected) == 9
    assert {key: found[f"original_{key}"] for key in expected} == {
        key: pytest.approx(value, rel=RELATIVE) for key, value in expected.items()
    }


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_wavelet_pictures_equal_pyradiomics(name: str) -> None:
    image, mask = np.array(PICTURES[name]["image"], float), np.array(PICTURES[name]["mask"], bool)
    settings = TextureSettings.pyradiomics(None, bin_number=16, original=False, wavelets=True)
    found = features(image, mask, settings)
    expected = PICTURES[name]["wavelets"]
    assert {key.partition("_")[0] for key in expected} == {f"wavelet-{band}" for band in ("LL", "LH", "HL", "HH")}
    wrong = {
        key: (found[key], value) for key, value in expected.items() if not np.isclose(found[key], value, RELATIVE, 1e-8)
    }
    assert wrong == {}


def test_maps_equal_pyradiomics() -> None:
    case = PICTURES["waves"]["maps"]
    image, mask = np.array(PICTURES["waves"]["image"], float), np.array(PICTURES["waves"]["mask"], bool)
    mask &= (np.arange(mask.shape[0]) < case["rows"])[:, None]
    found = feature_maps(image, mask, map_names(), TextureSettings.pyradiomics(case["binWidth"]), radius=case["radius"])
    assert _unequal_maps(found, mask, case["values"]) == []


def _unequal_maps(found: np.ndarray, mask: np.ndarray, expected: dict[str, list[float]]) -> list[str]:
    wrong = []
    for name, drawn in zip(map_names(), found, strict=True):
        peer = np.array(expected[name], float)
        room = OF_RANGE * float(np.ptp(peer[np.isfinite(peer)]))
        mine = drawn[mask]
        if name == "glcm_JointAverage":  # the peer has NaN where one direction has no pair (docs/texture.md)
            mine = np.where(np.isnan(peer), np.nan, mine)
        if name == "glcm_MCC" and not peer.any():  # and then no MCC at all
            continue
        if not np.allclose(mine, peer, rtol=RELATIVE, atol=room, equal_nan=True):
            wrong.append(name)
    return wrong


def _film(folder: Path, image_id: str) -> tuple[np.ndarray, np.ndarray]:
    """A film and its mask as the script that wrote the values takes them: the lungs, otherwise the film's middle."""
    with (folder / "cxr" / "images.csv").open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["image_id"] == image_id)
    image = cv2.imread(str(folder / "cxr" / row["path"]), cv2.IMREAD_GRAYSCALE).astype(float)
    if row["lung_mask"]:
        return image, cv2.imread(str(folder / "cxr" / row["lung_mask"]), cv2.IMREAD_UNCHANGED) > 0
    mask = np.zeros(image.shape, bool)
    mask[image.shape[0] // 4 : 3 * image.shape[0] // 4, image.shape[1] // 4 : 3 * image.shape[1] // 4] = True
    return image, mask


def test_93_features_of_real_films_equal_pyradiomics(films_folder: Path) -> None:
    found, expected = [], []
    for image_id, cases in FILMS.items():
        image, mask = _film(films_folder, image_id)
        for case in cases:
            found.append(_plain(features(image, mask, _settings(case["options"]))))
            expected.append(case["values"])
    assert len(FILMS) == 5
    assert _unequal(found, expected) == {}


def _peer() -> str:
    """Python that can import PyRadiomics: this one, or the one named by PYRADIOMICS_PYTHON."""
    python = os.environ.get("PYRADIOMICS_PYTHON", sys.executable)
    probe = [python, "-c", "import radiomics"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:  # noqa: S603 - this Python or the one named
        pytest.skip("PyRadiomics cannot be imported; name a Python that can in PYRADIOMICS_PYTHON")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("radius", [None, 1, 3])
def test_pyradiomics_itself_agrees(tmp_path: Path, films_folder: Path, radius: int | None) -> None:
    python = _peer()
    image, mask = _film(films_folder, next(iter(FILMS)))
    if radius:
        mask &= np.add.outer(np.arange(mask.shape[0]), np.arange(mask.shape[1])) % 97 < 12
        mask[mask.shape[0] // 2 :] = False
    np.savez(tmp_path / "case.npz", image=image, mask=mask)
    options = {"binWidth": 20.0}
    command = [python, str(SCRIPT), "--case", str(tmp_path / "case.npz"), "--options", json.dumps(options)]
    command += ["--radius", str(radius)] if radius else []
    ran = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 - our own script
    live = json.loads(ran.stdout)
    if radius:
        maps = feature_maps(image, mask, map_names(), _settings(options), radius=radius)
        assert _unequal_maps(maps, mask, live) == []
    else:
        assert _unequal([_plain(features(image, mask, _settings(options)))], [live]) == {}
