"""The changes, signs and numbers that the shortcut audit is made of."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from carina.evidence.shortcut_changes import border_only, markers_removed
from carina.evidence.shortcut_phantoms import SHORTCUTS, PhantomPool, plant_cohort
from carina.evidence.shortcut_readers import auc_loss, cramers_v, source_gap, tell_class, tell_source
from carina.evidence.shortcut_signs import SIGNS, film_signs
from carina.imaging.lung_cover import lung_cover, lungs_black
from carina.imaging.lung_fields import LungFields

SIDE = 128


@pytest.fixture
def fields() -> LungFields:
    """Two rectangular lungs."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[30:100, 20:56], mask[30:100, 72:108] = 1, 2
    return LungFields(mask)


@pytest.fixture
def film() -> np.ndarray:
    """A grey film, darker in the lungs."""
    pixels = np.full((SIDE, SIDE), 0.5, np.float32)
    pixels[30:100, 20:56] = pixels[30:100, 72:108] = 0.2
    return pixels


def _letter(pixels: np.ndarray) -> np.ndarray:
    canvas = np.rint(pixels * 255).astype(np.uint8)
    cv2.putText(canvas, "R", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def test_black_lungs_leave_nothing_of_the_lungs_and_all_of_the_rest(film: np.ndarray, fields: LungFields) -> None:
    changed = lungs_black(film, fields)
    assert not changed[fields.mask > 0].any()
    far = np.ones((SIDE, SIDE), bool)
    far[25:105, 15:61] = far[25:105, 67:113] = False  # 3 % of 128 pixels is 4, and no more
    np.testing.assert_array_equal(changed[far], film[far])


def test_black_lungs_have_no_dent_where_an_opacity_dents_the_outline(fields: LungFields) -> None:
    dented = fields.mask.copy()
    dented[50:80, 20:36] = 0
    np.testing.assert_array_equal(lung_cover(LungFields(dented)), lung_cover(fields))


def test_the_border_alone_is_what_lies_outside_the_box_of_both_lungs(film: np.ndarray, fields: LungFields) -> None:
    changed = border_only(film, fields)
    assert not changed[30:100, 20:108].any()  # the mediastinum too
    np.testing.assert_array_equal(changed[:28], film[:28])
    np.testing.assert_array_equal(changed[:, :17], film[:, :17])


def test_a_letter_is_removed_and_the_lungs_stay(film: np.ndarray, fields: LungFields) -> None:
    changed = markers_removed(_letter(film), fields)
    assert _letter(film).max() == 1.0
    assert changed[:28].max() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(changed[lung_cover(fields)], _letter(film)[lung_cover(fields)])


def test_signs_do_not_change_with_the_lungs(film: np.ndarray, fields: LungFields) -> None:
    ill = film.copy()
    ill[60:80, 30:50] = 0.6
    before, after = film_signs(film, fields), film_signs(ill, fields)
    assert set(before) == set(SIGNS)
    for name in SIGNS:
        np.testing.assert_array_equal(before[name], after[name])


def test_signs_need_lungs_to_leave_out(film: np.ndarray) -> None:
    assert film_signs(film, LungFields(np.zeros((SIDE, SIDE), np.uint8), ("none found",))) == {}


def test_cramers_v_is_corrected_for_bias() -> None:
    # By hand after Bergsma 2013: phi2 = 0.25, less 1/79, over 2 - 1/79 - 1, and the root.
    sources = np.repeat(["a", "a", "b", "b"], [30, 10, 10, 30])
    truth = np.repeat([1, 0, 1, 0], [30, 10, 10, 30])
    assert cramers_v(sources, truth) == pytest.approx(((0.25 - 1 / 79) / (1 - 1 / 79)) ** 0.5)
    assert cramers_v(np.repeat("a", 4), np.array([0, 1, 0, 1])) is None


def test_pairs_within_and_across_sources_are_told_apart() -> None:
    # Source a: positive 0.9 over negative 0.1 and positive 0.3; source b: negative 0.5.
    truth, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.3, 0.1, 0.5])
    found = source_gap(truth, scores, np.array(["a", "a", "a", "b"]), np.array(list("wxyz")))
    assert found["within_source_auc"].value == 1.0
    assert found["cross_source_auc"].value == 0.5
    assert found["gap"].value == -0.5


def test_the_loss_of_auc_is_a_difference_on_the_same_films() -> None:
    truth, before, after = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.1, 0.2]), np.array([0.9, 0.1, 0.1, 0.2])
    assert auc_loss(truth, before, after, np.array(list("wxyz"))).value == pytest.approx(1.0 - 0.625)


def test_readers_find_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(5)
    truth, patients = np.arange(200) % 2, np.arange(200).astype(str)
    noise = rng.standard_normal((200, 4))
    informed = noise + 2.0 * truth[:, None]
    assert tell_class(informed, truth, patients)["auc"].value > 0.95
    blind = tell_class(noise, truth, patients)["balanced_accuracy"]
    assert blind.low < 0.5 < blind.high
    told = tell_source(informed, np.where(truth == 1, "a", "b"), patients)
    assert told is not None
    assert told[0].low > told[1] == 0.5


def test_readers_never_see_a_patient_twice() -> None:
    # Each patient's films share random features and the class: a reader that knew the patient would be right.
    rng = np.random.default_rng(6)
    patients = np.repeat(np.arange(40), 5)
    features, truth = rng.standard_normal((40, 30))[patients], (np.arange(40) % 2)[patients]
    found = tell_class(features, truth, patients.astype(str))["balanced_accuracy"]
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_a_planted_sign_agrees_with_the_class_as_often_as_asked(kind: str) -> None:
    pool = PhantomPool(np.full((40, 2, 64, 64), 128, np.uint8), np.zeros((40, 64, 64), bool))
    cohort = plant_cohort(pool, 3, kind=kind, strength=0.8, films=40)
    ill = np.array(cohort.frame["label"].to_list()) == "covid19"
    assert (cohort.signs[kind] == ill).mean() == pytest.approx(0.8)
    for other in set(SHORTCUTS) - {kind}:
        assert (cohort.signs[other] == ill).mean() == pytest.approx(0.5)
    assert (np.array(cohort.frame["source"].to_list()) == "south").tolist() == cohort.signs["source"].tolist()


@pytest.mark.parametrize(("kind", "strength"), [("shape", 0.8), ("marker", 0.4)])
def test_a_cohort_out_of_range_is_refused(kind: str, strength: float) -> None:
    pool = PhantomPool(np.zeros((40, 2, 64, 64), np.uint8), np.zeros((40, 64, 64), bool))
    with pytest.raises(ValueError, match="must"):
        plant_cohort(pool, 3, kind=kind, strength=strength, films=40)
