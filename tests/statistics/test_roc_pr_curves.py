"""Curves against scikit-learn, their bands against exact intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from carina.statistics import auc, average_precision, pr_curve, roc_curve, wilson

_FILMS = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60)


@settings(max_examples=50, deadline=None)
@given(_FILMS)
def test_roc_curve_equals_scikit_learns(films: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([film[0] for film in films]).astype(float), np.array([film[1] for film in films]) / 8
    assume(0 < truth.sum() < len(truth))
    fpr, tpr, thresholds = metrics.roc_curve(truth, scores)
    found = roc_curve(truth, scores)
    assert np.array_equal(found.thresholds, thresholds)
    assert (found.fpr, found.tpr) == (pytest.approx(fpr), pytest.approx(tpr))
    assert np.trapezoid(found.tpr, found.fpr) == pytest.approx(auc(truth, scores))


@settings(max_examples=50, deadline=None)
@given(_FILMS)
def test_precision_and_recall_equal_scikit_learns(films: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([film[0] for film in films]).astype(float), np.array([film[1] for film in films]) / 8
    assume(0 < truth.sum() < len(truth))
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    found = pr_curve(truth, scores)
    assert found.thresholds == pytest.approx(thresholds[::-1])
    assert found.precision == pytest.approx(precision[:-1][::-1])
    assert found.recall == pytest.approx(recall[:-1][::-1])
    assert average_precision(truth, scores) == pytest.approx(metrics.average_precision_score(truth, scores))


def test_one_class_gives_no_curve_and_no_average_precision_of_one() -> None:
    curve = roc_curve(np.ones(4), np.arange(4.0))
    assert curve.fpr.size == 0
    assert curve.note == "not estimable: one class only"
    assert average_precision(np.ones(4), np.arange(4.0)) is None
    assert pr_curve(np.zeros(4), np.arange(4.0)).note == "not estimable: no positive film"


def test_constant_scores_give_the_diagonal() -> None:
    curve = roc_curve(np.array([0, 1, 0, 1]), np.full(4, 0.3))
    assert (curve.fpr.tolist(), curve.tpr.tolist()) == ([0.0, 1.0], [0.0, 1.0])
    assert average_precision(np.array([0, 1, 0, 1]), np.full(4, 0.3)) == 0.5


def test_band_of_independent_films_is_about_as_wide_as_a_share_of_the_positives() -> None:
    rng = np.random.default_rng(4)
    truth = np.repeat([0, 1], [20000, 400])  # with so many negatives the false positive rate is almost known
    scores = np.concatenate([rng.normal(0, 1, 20000), rng.normal(1.5, 1, 400)])
    curve = roc_curve(truth, scores, np.arange(20400), seed=1, repeats=300, grid=11)
    assert curve.band is not None
    threshold = np.quantile(scores[:20000], 0.8)
    expected = wilson(int((scores[20000:] > threshold).sum()), 400)
    assert expected is not None
    assert (curve.band.low[2], curve.band.high[2]) == pytest.approx(expected, abs=0.015)
    precision = pr_curve(truth, scores, np.arange(20400), seed=1, repeats=50, grid=5)
    assert precision.band is not None
    assert (precision.band.low <= precision.band.high).all()


def test_one_patient_has_no_band() -> None:
    curve = roc_curve(np.array([0, 1, 0, 1]), np.arange(4.0), np.array(list("aaaa")))
    assert curve.band is None
    assert "fewer than two patients" in (curve.note or "")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="scores must be finite; found 1"):
        roc_curve(np.array([0, 1, 1]), np.array([0.1, bad, 0.3]))
    assert average_precision(np.array([0, np.nan, 1]), np.array([0.1, bad, 0.3])) == 1.0  # no truth: takes no part


def test_a_truth_that_is_neither_side_is_refused() -> None:
    with pytest.raises(ValueError, match="truth must be 1, 0 or NaN"):
        roc_curve(np.array([0, 2, 1]), np.array([0.1, 0.2, 0.3]))
