"""The digital phantom of the Image Biomarker Standardisation Initiative, by slice, against its published values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carina.texture import TextureSettings, features

pytest.importorskip("numba", reason="texture is measured with the extra 'texture'")

PHANTOM: dict[str, Any] = json.loads(Path(__file__).with_name("ibsi_phantom.json").read_text("utf-8"))
SLICES = np.array(PHANTOM["slices"], float)


def _by_slice(settings: TextureSettings) -> dict[str, float]:
    """Features of each slice, averaged over the slices; levels are the phantom's own, so bins begin at 1."""
    found = []
    for values in SLICES:
        assert values[values > 0].min() == 1
        found.append(features(values, values > 0, settings))
    return {name.removeprefix("original_"): float(np.mean([each[name] for each in found])) for name in found[0]}


@pytest.mark.parametrize("aggregation", ["averaged", "merged"])
def test_the_phantoms_published_values_hold_by_slice(aggregation: str) -> None:
    found = _by_slice(TextureSettings.ibsi(1.0, aggregation=aggregation))
    # three digits are published
    wrong = {
        name: (found[name], value)
        for name, value in PHANTOM[aggregation].items()
        if not np.isclose(found[name], value, rtol=5.1e-3, atol=1e-12)
    }
    assert wrong == {}


def test_the_phantoms_intensities_hold_over_all_slices() -> None:
    whole = SLICES.reshape(-1, SLICES.shape[-1])
    found = features(whole, whole > 0, TextureSettings.ibsi(1.0))
    assert {name: pytest.approx(value, rel=5.1e-3) for name, value in PHANTOM["whole"].items()} == {
        name: found[f"original_{name}"] for name in PHANTOM["whole"]
    }


def test_the_phantom_has_the_published_size() -> None:
    assert int((SLICES > 0).sum()) == 74
