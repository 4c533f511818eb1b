"""The rules of the quality gate."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from carina.imaging.quality import QUALITY_RULES, check_rules
from carina.types import Film, FilmHeader


def _film(shape: tuple[int, int] = (128, 128), **header: str) -> Film:
    pixels = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    return Film(pixels, FilmHeader("dicom", **header), "0" * 64)  # type: ignore[arg-type]  # every header given is text


def test_a_ramp_without_a_header_breaks_no_rule() -> None:
    assert check_rules(_film()).accepted


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "NM", "MG", "PT", "RTDOSE", "SEG", "XC", "ct"])
def test_other_modalities_than_radiography_are_refused(modality: str) -> None:
    quality = check_rules(_film(modality=modality))
    assert not quality.accepted
    assert "Modality" in quality.reasons[0]


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "OT", ""])
def test_radiography_passes(modality: str) -> None:
    assert check_rules(_film(modality=modality)).accepted


@pytest.mark.parametrize("part", ["EXTREMITY", "CSPINE", "ABDOMEN", "SKULL", "KNEE", "PELVIS"])
def test_other_body_parts_are_refused(part: str) -> None:
    quality = check_rules(_film(body_part=part))
    assert not quality.accepted
    assert part in quality.reasons[0]


@pytest.mark.parametrize("part", ["CHEST", "THORAX", "chest", "PORT CHEST", "LUNG", "", "UNKNOWN"])
def test_chest_by_its_names_passes(part: str) -> None:
    assert check_rules(_film(body_part=part)).accepted


@pytest.mark.parametrize("view", ["LL", "RL", "LATERAL", "RLD", "LLD", "RLO", "LLO", "LEFT LATERAL"])
def test_views_that_are_not_frontal_are_refused(view: str) -> None:
    quality = check_rules(_film(view=view))
    assert not quality.accepted
    assert "ViewPosition" in quality.reasons[0]


@pytest.mark.parametrize("view", ["AP", "PA", "AP SUPINE", ""])
def test_frontal_views_pass(view: str) -> None:
    assert check_rules(_film(view=view)).accepted


def test_a_lateral_series_without_a_view_is_refused_and_its_text_not_repeated() -> None:
    quality = check_rules(_film(series_description="Thorax lateral Smith"))
    assert not quality.accepted
    assert "Smith" not in quality.reasons[0]


def test_a_series_that_names_both_views_passes() -> None:
    assert check_rules(_film(series_description="Chest PA and LAT")).accepted


def test_too_small_is_below_64_pixels_on_the_short_side() -> None:
    assert check_rules(_film((64, 64))).accepted
    assert not check_rules(_film((63, 180))).accepted


def test_a_strip_is_refused() -> None:
    assert not check_rules(_film((100, 301))).accepted


def test_a_blank_film_with_a_single_bright_pixel_is_refused() -> None:
    pixels = np.full((256, 256), 0.4, np.float32)
    pixels[3, 4] = 1.0
    quality = check_rules(Film(pixels, FilmHeader("png"), "0" * 64))
    assert not quality.accepted
    assert quality.reasons[0].startswith("blank")
    assert quality.scores["contrast"] == 0.0


def test_a_black_and_white_drawing_is_refused_as_saturated() -> None:
    pixels = np.zeros((256, 256), np.float32)
    pixels[:, ::3] = 1.0
    quality = check_rules(Film(pixels, FilmHeader("png"), "0" * 64))
    assert any(reason.startswith("saturated") for reason in quality.reasons)
    assert quality.scores["saturated_share"] == 1.0


def test_colour_bars_have_too_few_greys() -> None:
    pixels = np.repeat(np.linspace(0, 1, 8, dtype=np.float32), 16)[:, None] * np.ones((1, 128), np.float32)
    quality = check_rules(Film(pixels, FilmHeader("png"), "0" * 64))
    assert quality.scores["grey_levels"] == 8
    assert any(reason.startswith("too few greys") for reason in quality.reasons)


def test_a_refusal_names_every_reason() -> None:
    assert len(check_rules(_film(modality="CT", body_part="HEAD")).reasons) == 2


def test_a_film_in_a_tenth_of_the_scale_passes_whatever_its_level() -> None:
    film = _film()
    assert check_rules(Film(film.pixels * np.float32(0.1) + np.float32(0.7), film.header, film.sha256)).accepted


def test_the_documentation_prints_every_rule() -> None:
    text = (Path(__file__).parents[2] / "docs" / "quality_gate.md").read_text(encoding="utf-8")
    flowed = re.sub(r"\s+", " ", text)
    assert [rule.code for rule in QUALITY_RULES if rule.sentence not in flowed] == []
