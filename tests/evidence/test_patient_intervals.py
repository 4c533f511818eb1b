"""Intervals by patient, against SciPy's bootstrap and exact intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from carina.evidence import Estimate, patient_bootstrap, patient_mean


def test_mean_of_single_films_has_the_interval_of_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(5).normal(0.4, 0.2, 60)
    peer = bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=7).confidence_interval
    found = patient_mean(values, np.arange(60), seed=3, repeats=9999)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(peer.low, abs=0.005)
    assert found.high == pytest.approx(peer.high, abs=0.005)


def test_repeating_each_patients_film_does_not_narrow_the_interval() -> None:
    values = np.random.default_rng(5).normal(0.4, 0.2, 40)
    once = patient_mean(values, np.arange(40), seed=3)
    five_times = patient_mean(np.repeat(values, 5), np.repeat(np.arange(40), 5), seed=3)
    assert (five_times.low, five_times.high) == pytest.approx((once.low, once.high))
    assert (five_times.films, five_times.patients) == (200, 40)


def test_all_hits_get_the_exact_interval_over_patients() -> None:
    found = patient_mean([1.0] * 12, list("aabbccddeeff"), seed=1)
    exact = binomtest(6, 6).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_films_without_a_value_take_no_part() -> None:
    found = patient_mean([0.2, float("nan"), 0.4], ["a", "b", "c"], seed=1)
    assert (found.estimate, found.films, found.patients) == (pytest.approx(0.3), 2, 2)


def test_no_value_at_all_is_not_estimable() -> None:
    assert patient_mean([float("nan")], ["a"], seed=1).estimate is None
    assert str(patient_mean([], [], seed=1)) == "not estimable, 0 films"


def test_one_patient_has_no_interval() -> None:
    found = patient_mean([0.2, 0.4], ["a", "a"], seed=1)
    assert (found.low, found.high) == (None, None)


def test_equal_values_print_no_interval_without_width() -> None:
    assert patient_mean([0.3, 0.3, 0.3], list("abc"), seed=1).low is None


def test_values_without_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="every value must have a patient"):
        patient_mean([1.0, 2.0], ["a"], seed=1)


def test_any_figure_is_resampled_by_whole_patients() -> None:
    values, patients = np.array([0.0, 1.0, 0.5, 0.9]), list("aabb")
    seen: list[np.ndarray] = []

    def mean(weights: np.ndarray) -> float | None:
        seen.append(weights)
        return float(np.average(values, weights=weights))

    found = patient_bootstrap(mean, patients, seed=2, repeats=50)
    assert all(weights[0] == weights[1] and weights[2] == weights[3] for weights in seen)
    assert found.estimate == pytest.approx(0.6)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.7)


def test_a_figure_that_does_not_exist_is_none() -> None:
    assert patient_bootstrap(lambda _: None, ["a", "b"], seed=1) == Estimate(None, None, None, 0, 0)
