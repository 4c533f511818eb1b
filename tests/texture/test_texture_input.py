"""What cannot be measured is refused in a sentence."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from carina.errors import TextureError
from carina.texture import TextureSettings, feature_maps, features

pytest.importorskip("numba", reason="texture is measured with the extra 'texture'")

PICTURE = np.arange(64.0).reshape(8, 8) % 7
WHOLE = np.ones((8, 8), bool)
PLAIN = TextureSettings.pyradiomics(1.0)


def _one_pixel() -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[3, 3] = True
    return mask


def _apart() -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[::3, ::3] = True
    return mask


def _with(value: float) -> np.ndarray:
    picture = PICTURE.copy()
    picture[4, 4] = value
    return picture


@pytest.mark.parametrize(
    ("image", "mask", "sentence"),
    [
        (PICTURE, ~WHOLE, "the mask is empty"),
        (PICTURE, _one_pixel(), "the mask has one"),
        (PICTURE, np.ones((8, 9), bool), "must have its picture's size"),
        (PICTURE, np.ones((8, 8), int), "must be boolean"),
        (np.full((8, 8), 3.0), WHOLE, "every pixel inside the mask is 3"),
        (np.where(_one_pixel(), 3.2, 3.1), WHOLE, "two grey levels or more"),
        (_with(np.nan), WHOLE, "finite"),
        (_with(np.inf), WHOLE, "finite"),
        (PICTURE, _apart(), "no two inside the mask"),
        (PICTURE[None], WHOLE, "rows and columns"),
        (PICTURE.astype(str), WHOLE, "rows and columns"),
        (PICTURE * 1e4, WHOLE, "choose a larger bin_size"),
    ],
)
def test_what_cannot_be_measured_is_refused(image: np.ndarray, mask: np.ndarray, sentence: str) -> None:
    with pytest.raises(TextureError, match=sentence):
        features(image, mask, PLAIN)


def test_nan_outside_the_mask_does_no_harm_to_the_picture_itself() -> None:
    mask = WHOLE.copy()
    mask[4, 4] = False
    assert features(_with(np.nan), mask, PLAIN) == features(PICTURE, mask, PLAIN)


def test_nan_where_a_filter_reads_it_is_refused() -> None:
    mask = WHOLE.copy()
    mask[4, 4] = False
    with pytest.raises(TextureError, match="wherever a filter reads it"):
        features(_with(np.nan), mask, TextureSettings.pyradiomics(1.0, wavelets=True))


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"bin_size": 0.0, "bin_number": None}, "bin_size"),
        ({"bin_number": 1}, "bin_number"),
        ({"bin_number": None}, "either bin_number or bin_size"),
        ({"bin_size": 5.0}, "either bin_number or bin_size"),
        ({"distances": ()}, "distances"),
        ({"distances": (1, 1)}, "once"),
        ({"angles": (30,)}, "angles"),
        ({"sigmas": (0.0,)}, "sigmas"),
        ({"scales": (1,)}, "scales"),
        ({"spacing": (0.0, 1.0)}, "spacing"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_settings_that_do_not_hold_together_are_refused(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TextureError, match=sentence):
        TextureSettings(**choices)


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(TextureError, match="glcm_Contrats"):
        feature_maps(PICTURE, WHOLE, ["glcm_Contrats"], PLAIN)


@pytest.mark.parametrize("choices", [{"radius": 0}, {"radius": 33}, {"threads": 0}])
def test_maps_refuse_impossible_windows(choices: dict[str, int]) -> None:
    with pytest.raises(TextureError, match="radius"):
        feature_maps(PICTURE, WHOLE, ["glcm_Contrast"], PLAIN, **choices)


def test_settings_in_json_that_is_none_are_refused() -> None:
    for text in ("{", "[]", '{"bin_number": "many"}'):
        with pytest.raises(TextureError):
            TextureSettings.from_json(text)


def test_importing_texture_leaves_numba_alone() -> None:
    code = "import sys, carina.texture; print('numba' in sys.modules, 'scipy' in sys.modules)"
    printed = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
    assert printed.split() == ["False", "False"]
