"""Intraclass correlation against R's psych and the published table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from carina.statistics.agreement import eta_squared_ranks, intraclass_correlation

ORACLE = json.loads((Path(__file__).parent / "oracles" / "agreement.json").read_text())
SHROUT = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.mark.parametrize("case", ORACLE["icc"], ids=["shrout", "biased", "alike", "noise", "biased-90"])
def test_icc_and_its_interval_are_those_of_psych(case: dict) -> None:
    found = intraclass_correlation(np.array(case["values"]), level=case["level"])
    assert [found.agreement, found.agreement_low, found.agreement_high] == pytest.approx(case["agreement"], abs=1e-8)
    assert [found.consistency, found.consistency_low, found.consistency_high] == pytest.approx(
        case["consistency"], abs=1e-8
    )


def test_shrout_and_fleiss_table_4() -> None:
    found = intraclass_correlation(np.array(SHROUT))
    assert (round(float(found.agreement), 2), round(float(found.consistency), 2)) == (0.29, 0.71)


def test_many_features_at_once_are_each_their_own() -> None:
    many = np.stack([np.array(SHROUT), np.array(SHROUT)[::-1] * 3.0 + 1], axis=2)
    found = intraclass_correlation(many)
    assert found.agreement == pytest.approx([found.agreement[0]] * 2)
    assert found.consistency.shape == (2,)


def test_what_sets_groups_apart_does_not_make_a_feature_repeatable() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(["a", "b"], 20)
    values = rng.normal(size=(40, 3)) + np.where(groups == "b", 100.0, 0.0)[:, None]
    assert intraclass_correlation(values).agreement > 0.99
    assert abs(intraclass_correlation(values, groups).agreement) < 0.3


def test_equal_measurements_agree_wholly_and_constant_ones_have_no_answer() -> None:
    films = np.arange(5.0)
    equal = intraclass_correlation(np.stack([films, films], axis=1))
    assert (float(equal.agreement), float(equal.agreement_low), float(equal.agreement_high)) == (1.0, 1.0, 1.0)
    assert np.isnan(intraclass_correlation(np.ones((5, 2))).agreement)


def test_two_films_are_too_few() -> None:
    with pytest.raises(ValueError, match="three films"):
        intraclass_correlation(np.ones((2, 2)))


def test_share_of_ranks_is_kruskals_h_over_n_less_one() -> None:
    case = ORACLE["ranks"]
    found = eta_squared_ranks(np.array(case["values"]), np.array(case["groups"]))
    assert float(found) == pytest.approx(case["h"] / (len(case["groups"]) - 1), abs=1e-10)


def test_a_constant_feature_has_no_share() -> None:
    found = eta_squared_ranks(np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]), np.array(["a", "a", "b"]))
    assert np.isfinite(found[0])
    assert np.isnan(found[1])
