"""Where the network looks on a film, and the way back (M3)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from carina.imaging.framing import LUNG_MARGIN, Frame, frame_film
from carina.imaging.lung_fields import LungFields, flipped
from carina.imaging.standardise import Standardisation, standardise

ROWS, COLUMNS = 200, 160


def _fields(flags: tuple[str, ...] = ()) -> LungFields:
    """Two boxes: the right lung at x 20 to 60, the left at x 90 to 140, both at y 50 to 150."""
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[50:150, 20:60], mask[50:150, 90:140] = 1, 2
    return LungFields(mask, flags)


def test_the_lungs_and_their_margin_fill_the_frame() -> None:
    frame = frame_film((ROWS, COLUMNS), 64, _fields())
    # box x 20, y 50, 120 wide, 100 high; 8 % of it on each side
    assert LUNG_MARGIN == 0.08
    assert (frame.left, frame.top, frame.width, frame.height) == (10, 42, 140, 116)


def test_the_margin_ends_at_the_edge_of_the_film() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[0:100, 0:45], mask[0:100, 55:100] = 1, 2
    frame = frame_film((100, 100), 64, LungFields(mask))
    assert (frame.left, frame.top, frame.width, frame.height) == (0, 0, 100, 100)


@pytest.mark.parametrize("fields", [None, _fields(("only one lung was found",))])
def test_without_plausible_lungs_the_whole_film_is_framed(fields: LungFields | None) -> None:
    assert frame_film((ROWS, COLUMNS), 64, fields).whole


def test_points_go_to_the_network_and_back() -> None:
    frame = Frame(left=10, top=42, width=140, height=116, rows=ROWS, columns=COLUMNS, size=64)
    points = np.array([[10.0, 42.0], [150.0, 158.0], [80.0, 100.0]])
    np.testing.assert_allclose(frame.to_network(points), [[0, 0], [64, 64], [32, 32]])
    np.testing.assert_allclose(frame.to_film(frame.to_network(points)), points)


@pytest.mark.parametrize("framing", ["whole", "lung_centred"])
def test_a_mark_on_the_film_is_where_the_frame_says_it_is(framing: str) -> None:
    pixels = np.zeros((ROWS, COLUMNS), np.float32)
    cv2.circle(pixels, (110, 70), 6, 1.0, -1)
    spec = Standardisation(size=64, framing=framing, intensity="window")
    seen = standardise(pixels, spec, _fields())
    rows, columns = np.nonzero(seen > 128)
    frame = frame_film(pixels.shape, 64, _fields() if spec.needs_lungs else None)
    found = frame.to_film([[columns.mean() + 0.5, rows.mean() + 0.5]])[0]
    assert found == pytest.approx((110.5, 70.5), abs=2.0)


def test_a_map_of_the_frame_lies_on_the_film_where_it_was_seen() -> None:
    frame = Frame(left=10, top=42, width=140, height=116, rows=ROWS, columns=COLUMNS, size=64)
    heat = np.zeros((8, 8), np.float32)
    heat[2, 5] = 1.0
    laid = frame.lay_out(heat)
    assert laid.shape == (ROWS, COLUMNS)
    row, column = np.unravel_index(int(laid.argmax()), laid.shape)
    # the middle of cell (2, 5) of 8 x 8 over the region
    assert (column + 0.5, row + 0.5) == (
        pytest.approx(10 + 140 * 5.5 / 8, abs=1),
        pytest.approx(42 + 116 * 2.5 / 8, abs=1),
    )
    assert laid[:42].max() == laid[158:].max() == laid[:, :10].max() == laid[:, 150:].max() == 0.0


def test_a_film_and_its_mirror_image_give_mirrored_inputs() -> None:
    pixels = np.random.default_rng(1).random((ROWS, COLUMNS)).astype(np.float32)
    spec = Standardisation(size=64, framing="lung_centred", intensity="window")
    upright = standardise(pixels, spec, _fields())
    mirrored = standardise(np.ascontiguousarray(pixels[:, ::-1]), spec, flipped(_fields()))
    np.testing.assert_allclose(mirrored[:, ::-1].astype(int), upright.astype(int), atol=1)


@pytest.mark.parametrize("intensity", ["window", "equalise", "local"])
def test_what_lies_outside_the_lungs_does_not_reach_a_masked_input(intensity: str) -> None:
    pixels = np.random.default_rng(2).random((ROWS, COLUMNS)).astype(np.float32)
    other = pixels.copy()
    other[:, 70:80] = 0.0  # between the lungs, further from them than the widened field reaches
    other[170:] = 1.0
    spec = Standardisation(size=64, framing="lung_masked", intensity=intensity)
    np.testing.assert_array_equal(standardise(pixels, spec, _fields()), standardise(other, spec, _fields()))


def test_outside_the_lungs_a_masked_input_is_one_grey() -> None:
    pixels = np.random.default_rng(3).random((ROWS, COLUMNS)).astype(np.float32)
    seen = standardise(pixels, Standardisation(size=64, framing="lung_masked"), _fields())
    frame = frame_film(pixels.shape, 64, _fields())
    column = round(float(frame.to_network([[75.0, 100.0]])[0, 0]))
    assert set(seen[:, column].tolist()) == {128}
