"""Paired comparisons against pROC, survey and base R, and predictive values against epiR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as peer_mcnemar

from carina.statistics import (
    auc,
    clustered_auc,
    clustered_difference,
    delong_auc,
    effective_sample_size,
    korn_graubard,
    mcnemar,
    mercaldo_predictive_values,
    paired_delong,
)

_R: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "comparison.json").read_text())
_FILMS = {name: np.array(values) for name, values in _R["films"].items()}
_Z = 1.959963984540054


def test_paired_delong_equals_proc_of_r() -> None:
    found, expected = paired_delong(_FILMS["truth"], _FILMS["first"], _FILMS["second"]), _R["paired_delong"]
    assert (found.first, found.second) == pytest.approx((expected["first"], expected["second"]), abs=1e-12)
    assert found.statistic == pytest.approx(expected["z"], abs=1e-9)
    assert found.p_value == pytest.approx(expected["p"], abs=1e-9)
    assert (found.difference.low, found.difference.high) == pytest.approx((expected["low"], expected["high"]), abs=1e-9)


def test_clustered_variance_is_obuchowskis_by_its_definition_in_r() -> None:
    found = clustered_auc(_FILMS["truth"], _FILMS["first"], _FILMS["owner"])
    assert found.value == pytest.approx(_R["clustered"]["auc"], abs=1e-12)
    assert found.low is not None
    error = (_R["clustered"]["auc"] - found.low) / _Z
    assert error**2 == pytest.approx(_R["clustered"]["variance"], rel=1e-9)
    assert error**2 == pytest.approx(_R["clustered"]["jackknife"], rel=0.06)  # leaving out a patient at a time
    paired = paired_delong(_FILMS["truth"], _FILMS["first"], _FILMS["second"], _FILMS["owner"])
    assert paired.statistic is not None
    assert paired.difference.value is not None
    assert (paired.difference.value / paired.statistic) ** 2 == pytest.approx(
        _R["clustered"]["difference_variance"], rel=1e-9
    )


def test_clustered_auc_of_one_film_a_patient_is_delongs() -> None:
    films = np.arange(_FILMS["truth"].size)
    found, delong = (
        clustered_auc(_FILMS["truth"], _FILMS["first"], films),
        delong_auc(_FILMS["truth"], _FILMS["first"]),
    )
    assert (found.low, found.high) == pytest.approx((delong.low, delong.high), abs=1e-12)


def test_repeating_each_patients_films_does_not_narrow_the_area() -> None:
    truth, first, owner = (np.tile(_FILMS[name], 3) for name in ("truth", "first", "owner"))
    once, thrice = clustered_auc(_FILMS["truth"], _FILMS["first"], _FILMS["owner"]), clustered_auc(truth, first, owner)
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high), abs=1e-12)


def test_mcnemar_equals_base_r_and_statsmodels() -> None:
    first, second = _FILMS["right_first"] == 1, _FILMS["right_second"] == 1
    found, expected = mcnemar(first, second), _R["mcnemar"]
    assert (found.only_first, found.only_second) == (expected["only_first"], expected["only_second"])
    assert found.exact == pytest.approx(expected["exact"], abs=1e-12)
    assert found.asymptotic == pytest.approx(expected["asymptotic"], abs=1e-12)
    table = [[0, found.only_first], [found.only_second, 0]]
    assert found.exact == pytest.approx(peer_mcnemar(table, exact=True).pvalue)


def test_mid_p_equals_the_worked_example() -> None:
    # Fagerland, Lydersen, Laake 2013, airway hyper-responsiveness: 1 and 7 discordant, mid-p 0.0391, exact 0.0703.
    found = mcnemar(np.repeat([True, False], [1, 7]), np.repeat([False, True], [1, 7]))
    assert found.exact == pytest.approx(0.0703, abs=5e-5)
    assert found.mid_p == pytest.approx(0.0391, abs=5e-5)


def test_two_that_never_disagree_have_no_test_and_no_interval() -> None:
    found = mcnemar(np.ones(9, dtype=bool), np.ones(9, dtype=bool))
    assert (found.exact, found.mid_p, found.asymptotic) == (None, None, None)
    assert (found.difference.value, found.difference.low) == (0.0, None)


def test_difference_by_patient_equals_survey_of_r() -> None:
    gap, p_value = clustered_difference(_FILMS["right_first"], _FILMS["right_second"], _FILMS["owner"])
    expected = _R["clustered_difference"]
    assert gap.value == pytest.approx(expected["value"], abs=1e-12)
    assert gap.high is not None
    from scipy.stats import t  # noqa: PLC0415 - the test's own quantile

    assert gap.high - expected["value"] == pytest.approx(t.ppf(0.975, expected["df"]) * expected["se"], rel=1e-9)
    by_patient = mcnemar(_FILMS["right_first"] == 1, _FILMS["right_second"] == 1, _FILMS["owner"])
    assert by_patient.clustered_p == pytest.approx(p_value)


@pytest.mark.parametrize(("name", "column", "level"), [("right", "right_first", 0.95), ("rare", "rare", 0.9875)])
def test_korn_graubard_equals_survey_of_r(name: str, column: str, level: float) -> None:
    ones = np.ones(_FILMS["owner"].size)
    found, expected = korn_graubard(_FILMS[column], ones, _FILMS["owner"], level), _R["korn_graubard"][name]
    effective = effective_sample_size(_FILMS[column], ones, _FILMS["owner"])
    assert effective is not None
    assert found.value == pytest.approx(expected["value"], abs=1e-12)
    if effective < 0.97 * ones.size:  # survey does not cap the effective sample size
        assert (found.low, found.high) == pytest.approx((expected["low"], expected["high"]), abs=1e-9)
    else:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= expected["low"]
        assert found.high >= expected["high"]


def test_korn_graubard_never_takes_a_share_of_one_for_certain() -> None:
    found = korn_graubard(np.ones(40), np.ones(40), np.repeat(np.arange(4), 10))
    assert found.value == 1.0
    assert found.low == pytest.approx(0.025**0.25)  # 4 of 4 patients, exact
    assert korn_graubard(np.zeros(3), np.zeros(3), np.arange(3)).value is None
    assert korn_graubard(np.ones(3), np.ones(3), np.zeros(3)).low is None


@pytest.mark.parametrize("case", _R["predictive"], ids=lambda case: str(case["cells"]))
def test_predictive_values_equal_the_likelihood_ratios_of_epir(case: dict[str, Any]) -> None:
    tp, fn, fp, tn = case["cells"]
    found = mercaldo_predictive_values((tp, tp + fn), (tn, tn + fp), case["prevalence"])
    for name in ("ppv", "npv"):
        one = found[name]
        assert (one.value, one.low, one.high) == pytest.approx(case[name], abs=1e-9)


def test_predictive_values_at_the_samples_own_prevalence_are_the_samples() -> None:
    found = mercaldo_predictive_values((45, 50), (88, 100), 50 / 150)
    assert found["ppv"].value == pytest.approx(45 / 57)
    assert found["npv"].value == pytest.approx(88 / 93)


def test_no_false_positive_is_no_certain_ppv() -> None:
    found = mercaldo_predictive_values((20, 25), (30, 30), 0.1)["ppv"]
    assert found.value == 1.0
    assert found.high == 1.0
    assert found.low is not None
    assert found.low < 0.9
    assert "adjusted" in found.method
    assert mercaldo_predictive_values((0, 0), (3, 4), 0.1)["ppv"].value is None
    assert mercaldo_predictive_values((0, 5), (4, 4), 0.1)["ppv"].note == "not estimable: no film is called so"


def test_equal_and_perfect_models_have_no_interval() -> None:
    truth, scores = np.repeat([0, 1], 10), np.arange(20.0)
    same = paired_delong(truth, scores, 2 * scores)
    assert (same.difference.value, same.p_value) == (0.0, None)
    assert "without an error" in (same.difference.note or "")
    assert paired_delong(np.ones(4), scores[:4], scores[:4]).difference.value is None
    perfect = clustered_auc(truth, scores, np.arange(20))
    assert (perfect.value, perfect.low) == (1.0, None)
    assert auc(truth, scores) == 1.0


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="must be as many"):
        mcnemar(np.ones(3, dtype=bool), np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="must be within 0 and trials"):
        korn_graubard(np.array([2]), np.array([1]), np.array(["a"]))
    with pytest.raises(ValueError, match="prevalence must be within"):
        mercaldo_predictive_values((1, 2), (1, 2), 0.0)
