"""What an estimate says of itself, and when a bootstrap gives no interval."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carina.statistics import (
    Estimate,
    auc,
    bootstrap_auc,
    delong_auc,
    expected_calibration_error,
    patient_mean,
    percentile_interval,
)


def test_a_share_is_printed_with_its_counts_and_nothing_as_not_estimable() -> None:
    assert str(Estimate(0.9, 0.555, 0.997, 10, events=9)) == "0.900 (0.555 to 0.997), 9/10"
    assert str(Estimate(None, None, None, 0, events=0)) == "not estimable, 0/0"


def test_an_estimate_is_written_as_json_with_its_note() -> None:
    told = json.loads(json.dumps(Estimate(None, None, None, 0, 3, note="not estimable: one class only").to_dict()))
    assert told["value"] is None
    assert told["note"] == "not estimable: one class only"
    assert set(told) == {"value", "low", "high", "n", "patients", "level", "method", "events", "note"}


def test_percentiles_are_those_of_the_draws() -> None:
    found = percentile_interval(0.5, np.linspace(0, 1, 1001), n=50, patients=20, level=0.9)
    assert (found.low, found.high) == pytest.approx((0.05, 0.95))
    assert found.note is None


@pytest.mark.parametrize(
    ("drawn", "patients", "words"),
    [
        (np.full(100, 0.25), 20, "no width"),
        (np.array([0.1, 0.2] + [np.nan] * 5), 20, "5 of 7 draws do not have the figure"),
        (np.array([0.1, 0.2]), 1, "fewer than two patients"),
    ],
)
def test_an_interval_that_says_nothing_is_not_printed(drawn: np.ndarray, patients: int, words: str) -> None:
    found = percentile_interval(0.25, drawn, n=50, patients=patients)
    assert (found.value, found.low, found.high) == (0.25, None, None)
    assert words in (found.note or "")


def test_areas_without_interval_say_why() -> None:
    truth = np.repeat([0, 1], 10)
    assert "separated" in (delong_auc(truth, np.arange(20.0)).note or "")
    assert "equal" in (delong_auc(truth, np.zeros(20)).note or "")
    assert "one film" in (delong_auc(np.array([0, 0, 1]), np.arange(3.0)).note or "")
    assert delong_auc(np.ones(3), np.arange(3.0)).note == "not estimable: one class only"
    assert "separated" in (bootstrap_auc(truth, np.arange(20.0), truth, seed=1, repeats=9).note or "")
    assert delong_auc(truth, np.tile([0.2, 0.7, 0.4, 0.9], 5)).note is None


def test_missing_scores_are_refused_and_not_ranked() -> None:
    truth, scores = np.array([0, 1, 1]), np.array([0.1, np.nan, 0.4])
    for function in (auc, delong_auc, expected_calibration_error):
        with pytest.raises(ValueError, match="scores must be finite"):
            function(truth, scores)
    with pytest.raises(ValueError, match="within 0 and 1"):
        expected_calibration_error(np.array([0, 1]), np.array([0.2, 1.2]))
    with pytest.raises(ValueError, match="confidence level"):
        patient_mean([0.1], ["a"], seed=1, level=95)
