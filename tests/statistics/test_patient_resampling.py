"""The fast bootstrap against scikit-learn on repeated films, exact intervals and other functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from carina.statistics import (
    Counts,
    accuracy_measures,
    bootstrap_auc,
    cluster_bootstrap,
    cluster_bootstrap_difference,
    clustered_auc,
    expected_calibration_error,
    korn_graubard,
)
from carina.statistics._resampling import Ranked

_N = 400
_RNG = np.random.default_rng(7)
_OWNER = _RNG.integers(0, 120, _N)
_TRUTH = (_RNG.random(_N) < 0.4).astype(float)
_SCORES = np.round(1 / (1 + np.exp(-_RNG.normal(2 * _TRUTH - 1, 1.3))), 2)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_weighted_areas_equal_those_of_films_repeated(data: st.DataObject) -> None:
    films = data.draw(st.integers(3, 25))
    sides = np.array(data.draw(st.lists(st.booleans(), min_size=films, max_size=films)))
    scores = np.array(data.draw(st.lists(st.integers(0, 6), min_size=films, max_size=films))) / 6
    owner = np.array(data.draw(st.lists(st.integers(0, 5), min_size=films, max_size=films)))
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=6, max_size=6)), dtype=np.int32)
    area, average = Ranked.of(sides, scores, owner).areas(weights[None])
    rows = np.repeat(np.arange(films), weights[owner])
    if len(set(sides[rows].tolist())) < 2:
        assert np.isnan(area[0])
        return
    assert area[0] == pytest.approx(metrics.roc_auc_score(sides[rows], scores[rows]))
    assert average[0] == pytest.approx(metrics.average_precision_score(sides[rows], scores[rows]))


def test_point_values_equal_scikit_learns() -> None:
    found, called = cluster_bootstrap(_TRUTH, _SCORES, _OWNER, 0.5, seed=1, repeats=20), _SCORES >= 0.5
    expected = {
        "auc": metrics.roc_auc_score(_TRUTH, _SCORES),
        "average_precision": metrics.average_precision_score(_TRUTH, _SCORES),
        "brier": metrics.brier_score_loss(_TRUTH, _SCORES),
        "ece": expected_calibration_error(_TRUTH, _SCORES),
        "accuracy": metrics.accuracy_score(_TRUTH, called),
        "sensitivity": metrics.recall_score(_TRUTH, called),
        "specificity": metrics.recall_score(_TRUTH, called, pos_label=0),
        "ppv": metrics.precision_score(_TRUTH, called),
        "npv": metrics.precision_score(_TRUTH, called, pos_label=0),
        "f1": metrics.f1_score(_TRUTH, called),
        "mcc": metrics.matthews_corrcoef(_TRUTH, called),
        "kappa": metrics.cohen_kappa_score(_TRUTH, called),
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name
    assert (found["ppv"].events, found["ppv"].n) == (int(_TRUTH[called].sum()), int(called.sum()))


def test_intervals_agree_with_other_methods_by_patient() -> None:
    found = cluster_bootstrap(_TRUTH, _SCORES, _OWNER, 0.5, seed=1)
    positive = _TRUTH == 1
    share = korn_graubard(positive & (_SCORES >= 0.5), positive, _OWNER)
    area, slow = clustered_auc(_TRUTH, _SCORES, _OWNER), bootstrap_auc(_TRUTH, _SCORES, _OWNER, seed=9)
    assert (found["sensitivity"].low, found["sensitivity"].high) == pytest.approx((share.low, share.high), abs=0.02)
    assert (found["auc"].low, found["auc"].high) == pytest.approx((area.low, area.high), abs=0.01)
    assert (found["auc"].low, found["auc"].high) == pytest.approx((slow.low, slow.high), abs=0.01)


def test_every_film_its_own_patient_is_the_ordinary_bootstrap() -> None:
    found = cluster_bootstrap(_TRUTH, _SCORES, np.arange(_N), 0.5, seed=2)
    called, positive = _SCORES >= 0.5, _TRUTH == 1
    counts = Counts(
        int((called & positive).sum()),
        int((called & ~positive).sum()),
        int((~called & ~positive).sum()),
        int((~called & positive).sum()),
    )
    for name in ("accuracy", "ppv", "mcc", "kappa"):
        formula = accuracy_measures(counts)[name]
        assert (found[name].low, found[name].high) == pytest.approx((formula.low, formula.high), abs=0.02), name
    assert found["auc"].patients == _N


def test_several_thresholds_carry_their_own_names() -> None:
    found = cluster_bootstrap(_TRUTH, _SCORES, _OWNER, [0.3, 0.5], measures=["ppv"], seed=1, repeats=20)
    assert list(found) == ["ppv@0.3", "ppv@0.5"]
    assert found["ppv@0.5"].n == int((_SCORES >= 0.5).sum())


def test_same_seed_same_intervals() -> None:
    one, other = (cluster_bootstrap(_TRUTH, _SCORES, _OWNER, 0.5, seed=3, repeats=40) for _ in range(2))
    assert one == other


def test_perfect_separation_prints_no_interval() -> None:
    found = cluster_bootstrap(np.repeat([0, 1], 30), np.arange(60) / 60, np.arange(60), 0.5, seed=1, repeats=100)
    for name in ("auc", "average_precision", "sensitivity", "ppv", "mcc"):
        assert found[name].value == pytest.approx(1.0)
        assert found[name].low is None
        assert "no width" in (found[name].note or "")


def test_constant_scores_have_no_interval_of_the_auc() -> None:
    found = cluster_bootstrap(_TRUTH, np.full(_N, 0.5), _OWNER, 0.7, seed=1, repeats=50)
    assert (found["auc"].value, found["auc"].low) == (0.5, None)
    assert found["ppv"].value is None
    assert found["ppv"].note == "not estimable: no film called positive"


def test_one_class_is_not_estimable() -> None:
    found = cluster_bootstrap(np.ones(20), np.linspace(0, 1, 20), np.arange(20), 0.5, seed=1, repeats=20)
    for name in ("auc", "specificity", "average_precision"):
        assert found[name].value is None, name
        assert found[name].note == "not estimable: one class only"


def test_ten_films_say_what_they_are() -> None:
    truth = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
    found = cluster_bootstrap(truth, np.arange(10) / 10, np.repeat(np.arange(5), 2), 0.75, seed=1, repeats=500)
    assert "5 patients are few" in (found["sensitivity"].note or "")
    assert "draws do not have the figure" in (found["sensitivity"].note or "")


def test_no_film_and_one_patient_are_said() -> None:
    nothing = cluster_bootstrap(np.array([np.nan]), np.array([0.3]), np.array(["a"]), 0.5, seed=1)
    assert nothing["auc"].note == "not estimable: no film has a truth"
    alone = cluster_bootstrap(np.array([0, 1, 0]), np.array([0.3, 0.2, 0.9]), np.array(list("aaa")), seed=1)
    assert alone["auc"].value == 0.0
    assert "fewer than two patients" in (alone["auc"].note or "")


def test_difference_of_two_models_is_narrower_than_of_two_samples() -> None:
    other = np.clip(_SCORES + np.random.default_rng(3).normal(0, 0.05, _N), 0, 1)
    gap = cluster_bootstrap_difference(_TRUTH, _SCORES, other, _OWNER, (0.5, 0.5), seed=1, repeats=500)
    alone = cluster_bootstrap(_TRUTH, _SCORES, _OWNER, 0.5, seed=1, repeats=500)
    expected = metrics.roc_auc_score(_TRUTH, _SCORES) - metrics.roc_auc_score(_TRUTH, other)
    assert gap["auc"].value == pytest.approx(expected)
    widths = [found["auc"].high - found["auc"].low for found in (gap, alone)]  # type: ignore[operator]
    assert widths[0] < 0.5 * widths[1]


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"measures": ["ppv"]}, "need a threshold"),
        ({"measures": ["precision"]}, "measures must be among"),
        ({"level": 1.0}, "confidence level"),
        ({"repeats": 0}, "at least one draw"),
        ({"thresholds": np.nan}, "thresholds must be finite"),
    ],
)
def test_settings_outside_their_range_are_refused(settings_: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        cluster_bootstrap(_TRUTH, _SCORES, _OWNER, seed=1, **settings_)  # type: ignore[arg-type]


def test_calibration_of_scores_that_are_no_probabilities_is_refused() -> None:
    with pytest.raises(ValueError, match="need probabilities"):
        cluster_bootstrap(_TRUTH, 2 * _SCORES, _OWNER, measures=["ece"], seed=1)
    assert "ece" not in cluster_bootstrap(_TRUTH, 2 * _SCORES, _OWNER, seed=1, repeats=2)
