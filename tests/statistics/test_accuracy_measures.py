"""Accuracy parameters against scikit-learn, and intervals against psych of R and the multinomial delta method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from carina.statistics import (
    Counts,
    accuracy_measures,
    class_measures,
    clopper_pearson,
    cohen_kappa,
    confusion_matrix,
    macro_measures,
    matthews,
    wilson,
)

_R: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "comparison.json").read_text())
_CALLS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=8, max_size=80)


def _counts(cells: list[int]) -> Counts:
    """Cells as R has them: TP, FN, FP, TN."""
    return Counts(tp=cells[0], fn=cells[1], fp=cells[2], tn=cells[3])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_every_measure_equals_scikit_learns_or_is_not_estimable(films: list[tuple[bool, bool]]) -> None:
    truth, called = np.array(films).T
    tn, fp, fn, tp = metrics.confusion_matrix(truth, called, labels=[False, True]).ravel().tolist()
    found = accuracy_measures(Counts(tp, fp, tn, fn))
    nan = float("nan")
    expected = {
        "accuracy": metrics.accuracy_score(truth, called),
        "sensitivity": metrics.recall_score(truth, called, zero_division=nan),
        "specificity": metrics.recall_score(truth, called, pos_label=False, zero_division=nan),
        "ppv": metrics.precision_score(truth, called, zero_division=nan),
        "npv": metrics.precision_score(truth, called, pos_label=False, zero_division=nan),
        "f1": metrics.f1_score(truth, called, zero_division=nan),
    }
    if len(set(truth)) > 1 and len(set(called)) > 1:  # elsewhere scikit-learn gives 0 for 0/0
        expected["mcc"] = metrics.matthews_corrcoef(truth, called)
        expected["kappa"] = metrics.cohen_kappa_score(truth, called)
    for name, value in expected.items():
        if np.isnan(value):
            assert found[name].value is None
        else:
            assert found[name].value == pytest.approx(value, abs=1e-12)


def test_no_measure_of_nothing_is_a_number() -> None:
    found = accuracy_measures(Counts(0, 0, 0, 0))
    for name in ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "mcc", "kappa"):
        assert found[name].value is None
        assert found[name].low is None
        assert (found[name].note or "").startswith("not estimable")


def test_one_class_called_rightly_is_not_agreement_beyond_chance() -> None:
    found = accuracy_measures(Counts(tp=0, fp=0, tn=10, fn=0))
    assert found["accuracy"].value == 1.0
    assert found["accuracy"].low == pytest.approx(0.6915, abs=1e-4)  # 10 of 10, Clopper-Pearson
    for name in ("kappa", "mcc", "f1", "sensitivity", "ppv"):
        assert found[name].value is None


def test_intervals_of_shares_are_the_method_asked_for() -> None:
    counts = Counts(tp=8, fp=1, tn=18, fn=2)
    exact, score = accuracy_measures(counts, 0.9875), accuracy_measures(counts, 0.9875, method="wilson")
    assert (exact["ppv"].low, exact["ppv"].high) == clopper_pearson(8, 9, 0.9875)
    assert (score["npv"].low, score["npv"].high) == wilson(18, 20, 0.9875)


def test_interval_of_f1_contains_it_and_covers_by_enumeration() -> None:
    # TP of 12 with TP + FP + FN fixed is binomial: sum the chance of those counts whose interval holds the true F1.
    share, trials, covered = 0.6, 12, 0.0
    true = 2 * share / (1 + share)
    for tp in range(trials + 1):
        found = accuracy_measures(Counts(tp, trials - tp, 5, 0))["f1"]
        assert found.low is not None
        assert found.high is not None
        chance = float(np.prod(range(trials - tp + 1, trials + 1)) / np.prod(range(1, tp + 1))) if tp else 1.0
        covered += chance * share**tp * (1 - share) ** (trials - tp) * (found.low <= true <= found.high)
    assert 0.95 <= covered <= 1.0


@pytest.mark.parametrize("case", _R["agreement"], ids=lambda case: str(case["cells"]))
def test_kappa_has_the_variance_of_psych_of_r(case: dict[str, Any]) -> None:
    found = accuracy_measures(_counts(case["cells"]))["kappa"]
    assert found.value == pytest.approx(case["kappa"], abs=1e-12)
    assert found.low is not None
    assert (case["kappa"] - found.low) / 1.959963984540054 == pytest.approx(case["kappa_variance"] ** 0.5, abs=1e-9)


@pytest.mark.parametrize("case", _R["agreement"], ids=lambda case: str(case["cells"]))
def test_mcc_has_the_variance_of_the_multinomial_delta_method(case: dict[str, Any]) -> None:
    found = accuracy_measures(_counts(case["cells"]))["mcc"]
    assert found.value == pytest.approx(case["mcc"], abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    half = (np.arctanh(found.high) - np.arctanh(found.low)) / 2
    expected = 1.959963984540054 * case["mcc_variance"] ** 0.5 / (1 - case["mcc"] ** 2)
    assert half == pytest.approx(expected, rel=1e-6)


def test_kappa_of_four_classes_equals_psych_of_r() -> None:
    case = _R["kappa_of_four"]
    found = cohen_kappa(np.array(case["matrix"]))
    assert found.value == pytest.approx(case["kappa"], abs=1e-12)
    assert found.high is not None
    assert (found.high - case["kappa"]) / 1.959963984540054 == pytest.approx(case["variance"] ** 0.5, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(_CALLS)
def test_macro_measures_equal_scikit_learns_where_every_class_has_them(calls: list[tuple[int, int]]) -> None:
    pairs = [*calls, *((k, k) for k in range(4))]  # every class in truth and calls
    truth, called = np.array(pairs).T
    matrix = confusion_matrix(truth, called, range(4))
    assert matrix.tolist() == metrics.confusion_matrix(truth, called, labels=range(4)).tolist()
    found = macro_measures(matrix, list("abcd"))
    assert found["macro_f1"].value == pytest.approx(metrics.f1_score(truth, called, average="macro"), abs=1e-12)
    assert found["macro_ppv"].value == pytest.approx(metrics.precision_score(truth, called, average="macro"), abs=1e-12)
    assert found["macro_sensitivity"].value == pytest.approx(metrics.balanced_accuracy_score(truth, called), abs=1e-12)
    assert matthews(matrix) == pytest.approx(metrics.matthews_corrcoef(truth, called), abs=1e-12)
    assert found["kappa"].value == pytest.approx(metrics.cohen_kappa_score(truth, called), abs=1e-12)


def test_a_class_that_is_never_called_makes_the_macro_ppv_not_estimable() -> None:
    matrix = confusion_matrix(np.array(list("aabbc")), np.array(list("aabbb")), list("abc"))
    found = macro_measures(matrix, list("abc"))
    assert found["macro_ppv"].value is None
    assert "for c" in (found["macro_ppv"].note or "")
    assert class_measures(matrix, list("abc"))["c"]["ppv"].value is None
    assert found["macro_sensitivity"].value == pytest.approx(2 / 3)


def test_unknown_interval_and_repeated_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="found 'wald'"):
        accuracy_measures(Counts(1, 1, 1, 1), method="wald")
    with pytest.raises(ValueError, match="classes must differ"):
        confusion_matrix(np.array([0]), np.array([0]), [0, 0])
