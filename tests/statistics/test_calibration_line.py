"""Calibration against R (glm, sandwich, rms) and scikit-learn."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.calibration import calibration_curve

from carina.statistics import (
    bounded_logit,
    calibration_in_the_large,
    calibration_slope_intercept,
    observed_to_expected,
    reliability_curve,
)

_R: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "regression.json").read_text())
_TRUTH, _P = (np.array(_R["films"][name], dtype=float) for name in ("truth", "probability"))
_OWNER, _EXPECTED = np.array(_R["films"]["owner"]), _R["calibration"]


def test_slope_and_intercept_equal_those_of_r() -> None:
    line = calibration_slope_intercept(_TRUTH, _P)
    assert line.slope.value == pytest.approx(_EXPECTED["slope"], abs=1e-7)
    assert line.intercept.value == pytest.approx(_EXPECTED["intercept"], abs=1e-7)
    assert line.slope.value == pytest.approx(_EXPECTED["val_prob"]["slope"], abs=1e-6)  # rms, another fitter
    assert line.slope.high is not None
    half = norm.ppf(0.975) * _EXPECTED["se"][1]
    assert line.slope.high - _EXPECTED["slope"] == pytest.approx(half, rel=1e-6)


def test_slope_by_patient_has_the_variance_of_sandwich_of_r() -> None:
    line = calibration_slope_intercept(_TRUTH, _P, _OWNER)
    quantile = student.ppf(0.975, _R["patients"] - 1)
    for one, error in zip((line.intercept, line.slope), _EXPECTED["robust_se"], strict=True):
        assert one.high is not None
        assert one.value is not None
        assert one.high - one.value == pytest.approx(quantile * error, rel=1e-6)


def test_calibration_in_the_large_equals_the_offset_model_of_r() -> None:
    found = calibration_in_the_large(_TRUTH, _P)
    assert found.value == pytest.approx(_EXPECTED["large"], abs=1e-7)
    assert found.low is not None
    assert _EXPECTED["large"] - found.low == pytest.approx(norm.ppf(0.975) * _EXPECTED["large_se"], rel=1e-6)


def test_curve_of_equal_widths_equals_scikit_learns() -> None:
    observed, predicted = calibration_curve(_TRUTH, _P, n_bins=5)
    found = [one for one in reliability_curve(_TRUTH, _P, bins=5, by="width") if one.observed.n]
    assert [one.observed.value for one in found] == pytest.approx(observed)
    assert [one.mean_probability for one in found] == pytest.approx(predicted)


def test_curve_of_equal_numbers_holds_all_films_and_keeps_equal_probabilities_together() -> None:
    found = reliability_curve(_TRUTH, np.round(_P, 1), _OWNER, bins=6)
    assert sum(one.observed.n for one in found) == _TRUTH.size
    for before, after in itertools.pairwise(found):
        assert before.high < after.low
    assert all("Korn-Graubard" in one.observed.method for one in found)


def test_observed_over_expected_by_patient_is_the_films_own_when_each_is_a_patient() -> None:
    alone, by_patient = observed_to_expected(_TRUTH, _P), observed_to_expected(_TRUTH, _P, np.arange(_TRUTH.size))
    assert alone.value == pytest.approx(_TRUTH.sum() / _P.sum())
    assert (by_patient.low, by_patient.high) == pytest.approx((alone.low, alone.high), rel=2e-3)


@pytest.mark.parametrize(
    ("truth", "probabilities", "words"),
    [
        (np.ones(20), np.linspace(0.1, 0.9, 20), "one class only"),
        (np.tile([0, 1], 10), np.full(20, 0.3), "all probabilities are equal"),
        (np.repeat([0, 1], 10), np.linspace(0.1, 0.9, 20), "separate the classes"),
        (np.full(5, np.nan), np.full(5, 0.5), "one class only"),
    ],
)
def test_what_has_no_slope_says_why(truth: Any, probabilities: Any, words: str) -> None:
    line = calibration_slope_intercept(truth, probabilities)
    assert line.slope.value is None
    assert words in (line.slope.note or "")


def test_certain_probabilities_are_moved_and_counted() -> None:
    line = calibration_slope_intercept(np.array([0, 0, 1, 1, 0, 1]), np.array([0.0, 0.2, 0.1, 1.0, 0.6, 0.9]))
    assert "2 probabilities" in (line.slope.note or "")
    assert np.abs(bounded_logit(np.array([0.0, 1.0]))).max() == pytest.approx(np.log(1e6), rel=1e-6)


def test_probabilities_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="within 0 and 1"):
        calibration_slope_intercept(np.array([0, 1]), np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="finite"):
        calibration_in_the_large(np.array([0, 1]), np.array([0.5, np.nan]))
