"""Matching, average precision, FROC, pointing and overlap, against published and hand-made numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carina.evidence import (
    Detections,
    average_precision,
    box_iou,
    box_mask,
    froc_sensitivity,
    heat_boxes,
    map_overlap,
    match_boxes,
    pointing_hit,
)


def test_iou_of_hand_made_boxes() -> None:
    one = [[0, 0, 10, 10]]
    others = [[0, 0, 10, 10], [5, 0, 10, 10], [10, 0, 5, 5], [2, 2, 5, 5], [0, 0, 0, 0]]
    assert box_iou(one, others)[0].tolist() == pytest.approx([1.0, 50 / 150, 0.0, 0.25, 0.0])


def test_iou_does_not_change_when_the_axes_are_scaled_apart() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.uniform(1, 30, (6, 4)), rng.uniform(1, 30, (5, 4))
    scale = np.array([0.37, 2.9, 0.37, 2.9])
    np.testing.assert_allclose(box_iou(one * scale, two * scale), box_iou(one, two), atol=1e-12)


def test_average_precision_of_the_published_example() -> None:
    # Padilla et al. 2020, doi:10.1109/IWSSIP48289.2020.9145130: 15 true boxes, 24 found ones, right at these ranks;
    # area under all points 24.56 %, which the authors cut, not rounded.
    hits = np.zeros(24, bool)
    hits[np.array([1, 3, 10, 12, 13, 14, 23]) - 1] = True
    assert average_precision(np.arange(24, 0, -1), hits, 15) == pytest.approx(0.2456, abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=12), st.integers(0, 4))
def test_average_precision_is_the_integral_of_its_definition(found: list[tuple[int, bool]], missed: int) -> None:
    scores = [score for score, _ in found]
    hits = [hit for _, hit in found]
    truths = sum(hits) + missed
    if truths == 0:
        assert average_precision(scores, hits, truths) is None
        return
    points = []  # recall and precision at each threshold
    for threshold in sorted(set(scores), reverse=True):
        admitted = [hit for score, hit in found if score >= threshold]
        points.append((Fraction(sum(admitted), truths), Fraction(sum(admitted), len(admitted))))
    area, reached = Fraction(0), Fraction(0)
    for recall in sorted({recall for recall, _ in points}):
        area += (recall - reached) * max(precision for other, precision in points if other >= recall)
        reached = recall
    assert average_precision(scores, hits, truths) == pytest.approx(float(area))


def test_the_order_of_equal_scores_changes_nothing() -> None:
    assert average_precision([0.5, 0.5], [True, False], 1) == average_precision([0.5, 0.5], [False, True], 1) == 0.5


def test_weights_count_films_as_often_as_they_were_drawn() -> None:
    scores, hits = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    doubled = average_precision(np.repeat(scores, [2, 2, 1]), np.repeat(hits, [2, 2, 1]), 3)
    assert average_precision(scores, hits, 3, np.array([2.0, 2.0, 1.0])) == pytest.approx(doubled)


def test_nothing_found_has_average_precision_zero() -> None:
    assert average_precision([], [], 3) == 0.0
    assert froc_sensitivity([], [], truths=3, films=2, at=(1.0,)) == [0.0]


def test_a_true_box_is_found_once_and_by_the_surest() -> None:
    found = Detections.gather([([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 4, 4]], [0.6, 0.9, 0.8])])
    assert match_boxes(found, [[[0, 0, 10, 10]]], 0.5).tolist() == [False, True, False]


def test_a_box_takes_the_free_truth_that_it_overlaps_most() -> None:
    # The surer box overlaps both truths; it takes the nearer, and the other one is left for the second box.
    found = Detections.gather([([[0, 0, 10, 10], [4, 0, 10, 10]], [0.9, 0.5])])
    truths = [[[1, 0, 10, 10], [5, 0, 10, 10]]]
    assert match_boxes(found, truths, 0.3).tolist() == [True, True]


def test_boxes_of_another_film_do_not_match() -> None:
    found = Detections.gather([([[0, 0, 10, 10]], [0.9]), ([], [])])
    assert match_boxes(found, [np.zeros((0, 4)), [[0, 0, 10, 10]]], 0.5).tolist() == [False]


def test_froc_of_a_hand_made_set() -> None:
    # Two films, four true boxes. By falling score: right, wrong, right, wrong, wrong, right.
    scores, hits = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [True, False, True, False, False, True]
    found = froc_sensitivity(scores, hits, truths=4, films=2, at=(0.25, 0.5, 1.0, 2.0))
    assert found == [0.25, 0.5, 0.5, 0.75]


def test_froc_without_a_true_box_is_none() -> None:
    assert froc_sensitivity([0.5], [False], truths=0, films=2, at=(1.0, 2.0)) == [None, None]


def test_pointing_counts_the_maximum_at_its_pixels_centre() -> None:
    heat = np.zeros((8, 8))
    heat[2, 5] = 1.0
    assert pointing_hit(heat, [[5, 2, 1, 1]]) == 1.0
    assert pointing_hit(heat, [[6, 2, 2, 2]]) == 0.0
    assert pointing_hit(heat, [[6, 2, 2, 2]], tolerance=0.5) == 1.0
    assert pointing_hit(heat, [[0, 0, 2, 2], [5, 2, 1, 1]]) == 1.0


def test_pointing_of_a_shared_maximum_is_its_share_inside() -> None:
    heat = np.zeros((4, 4))
    heat[0, :] = 1.0
    assert pointing_hit(heat, [[0, 0, 1, 4]]) == 0.25


@pytest.mark.parametrize("value", [0.0, 1.0, 1e30])
def test_a_constant_map_points_nowhere(value: float) -> None:
    heat = np.full((6, 6), value)
    assert pointing_hit(heat, [[0, 0, 6, 6]]) is None
    assert map_overlap(heat, [[0, 0, 6, 6]]) is None
    assert heat_boxes(heat)[0].shape == (0, 4)


def test_overlap_of_a_hand_made_map() -> None:
    heat = np.zeros((4, 4))
    heat[:2, :2] = 1.0  # region of four pixels
    heat[3, 3] = 0.4  # below half of the maximum, but mass
    found = map_overlap(heat, [[0, 0, 2, 4]])  # covers eight pixels
    assert found is not None
    assert (found.iou, found.inside, found.area) == pytest.approx((0.5, 4.0 / 4.4, 0.5))


def test_pixels_belong_to_a_box_by_their_centres() -> None:
    assert box_mask([[0.6, 0.0, 1.0, 1.0]], (1, 3)).tolist() == [[False, True, False]]
    assert box_mask([[-5, -5, 6, 6]], (2, 2)).tolist() == [[True, False], [False, False]]


def test_regions_of_a_map_become_boxes_with_their_peaks() -> None:
    heat = np.zeros((6, 8))
    heat[1:3, 2:5] = 2.0
    heat[5, 7] = 1.5
    heat[5, 0] = 0.9
    boxes, scores = heat_boxes(heat)
    assert boxes.tolist() == [[2, 1, 3, 2], [7, 5, 1, 1]]
    assert scores.tolist() == pytest.approx([1.0, 0.75])
