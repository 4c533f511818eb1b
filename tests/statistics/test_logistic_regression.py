"""Logistic regression against R (glm, brglm2, sandwich, geepack) and statsmodels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.statistics import (
    cluster_covariance,
    firth_logistic,
    is_separated,
    likelihood_ratio_test,
    logistic_regression,
    profile_interval,
)

_R: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "regression.json").read_text())
_STUDY = {name: np.array(values, dtype=float) for name, values in _R["endometrial"].items()}
_DESIGN = np.column_stack([np.ones(79), _STUDY["NV"], _STUDY["PI"], _STUDY["EH"]])


def test_maximum_likelihood_equals_statsmodels() -> None:
    films = _R["films"]
    design = np.column_stack([np.ones(len(films["truth"])), films["output"], films["age"]])
    found, peer = logistic_regression(design, films["truth"]), sm.Logit(films["truth"], design).fit(disp=0)
    assert found.coefficients == pytest.approx(peer.params, abs=1e-8)
    assert found.covariance == pytest.approx(peer.cov_params(), abs=1e-9)
    assert found.log_likelihood == pytest.approx(peer.llf, abs=1e-9)


def test_firth_equals_brglm2_of_r_on_the_endometrial_study() -> None:
    found = firth_logistic(_DESIGN, _STUDY["HG"])
    assert found.converged
    assert found.coefficients == pytest.approx(_R["firth"]["estimate"], abs=1e-6)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(_R["firth"]["se"], abs=1e-5)
    assert found.log_likelihood == pytest.approx(_R["firth"]["penalised"], abs=1e-6)


def test_penalised_tests_equal_a_direct_search_in_r() -> None:
    for column, expected in zip((1, 2, 3), _R["firth"]["statistics"], strict=True):
        assert likelihood_ratio_test(_DESIGN, _STUDY["HG"], [column], penalised=True)[0] == pytest.approx(
            expected, abs=1e-5
        )
    statistic, degrees, _ = likelihood_ratio_test(_DESIGN, _STUDY["HG"], [2, 3], penalised=True)
    assert degrees == 2
    assert statistic > 7
    joint = likelihood_ratio_test(_DESIGN, _STUDY["HG"], [1, 2], penalised=True)[0]
    assert joint == pytest.approx(_R["firth"]["joint"], abs=1e-5)


def test_penalised_profile_intervals_equal_the_published_ones() -> None:
    # Heinze and Schemper, Stat. Med. 21 (2002), endometrial cancer: NV 2.93 (0.61 to 7.85), EH -2.60 (-4.37 to -1.23).
    assert profile_interval(_DESIGN, _STUDY["HG"], 1, penalised=True) == pytest.approx((0.61, 7.85), abs=0.006)
    assert profile_interval(_DESIGN, _STUDY["HG"], 3, penalised=True) == pytest.approx((-4.37, -1.23), abs=0.006)


def test_a_separated_study_is_known_and_refused_without_penalty() -> None:
    assert is_separated(_DESIGN, _STUDY["HG"])  # NV: no film of it has HG = 0
    assert not is_separated(_DESIGN[:, [0, 2, 3]], _STUDY["HG"])
    with pytest.raises(ValueError, match="use firth_logistic"):
        logistic_regression(_DESIGN, _STUDY["HG"])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 30))
def test_separation_by_one_number_is_a_threshold_without_an_error(seed: int, films: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 12, films).astype(float), rng.integers(0, 2, films)
    if len(set(y.tolist())) < 2 or len(set(x.tolist())) < 2:
        return
    design = np.column_stack([np.ones(films), x])
    up, down = x[y == 1], x[y == 0]
    assert is_separated(design, y) == bool(up.min() >= down.max() or down.min() >= up.max())


def test_profile_interval_equals_confint_of_r() -> None:
    films, expected = _R["films"], _R["age"]
    output, age = np.array(films["output"]), np.array(films["age"])
    design = np.column_stack([np.ones(output.size), output, age, output * age])
    assert profile_interval(design, films["truth"], 3) == pytest.approx((expected["low"], expected["high"]), abs=2e-5)


def test_robust_covariance_equals_geepack_of_r_but_for_its_factor() -> None:
    films, patients = _R["films"], _R["patients"]
    output, age = np.array(films["output"]), np.array(films["age"])
    design = np.column_stack([np.ones(output.size), output, age, output * age])
    fit = logistic_regression(design, films["truth"])
    found = cluster_covariance(fit, design, films["truth"], np.array(films["owner"]))
    errors = np.sqrt(np.diag(found) * (patients - 1) / patients)
    assert errors == pytest.approx(_R["geepack"]["se"], rel=1e-5)


def test_designs_that_have_no_answer_are_refused() -> None:
    ones = np.ones((6, 1))
    with pytest.raises(ValueError, match="both outcomes"):
        firth_logistic(ones, np.ones(6))
    with pytest.raises(ValueError, match="depend on one another"):
        firth_logistic(np.hstack([ones, ones]), np.array([0, 1, 0, 1, 0, 1]))
    with pytest.raises(ValueError, match="must be finite"):
        logistic_regression(np.full((6, 1), np.nan), np.array([0, 1, 0, 1, 0, 1]))
    fit = logistic_regression(ones, np.array([0, 1, 0, 1, 0, 1]))
    with pytest.raises(ValueError, match="more patients than coefficients"):
        cluster_covariance(fit, ones, np.array([0, 1, 0, 1, 0, 1]), np.zeros(6))
