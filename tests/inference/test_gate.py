"""The learned quality gate: how it decides (with a scripted network) and the gate that ships."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from carina.errors import BundleError
from carina.imaging.standardise import Standardisation
from carina.inference import gate as module
from carina.inference.gate import GateThresholds, QualityGate
from carina.types import Film, FilmHeader

_LIMITS = GateThresholds(upright=0.98, sure=0.95, state=0.6, whole=0.5, distance=3.0)
_SPEC = Standardisation(size=96, intensity="window")


class Scripted:
    """A network that knows a film's state by its dark mark: upright it lies top left, inverted it is bright."""

    def __init__(self, *, kind: tuple[float, float, float] = (9.0, 0.0, 0.0), distance: float = 1.0) -> None:
        self.kind = kind
        self.distance = distance
        self.sure = 9.0

    def run(self, _: list[str], feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        films = feed["film"][:, 0]
        state = np.zeros((len(films), 8), np.float32)
        for row, film in enumerate(films):
            half = film.shape[0] // 2
            corners = np.array([film[:half, :half], film[half:, :half], film[half:, half:], film[:half, half:]])
            means = corners.mean((1, 2))
            away = means - np.median(means)
            turns = int(np.abs(away).argmax())
            state[row, 2 * turns + int(away[turns] > 0)] = self.sure
        return [state, np.tile(np.float32(self.kind), (len(films), 1)), np.full(len(films), self.distance, np.float32)]


def _marked() -> Film:
    pixels = np.random.default_rng(0).uniform(0.45, 0.55, (120, 90)).astype(np.float32)
    pixels[:60, :45] -= np.float32(0.3)
    return Film(pixels, FilmHeader("dicom", pixel_spacing_mm=(0.1, 0.2)), "0" * 64)


@pytest.mark.parametrize(
    ("turns", "inverted", "corrected"),
    [
        (0, False, ()),
        (0, True, ("inverted",)),
        (1, False, ("rotated_90_clockwise",)),
        (1, True, ("inverted", "rotated_90_clockwise")),
        (2, False, ("rotated_180",)),
        (2, True, ("inverted", "rotated_180")),
        (3, False, ("rotated_90_counterclockwise",)),
        (3, True, ("inverted", "rotated_90_counterclockwise")),
    ],
)
def test_each_state_is_undone_and_named(turns: int, inverted: bool, corrected: tuple[str, ...]) -> None:  # noqa: FBT001 - a table's column
    right = _marked()
    pixels = np.rot90(1 - right.pixels if inverted else right.pixels, turns)
    film, quality = QualityGate(Scripted(), _SPEC, _LIMITS).check(Film(pixels, right.header, right.sha256))
    assert quality.accepted
    assert quality.corrected == corrected
    np.testing.assert_allclose(film.pixels, right.pixels, atol=1e-6)


def test_a_quarter_turn_swaps_the_pixel_spacing() -> None:
    right = _marked()
    turned = Film(np.rot90(right.pixels), right.header, right.sha256)
    film, _ = QualityGate(Scripted(), _SPEC, _LIMITS).check(turned)
    assert film.header.pixel_spacing_mm == (0.2, 0.1)


def test_an_upright_film_is_handed_back_as_it_came() -> None:
    film = _marked()
    assert QualityGate(Scripted(), _SPEC, _LIMITS).check(film)[0] is film


def test_a_network_that_is_unsure_of_the_state_refuses() -> None:
    unsure = Scripted()
    unsure.sure = 0.5
    film, quality = QualityGate(unsure, _SPEC, _LIMITS).check(_marked())
    assert not quality.accepted
    assert "which way up" in quality.reasons[0]
    assert film.pixels is not None


@pytest.mark.parametrize(
    ("kind", "words"), [((0.0, 9.0, 0.0), "cut off"), ((0.0, 0.0, 9.0), "does not look like a frontal chest film")]
)
def test_the_kind_gives_the_reason(kind: tuple[float, float, float], words: str) -> None:
    quality = QualityGate(Scripted(kind=kind), _SPEC, _LIMITS).check(_marked())[1]
    assert not quality.accepted
    assert words in quality.reasons[0]
    assert quality.corrected == ()


def test_a_film_far_from_the_fitted_ones_is_refused() -> None:
    quality = QualityGate(Scripted(distance=3.1), _SPEC, _LIMITS).check(_marked())[1]
    assert not quality.accepted
    assert "far from" in quality.reasons[0]


def test_a_broken_rule_spares_the_network() -> None:
    film = _marked()
    quality = QualityGate(Scripted(), _SPEC, _LIMITS).check(
        Film(film.pixels, FilmHeader("dicom", modality="CT"), film.sha256)
    )[1]
    assert not quality.accepted
    assert "whole" not in quality.scores


def test_one_byte_changed_in_the_gate_is_refused(tmp_path: Path) -> None:
    assets = Path(module.__file__).parent / "assets"
    copy(assets / "gate.json", tmp_path)
    model = bytearray((assets / "gate.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (tmp_path / "gate.onnx").write_bytes(model)
    with pytest.raises(BundleError, match="sha-256"):
        QualityGate.load(tmp_path)


def test_a_gate_without_its_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"gate\.json"):
        QualityGate.load(tmp_path)


def test_a_threshold_out_of_range_is_refused(tmp_path: Path) -> None:
    assets = Path(module.__file__).parent / "assets"
    card = json.loads((assets / "gate.json").read_text())
    card["thresholds"]["whole"] = 1.5
    (tmp_path / "gate.json").write_text(json.dumps(card))
    copy(assets / "gate.onnx", tmp_path)
    with pytest.raises(BundleError):
        QualityGate.load(tmp_path)


def test_the_packaged_gate_stays_below_one_megabyte() -> None:
    assert (Path(module.__file__).parent / "assets" / "gate.onnx").stat().st_size < 1_000_000


@pytest.mark.parametrize("name", ["noise", "gradient", "disc", "page"])
def test_the_packaged_gate_refuses_drawings(name: str) -> None:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    pictures = {
        "noise": rng.random((256, 256)),
        "gradient": (x + 1) / 2,
        "disc": np.clip(1.2 - np.hypot(x, y), 0, 1) + rng.normal(0, 0.02, (256, 256)),
        "page": 0.9 - 0.8 * (rng.random((256, 256)) < 0.3) * (np.sin(60 * y) > 0) - 0.1 * rng.random((256, 256)),
    }
    pixels = np.clip(pictures[name], 0, 1).astype(np.float32)
    assert not QualityGate.load().check(Film(pixels, FilmHeader("png"), "0" * 64))[1].accepted


def test_the_gate_runs_where_torch_cannot_be_imported() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from carina.inference.gate import QualityGate; QualityGate.load(); print('loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - own interpreter, fixed code
    assert done.stdout == "loaded\n", done.stderr
