"""Texture of films, filtered pictures, settings and maps."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from carina.errors import TextureError
from carina.imaging.lung_fields import LEFT, RIGHT, LungFields
from carina.texture import (
    REGIONS,
    TextureSettings,
    box_region,
    feature_maps,
    feature_names,
    features,
    film_features,
    lung_regions,
    map_names,
    score_region,
    table,
)
from carina.texture.filters import laplacian_of_gaussian, local_binary_patterns, wavelets
from carina.types import Film, FilmHeader

pytest.importorskip("numba", reason="texture is measured with the extra 'texture'")

SMALL = TextureSettings.pyradiomics(None, bin_number=8)


def _film() -> tuple[Film, LungFields]:
    rng = np.random.default_rng(4)
    pixels = rng.random((72, 64)).astype(np.float32)
    mask = np.zeros((72, 64), np.uint8)
    mask[9:63, 6:28], mask[9:63, 36:58] = RIGHT, LEFT
    return Film(pixels, FilmHeader("png"), "0" * 64), LungFields(mask)


def test_a_film_has_more_than_1500_features_at_default_settings() -> None:
    film, fields = _film()
    found = film_features(film, fields)
    assert found.refused == {}
    assert len(found.values) == len(REGIONS) * len(feature_names()) > 1500
    missing = [name for name, value in found.values.items() if not np.isfinite(value)]
    assert all("_fractal_" in name for name in missing)  # zones too small for two sizes of box


def test_a_film_is_measured_in_greys_from_0_to_255() -> None:
    film, fields = _film()
    regions = lung_regions(fields)
    found = film_features(film, fields, ["left"], SMALL).values
    inside = film.pixels.astype(np.float64)[regions["left"]] * 255.0
    assert found["left.original_firstorder_Mean"] == pytest.approx(inside.mean())


def test_a_region_without_texture_is_refused_beside_the_others() -> None:
    film, fields = _film()
    nothing = np.zeros(film.pixels.shape, bool)
    found = film_features(film, fields, {"box": nothing, "right": fields.mask == RIGHT}, SMALL)
    assert list(found.refused) == ["box"]
    assert "empty" in found.refused["box"]
    assert np.isnan(found.values["box.original_glcm_Contrast"])
    assert np.isfinite(found.values["right.original_glcm_Contrast"])


def test_zones_leave_the_heart_out_and_fill_the_lungs() -> None:
    _, fields = _film()
    regions = lung_regions(fields)
    zones = sum(regions[name].astype(int) for name in REGIONS[3:])
    assert np.array_equal(zones, regions["lungs"].astype(int))
    assert regions["lungs"].sum() < (fields.mask > 0).sum()
    assert lung_regions(fields, without_heart=False)["lungs"].sum() == (fields.mask > 0).sum()


def test_an_unknown_region_is_refused() -> None:
    film, fields = _film()
    with pytest.raises(TextureError, match="spleen"):
        film_features(film, fields, ["spleen"], SMALL)


def test_fields_of_another_size_are_refused() -> None:
    film, fields = _film()
    with pytest.raises(TextureError, match="film's size"):
        film_features(film, LungFields(fields.mask[:-1]), None, SMALL)


def test_large_films_are_made_smaller_first() -> None:
    rng = np.random.default_rng(1)
    small = rng.random((60, 64)).astype(np.float32)
    large = np.kron(small, np.ones((4, 4), np.float32))
    mask = np.zeros((60, 64), np.uint8)
    mask[10:50, 8:30], mask[10:50, 34:56] = RIGHT, LEFT
    settings = SMALL.model_copy(update={"film_side": 64})
    one = film_features(Film(small, FilmHeader("png"), ""), LungFields(mask), {"all": mask > 0}, settings)
    shown = np.kron(mask, np.ones((4, 4), np.uint8))
    four = film_features(Film(large, FilmHeader("png"), ""), LungFields(shown), {"all": shown > 0}, settings)
    assert four.values == pytest.approx(one.values, rel=1e-5)


def test_boxes_and_scores_make_regions() -> None:
    class Box:
        x, y, width, height = 2.0, 1.0, 3.0, 2.0

    inside = box_region([Box()], (6, 8))
    assert np.argwhere(inside).tolist() == [[1, 2], [1, 3], [1, 4], [2, 2], [2, 3], [2, 4]]
    scores = np.linspace(0.0, 1.0, 8)[None].repeat(6, axis=0)
    assert score_region(scores, 0.5, inside).sum() == 2


def test_names_come_in_the_order_of_the_values() -> None:
    picture = np.random.default_rng(0).random((40, 40))
    mask = np.ones((40, 40), bool)
    assert tuple(features(picture, mask)) == feature_names()


def test_every_feature_name_is_unique_and_so_is_every_ibsi_code() -> None:
    codes = [feature.ibsi for feature in table() if feature.ibsi]
    assert len(set(codes)) == len(codes) == 91
    assert len(set(feature_names())) == len(feature_names())


def test_binary_patterns_equal_scikit_image() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (31, 27))
    peer = local_binary_pattern(picture.astype(np.uint8), 8, 1, "uniform")
    assert np.array_equal(local_binary_patterns(picture.astype(float)), peer)


def test_the_laplacian_of_a_blob_is_that_of_the_formula() -> None:
    # a Gaussian of width 5 blurred by 3 has width sqrt(34) and height 25 / 34; its Laplacian there is -2 / 34 of that
    row, column = np.mgrid[-40:41, -40:41]
    blob = np.exp(-(row**2 + column**2) / 50.0)
    expected = 9.0 * (-2.0 / 34.0) * (25.0 / 34.0)
    assert laplacian_of_gaussian(blob, 3.0)[40, 40] == pytest.approx(expected, rel=2e-3)


def test_wavelets_keep_the_energy() -> None:
    # undecimated: each of the four bands holds the energy of all four shifts
    picture = np.random.default_rng(5).random((32, 40))
    energy = sum(float(np.square(band).sum()) for band in wavelets(picture).values())
    assert energy == pytest.approx(4.0 * float(np.square(picture).sum()), rel=1e-12)


def test_a_plane_has_dimension_two_and_its_straight_outline_one() -> None:
    mask = np.ones((128, 128), bool)
    picture = np.add.outer(np.arange(128.0), np.arange(128.0))  # a tilted plane
    found = features(picture, mask, SMALL.model_copy(update={"fractal": True}))
    assert found["original_fractal_DifferentialDimension"] == pytest.approx(2.0, abs=0.1)
    assert found["original_fractal_BoxCountingDimension"] == pytest.approx(1.0, abs=0.1)


def test_settings_hash_every_choice() -> None:
    base = TextureSettings()
    assert TextureSettings.from_json(base.to_json()) == base
    assert base.sha256 != TextureSettings(alpha=1).sha256
    assert base.sha256 == TextureSettings().sha256


def test_threads_give_the_same_maps() -> None:
    rng = np.random.default_rng(6)
    picture, mask = rng.random((80, 80)), np.ones((80, 80), bool)
    names = [name for name in map_names() if name.startswith(("glcm", "ngtdm"))]
    one = feature_maps(picture, mask, names, SMALL)
    assert np.array_equal(one, feature_maps(picture, mask, names, SMALL, threads=2), equal_nan=True)


@pytest.mark.parametrize("greys", [4, 1_000_000])
def test_windows_with_gaps_and_equal_values_have_numpys_percentiles(greys: int) -> None:
    rng = np.random.default_rng(8)
    picture, mask = rng.integers(0, greys, (14, 17)).astype(float), rng.random((14, 17)) < 0.8
    names = ["firstorder_10Percentile", "firstorder_Median", "firstorder_Maximum", "firstorder_Mean"]
    found = feature_maps(picture, mask, names, SMALL, radius=3)
    for row, column in np.argwhere(mask):
        window = slice(max(row - 3, 0), row + 4), slice(max(column - 3, 0), column + 4)
        values = picture[window][mask[window]]
        expected = [np.percentile(values, 10), np.median(values), values.max(), values.mean()]
        assert found[:, row, column] == pytest.approx(expected, rel=1e-12)


def test_a_map_is_nan_outside_the_mask() -> None:
    picture = np.random.default_rng(7).random((12, 12))
    mask = np.zeros((12, 12), bool)
    mask[2:9, 3:10] = True
    found = feature_maps(picture, mask, ["firstorder_Mean"], SMALL, radius=1)[0]
    assert np.array_equal(np.isfinite(found), mask)
    assert found[5, 6] == pytest.approx(picture[4:7, 5:8].mean())
