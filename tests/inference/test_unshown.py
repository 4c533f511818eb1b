"""What no source shows side by side is claimed within bounds only (M19, M36)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from carina.errors import CalibrationError
from carina.inference import fit_calibration
from carina.inference.calibration import Calibration, calibrated_probabilities
from carina.inference.unshown import Unshown, find_parts, held_within
from carina.tasks import default_task

TASK = default_task()
HASH = "0" * 64
OTHERS_AND_COVID = (("bacterial", "viral"), ("covid19",))


def _films(sources: dict[str, str]) -> dict[str, Any]:
    """Forty films a class, each of its own patient, told apart by the logits, not without error."""
    rng = np.random.default_rng(7)
    labels = [name for name in TASK.classes for _ in range(40)]
    logits = rng.normal(size=(len(labels), 4)) + 2.0 * TASK.targets(labels)
    return {
        "logits": logits,
        "labels": labels,
        "patients": [str(number) for number in range(len(labels))],
        "sources": [sources[name] for name in labels],
    }


def _fitted(films: dict[str, Any]) -> Calibration:
    return fit_calibration(
        films["logits"],
        films["labels"],
        films["patients"],
        TASK,
        sources=films["sources"],
        ages={},
        model_sha256=HASH,
        table_sha256=HASH,
        seed=1,
    )


def test_a_class_that_shares_no_source_with_the_others_of_its_group_is_parted() -> None:
    films = _films({"normal": "a", "bacterial": "a", "viral": "a", "covid19": "b"})
    found = _fitted(films).unshown
    assert {level: told.parts for level, told in found.items()} == {"pneumonia": OTHERS_AND_COVID}
    # 40 patients of each class, so that a third of the pneumonias are COVID-19.
    assert found["pneumonia"].shares == pytest.approx((2 / 3, 1 / 3), abs=1e-6)


def test_nothing_is_parted_where_one_source_shows_all() -> None:
    films = _films(dict.fromkeys(TASK.classes, "a"))
    assert _fitted(films).unshown == {}


def test_four_patients_show_nothing() -> None:
    films = _films({"normal": "a", "bacterial": "a", "viral": "a", "covid19": "b"})
    for row in [number for number, name in enumerate(films["labels"]) if name == "covid19"][:4]:
        films["sources"][row] = "a"
    assert _fitted(films).unshown["pneumonia"].parts == OTHERS_AND_COVID
    films["sources"][[number for number, name in enumerate(films["labels"]) if name == "covid19"][4]] = "a"
    assert _fitted(films).unshown == {}


def test_no_film_moves_the_odds_by_more_than_the_ratio_and_their_order_stays() -> None:
    films = _films({"normal": "a", "bacterial": "a", "viral": "a", "covid19": "b"})
    calibration = _fitted(films)
    held = calibrated_probabilities(films["logits"], TASK, calibration)
    free = calibrated_probabilities(films["logits"], TASK, calibration.temperature)
    covid, before = (TASK.contrast_probability("covid19_given_pneumonia", chances) for chances in (held, free))
    share = calibration.unshown["pneumonia"].shares[1]
    ratio = covid / (1 - covid) / (share / (1 - share))
    assert 2.5 < ratio.max() < 3.0 + 1e-9
    assert ratio.min() > 1 / 3 - 1e-9
    assert (np.diff(covid[np.argsort(before)]) > -1e-12).all()
    for contrast in ("pneumonia", "bacterial_given_pneumonia_without_covid19"):
        one, other = (TASK.contrast_probability(contrast, chances) for chances in (held, free))
        assert one == pytest.approx(other, abs=1e-12)
    assert held.sum(axis=1) == pytest.approx(1.0)


def test_two_parts_by_hand() -> None:
    told = Unshown(parts=(("x",), ("y",)), shares=(0.5, 0.5), ratio=4.0)
    given = np.log([[0.2, 0.8]])
    # log-odds log(4) become log(4) tanh(1), and the share 1 / (1 + exp(-that))
    expected = 1 / (1 + math.exp(-math.log(4) * math.tanh(1)))
    assert np.exp(held_within(given, ["x", "y"], told))[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shown", "parts"),
    [
        ({}, (("p", "q", "r"),)),
        ({"a": ["p"], "b": ["q"], "c": ["r"]}, (("p",), ("q",), ("r",))),
        ({"a": ["p", "q"], "b": ["q", "r"]}, (("p", "q", "r"),)),  # side by side through a third
        ({"a": ["q"], "b": ["r"]}, (("p", "q"), ("r",))),
    ],
)
def test_parts_follow_the_sources(shown: dict[str, list[str]], parts: tuple[tuple[str, ...], ...]) -> None:
    assert find_parts(["p", "q", "r"], shown) == parts


def test_parts_of_another_task_are_refused() -> None:
    films = _films({"normal": "a", "bacterial": "a", "viral": "a", "covid19": "b"})
    values = _fitted(films).to_dict()
    values["unshown"]["pneumonia"]["parts"] = [["bacterial"], ["covid19"]]
    with pytest.raises(CalibrationError, match="parts of 'pneumonia' must be the units"):
        Calibration.from_dict(values).check_fits(TASK, HASH)
