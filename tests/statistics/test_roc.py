from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from carina.statistics import auc, bootstrap_auc, delong_auc

_R: list[dict[str, Any]] = json.loads((Path(__file__).parent / "r" / "reference.json").read_text())["roc"]


@pytest.mark.parametrize("case", _R, ids=lambda case: case["name"])
def test_delong_equals_proc_of_r(case: dict[str, Any]) -> None:
    area = delong_auc(np.array(case["truth"]), np.array(case["scores"]))
    assert area.estimate == pytest.approx(case["auc"], abs=1e-12)
    assert (area.low, area.high) == pytest.approx((case["low"], case["high"]), abs=1e-9)


@pytest.mark.parametrize("case", _R, ids=lambda case: case["name"])
def test_logit_interval_is_the_delta_method_on_r_s_variance(case: dict[str, Any]) -> None:
    area = delong_auc(np.array(case["truth"]), np.array(case["scores"]), on_logit=True)
    half = 1.959963984540054 * case["variance"] ** 0.5 / (case["auc"] * (1 - case["auc"]))
    expected = expit(logit(case["auc"]) + np.array([-half, half]))
    assert (area.low, area.high) == pytest.approx(tuple(expected), abs=1e-9)
    assert area.high is not None
    assert area.high < 1.0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=80))
def test_auc_with_ties_equals_that_of_scikit_learn(films: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([film[0] for film in films]).astype(float), np.array([film[1] for film in films]) / 5
    assume(0 < truth.sum() < len(truth))
    assert auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)


def test_films_without_truth_take_no_part() -> None:
    truth, scores = np.array([1, 0, 1, 0, np.nan]), np.array([0.9, 0.1, 0.4, 0.4, 0.0])
    assert auc(truth, scores) == 0.875
    assert delong_auc(truth, scores).positives == 2


def test_one_side_alone_is_not_estimable() -> None:
    area = delong_auc(np.ones(5), np.linspace(0, 1, 5))
    assert str(area) == "not estimable"
    assert bootstrap_auc(np.ones(5), np.linspace(0, 1, 5), np.arange(5), seed=1).estimate is None


def test_perfect_separation_prints_no_zero_width_interval() -> None:
    truth, scores = np.repeat([0, 1], 20), np.arange(40) / 40
    for area in (delong_auc(truth, scores), bootstrap_auc(truth, scores, np.arange(40), seed=1, repeats=50)):
        assert area.estimate == 1.0
        assert area.low is None


def test_bootstrap_of_independent_films_agrees_with_delong() -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], 150)
    scores = np.concatenate([rng.normal(0, 1, 150), rng.normal(1, 1, 150)])
    by_formula, by_draws = delong_auc(truth, scores), bootstrap_auc(truth, scores, np.arange(300), seed=5)
    assert by_formula.low is not None
    assert by_formula.high is not None
    assert (by_draws.low, by_draws.high) == pytest.approx((by_formula.low, by_formula.high), abs=0.01)


def test_bootstrap_by_patient_is_wider_where_films_repeat_the_patient() -> None:
    rng = np.random.default_rng(4)
    truth, score = np.repeat([0, 1], 40), np.concatenate([rng.normal(0, 1, 40), rng.normal(1, 1, 40)])
    films, patients = np.repeat(np.arange(80), 5), np.repeat(np.arange(80), 5)
    by_patient = bootstrap_auc(truth[films], score[films], patients, seed=1, repeats=500)
    by_film = bootstrap_auc(truth[films], score[films], np.arange(400), seed=1, repeats=500)
    assert by_patient.low is not None
    assert by_patient.high is not None
    assert by_film.low is not None
    assert by_film.high is not None
    # Five copies of each film add no evidence: the right interval is sqrt(5) = 2.24 times as wide.
    assert (by_patient.high - by_patient.low) / (by_film.high - by_film.low) == pytest.approx(5**0.5, rel=0.2)


def test_bootstrap_draw_counts_ties_half() -> None:
    area = bootstrap_auc(np.array([1, 0] * 20), np.full(40, 0.5), np.arange(40), seed=1, repeats=20)
    assert area.estimate == 0.5
    assert area.low is None  # every draw is 0.5: an interval of no width is not printed
