"""Decisions: rules in order, thresholds, ages (M2, M30)."""

from __future__ import annotations

import numpy as np
import pytest

from carina.errors import TaskError
from carina.tasks import Threshold, decide, default_task

_TASK = default_task()
_COVID = "covid19_given_pneumonia"
_BACTERIAL = "bacterial_given_pneumonia_without_covid19"
_THRESHOLDS = {
    "pneumonia": Threshold(0.5, 0.5),
    _COVID: Threshold(0.6, 0.6, ages=(0, 90)),
    _BACTERIAL: Threshold(0.3, 0.7, ages=(0, 90)),
}


@pytest.mark.parametrize(
    ("probabilities", "decision"),
    [
        ((0.51, 0.2, 0.2, 0.09), "normal"),
        ((0.5, 0.1, 0.1, 0.3), "covid19"),  # at the pneumonia threshold, and C given pneumonia 0.6
        ((0.1, 0.7, 0.1, 0.1), "bacterial"),
        ((0.1, 0.1, 0.7, 0.1), "viral"),
        ((0.1, 0.4, 0.4, 0.1), "pneumonia_indeterminate"),
    ],
)
def test_first_rule_that_speaks_decides(probabilities: tuple[float, ...], decision: str) -> None:
    assert decide(_TASK, np.array(probabilities), _THRESHOLDS, 40.0).name == decision


@pytest.mark.parametrize(("age", "why"), [(None, "the age is unknown"), (12.0, "age 12 is outside the ages 18 to 90")])
def test_outside_the_ages_that_trained_it_no_kind_is_decided(age: float | None, why: str) -> None:
    thresholds = {name: Threshold(value.low, value.high, ages=(18, 90)) for name, value in _THRESHOLDS.items()}
    found = decide(_TASK, np.array([0.1, 0.0, 0.0, 0.9]), thresholds, age)
    assert found.name == "pneumonia_indeterminate"
    assert why in found.reason


def test_a_child_is_decided_where_children_trained_the_contrast() -> None:
    thresholds = {
        **_THRESHOLDS,
        _COVID: Threshold(0.6, 0.6, ages=(20, 66)),
        _BACTERIAL: Threshold(0.3, 0.7, ages=(1, 5)),
    }
    child = decide(_TASK, np.array([0.1, 0.7, 0.1, 0.1]), thresholds, 3.0)
    assert child.name == "bacterial"
    assert "covid19_given_pneumonia is not decided: age 3 is outside" in child.reason
    adult = decide(_TASK, np.array([0.1, 0.7, 0.1, 0.1]), thresholds, 40.0)
    assert adult.name == "pneumonia_indeterminate"
    assert "age 40 is outside the ages 1 to 5" in adult.reason


def test_normal_needs_no_age() -> None:
    assert decide(_TASK, np.array([0.9, 0.05, 0.03, 0.02]), _THRESHOLDS, None).name == "normal"


def test_ages_count_in_completed_years() -> None:
    thresholds = {name: Threshold(value.low, value.high, ages=(18, 90)) for name, value in _THRESHOLDS.items()}
    assert decide(_TASK, np.array([0.1, 0.0, 0.0, 0.9]), thresholds, 90.9).name == "covid19"
    assert decide(_TASK, np.array([0.1, 0.0, 0.0, 0.9]), thresholds, 17.99).name == "pneumonia_indeterminate"


def test_contrast_without_common_ages_is_never_decided() -> None:
    thresholds = {"pneumonia": Threshold(0.5, 0.5), _COVID: Threshold(0.6, 0.6), _BACTERIAL: Threshold(0.3, 0.7)}
    found = decide(_TASK, np.array([0.1, 0.0, 0.0, 0.9]), thresholds, 50.0)
    assert "no common age range" in found.reason


def test_missing_threshold_is_an_error() -> None:
    with pytest.raises(TaskError, match="needs a threshold for 'pneumonia'"):
        decide(_TASK, np.array([0.1, 0.2, 0.3, 0.4]), {}, 50.0)
