"""Who the patients are, by part and by class, as tables of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carina.report.evaluation_run import EvaluationRun
from carina.report.evaluation_words import factor_words, level_words
from carina.report.page import words

__all__ = ["PeopleTable", "people_tables"]

_PARTS = {"judged": "Judged", "train": "Train", "tune": "Tune", "calibrate": "Calibrate", "test": "Test"}
_WHOLE = "all"
_SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class PeopleTable:
    """Patients of several parts, a column each.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : tuple of tuple
        What is counted, whether it heads a group, and the cells in words.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, bool, tuple[str, ...]], ...]


def people_tables(run: EvaluationRun) -> list[PeopleTable]:
    """Tables of ``characteristics``: parts beside each other, then the classes of the films judged, then of each part.

    Parameters
    ----------
    run : EvaluationRun

    Returns
    -------
    list of PeopleTable
        Empty where the run holds none.
    """
    told = run.metrics.get("characteristics")
    entries = told.get("parts") if isinstance(told, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        return []
    found = [_table("By part", [one for one in entries if one.get("label") == _WHOLE], by="part")]
    for part in dict.fromkeys(str(one.get("part")) for one in entries):
        classes = [one for one in entries if str(one.get("part")) == part and one.get("label") != _WHOLE]
        found.append(_table(f"{_PARTS.get(part, words(part))}, by class", classes, by="label"))
    return [one for one in found if one.columns]


def _table(title: str, entries: Sequence[Mapping[str, Any]], *, by: str) -> PeopleTable:
    columns = tuple(_PARTS.get(str(one.get(by)), words(str(one.get(by)))) for one in entries)
    rows = [
        ("Films", False, tuple(_count(one.get("films")) for one in entries)),
        ("Patients", False, tuple(_count(one.get("patients")) for one in entries)),
    ]
    if any(one.get("age") for one in entries):
        rows.append(("Age in years, median (quartiles)", False, tuple(_age(one.get("age")) for one in entries)))
    levels: dict[str, dict[str, None]] = {}
    for one in entries:
        for factor, held in (one.get("levels") or {}).items():
            levels.setdefault(str(factor), {}).update(dict.fromkeys(held))
    for factor, names in levels.items():
        rows.append((f"{factor_words(factor)}, patients", True, ("",) * len(columns)))
        rows += [
            (level_words(factor, name), False, tuple(_level(one, factor, name) for one in entries)) for name in names
        ]
    return PeopleTable(title, columns, tuple(rows))


def _level(entry: Mapping[str, Any], factor: str, name: str) -> str:
    held = (entry.get("levels") or {}).get(factor) or {}
    if name not in held:
        return "0" if held else "\u2013"
    patients = entry.get("patients")
    count = held[name]
    if count is None:
        return _SUPPRESSED
    share = f" ({100 * count / patients:.0f} %)" if isinstance(patients, int) and patients else ""
    return f"{count:,}{share}"


def _age(told: Any) -> str:
    if not isinstance(told, Mapping):
        return "\u2013"
    low, high = told["quartiles"]
    return f"{told['median']:.0f} ({low:.0f} to {high:.0f}), n = {told['known']:,}"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "\u2013"
