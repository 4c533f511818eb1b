"""M32 in both forms against R."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from carina.statistics import cluster_robust_wald, correctness_regression, holm, interaction_test

_R: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "regression.json").read_text())
_TRUTH, _OUTPUT, _AGE = (np.array(_R["films"][name], dtype=float) for name in ("truth", "output", "age"))
_ETHNICITY, _OWNER = np.array(_R["films"]["ethnicity"]), np.array(_R["films"]["owner"])


def test_interaction_with_age_equals_the_likelihood_ratio_test_of_r() -> None:
    found, expected = interaction_test(_TRUTH, _OUTPUT, _AGE, name="age"), _R["age"]
    assert (found.statistic, found.p_value) == pytest.approx((expected["statistic"], expected["p"]), abs=1e-7)
    term = found.terms[0]
    assert term.estimate == pytest.approx(expected["estimate"], abs=1e-8)
    assert (term.low, term.high) == pytest.approx((expected["low"], expected["high"]), abs=2e-5)


def test_interaction_with_ethnicity_has_several_degrees_of_freedom_as_in_r() -> None:
    found, expected = interaction_test(_TRUTH, _OUTPUT, _ETHNICITY, name="ethnicity"), _R["ethnicity"]
    assert found.degrees == expected["df"] == 3
    assert (found.statistic, found.p_value) == pytest.approx((expected["statistic"], expected["p"]), abs=1e-7)
    assert [term.name for term in found.terms] == [
        f"output x ethnicity: {word} against european" for word in ("asian", "maori", "pacific")
    ] or sorted(term.estimate for term in found.terms) == pytest.approx(sorted(expected["estimate"]), abs=1e-7)
    assert sorted(term.low or 0 for term in found.terms) == pytest.approx(sorted(expected["low"]), abs=1e-3)


def test_units_rescale_the_term_and_not_the_test() -> None:
    years, decades = (interaction_test(_TRUTH, _OUTPUT, _AGE, name="age", unit=unit) for unit in (1.0, 10.0))
    assert decades.terms[0].estimate == pytest.approx(10 * years.terms[0].estimate)
    assert decades.terms[0].name == "output x age, per 10"
    assert decades.p_value == pytest.approx(years.p_value)


def test_robust_wald_equals_sandwich_of_r() -> None:
    found, expected = cluster_robust_wald(_TRUTH, _OUTPUT, _ETHNICITY, _OWNER, name="ethnicity"), _R["robust"]
    assert (found.statistic, found.p_value) == pytest.approx((expected["f"], expected["p"]), abs=1e-6)
    quantile = student.ppf(0.975, _R["patients"] - 1)
    widths = [(term.high - term.estimate) / quantile for term in found.terms if term.high is not None]
    assert sorted(widths) == pytest.approx(sorted(expected["se"]), abs=1e-6)


def test_correctness_among_positives_equals_the_test_of_r() -> None:
    found, expected = correctness_regression(_TRUTH, _OUTPUT > 0, _AGE, name="age"), _R["right_among_positives"]
    one = found["positive"]
    assert (one.statistic, one.p_value) == pytest.approx((expected["statistic"], expected["p"]), abs=1e-7)
    assert (one.terms[0].low, one.terms[0].high) == pytest.approx((expected["low"], expected["high"]), abs=2e-5)
    assert found["negative"].n == int((_TRUTH == 0).sum())


def test_a_separated_group_gets_the_penalised_test_and_a_finite_interval() -> None:
    rng = np.random.default_rng(5)
    truth, sex = np.tile([0, 1], 40), np.repeat(["F", "M"], 40)
    output = np.where(sex == "M", 4.0 * truth - 2, 0.0) + rng.normal(0, np.where(sex == "M", 0.1, 1.0))
    found = interaction_test(truth, output, sex, name="sex")
    plain = interaction_test(truth, rng.normal(truth, 1.0), sex, name="sex")
    assert plain.method == "likelihood ratio"
    assert found.p_value is not None
    assert found.terms[0].low is not None
    separated = interaction_test(truth, 4.0 * truth + rng.normal(0, 0.1, 80), sex, name="sex")
    assert separated.method == "likelihood ratio, Firth"
    assert np.isfinite(separated.terms[0].estimate)
    robust = cluster_robust_wald(truth, 4.0 * truth + rng.normal(0, 0.1, 80), sex, np.arange(80), name="sex")
    assert robust.p_value is None
    assert "separated" in (robust.note or "")


def test_missing_values_and_small_categories_are_left_out_and_counted() -> None:
    words = np.array(["F", "M"] * 30 + ["X"] * 2 + [""] * 3, dtype=object)
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 65)
    found = interaction_test(truth, rng.normal(truth, 1), words, name="sex")
    assert found.left_out == {"no value": 3, "sex X: fewer than 5 films": 2}
    assert found.n == 60
    ages = np.array([50.0, np.nan] + [20.0, 70.0] * 20)
    assert interaction_test(rng.integers(0, 2, 42), rng.normal(0, 1, 42), ages).left_out == {"no value": 1}


@pytest.mark.parametrize(
    ("truth", "output", "covariate", "words"),
    [
        (np.ones(30), np.arange(30.0), np.arange(30.0), "one class only"),
        (np.tile([0, 1], 15), np.zeros(30), np.arange(30.0), "the output does not vary"),
        (np.tile([0, 1], 15), np.arange(30.0), np.full(30, 7.0), "age does not vary"),
        (np.tile([0, 1], 15), np.arange(30.0), np.repeat("F", 30), "age does not vary"),
        (np.tile([0, 1], 2), np.arange(4.0), np.array([1.0, 5, 2, 8]), "4 films are too few"),
        (np.full(30, np.nan), np.arange(30.0), np.arange(30.0), "no film"),
        (np.tile([0, 1], 15), np.arange(30.0), np.arange(30.0) * 2 + 1, "depend on one another"),
    ],
)
def test_what_cannot_be_tested_says_why(truth: Any, output: Any, covariate: Any, words: str) -> None:
    found = interaction_test(truth, output, covariate, name="age")
    assert found.p_value is None
    assert found.statistic is None
    assert words in (found.note or "")
    assert str(found) == f"age: {found.note}"


def test_all_calls_right_is_not_estimable() -> None:
    truth = np.tile([0, 1], 30)
    found = correctness_regression(truth, truth == 1, np.arange(60.0), name="age")
    for side in ("positive", "negative"):
        assert found[side].note == "not estimable: all calls are right, or all wrong"


def test_few_events_are_said_and_the_interval_is_always_given() -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], [60, 12])
    found = interaction_test(truth, rng.normal(truth, 1), rng.normal(60, 10, 72), name="age")
    assert found.events_per_variable == 4.0
    assert "fewer than 10" in (found.note or "")
    assert " to " in str(found)
    assert np.isfinite(holm([found.p_value, None])[0])


def test_few_patients_have_no_robust_test() -> None:
    rng = np.random.default_rng(3)
    truth = np.tile([0, 1], 20)
    found = cluster_robust_wald(truth, rng.normal(truth, 1), rng.normal(0, 1, 40), np.repeat([0, 1, 2], [20, 10, 10]))
    assert "3 patients are too few" in (found.note or "")
