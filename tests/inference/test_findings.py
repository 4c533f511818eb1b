"""Boxes and opacity by lung zone (M21, M22)."""

from __future__ import annotations

import numpy as np
import pytest

from carina.imaging.framing import frame_film
from carina.imaging.lung_fields import LungFields
from carina.inference.boxes import BoxRules
from carina.inference.findings import describe_findings
from carina.inference.reading import Reading
from carina.inference.session import Outputs

_ROWS, _COLUMNS, _SIDE = 1200, 1000, 50


def _fields(flags: tuple[str, ...] = ()) -> LungFields:
    """Right lung at x 100 to 400, left at x 600 to 900, both at y 300 to 900: zones of 200 rows."""
    mask = np.zeros((_ROWS, _COLUMNS), np.uint8)
    mask[300:900, 100:400], mask[300:900, 600:900] = 1, 2
    return LungFields(mask, flags, np.zeros((2, 24), np.float32))


def _outputs(boxes: list[list[float]], opacity: np.ndarray | None = None) -> Outputs:
    return Outputs(
        logits=np.zeros((1, 4), np.float32),
        class_maps=np.zeros((1, 4, 2, 2), np.float32),
        features=np.zeros((1, 3), np.float32),
        box_scores=np.full((1, len(boxes)), 0.9, np.float32),
        boxes=np.array([boxes], np.float32).reshape(1, -1, 4),
        opacity=opacity,
    )


def _described(outputs: Outputs, fields: LungFields | None) -> Reading:
    frame = frame_film((_ROWS, _COLUMNS), _SIDE)
    return describe_findings(Reading("", "", {}), outputs, frame, fields, BoxRules(0.5))


@pytest.mark.parametrize(
    ("box", "zone"),
    [
        # network pixels are 20 x 24 film pixels
        ([6.0, 13.0, 19.0, 20.0], "right_upper"),  # film x 120 to 380, y 312 to 480
        ([31.0, 30.0, 44.0, 37.0], "left_lower"),  # film x 620 to 880, y 720 to 888
    ],
)
def test_a_box_is_named_by_the_zone_that_holds_most_of_it(box: list[float], zone: str) -> None:
    found = _described(_outputs([box]), _fields()).boxes
    assert [one["zone"] for one in found] == [zone]
    assert found[0]["width"] == pytest.approx((box[2] - box[0]) * 20)
    assert found[0]["height"] == pytest.approx((box[3] - box[1]) * 24)


def test_without_plausible_lungs_a_box_has_no_zone_and_nothing_is_measured() -> None:
    opacity = np.ones((1, 25, 25), np.float32)
    reading = _described(_outputs([[6.0, 13.0, 19.0, 20.0]], opacity), _fields(("only one lung was found",)))
    assert [one["zone"] for one in reading.boxes] == [None]
    assert reading.opaque_share is None
    assert reading.lungs_found is not None
    assert (reading.lungs_found.plausible, reading.lungs_found.flags) == (False, ("only one lung was found",))


def test_an_opaque_lower_zone_is_measured_as_such() -> None:
    opacity = np.zeros((1, 100, 100), np.float32)
    opacity[0, 58:, 50:] = 1.0  # film y from 696, x from 500: the left lower zone begins at 700
    shares = _described(_outputs([], opacity), _fields()).opaque_share
    assert shares is not None
    assert shares["left_lower"] == pytest.approx(1.0, abs=0.03)
    assert shares["right_lower"] == shares["left_upper"] == 0.0
    assert shares["lungs"] == pytest.approx(1 / 6, abs=0.02)


def test_lungs_are_described_by_area_and_box() -> None:
    found = _described(_outputs([]), _fields()).lungs_found
    assert found is not None
    assert found.right == pytest.approx(300 * 600 / (_ROWS * _COLUMNS))
    assert found.box == (100, 300, 800, 600)
