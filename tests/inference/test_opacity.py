"""Opacity on the film and by lung zone, against pictures small enough to count."""

from __future__ import annotations

import numpy as np
import pytest

from carina.errors import InputError
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import LungFields, flipped
from carina.inference.opacity import opacity_on_film, opaque_shares


def test_a_map_of_a_part_of_the_film_lies_there_and_nowhere_else() -> None:
    frame = Frame(20, 10, 40, 60, rows=100, columns=80, size=32)
    film = opacity_on_film(np.ones((16, 16), np.float32), frame)
    expected = np.zeros((100, 80), np.float32)
    expected[10:70, 20:60] = 1.0
    np.testing.assert_array_equal(film, expected)


def test_half_a_map_covers_half_the_film() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[:, 4:] = 1.0
    film = opacity_on_film(heat, Frame(0, 0, 100, 60, rows=60, columns=100, size=16))
    assert film[:, :43].max() == 0.0
    assert film[:, 57:].min() == 1.0
    assert float((film >= 0.5).mean()) == pytest.approx(0.5)


def _two_lungs() -> LungFields:
    mask = np.zeros((30, 20), np.uint8)
    mask[0:30, 2:8], mask[0:30, 12:18] = 1, 2
    return LungFields(mask)


def test_zones_are_counted_one_by_one() -> None:
    heat = np.zeros((30, 20), np.float32)
    heat[0:10, 2:5] = 0.8  # half of the right upper zone
    heat[20:30, 12:18] = 0.5  # the whole left lower zone, just opaque
    heat[10:20, 12:18] = 0.49  # not opaque
    shares = opaque_shares(heat, _two_lungs(), without_heart=False)
    assert shares == {
        "lungs": pytest.approx(90 / 360),
        "right_upper": 0.5,
        "right_middle": 0.0,
        "right_lower": 0.0,
        "left_upper": 0.0,
        "left_middle": 0.0,
        "left_lower": 1.0,
    }


def test_the_estimated_heart_is_left_out() -> None:
    mask, heat = np.zeros((48, 20), np.uint8), np.zeros((48, 20), np.float32)
    mask[:, 10:20], heat[:, 10:15] = 2, 1.0
    medial = np.zeros((2, 24), np.float32)
    medial[1] = 0.5  # the medial half of the left lung, which is where the opacity lies
    fields = LungFields(mask, medial=medial)
    assert opaque_shares(heat, fields)["left_upper"] == 0.0
    assert opaque_shares(heat, fields, without_heart=False)["left_upper"] == 0.5


def test_sides_swap_with_the_film() -> None:
    heat = np.zeros((30, 20), np.float32)
    heat[0:10, 2:5] = 1.0
    straight = opaque_shares(heat, _two_lungs(), without_heart=False)
    mirrored = opaque_shares(np.ascontiguousarray(heat[:, ::-1]), flipped(_two_lungs()), without_heart=False)
    assert mirrored["left_upper"] == straight["right_upper"] == 0.5
    assert mirrored["right_upper"] == straight["left_upper"] == 0.0


def test_a_zone_that_is_not_there_has_no_share() -> None:
    shares = opaque_shares(np.zeros((9, 9), np.float32), LungFields(np.zeros((9, 9), np.uint8)))
    assert set(shares.values()) == {None}


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="must have one size"):
        opaque_shares(np.zeros((9, 8), np.float32), _two_lungs())


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (np.zeros((3, 4), np.float32), "is a square"),
        (np.full((3, 3), 1.5, np.float32), r"lies in \[0, 1\]"),
        (np.full((3, 3), np.nan, np.float32), r"lies in \[0, 1\]"),
    ],
)
def test_what_is_no_opacity_map_is_refused(heat: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        opacity_on_film(heat, Frame(0, 0, 9, 9, rows=9, columns=9, size=9))
