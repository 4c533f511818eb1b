from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from carina.statistics import (
    Counts,
    count_calls,
    first_of_each,
    threshold_for_band,
    threshold_for_specificity,
)

_SCORES = st.lists(st.integers(0, 40), min_size=1, max_size=120).map(lambda values: np.array(values) / 40)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_counts_equal_the_confusion_matrix_of_scikit_learn(films: list[tuple[bool, bool]]) -> None:
    truth, called = np.array([film[0] for film in films]), np.array([film[1] for film in films])
    (tn, fp), (fn, tp) = confusion_matrix(truth, called, labels=[False, True])
    assert count_calls(truth.astype(float), called) == Counts(tp=tp, fp=fp, tn=tn, fn=fn)


def test_shares_are_the_textbook_ones() -> None:
    counts = Counts(tp=8, fp=1, tn=18, fn=2)
    assert counts.sensitivity().estimate == 0.8
    assert counts.specificity().estimate == pytest.approx(18 / 19)
    assert counts.ppv().estimate == pytest.approx(8 / 9)
    assert counts.npv().estimate == 0.9
    assert counts.accuracy().estimate == pytest.approx(26 / 29)


def test_ppv_without_positive_calls_is_not_estimable() -> None:
    assert str(Counts(tp=0, fp=0, tn=3, fn=2).ppv()) == "not estimable, 0/0"


def test_the_first_film_of_each_patient_is_kept_in_order() -> None:
    assert first_of_each(np.array(["p2", "p1", "p2", "p3", "p1"])).tolist() == [0, 1, 3]


@given(_SCORES, st.floats(0.5, 0.99))
def test_at_least_the_asked_share_of_negatives_stays_below(scores: np.ndarray, specificity: float) -> None:
    threshold = threshold_for_specificity(scores, specificity)
    below = scores < threshold
    assert below.mean() >= specificity or threshold == 1.0


def test_specificity_holds_for_new_negatives_on_average() -> None:
    rng = np.random.default_rng(8)
    kept = [(rng.random(200) < threshold_for_specificity(rng.random(40), 0.95)).mean() for _ in range(2000)]
    # rank ceil(41 x 0.95) = 39 of 40: expected specificity 39 / 41 = 0.951
    assert np.mean(kept) == pytest.approx(39 / 41, abs=0.004)


def test_few_negatives_all_stay_below() -> None:
    threshold = threshold_for_specificity(np.array([0.2, 0.7, 0.4]), 0.95)
    assert 0.7 < threshold < 0.7 + 1e-12


def test_a_specificity_needs_a_negative() -> None:
    with pytest.raises(ValueError, match="at least one negative"):
        threshold_for_specificity(np.array([]), 0.95)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), min_size=2, max_size=100), st.floats(0.6, 0.99))
def test_outside_the_band_each_side_is_right_as_often_as_asked(films: list[tuple[bool, int]], least: float) -> None:
    truth, scores = np.array([film[0] for film in films]).astype(float), np.array([film[1] for film in films]) / 31
    if truth.min() == truth.max():
        with pytest.raises(ValueError, match="both sides"):
            threshold_for_band(truth, scores, least)
        return
    low, high = threshold_for_band(truth, scores, least)
    assert 0.0 <= low <= high <= 1.0
    above, below = truth[scores >= high], truth[scores < low]
    assert not above.size or above.mean() >= least - 1e-6
    assert not below.size or 1 - below.mean() >= least - 1e-6


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=2, max_size=40))
def test_no_wider_call_than_the_upper_threshold_would_do(films: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([film[0] for film in films]).astype(float), np.array([film[1] for film in films]) / 13
    if truth.min() == truth.max():
        return
    low, high = threshold_for_band(truth, scores, 0.9)
    if low < high:
        for lower in scores[(scores < high) & (scores >= low)]:
            assert truth[scores >= lower].mean() < 0.9


def test_well_separated_sides_leave_no_band() -> None:
    truth = np.repeat([0.0, 1.0], 10)
    low, high = threshold_for_band(truth, np.arange(20) / 20, 0.9)
    assert low == high == 0.5


def test_a_threshold_for_those_at_hand_lets_the_allowed_share_pass() -> None:
    # 5 % of 25 is 1.25: one may lie at or above it, two may not.
    scores = np.arange(25) / 100
    threshold = threshold_for_specificity(scores, 0.95, new_ones=False)
    assert int((scores >= threshold).sum()) == 1
    assert int((scores >= threshold_for_specificity(scores, 0.95)).sum()) == 0
