"""Two evaluations side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carina.errors import SharingError
from carina.evidence.sharing_compare import compare_evaluations


def _evaluation(folder: Path, *numbers: dict[str, Any], task: str = "pneumonia", model: str = "a" * 64) -> Path:
    folder.mkdir()
    values = {"task": {"name": task}, "model": {"model_sha256": model}, "numbers": list(numbers), "audit": None}
    (folder / "metrics.json").write_text(json.dumps(values))
    return folder


def _number(**changes: object) -> dict[str, Any]:
    return {"contrast": "pneumonia", "measure": "sensitivity", "cell": "all", "level": 0.95, **changes}


def test_a_difference_has_the_interval_of_newcombe(tmp_path: Path) -> None:
    # Newcombe 1998 (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I), table II, method 10, example
    # (a): 56/70 - 48/80 = 0.2, interval 0.0524 to 0.3339, from Wilson intervals of both.
    one = _evaluation(tmp_path / "a", _number(value=48 / 80, low=0.490450, high=0.700394))
    other = _evaluation(tmp_path / "b", _number(value=56 / 70, low=0.691848, high=0.876960))
    (row,) = compare_evaluations(one, other).rows
    assert row.difference == pytest.approx((0.2, 0.0524, 0.3339), abs=2e-4)


def test_what_one_side_lacks_or_suppresses_is_shown_as_such(tmp_path: Path) -> None:
    one = _evaluation(tmp_path / "a", _number(value=None, note="suppressed"), _number(measure="ppv", value=0.5))
    other = _evaluation(tmp_path / "b", _number(value=0.8, low=0.7, high=0.9), model="b" * 64)
    found = compare_evaluations(one, other)
    assert [(row.measure, row.first.get("note"), row.second.get("value")) for row in found.rows] == [
        ("sensitivity", "suppressed", 0.8),
        ("ppv", None, None),
    ]
    assert all(row.difference is None for row in found.rows)
    assert found.sentences[0].startswith("Two models")


def test_intervals_of_two_levels_are_not_subtracted(tmp_path: Path) -> None:
    one = _evaluation(tmp_path / "a", _number(value=0.5, low=0.4, high=0.6))
    other = _evaluation(tmp_path / "b", _number(value=0.5, low=0.4, high=0.6, level=0.9875))
    assert compare_evaluations(one, other).rows[0].difference is None


def test_two_tasks_cannot_be_compared(tmp_path: Path) -> None:
    one, other = _evaluation(tmp_path / "a"), _evaluation(tmp_path / "b", task="effusion")
    with pytest.raises(SharingError, match="evaluations of one task"):
        compare_evaluations(one, other)
    with pytest.raises(SharingError, match="has neither"):
        compare_evaluations(one, tmp_path)
