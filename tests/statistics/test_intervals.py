from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from carina.statistics import clopper_pearson, proportion, wilson

_R: list[dict[str, Any]] = json.loads((Path(__file__).parent / "r" / "reference.json").read_text())["shares"]

_COUNTS = st.integers(1, 300).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@pytest.mark.parametrize("case", _R, ids=lambda case: f"{case['events']} of {case['trials']}")
def test_clopper_pearson_equals_binom_test_of_r(case: dict[str, Any]) -> None:
    assert clopper_pearson(case["events"], case["trials"], case["level"]) == pytest.approx(case["exact"], abs=1e-12)


@pytest.mark.parametrize("case", _R, ids=lambda case: f"{case['events']} of {case['trials']}")
def test_wilson_equals_prop_test_of_r(case: dict[str, Any]) -> None:
    assert wilson(case["events"], case["trials"], case["level"]) == pytest.approx(case["score"], abs=1e-9)


@given(_COUNTS, st.floats(0.5, 0.999))
def test_intervals_equal_those_of_statsmodels(counts: tuple[int, int], level: float) -> None:
    events, trials = counts
    assert clopper_pearson(events, trials, level) == pytest.approx(
        proportion_confint(events, trials, 1 - level, method="beta"), abs=1e-9
    )
    assert wilson(events, trials, level) == pytest.approx(
        proportion_confint(events, trials, 1 - level, method="wilson"), abs=1e-9
    )


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_clopper_pearson_covers_at_least_its_level_for_every_share(trials: int, share: float) -> None:
    covered = 0.0
    for events in range(trials + 1):
        limits = clopper_pearson(events, trials)
        assert limits is not None
        if limits[0] <= share <= limits[1]:
            covered += float(binom.pmf(events, trials, share))
    assert covered >= 0.95


def test_a_share_of_nothing_is_not_estimable() -> None:
    nothing = proportion(0, 0)
    assert nothing.estimate is None
    assert nothing.low is None
    assert str(nothing) == "not estimable, 0/0"
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("events", "trials", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 95)])
def test_counts_and_levels_outside_their_ranges_are_refused(events: int, trials: int, level: float) -> None:
    with pytest.raises(ValueError, match="must be within"):
        clopper_pearson(events, trials, level)
