"""Adjusted p values against p.adjust of R and statsmodels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from carina.statistics import benjamini_hochberg, bonferroni, bonferroni_level, holm

_R = json.loads((Path(__file__).parent / "oracles" / "comparison.json").read_text())["adjusted"]
_NAMES = {"bonferroni": bonferroni, "holm": holm, "bh": benjamini_hochberg}


@pytest.mark.parametrize("name", sorted(_NAMES))
def test_adjusted_p_values_equal_p_adjust_of_r(name: str) -> None:
    assert _NAMES[name](_R["p"]) == pytest.approx(_R[name], abs=1e-12)


def test_adjusted_p_values_equal_those_of_statsmodels() -> None:
    p_values = np.round(np.random.default_rng(6).random(12) ** 3, 2)  # with ties
    for ours, theirs in ((bonferroni, "bonferroni"), (holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert ours(p_values) == pytest.approx(multipletests(p_values, method=theirs)[1], abs=1e-9)


def test_a_test_that_could_not_be_made_stays_unknown_and_does_not_count() -> None:
    assert np.isnan(holm([0.01, None, float("nan")])[1:]).all()
    assert holm([0.02, None, 0.04])[0] == pytest.approx(0.04)


def test_four_intervals_hold_together_at_98_75_percent_each() -> None:
    assert bonferroni_level(4) == pytest.approx(0.9875)
    with pytest.raises(ValueError, match="at least one member"):
        bonferroni_level(0)
    with pytest.raises(ValueError, match="within 0 and 1"):
        holm([1.2])
