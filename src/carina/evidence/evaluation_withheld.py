"""What is withheld without a shortcut audit, so that it cannot be had from what is shown either (M36)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from carina.evidence.audit_outcome import Audit
from carina.evidence.contrast_films import Compared
from carina.evidence.numbers import Number
from carina.tasks import Task

__all__ = ["judged_by", "withheld_confusion", "withheld_contrasts"]

_WITHHELD = frozenset(
    {
        *("contrast", "subgroup", "class", "association", "pairs", "robustness", "calibration", "conformal"),
        *("leave_one_source_out", "cross_validation", "readers"),
    }
)
_BY_CLASS = frozenset({"class", "conformal"})
_NO_AUDIT = "no shortcut audit"


def withheld_contrasts(task: Task, compared: Mapping[str, Compared], audit: Audit | None) -> frozenset[str]:
    """Contrasts whose numbers stand only with an audit.

    COVID-19, and every contrast whose two sides share no source: an AUC alone cannot tell disease from hospital.

    Parameters
    ----------
    task : Task
    compared : mapping of contrast to Compared
    audit : Audit or None

    Returns
    -------
    frozenset of str
        Empty with an audit.
    """
    if audit is not None:
        return frozenset()
    return frozenset(
        name
        for name, sides in task.contrasts.items()
        if sides.positive == ("covid19",) or compared[name].scope == "cross-source"
    )


def judged_by(number: Number, task: Task, audit: Audit | None, hidden: frozenset[str]) -> Number:
    """Put the audit's verdict beside a number, or withhold it.

    Withheld with a contrast are the numbers of a class that is one of its sides, and those over all classes, which
    less the other classes give them back.

    Parameters
    ----------
    number : Number
    task : Task
    audit : Audit or None
    hidden : set of str
        Contrasts that are withheld.

    Returns
    -------
    Number
    """
    if number.group not in _WITHHELD:
        return number
    contrasts = [number.contrast] if number.contrast is not None else _class_contrasts(number, task)
    whole = number.group == "class" and number.cell == "all" and bool(hidden)
    if whole or hidden & set(contrasts):
        return number.withheld(_NO_AUDIT)
    if audit is None or not contrasts:
        return number
    return replace(number, verdict=audit.verdict(contrasts[0]).verdict)


def withheld_confusion(found: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Confusion matrices; without their counts where a contrast is withheld.

    One row or column left out follows from the sizes of the classes and the rest, so that all are.

    Parameters
    ----------
    found : mapping
        As `carina.evidence.evaluation_classes.confusions` gives it.
    hidden : set of str

    Returns
    -------
    dict
    """
    if not hidden:
        return dict(found)
    kept = {name: found[name] for name in ("films_used", "classes") if name in found}
    return {**kept, "withheld": f"withheld: {_NO_AUDIT} of {', '.join(sorted(hidden))}"}


def _class_contrasts(number: Number, task: Task) -> list[str]:
    """Contrasts that a class's own numbers tell of: those that ask for it alone, then those that it is the rest of."""
    name = number.cell.partition("class=")[2].partition(",")[0]
    if number.group not in _BY_CLASS or not name:
        return []
    asked = [contrast for contrast, sides in task.contrasts.items() if sides.positive == (name,)]
    return asked + [contrast for contrast, sides in task.contrasts.items() if sides.negative == (name,)]
