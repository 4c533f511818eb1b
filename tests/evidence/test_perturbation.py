"""Deletion, insertion, occlusion and shifts on a judge whose reason is known."""

from __future__ import annotations

import numpy as np
import pytest

from carina.evidence import curve_area, deletion_insertion, occlusion, rank_correlation
from carina.evidence.perturbation import near_points, random_map, shifted, shifted_correlation, with_noise

SIDE = 48
ALL = slice(None)


def _judge(pictures: np.ndarray) -> np.ndarray:
    """Probability that rises with the brightness of one corner, and with nothing else."""
    return np.asarray(pictures[:, :12, :12].mean(axis=(1, 2)) / 255.0, dtype=np.float64)


@pytest.fixture
def picture() -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 60, (SIDE, SIDE)).astype(np.uint8)
    pixels[:12, :12] = 240
    return pixels


def test_the_right_order_falls_and_rises_sooner_than_the_wrong_one(picture: np.ndarray) -> None:
    right = near_points([[6.0, 6.0]], SIDE)
    found = deletion_insertion(_judge, picture, {"right": right, "wrong": -right}, steps=8)
    assert curve_area(found["right"].deletion) < curve_area(found["wrong"].deletion) - 0.3
    assert curve_area(found["right"].insertion) > curve_area(found["wrong"].insertion) + 0.1


def test_curves_begin_and_end_where_they_must(picture: np.ndarray) -> None:
    curves = deletion_insertion(_judge, picture, {"any": random_map((6, 6), SIDE, 1)}, steps=4)["any"]
    whole = float(_judge(picture[None])[0])
    grey = round(float(picture.mean())) / 255.0
    assert (curves.deletion[0], curves.deletion[-1]) == pytest.approx((whole, grey))
    assert curves.insertion[-1] == pytest.approx(whole)
    assert curves.insertion[0] < whole
    assert len(curves.deletion) == len(curves.insertion) == 5


def test_each_step_takes_its_share_of_the_pixels() -> None:
    taken: list[np.ndarray] = []

    def judge(pictures: np.ndarray) -> np.ndarray:
        taken.append(pictures)
        return np.zeros(len(pictures))

    bright = np.full((SIDE, SIDE), 100, np.uint8)
    bright[:, ::2] = 200
    deletion_insertion(judge, bright, {"any": random_map((6, 6), SIDE, 1)}, steps=4)
    gone = [float((one == 150).mean()) for one in taken[0][3::2]]
    assert gone == pytest.approx([0.25, 0.5, 0.75], abs=0.001)


def test_area_under_a_curve_is_the_trapezoids() -> None:
    curve = np.array([0.9, 0.4, 0.3, 0.1])
    assert curve_area(curve) == pytest.approx(np.trapezoid(curve, np.linspace(0, 1, 4)))


def test_occlusion_finds_the_corner_that_matters(picture: np.ndarray) -> None:
    found = occlusion(_judge, picture)
    assert np.unravel_index(found.drops.argmax(), found.drops.shape) == (0, 0)
    assert found.drops[3:, 3:].max() == pytest.approx(0.0, abs=1e-9)
    heat = found.over(SIDE)
    assert heat[:12, :12].sum() / heat.sum() > 0.5


def test_occlusion_agrees_with_a_map_that_shows_the_reason(picture: np.ndarray) -> None:
    found = occlusion(_judge, picture)
    right = np.zeros((SIDE, SIDE))
    right[:12, :12] = 1.0
    assert (rank_correlation(found.under(right), found.drops) or 0.0) > 0.9
    assert (rank_correlation(found.under(right[::-1, ::-1]), found.drops) or 0.0) < 0.0


def test_patches_reach_every_pixel(picture: np.ndarray) -> None:
    found = occlusion(lambda pictures: np.linspace(0.9, 0.1, len(pictures)), picture)
    assert (found.over(SIDE) > 0).all()


def test_a_map_that_moves_with_the_film_is_stable() -> None:
    raw = np.random.default_rng(4).random((SIDE, SIDE)).astype(np.float32)
    for by in ((5, 0), (-5, 0), (0, 4), (0, -4), (3, -2)):
        moved = np.roll(raw, (by[1], by[0]), axis=(0, 1))
        assert shifted_correlation(raw, moved, by, SIDE) == pytest.approx(1.0, abs=1e-6)
        assert (shifted_correlation(raw, raw, by, SIDE) or 0.0) < 0.5


def test_shifting_repeats_the_edge() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert shifted(picture, (1, 0))[0].tolist() == [0, 0, 1, 2]
    assert shifted(picture, (0, -1))[ALL, 0].tolist() == [4, 8, 12, 12]


def test_noise_has_the_stated_spread() -> None:
    grey = np.full((200, 200), 128, np.uint8)
    noisy = with_noise(grey, 0.02, 1).astype(float)
    assert noisy.std() == pytest.approx(0.02 * 255, rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=0.1)
