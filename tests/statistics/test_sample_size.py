"""Sample sizes against R 4.5 (base functions only) and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from carina.statistics.sample_size import (
    Expectation,
    design_effect,
    expected_width,
    power_above,
    time_window,
    trials_for_power,
    trials_for_width,
)

# In R the limits are qbeta(a, k, n - k + 1) and qbeta(1 - a, k + 1, n - k) with 0 and 1 at the ends, or those of
# prop.test without its correction, weighted with dbinom over all k.


@pytest.mark.parametrize(
    ("trials", "share", "level", "method", "width"),
    [
        (100, 0.9, 0.95, "clopper-pearson", 0.1256172091),
        (50, 0.7, 0.9875, "clopper-pearson", 0.3280999730),
        (60, 0.85, 0.95, "wilson", 0.1776163448),
    ],
)
def test_expected_width_is_that_of_r(trials: int, share: float, level: float, method: str, width: float) -> None:
    assert expected_width(trials, share, level, method) == pytest.approx(width, abs=1e-9)  # type: ignore[arg-type] # parametrised text


@pytest.mark.parametrize(
    ("share", "width", "level", "method", "trials"),
    [
        (0.9, 0.1, 0.9875, "clopper-pearson", 241),
        (0.8, 0.2, 0.95, "clopper-pearson", 68),
        (0.95, 0.1, 0.9875, "clopper-pearson", 137),
        (0.9, 0.2, 0.95, "wilson", 35),
        (0.8, 0.2, 0.9875, "wilson", 96),
    ],
)
def test_trials_for_a_width_are_those_of_r_s_search_from_one_up(
    share: float, width: float, level: float, method: str, trials: int
) -> None:
    assert trials_for_width(share, width, level, method) == trials  # type: ignore[arg-type] # parametrised text


@pytest.mark.parametrize("method", ["clopper-pearson", "wilson"])
def test_expected_width_is_that_of_statsmodels(method: str) -> None:
    proportion_confint = pytest.importorskip("statsmodels.stats.proportion").proportion_confint
    events = np.arange(81)
    low, high = proportion_confint(events, 80, 0.0125, "beta" if method == "clopper-pearson" else "wilson")
    low, high = np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=1.0)
    wanted = float(np.sum(binom.pmf(events, 80, 0.85) * (high - low)))
    assert expected_width(80, 0.85, 0.9875, method) == pytest.approx(wanted, abs=1e-9)  # type: ignore[arg-type] # parametrised text


# In R the least k with a tail of pbinom under the null of at most half of 1 - level, then the tail of pbinom under the
# share; and the number after the last of 1 to 2000 trials whose power is too small.


@pytest.mark.parametrize(("trials", "power"), [(100, 0.7030331003), (200, 0.9729077699), (57, 0.4887892181)])
def test_power_of_the_exact_interval_is_that_of_r(trials: int, power: float) -> None:
    assert power_above(trials, 0.9, 0.8) == pytest.approx(power, abs=1e-9)


@pytest.mark.parametrize(
    ("share", "null", "power", "level", "trials"),
    [(0.9, 0.8, 0.8, 0.95, 113), (0.9, 0.8, 0.9, 0.9875, 201), (0.3, 0.1, 0.8, 0.9, 29)],
)
def test_trials_for_a_power_are_those_of_r(share: float, null: float, power: float, level: float, trials: int) -> None:
    assert trials_for_power(share, null, power, level) == trials


def test_power_counts_the_intervals_that_lie_above() -> None:
    from carina.statistics import clopper_pearson  # noqa: PLC0415 - needed here alone

    limits = [clopper_pearson(events, 60, 0.95) for events in range(61)]
    above = [events for events, limit in enumerate(limits) if limit is not None and limit[0] > 0.7]
    assert power_above(60, 0.85, 0.7) == pytest.approx(float(np.sum(binom.pmf(above, 60, 0.85))), abs=1e-12)


def test_predictive_values_follow_bayes() -> None:
    # 1,000 films, 200 ill: 180 called of them, and 80 of the 800 others.
    expected = Expectation("covid", sensitivity=0.9, specificity=0.9, prevalence=0.2)
    assert (expected.called, expected.ppv, expected.npv) == pytest.approx((0.26, 180 / 260, 720 / 740))


def test_two_contrasts_have_intervals_of_98_75_percent() -> None:
    both = [Expectation("covid", 0.9, 0.9, 0.3), Expectation("bacterial", 0.8, 0.8, 0.5)]
    window = time_window(both, width=0.2, patients_per_month=100, confirmed=0.5)
    assert window.level == pytest.approx(0.9875)


def test_months_follow_from_the_contrast_that_needs_most() -> None:
    # PPV = NPV = 0.9 and half called: 241 calls (R, above) take 482 films; a third is confirmed, half of them tested:
    # 2,892 patients; with 300 for training 3,192; at 100 a month 31.92, rounded up to a tenth.
    even = [Expectation("a", 0.9, 0.9, 0.5), Expectation("b", 0.95, 0.95, 0.5)]
    window = time_window(
        even, width=0.1, patients_per_month=100, confirmed=1 / 3, test_share=0.5, training_patients=300
    )
    assert (window.films["a"], window.eligible_patients, window.months) == (482, 3192, 32.0)


def test_films_of_one_patient_count_less() -> None:
    assert design_effect(3, 0.25) == 1.5


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: trials_for_width(1.0, 0.1), "share must be within 0 and 1"),
        (lambda: trials_for_width(0.5, 1e-5), "more than 1,000,000 trials"),
        (lambda: trials_for_power(0.8, 0.9), "must exceed"),
        (lambda: expected_width(0, 0.5), "at least 1"),
        (lambda: Expectation("a", 0.9, 1.5, 0.5), "specificity must be within"),
        (lambda: time_window([], width=0.1, patients_per_month=1, confirmed=1), "at least one contrast"),
    ],
)
def test_what_cannot_be_planned_is_refused(call: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()  # type: ignore[operator] # the table holds functions
