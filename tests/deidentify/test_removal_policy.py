"""The policy says what it does, and its table is the standard's."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pydantic import ValidationError

from carina.deidentify import Policy
from carina.deidentify.annex_e import rules

TABLE = Path(__file__).parent / "data" / "ps3_15_e_1_1_2026c.csv"


def test_our_table_is_the_standards_row_by_row() -> None:
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    standard = {row["tag"]: row["action"] for row in csv.DictReader(lines)}
    ours = {tag: rule.action for tag, rule in rules().items() if "x" not in tag}
    assert ours == standard


def test_each_choice_has_its_own_sentence() -> None:
    base = Policy().sentences()
    assert len(set(base)) == len(base)
    for change in (
        {"burned_in": "review"},
        {"markers": "blank"},
        {"without_ocr": "review"},
        {"descriptors": "remove"},
        {"patient_characteristics": False},
    ):
        changed = Policy.model_validate(change).sentences()
        assert sum(one != other for one, other in zip(base, changed, strict=True)) == 1, change


def test_every_sentence_is_one() -> None:
    assert [s for s in Policy().sentences() if not s.endswith(".") or "{" in s or not s[0].isupper()] == []


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"burned_in": "keep"})
    with pytest.raises(ValidationError):
        Policy.model_validate({"private": "keep"})


@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        (Policy(), ("113100", "113101", "113103", "113105", "113107", "113108")),
        (Policy(descriptors="remove", patient_characteristics=False), ("113100", "113101", "113103", "113107")),
    ],
)
def test_codes_follow_the_choices(policy: Policy, codes: tuple[str, ...]) -> None:
    assert policy.codes() == codes
