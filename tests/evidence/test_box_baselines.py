"""Boxes drawn without looking at the disease."""

from __future__ import annotations

import numpy as np
import pytest

from carina.evidence import average_boxes, lung_centre_boxes, lung_centres
from carina.imaging.lung_fields import LungFields


def test_average_box_of_each_half_leaves_the_films_own_patient_out() -> None:
    boxes = [[[0, 0, 20, 20]], [[10, 10, 20, 40], [60, 50, 30, 30]], [[20, 20, 20, 20]]]
    shapes = [(100, 100)] * 3
    found = average_boxes(boxes, shapes, ["a", "b", "c"])
    # For patient a: left half from b and c, right half from b alone; two of three boxes lie left.
    np.testing.assert_allclose(found[0][0], [[15, 15, 20, 30], [60, 50, 30, 30]])
    assert found[0][1].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_average_box_is_relative_to_the_film() -> None:
    found = average_boxes([[[10, 10, 20, 20]], [[0, 0, 1, 1]]], [(100, 100), (50, 200)], ["a", "b"])
    np.testing.assert_allclose(found[1][0], [[20.0, 5.0, 40.0, 10.0]])


def test_films_of_one_patient_teach_each_other_nothing() -> None:
    found = average_boxes([[[0, 0, 2, 2]], [[1, 1, 2, 2]]], [(8, 8), (8, 8)], ["a", "a"])
    assert [len(boxes) for boxes, _ in found] == [0, 0]


def test_lung_centres_are_centres_of_area() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[4:8, 2:6], mask[10:14, 20:26] = 1, 2
    assert lung_centres(LungFields(mask)).tolist() == [[4.0, 6.0], [23.0, 12.0]]


def test_a_missing_lung_has_no_centre() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[10:14, 20:26] = 2
    assert lung_centres(LungFields(mask)).tolist() == [[23.0, 12.0]]
    assert lung_centres(LungFields(np.zeros((20, 30), np.uint8))).shape == (0, 2)


def test_boxes_at_the_lungs_centres_have_the_others_average_size() -> None:
    boxes = [[[0, 0, 9, 9]], [[0, 0, 10, 20]], [[0, 0, 30, 40]]]
    found = lung_centre_boxes([[[50.0, 50.0]], np.zeros((0, 2)), [[1.0, 1.0]]], boxes, [(100, 100)] * 3, list("abc"))
    np.testing.assert_allclose(found[0][0], [[40.0, 35.0, 20.0, 30.0]])
    assert len(found[1][0]) == 0
