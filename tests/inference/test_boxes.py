"""Boxes: suppression against a brute-force search and a peer, coordinates through every change of the film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carina.errors import InputError
from carina.imaging import Standardisation, standardise
from carina.imaging.framing import Frame, frame_film
from carina.imaging.lung_fields import LungFields
from carina.inference.boxes import (
    Box,
    BoxRules,
    boxes_in_lungs,
    flip_boxes,
    overlaps,
    select_boxes,
    suppress,
)

_ALL = BoxRules(0.0, 0.5, 20)


def _random_boxes(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    corner, side = draw.uniform(0, 60, (count, 2)), draw.uniform(5, 40, (count, 2))
    return np.concatenate([corner, corner + side], 1), draw.random(count)


def _painted_overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union by counting painted pixels of whole-numbered boxes."""
    sheets = np.zeros((2, 120, 120), bool)
    for sheet, (x0, y0, x1, y1) in zip(sheets, (one.astype(int), other.astype(int)), strict=True):
        sheet[y0:y1, x0:x1] = True
    return float((sheets[0] & sheets[1]).sum() / (sheets[0] | sheets[1]).sum())


def test_overlap_is_that_of_painted_pixels() -> None:
    boxes = np.rint(_random_boxes(1, 12)[0])
    expected = [[_painted_overlap(one, other) for other in boxes] for one in boxes]
    np.testing.assert_allclose(overlaps(boxes, boxes), expected, atol=1e-12)


def test_empty_boxes_overlap_nothing() -> None:
    assert overlaps(np.array([[3.0, 3.0, 3.0, 9.0]]), np.array([[3.0, 3.0, 3.0, 9.0]])).tolist() == [[0.0]]


@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_what_a_brute_force_search_keeps(seed: int) -> None:
    boxes, scores = _random_boxes(seed)
    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda number: -scores[number]):
        if all(overlaps(boxes[[row]], boxes[[other]])[0, 0] <= 0.5 for other in kept):
            kept.append(row)
    assert suppress(boxes, scores, 0.5).tolist() == kept


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
def test_suppression_agrees_with_monai(iou: float) -> None:
    box_utils = pytest.importorskip("monai.data.box_utils", reason="the peer comes with the extra 'train'")
    boxes, scores = _random_boxes(9)
    expected = box_utils.non_max_suppression(boxes, scores, iou)
    assert suppress(boxes, scores, iou).tolist() == np.asarray(expected).tolist()


def test_of_equal_scores_the_earlier_box_stays() -> None:
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    assert suppress(boxes, np.array([0.7, 0.7])).tolist() == [0]


def test_a_box_within_a_stronger_one_goes() -> None:
    boxes = np.array([[0.0, 0.0, 40.0, 40.0], [5.0, 5.0, 20.0, 20.0], [30.0, 0.0, 70.0, 40.0], [34.0, 0.0, 50.0, 10.0]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    # overlaps of 0.14 and below; but the second lies wholly within the first and the fourth within the third
    assert suppress(boxes, scores, 0.5).tolist() == [0, 1, 2, 3]
    assert suppress(boxes, scores, 0.5, 0.8).tolist() == [0, 2]


def test_a_box_around_a_stronger_one_goes_too() -> None:
    boxes = np.array([[10.0, 10.0, 20.0, 20.0], [0.0, 0.0, 60.0, 60.0]])
    assert suppress(boxes, np.array([0.9, 0.8]), 0.5, 0.8).tolist() == [0]


def test_boxes_outside_the_lungs_are_left_out_where_the_lungs_are_known() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[20:80, 10:40], mask[20:80, 60:90] = 1, 2
    boxes = [Box(5, 30, 20, 20, 0.9), Box(10, 70, 30, 40, 0.8), Box(42, 30, 16, 16, 0.7), Box(95, 95, 20, 20, 0.6)]
    # inside by 3/4, by 1/3 (of what is on the film), not at all, not at all
    assert boxes_in_lungs(boxes, LungFields(mask)) == tuple(boxes[:2])
    doubtful = LungFields(mask, ("the lung fields cover too little",))
    assert boxes_in_lungs(boxes, doubtful) == tuple(boxes)


def _bright(rows: int, columns: int, box: tuple[int, int, int, int]) -> np.ndarray:
    film = np.zeros((rows, columns), np.float32)
    x, y, width, height = box
    film[y : y + height, x : x + width] = 1.0
    return film


def _seen(film: np.ndarray, spec: Standardisation, fields: LungFields | None = None) -> np.ndarray:
    """Box of the bright part as the network sees it: x0, y0, x1, y1."""
    rows, columns = np.nonzero(standardise(film, spec, fields) > 127)
    return np.array([[columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0]])


@pytest.mark.parametrize("shape", [(300, 411), (512, 420), (90, 90), (700, 230)])
def test_a_box_comes_back_through_the_resize(shape: tuple[int, int]) -> None:
    box = (30, 22, 50, 60)
    spec = Standardisation(size=88, intensity="window")
    frame = frame_film(shape, spec.size)
    found = select_boxes(_seen(_bright(*shape, box), spec), np.array([0.9]), frame, _ALL)[0]
    pixel = (shape[1] / spec.size, shape[0] / spec.size, shape[1] / spec.size, shape[0] / spec.size)
    assert np.all(np.abs(np.array([found.x, found.y, found.width, found.height]) - box) <= np.array(pixel) + 1e-9)


def test_a_box_comes_back_through_the_crop_to_the_lungs() -> None:
    mask = np.zeros((400, 500), np.uint8)
    mask[80:330, 110:220], mask[80:330, 270:390] = 1, 2
    fields, box = LungFields(mask), (290, 150, 60, 70)
    spec = Standardisation(size=96, intensity="window", framing="lung_centred")
    frame = frame_film(mask.shape, spec.size, fields)
    assert not frame.whole
    found = select_boxes(_seen(_bright(400, 500, box), spec, fields), np.array([0.9]), frame, _ALL)[0]
    assert found.x == pytest.approx(290, abs=frame.width / 96)
    assert found.y == pytest.approx(150, abs=frame.height / 96)
    assert found.width == pytest.approx(60, abs=2 * frame.width / 96)
    assert found.height == pytest.approx(70, abs=2 * frame.height / 96)


def test_padding_shifts_a_box_by_the_pad() -> None:
    spec = Standardisation(size=100, intensity="window")
    film = _bright(200, 200, (40, 60, 50, 30))
    padded = np.pad(film, ((100, 100), (50, 150)))
    found = [
        select_boxes(_seen(one, spec), np.array([1.0]), frame_film(one.shape, 100), _ALL)[0] for one in (film, padded)
    ]
    assert (found[0].x, found[0].y, found[0].width, found[0].height) == (40, 60, 50, 30)
    assert found[1].x == pytest.approx(90, abs=4)
    assert found[1].y == pytest.approx(160, abs=4)


def test_flipping_the_film_flips_its_boxes() -> None:
    spec, film = Standardisation(size=100, intensity="window"), _bright(200, 300, (30, 40, 60, 50))
    frame = frame_film(film.shape, 100)
    straight = select_boxes(_seen(film, spec), np.array([0.8]), frame, _ALL)
    mirrored = select_boxes(_seen(film[:, ::-1], spec), np.array([0.8]), frame, _ALL)
    assert mirrored == flip_boxes(straight, 300)
    assert mirrored[0].x == 300 - 30 - 60
    assert flip_boxes(mirrored, 300) == straight


def test_boxes_are_cut_at_the_films_edges_and_left_out_beyond() -> None:
    frame = Frame(0, 0, 200, 100, rows=100, columns=200, size=50)
    boxes = np.array([[-20.0, -5.0, 25.0, 25.0], [60.0, 10.0, 90.0, 30.0], [30.0, 30.0, 10.0, 40.0]])
    assert select_boxes(boxes, np.array([0.9, 0.8, 0.7]), frame, _ALL) == (Box(0.0, 0.0, 100.0, 50.0, 0.9),)


def test_rules_hold_score_and_number_down() -> None:
    frame = Frame(0, 0, 100, 100, rows=100, columns=100, size=100)
    boxes = np.array([[10.0 * k, 0.0, 10.0 * k + 9, 9.0] for k in range(9)])
    scores = np.linspace(0.1, 0.9, 9)
    shown = select_boxes(boxes, scores, frame, BoxRules(0.35, 0.5, 3))
    assert [round(box.score, 1) for box in shown] == [0.9, 0.8, 0.7]
    assert select_boxes(boxes, scores, frame, BoxRules(0.95)) == ()


@pytest.mark.parametrize("changes", [{"width": -3.0}, {"height": 0.0}, {"x": float("nan")}])
def test_a_box_without_a_size_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match="width and height above 0"):
        replace(Box(1.0, 2.0, 3.0, 4.0, 0.5), **changes)


def test_scores_of_other_boxes_are_refused() -> None:
    with pytest.raises(InputError, match=r"need scores \(N,\)"):
        select_boxes(np.zeros((3, 4)), np.zeros(2), frame_film((9, 9), 9), _ALL)


def test_boxes_that_are_not_finite_are_left_out() -> None:
    boxes = np.array([[0.0, 0.0, np.nan, 5.0], [0.0, 0.0, 5.0, 5.0]])
    assert len(select_boxes(boxes, np.array([0.9, 0.8]), frame_film((9, 9), 9), _ALL)) == 1


def test_rules_come_from_the_bundle_or_there_are_none() -> None:
    stated = {"branches": {"score_threshold": 0.3, "nms_iou": 0.4, "nms_inside": 0.9, "most_boxes": 7}}
    assert BoxRules.of_description(stated) == BoxRules(0.3, 0.4, 7, 0.9)
    assert BoxRules.of_description({}) is None
