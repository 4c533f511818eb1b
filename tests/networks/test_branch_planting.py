"""Made opacities: where they may lie, what they do to a film, and that nothing else is called one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="networks are built with the extra 'train'")

from carina.imaging.lung_fields import LungFields
from carina.networks.branch_planting import (
    KINDS,
    LungRoom,
    boxes_around,
    distract,
    plant_opacity,
)


def _film() -> tuple[np.ndarray, LungFields]:
    """Two dark lungs in bright tissue, with fine ribs."""
    mask = np.zeros((128, 120), np.uint8)
    cv2.ellipse(mask, (35, 64), (20, 45), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (85, 64), (20, 45), 0, 0, 360, 2, -1)
    film = np.where(mask > 0, 0.25, 0.7).astype(np.float32)
    film[::10] += 0.1
    return film, LungFields(mask, medial=np.zeros((2, 24), np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_brightens_the_lung_and_only_the_lung(kind: str) -> None:
    film, fields = _film()
    draw = np.random.default_rng(4)
    for _ in range(6):
        planted = plant_opacity(film, LungRoom(fields, draw), draw, kind)
        risen = planted.pixels - film
        assert planted.kind == kind
        assert planted.extent.any()
        assert not planted.extent[fields.mask == 0].any()
        assert risen[planted.extent].mean() > 0.03
        far = cv2.dilate((fields.mask > 0).astype(np.uint8), np.ones((13, 13), np.uint8)) == 0
        np.testing.assert_allclose(risen[far], 0.0, atol=0.02)


def test_ribs_shine_through() -> None:
    film, fields = _film()
    draw = np.random.default_rng(1)
    planted = plant_opacity(film, LungRoom(fields, draw), draw, "haze")
    rib = planted.extent[40] & planted.extent[42]
    assert rib.any()
    assert (planted.pixels[40] - planted.pixels[42])[rib].mean() > 0.02


def test_the_same_seed_makes_the_same_opacity() -> None:
    film, fields = _film()
    made = []
    for _ in range(2):
        draw = np.random.default_rng(11)
        made.append(plant_opacity(film, LungRoom(fields, draw), draw))
    np.testing.assert_array_equal(made[0].pixels, made[1].pixels)
    assert made[0].kind == made[1].kind


def test_marks_that_are_no_opacity_stay_within_the_scale() -> None:
    film, fields = _film()
    changed = 0
    for seed in range(12):
        draw = np.random.default_rng(seed)
        marked = distract(film, LungRoom(fields, draw), draw)
        assert marked.dtype == np.float32
        assert 0.0 <= marked.min() <= marked.max() <= 1.0
        changed += not np.array_equal(marked, film)
    assert changed > 6


def test_boxes_hold_near_parts_together_and_leave_specks_out() -> None:
    extent = np.zeros((200, 200), bool)
    extent[20:60, 20:40] = True
    extent[20:60, 42:50] = True  # two pixels away: one opacity
    extent[120:150, 100:180] = True
    extent[190, 190] = True  # a speck
    assert boxes_around(extent).tolist() == [[100.0, 120.0, 180.0, 150.0], [20.0, 20.0, 50.0, 60.0]]


def test_no_opacity_no_box() -> None:
    assert boxes_around(np.zeros((30, 30), bool)).shape == (0, 4)
