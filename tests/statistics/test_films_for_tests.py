"""Sample sizes against pROC of R, published examples and powers simulated in R."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from carina.statistics import (
    auc_standard_error,
    delong_auc,
    films_for_auc_difference,
    films_for_auc_width,
    films_for_calibration_slope,
    films_for_interaction,
    films_for_mcnemar,
    films_for_net_benefit,
    films_for_observed_to_expected,
    logistic_regression,
    paired_delong,
    positives_for_auc,
)

_R: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "sample_size.json").read_text())


@pytest.mark.parametrize("case", _R["areas"], ids=lambda case: str(case["auc"]))
def test_positives_for_an_auc_equal_proc_of_r(case: dict[str, Any]) -> None:
    found = positives_for_auc(
        case["auc"], negatives_each=case["negatives_each"], power=case["power"], level=case["level"]
    )
    assert found == math.ceil(case["positives"])


@pytest.mark.parametrize("case", _R["pairs"], ids=lambda case: str(case["films"]))
def test_films_for_mcnemar_have_the_power_that_r_counts(case: dict[str, Any]) -> None:
    assert films_for_mcnemar(case["only_first"], case["only_second"]) == case["films"]
    assert case["power"] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("case", _R["interactions"], ids=lambda case: str(case["films"]))
def test_films_for_an_interaction_have_about_the_power_simulated_in_r(case: dict[str, Any]) -> None:
    found = films_for_interaction(case["auc"], case["other"], case["prevalence"], case["share"])
    assert found == case["films"]
    assert case["power"] == pytest.approx(0.8, abs=0.06)  # Wald's approximation, and 1,500 runs


def test_observed_over_expected_is_the_published_example() -> None:
    # Riley et al. 2021: prevalence 0.018 and a standard error of 0.051 of ln(O/E) take 20,975 people.
    assert films_for_observed_to_expected(0.018, 2 * math.sinh(1.959963984540054 * 0.051)) == 20975


def test_width_of_the_auc_is_what_delong_finds_at_that_size() -> None:
    films = films_for_auc_width(0.8, 0.1, 0.5)
    rng, widths = np.random.default_rng(1), []
    for _ in range(60):
        truth = np.arange(films) % 2
        area = delong_auc(truth, rng.normal(truth * 1.1902, 1))  # binormal AUC 0.8
        assert area.low is not None
        assert area.high is not None
        widths.append(area.high - area.low)
    assert np.mean(widths) == pytest.approx(0.1, rel=0.06)
    assert auc_standard_error(0.8, films / 2, films / 2) <= 0.1 / 2 / 1.95


def test_films_for_a_difference_of_aucs_give_about_the_power() -> None:
    films = films_for_auc_difference(0.85, 0.78, 0.5, correlation=0.5)
    rng, found = np.random.default_rng(2), 0
    for _ in range(200):
        truth, shared = np.arange(films) % 2, rng.normal(0, math.sqrt(0.55), films)
        first, second = (
            shared + rng.normal(0, math.sqrt(0.45), films) + truth * distance for distance in (1.4657, 1.0920)
        )
        p_value = paired_delong(truth, first, second).p_value
        found += p_value is not None and p_value < 0.05
    assert found / 200 == pytest.approx(0.8, abs=0.1)


def test_films_for_a_calibration_slope_give_the_width() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(-0.5, 1.5, 4000)
    films = films_for_calibration_slope(logits, 0.4)
    drawn = rng.choice(logits, 40_000)
    fit = logistic_regression(np.column_stack([np.ones(40_000), drawn]), rng.random(40_000) < expit(drawn))
    error = math.sqrt(fit.covariance[1, 1] * 40_000 / films)
    assert 2 * 1.96 * error == pytest.approx(0.4, rel=0.03)


def test_films_for_a_net_benefit_give_the_width() -> None:
    sens, spec, prevalence, threshold = 0.8, 0.9, 0.3, 0.2
    films = films_for_net_benefit(sens, spec, prevalence, threshold, width=0.2)
    rng = np.random.default_rng(4)
    ups = rng.binomial(films, prevalence, 20_000)
    hits, alarms = rng.binomial(ups, sens), rng.binomial(films - ups, 1 - spec)
    standardised = (hits - alarms * threshold / (1 - threshold)) / ups
    assert 2 * 1.96 * standardised.std() == pytest.approx(0.2, rel=0.03)


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(ValueError, match=r"exceed 0\.5"):
        positives_for_auc(0.5)
    with pytest.raises(ValueError, match="must differ"):
        films_for_mcnemar(0.1, 0.1)
    with pytest.raises(ValueError, match="areas must differ"):
        films_for_interaction(0.8, 0.8, 0.5, 0.5)
    with pytest.raises(ValueError, match="constant"):
        films_for_calibration_slope(np.zeros(10), 0.4)
