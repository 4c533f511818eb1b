from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from carina.statistics import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability_bins,
)

_FILMS = st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), min_size=2, max_size=60)


@given(_FILMS)
def test_brier_and_log_loss_equal_those_of_scikit_learn(films: list[tuple[bool, float]]) -> None:
    truth, shares = np.array([film[0] for film in films]), np.array([film[1] for film in films])
    assert brier_score(truth, shares) == pytest.approx(brier_score_loss(truth, shares, labels=[False, True]), abs=1e-12)
    targets, both = np.stack([~truth, truth], axis=1), np.stack([1 - shares, shares], axis=1)
    assert log_loss(targets, both) == pytest.approx(sklearn_log_loss(truth, both, labels=[False, True]), abs=1e-9)


def test_the_brier_score_of_several_classes_sums_over_them() -> None:
    assert brier_score(np.eye(3), np.full((3, 3), 1 / 3)) == pytest.approx(2 / 3)


def test_calibration_error_of_a_hand_made_table() -> None:
    # Bin [0.2, 0.4): mean 0.3, observed 1/2. Bin [0.8, 1]: mean 0.9, observed 1/1. Error (2 x 0.2 + 1 x 0.1) / 3.
    truth, shares = np.array([0, 1, 1, np.nan]), np.array([0.25, 0.35, 0.9, 0.5])
    assert expected_calibration_error(truth, shares, bins=5) == pytest.approx(0.5 / 3)
    assert [row.films for row in reliability_bins(truth, shares, bins=5)] == [0, 2, 0, 0, 1]


def test_a_probability_of_one_lies_in_the_last_bin() -> None:
    assert reliability_bins(np.array([1]), np.array([1.0]))[-1].films == 1
    assert expected_calibration_error(np.array([]), np.array([])) is None


@settings(max_examples=10, deadline=None)
@given(st.floats(0.3, 4.0), st.integers(0, 1000))
def test_the_temperature_is_found_again(temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (8_000, 4))
    drawn = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((8_000, 1))).sum(axis=1)
    found = fit_temperature(logits * temperature, np.eye(4, dtype=bool)[np.minimum(drawn, 3)])
    assert found == pytest.approx(temperature, rel=0.08)


def test_two_classes_give_the_slope_of_an_unpenalised_logistic_regression() -> None:
    rng = np.random.default_rng(2)
    score = rng.normal(0, 2, 500)
    truth = rng.random(500) < 1 / (1 + np.exp(-0.6 * score))
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(score[:, None], truth).coef_[0, 0]
    found = fit_temperature(np.stack([np.zeros(500), score], axis=1), np.stack([~truth, truth], axis=1))
    assert 1 / found == pytest.approx(slope, rel=1e-4)


def test_a_label_set_s_likelihood_is_the_sum_of_its_classes() -> None:
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 1, (200, 3))
    targets = np.zeros((200, 3), dtype=bool)
    targets[:120, 0], targets[120:, 1:] = True, True
    found = fit_temperature(logits, targets)

    def loss(temperature: float) -> float:
        return log_loss(targets, softmax(logits / temperature, axis=1))

    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 2000))
    assert loss(found) <= min(loss(temperature) for temperature in grid) + 1e-7


def test_perfect_logits_sharpen_within_the_range() -> None:
    assert 0.05 <= fit_temperature(10 * np.eye(3), np.eye(3, dtype=bool)) < 1.0


def test_hopeless_logits_stop_at_the_end_of_the_range() -> None:
    assert fit_temperature(10 * np.eye(3), np.roll(np.eye(3, dtype=bool), 1)) == pytest.approx(20.0, rel=1e-3)


def test_films_that_say_nothing_leave_the_temperature_alone() -> None:
    assert fit_temperature(np.ones((3, 2)), np.ones((3, 2), dtype=bool)) == 1.0


def test_weights_count_as_copies_of_films() -> None:
    rng = np.random.default_rng(9)
    logits, targets = rng.normal(0, 2, (60, 3)), np.eye(3, dtype=bool)[rng.integers(0, 3, 60)]
    copies = rng.integers(1, 4, 60)
    weighted = fit_temperature(logits, targets, copies.astype(float))
    assert weighted == pytest.approx(
        fit_temperature(np.repeat(logits, copies, axis=0), np.repeat(targets, copies, axis=0)), rel=1e-4
    )
