"""Heatmaps: normalised, at the film's size, grey where cold."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from carina.imaging.framing import frame_film
from carina.inference import encode_png, normalise_map, overlay


def test_a_map_is_spread_over_zero_to_one() -> None:
    np.testing.assert_allclose(normalise_map(np.array([[2.0, 4.0], [6.0, 10.0]])), [[0.0, 0.25], [0.5, 1.0]])


@pytest.mark.parametrize("level", [0.0, 3.5, 1e30])
def test_a_constant_map_points_nowhere(level: float) -> None:
    assert not normalise_map(np.full((3, 3), level)).any()


def test_upsampling_interpolates_between_cell_centres() -> None:
    # Cells centred at columns 0.5 and 2.5 of four: columns 0 and 3 lie outside both centres and take their value,
    # columns 1 and 2 lie a quarter of the way in.
    heat = frame_film((1, 4), 32).lay_out(np.array([[0.0, 1.0]], np.float32))
    np.testing.assert_allclose(heat, [[0.0, 0.25, 0.75, 1.0]])


def test_cold_regions_stay_the_film() -> None:
    film = np.linspace(0.0, 1.0, 256, dtype=np.float32).reshape(16, 16)
    picture = overlay(film, np.zeros((16, 16), np.float32), 0.45)
    np.testing.assert_array_equal(picture, np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, 2))


@pytest.mark.parametrize(
    ("level", "plasma"), [(128, (0.798216, 0.280197, 0.469538)), (255, (0.940015, 0.975158, 0.131326))]
)
def test_the_colour_is_plasma_with_opacity_in_proportion_to_the_heat(
    level: int, plasma: tuple[float, float, float]
) -> None:
    # The colours are rows 128 and 255 of the map as N. Smith and S. van der Walt published it.
    heat = level / 255.0
    colour = 255.0 * np.array(plasma)
    share = 0.45 * heat
    grey = 128.0
    picture = overlay(np.full((2, 2), grey / 255.0, np.float32), np.full((2, 2), heat, np.float32), 0.45)
    np.testing.assert_allclose(picture[0, 0], grey * (1 - share) + colour * share, atol=2.0)


def test_png_keeps_red_green_blue() -> None:
    picture = np.zeros((3, 5, 3), np.uint8)
    picture[..., 0] = 200
    picture[..., 2] = np.arange(5)
    with Image.open(io.BytesIO(encode_png(picture))) as read:
        np.testing.assert_array_equal(np.asarray(read), picture)
