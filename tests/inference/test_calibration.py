from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from carina.errors import CalibrationError
from carina.inference.calibration import Calibration, calibrated_probabilities, prediction_set, prior_shift
from carina.tasks import Task, default_task, task_from_dict

_TASK = default_task()
_EVEN = dict.fromkeys(_TASK.classes, 0.25)
_LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-30, 30))


def _flat_task() -> Task:
    values = _TASK.model_dump()
    values["groups"] = {}
    return task_from_dict(values)


def _values(**changes: Any) -> dict[str, Any]:
    return {
        "model_sha256": "ab" * 32,
        "temperature": {"root": 1.5, "pneumonia": 0.8},
        "class_mix": _EVEN,
        "thresholds": {"pneumonia": {"low": 0.3, "high": 0.3, "ages": None}},
        "operating_points": {},
        "conformal": {
            "coverage": 0.95,
            "quantiles": {"normal": 0.5, "bacterial": 0.6, "viral": 1.0, "covid19": 0.2},
            "patients": {"normal": 80, "bacterial": 70, "viral": 5, "covid19": 60},
            "guaranteed": {"normal": True, "bacterial": True, "viral": False, "covid19": True},
        },
        "table_sha256": "cd" * 32,
        "films": 215,
        **changes,
    }


@given(_LOGITS)
def test_without_a_calibration_the_probabilities_are_the_softmax(logits: np.ndarray) -> None:
    assert calibrated_probabilities(logits, _TASK) == pytest.approx(softmax(logits, axis=1), abs=1e-12)


@given(_LOGITS, st.floats(0.05, 20))
def test_a_flat_task_is_the_softmax_at_the_root_temperature(logits: np.ndarray, temperature: float) -> None:
    found = calibrated_probabilities(logits, _flat_task(), {"root": temperature})
    assert found == pytest.approx(softmax(logits / temperature, axis=1), abs=1e-9)


@given(_LOGITS, st.floats(0.05, 20), st.floats(0.05, 20))
def test_probabilities_sum_to_one_whatever_the_temperatures(logits: np.ndarray, root: float, group: float) -> None:
    found = calibrated_probabilities(logits, _TASK, {"root": root, "pneumonia": group})
    assert found.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-9)
    assert (found >= 0).all()


def test_the_levels_have_their_own_temperatures() -> None:
    # By hand: units normal (logit 0) and pneumonia (logsumexp(0, log 2, log 5) = log 8) at T = 3: 1 to 8**(1/3) = 2;
    # within pneumonia at T = 0.5 the odds 1 : 2 : 5 become 1 : 4 : 25.
    logits = np.log(np.array([[1.0, 1.0, 2.0, 5.0]]))
    found = calibrated_probabilities(logits, _TASK, {"root": 3.0, "pneumonia": 0.5})
    assert found[0] == pytest.approx([1 / 3, 2 / 3 * 1 / 30, 2 / 3 * 4 / 30, 2 / 3 * 25 / 30])


def test_the_group_temperature_leaves_the_group_s_probability_alone() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (50, 4))
    one, other = (calibrated_probabilities(logits, _TASK, {"root": 2.0, "pneumonia": value}) for value in (0.5, 4.0))
    assert one[:, 0] == pytest.approx(other[:, 0])


@pytest.mark.parametrize("logits", [np.zeros((2, 3)), np.zeros(4), np.array([[0, 0, 0, np.nan]])])
def test_logits_of_another_shape_or_not_finite_are_refused(logits: np.ndarray) -> None:
    with pytest.raises(CalibrationError, match="logits must"):
        calibrated_probabilities(logits, _TASK)


def test_prior_shift_is_bayes_theorem() -> None:
    # Likelihoods 0.8 : 0.1 : 0.05 : 0.05 came through the prior 0.5 : 0.2 : 0.2 : 0.1.
    likelihood, old = np.array([0.8, 0.1, 0.05, 0.05]), np.array([0.5, 0.2, 0.2, 0.1])
    new = np.array([0.1, 0.3, 0.2, 0.4])
    names = _TASK.classes
    found = prior_shift(
        likelihood * old / (likelihood * old).sum(),
        dict(zip(names, old, strict=True)),
        dict(zip(names, new, strict=True)),
        _TASK,
    )
    assert found == pytest.approx(likelihood * new / (likelihood * new).sum())


@settings(max_examples=50)
@given(_LOGITS, st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
def test_prior_shift_there_and_back_changes_nothing(logits: np.ndarray, shares: list[float]) -> None:
    other = dict(zip(_TASK.classes, (np.array(shares) / sum(shares)).tolist(), strict=True))
    start = softmax(logits / 5, axis=1)
    back = prior_shift(prior_shift(start, _EVEN, other, _TASK), other, _EVEN, _TASK)
    assert back == pytest.approx(start, abs=1e-9)


@pytest.mark.parametrize(
    "prevalence",
    [
        {"normal": 1.0},
        {**_EVEN, "normal": 0.5},
        {**_EVEN, "tuberculosis": 0.0},
        {"normal": 1.25, "bacterial": -0.25, "viral": 0, "covid19": 0},
    ],
)
def test_a_prevalence_that_is_no_mix_of_the_classes_is_refused(prevalence: dict[str, float]) -> None:
    with pytest.raises(CalibrationError, match="prevalence must give each"):
        prior_shift(np.full(4, 0.25), _EVEN, prevalence, _TASK)


def test_a_class_that_was_never_calibrated_cannot_be_given_a_prevalence() -> None:
    mix = {"normal": 0.5, "bacterial": 0.25, "viral": 0.25, "covid19": 0.0}
    with pytest.raises(CalibrationError, match="no film of \\['covid19'\\]"):
        prior_shift(np.full(4, 0.25), mix, _EVEN, _TASK)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.5, 0.1, 0.2, 0.2], ("normal", "viral")),  # 1 - 0.5 <= 0.5 holds with equality; viral's quantile is 1
        ([0.1, 0.4, 0.4, 0.1], ("bacterial", "viral")),
        ([0.05, 0.05, 0.05, 0.85], ("viral", "covid19")),
    ],
)
def test_the_set_holds_the_classes_within_their_quantile(probabilities: list[float], expected: tuple[str, ...]) -> None:
    assert prediction_set(np.array(probabilities), Calibration.from_dict(_values()), _TASK) == expected


def test_an_empty_set_is_returned_as_it_is() -> None:
    values = _values()
    values["conformal"]["quantiles"] = dict.fromkeys(_TASK.classes, 0.1)
    assert prediction_set(np.full(4, 0.25), Calibration.from_dict(values), _TASK) == ()


def test_a_calibration_survives_json() -> None:
    one = Calibration.from_dict(_values())
    assert Calibration.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"temperature": {"pneumonia": 1.0}}, "one of them for 'root'"),
        ({"temperature": {"root": 0.0}}, "must be positive"),
        ({"thresholds": {"pneumonia": {"low": 0.6, "high": 0.3}}}, "low must not exceed"),
        ({"films": 0}, "films"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_calibration_that_breaks_its_form_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        Calibration.from_dict(_values(**changes))


def test_thresholds_of_another_model_are_refused() -> None:
    with pytest.raises(CalibrationError, match="belong to one model"):
        Calibration.from_dict(_values()).check_fits(_TASK, "ef" * 32)


def test_a_calibration_for_other_classes_is_refused() -> None:
    values = _TASK.model_dump()
    values["classes"] = [*values["classes"], "tuberculosis"]
    with pytest.raises(CalibrationError, match="must have the classes"):
        Calibration.from_dict(_values()).check_fits(task_from_dict(values), "ab" * 32)


def test_thresholds_are_handed_to_the_decision() -> None:
    threshold = Calibration.from_dict(_values()).decision_thresholds()["pneumonia"]
    assert (threshold.low, threshold.high, threshold.ages) == (0.3, 0.3, None)
