"""Table E.1-1 of DICOM PS3.15, edition 2026c, as data: each attribute's action, and which option changes it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

from carina.deidentify.policy import Policy

__all__ = ["Action", "Rule", "action_for", "rule_for", "rules"]

Action: TypeAlias = Literal["remove", "empty", "dummy", "uid", "shift", "clean", "keep"]
_CURVES, _OVERLAYS = 0x5000, 0x6000
_MASKED_GROUPS: Final = {_CURVES: "50xxxxxx", _OVERLAYS: "60xx3000"}
# Type 2 of the CR and DX image IODs (PS3.3 A.2, A.26): must be there, may be empty.
_TYPE_2: Final = frozenset({"ContentDate", "ContentTime", "OperatorsName", "AcquisitionContextSequence"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table.

    Attributes
    ----------
    keyword : str
    action : str
        Of the basic profile: D dummy, Z empty, X remove, U replace UID, K keep, C clean, or several by type.
    option : str
        Which of our options takes the attribute out of the basic profile: ``dates`` (113107), ``descriptors`` (113105),
        ``patient`` (113108), ``graphics`` (113103), or empty.
    """

    keyword: str
    action: str
    option: str


@cache
def rules() -> dict[str, Rule]:
    """Every row by its tag: eight hexadecimal digits, ``50xxxxxx`` and ``60xx....`` for the repeating groups."""
    text = (files("carina.deidentify") / "data" / "annex_e.csv").read_text("utf-8")
    return {row["tag"]: Rule(row["keyword"], row["action"], row["option"]) for row in csv.DictReader(text.splitlines())}


def rule_for(tag: int) -> Rule | None:
    """Row of a standard attribute, or None when the table leaves it alone.

    Examples
    --------
    >>> rule_for(0x00100010)
    Rule(keyword='PatientName', action='Z', option='')
    >>> rule_for(0x60023000).keyword, rule_for(0x00280010)
    ('OverlayData', None)
    """
    masked = _MASKED_GROUPS.get((tag >> 16) & 0xFF00)
    return rules()[masked] if masked is not None else rules().get(f"{tag:08X}")


def action_for(rule: Rule, policy: Policy) -> Action:
    """Say what is done with an attribute under a policy.

    Parameters
    ----------
    rule : Rule
    policy : Policy

    Returns
    -------
    str

    References
    ----------
    DICOM PS3.15 E.3 (options); where the table leaves a choice by type, the one that removes most.
    """
    chosen: dict[str, Action] = {"dates": "shift", "graphics": "remove"}
    if policy.descriptors == "clean":
        chosen["descriptors"] = "clean"
    if policy.patient_characteristics:
        chosen["patient"] = "keep"
    if rule.option in chosen:
        return chosen[rule.option]
    choices = rule.action.split("/")
    if choices[0] == "U" or "U*" in choices:
        return "uid"
    if rule.keyword in _TYPE_2 or choices[0] == "Z":
        return "empty"
    return "dummy" if choices == ["D"] else "remove"
