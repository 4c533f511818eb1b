"""Decision curves against the definition, worked by hand, and the bootstrap of another function."""

from __future__ import annotations

import numpy as np
import pytest

from carina.statistics import decision_curve, net_benefit, patient_bootstrap

_RNG = np.random.default_rng(9)
_TRUTH = (_RNG.random(300) < 0.3).astype(float)
_P = np.clip(0.3 + 0.25 * (_TRUTH - 0.3) + _RNG.normal(0, 0.15, 300), 0.01, 0.99)
_OWNER = _RNG.integers(0, 90, 300)


def test_net_benefit_is_the_worked_example_of_its_authors() -> None:
    # Vickers, Van Calster, Steyerberg 2019: at 10 %, 25 % with cancer; biopsying all 0.25 - 0.75 x 1/9 = 0.167.
    assert float(net_benefit(250, 750, 1000, 0.1)) == pytest.approx(0.1667, abs=5e-5)
    curve = decision_curve(np.repeat([1, 0], [250, 750]), np.full(1000, 0.5), thresholds=[0.1])
    assert curve.treat_all[0] == pytest.approx(0.1667, abs=5e-5)
    assert curve.net_benefit[0] == pytest.approx(curve.treat_all[0])  # everyone's probability exceeds the threshold


def test_a_perfect_test_has_a_standardised_net_benefit_of_one() -> None:
    curve = decision_curve(_TRUTH, 0.05 + 0.9 * _TRUTH, thresholds=[0.1, 0.5, 0.9])
    assert curve.standardised == pytest.approx([1.0, 1.0, 1.0])


def test_interval_is_that_of_resampled_patients() -> None:
    curve = decision_curve(_TRUTH, _P, _OWNER, thresholds=[0.3], seed=4)

    def figure(weights: np.ndarray) -> float:
        called = _P >= 0.3
        return float((weights * called * (_TRUTH - (1 - _TRUTH) * 0.3 / 0.7)).sum() / weights.sum())

    slow = patient_bootstrap(figure, _OWNER, seed=8)
    assert curve.low is not None
    assert curve.high is not None
    assert curve.net_benefit[0] == pytest.approx(slow.value)
    assert (curve.low[0], curve.high[0]) == pytest.approx((slow.low, slow.high), abs=0.01)


def test_another_prevalence_keeps_sensitivity_and_specificity() -> None:
    called = _P >= 0.3
    sens, spec = called[_TRUTH == 1].mean(), (~called)[_TRUTH == 0].mean()
    curve = decision_curve(_TRUTH, _P, thresholds=[0.3], prevalence=0.05)
    assert curve.net_benefit[0] == pytest.approx(0.05 * sens - 0.95 * (1 - spec) * 0.3 / 0.7)
    assert decision_curve(_TRUTH, _P, thresholds=[0.3], prevalence=float(_TRUTH.mean())).net_benefit == pytest.approx(
        decision_curve(_TRUTH, _P, thresholds=[0.3]).net_benefit
    )


def test_one_class_one_patient_and_bad_values_are_said() -> None:
    assert decision_curve(np.ones(5), np.full(5, 0.5)).note == "not estimable: one class only"
    alone = decision_curve(_TRUTH, _P, np.zeros(300), thresholds=[0.3])
    assert alone.low is None
    assert "fewer than two patients" in (alone.note or "")
    with pytest.raises(ValueError, match="threshold probabilities"):
        decision_curve(_TRUTH, _P, thresholds=[1.0])
    with pytest.raises(ValueError, match="needs probabilities"):
        decision_curve(_TRUTH, 3 * _P)


def test_an_interval_without_width_is_not_printed() -> None:
    curve = decision_curve(_TRUTH, _P, _OWNER, thresholds=[0.995], seed=1, repeats=50)
    assert curve.low is not None
    assert np.isnan(curve.low[0])  # nobody is called: every draw has a net benefit of 0
