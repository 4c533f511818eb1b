"""Results by ethnicity, sex and age band, with intervals, and no cell of fewer than ten people (M17, M33, M35).

Unit is the person: each counts once, with the first film received in the period, and every share is of all the people
of its group, so that no number follows from two denominators. Suppression holds for what can be computed as well as for
what is printed. Within one dimension every group that is shown has the same measures, and what the shown groups leave
of the total, which anyone can compute, must itself be a group that may be shown: two groups or more, with no small
cell. Otherwise the next smallest group is held back too (complementary suppression; Hundepool et al. 2012, Statistical
Disclosure Control, doi:10.1002/9781118348239). A measure that would hide a group is left out instead. Periods do not
overlap, so that none can be had as the difference of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from scipy.stats import binom

from carina.statistics import Proportion, proportion

__all__ = ["LEAST", "MEASURES", "DimensionTable", "EquityTable", "Row", "age_band", "equity_table", "periods"]

LEAST: Final = 10
"""Fewest people in a cell that is shown or can be computed."""

NOT_RECORDED: Final = "not recorded"
AGE_BANDS: Final = ((0, 14), (15, 44), (45, 64), (65, 79), (80, None))
_HOUR: Final = 3600.0
_SEX: Final = {"F": "female", "M": "male", "X": "another"}
_ORDER: Final = {
    "ethnicity": ("Maori", "Pacific", "Asian", "MELAA", "Other", "European", NOT_RECORDED),
    "sex": ("female", "male", "another", NOT_RECORDED),
    "age": (*(f"{low} to {high}" if high else f"{low} and over" for low, high in AGE_BANDS), NOT_RECORDED),
}
MEASURES: Final = {
    "read": "read by the model",
    "not_normal": "called other than normal",
    "read_in_hour": "read by the model within an hour",
    "agrees": "doctor agreed with the model",
    "disagrees": "doctor disagreed",
    "judged": "judged by a doctor",
    "judged_in_day": "judged by a doctor within a day",
}
"""Measures in order of precedence, and their words; each is a share of all the people of a group."""

_LEFT: Final = (
    ("read", "read_in_hour"),
    ("read", "not_normal"),
    ("judged", "judged_in_day"),
    ("judged", "agrees"),
    ("judged", "disagrees"),
    ("judged", "agrees", "disagrees"),
    ("all", "agrees", "disagrees"),
)
"""What can be computed: the first less the rest of it."""

_ILL: Final = "not_normal"


@dataclass(frozen=True, slots=True)
class Row:
    """One group, or all.

    Attributes
    ----------
    group : str
    people : int or None
        None where held back.
    measures : dict of str to Proportion
        Of the measures that the dimension shows; empty where held back.
    waits : dict of str to (float, float, float)
        Median seconds from receipt, with its interval, until ``"read"`` by the model and ``"judged"`` by a doctor, of
        those who were; left out where these are fewer than ten, or the group is held back.
    """

    group: str
    people: int | None
    measures: dict[str, Proportion]
    waits: dict[str, tuple[float, float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DimensionTable:
    """One dimension.

    Attributes
    ----------
    name : {"ethnicity", "sex", "age"}
    measures : tuple of str
        That could be shown.
    rows : tuple of Row
        In a fixed order; groups without anyone are left out.
    held_back : int
        Groups.
    """

    name: str
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    held_back: int


@dataclass(frozen=True, slots=True)
class EquityTable:
    """Results of one period.

    Attributes
    ----------
    total : Row
        Everyone; held back where fewer than ten.
    dimensions : tuple of DimensionTable
    """

    total: Row
    dimensions: tuple[DimensionTable, ...]


def age_band(years: float | None) -> str:
    """Band of an age in completed years.

    Examples
    --------
    >>> age_band(14.9), age_band(80), age_band(None)
    ('0 to 14', '80 and over', 'not recorded')
    """
    if years is None or years < 0:
        return NOT_RECORDED
    for (_, high), name in zip(AGE_BANDS, _ORDER["age"], strict=False):
        if high is None or int(years) <= high:
            return name
    return NOT_RECORDED  # pragma: no cover - the last band is open


def periods(first: date, today: date, length: Literal["month", "quarter", "year"]) -> list[tuple[date, date]]:
    """Periods that are over, newest first: first day, and first day after.

    Examples
    --------
    >>> periods(date(2026, 2, 3), date(2026, 7, 1), "quarter")
    [(datetime.date(2026, 4, 1), datetime.date(2026, 7, 1)), (datetime.date(2026, 1, 1), datetime.date(2026, 4, 1))]
    """
    months = {"month": 1, "quarter": 3, "year": 12}[length]
    at = first.year * 12 + (first.month - 1) // months * months
    found = []
    while (end := _month(at + months)) <= today:
        found.append((_month(at), end))
        at += months
    return found[::-1]


def equity_table(films: pl.DataFrame, *, least: int = LEAST) -> EquityTable:
    """Results of the films that were received in one period.

    Parameters
    ----------
    films : DataFrame
        As `carina.archive.equity_films` gives them, in the order of their receipt.
    least : int
        Fewest people in a cell, 2 or more.

    Returns
    -------
    EquityTable
    """
    people = [_person(row) for row in films.unique("patient", keep="first", maintain_order=True).to_dicts()]
    kept: list[str] = []
    for name in MEASURES:
        if _safe(people, (*kept, name), least):
            kept.append(name)
    if not _safe(people, (), least):
        return EquityTable(Row("all", None, {}), ())
    total = Row("all", len(people), _shares(people, kept), _waits(people, least))
    return EquityTable(total, tuple(_dimension(name, people, kept, least) for name in _ORDER))


def _dimension(name: str, people: Sequence[Mapping[str, Any]], allowed: Sequence[str], least: int) -> DimensionTable:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for group in _ORDER[name]:
        if members := [one for one in people if one[name] == group]:
            groups[group] = members
    kept: tuple[str, ...] = ()
    hidden = _hidden(groups, kept, least)
    for measure in allowed:
        more = _hidden(groups, (*kept, measure), least)
        if more == hidden:  # a measure must not cost a group
            kept = (*kept, measure)
    rows = [
        Row(group, None, {})
        if group in hidden
        else Row(group, len(members), _shares(members, kept), _waits(members, least))
        for group, members in groups.items()
    ]
    return DimensionTable(name, kept, tuple(rows), len(hidden))


def _hidden(groups: Mapping[str, Sequence[Mapping[str, Any]]], measures: Sequence[str], least: int) -> frozenset[str]:
    """Find the groups to hold back: those with a small cell, and more until what they leave together has none."""
    hidden = {group for group, members in groups.items() if not _safe(members, measures, least)}
    smallest = sorted((group for group in groups if group not in hidden), key=lambda group: (len(groups[group]), group))
    for group in smallest:
        together = [one for each in hidden for one in groups[each]]
        if not hidden or (len(hidden) > 1 and _safe(together, measures, least)):
            break
        hidden.add(group)
    return frozenset(hidden)


def _safe(people: Sequence[Mapping[str, Any]], measures: Sequence[str], least: int) -> bool:
    """Whether no count that a row with these measures gives away is of one to nine people.

    None at all tells of nobody; but that nobody, or everybody, has a finding tells of each, and is held back.
    """
    counts = {name: sum(bool(one[name]) for one in people) for name in measures}
    cells = [cell for count in counts.values() for cell in (count, len(people) - count)]
    counts["all"] = len(people)
    for first, *rest in _LEFT:
        if first in counts and all(name in counts for name in rest):
            cells.append(counts[first] - sum(counts[name] for name in rest))
    ill = [counts[_ILL], counts["all"] - counts[_ILL]] if _ILL in counts else []
    if _ILL in counts and "read" in counts:
        ill.append(counts["read"] - counts[_ILL])
    return len(people) >= least and min(ill, default=least) >= least and all(not 0 < cell < least for cell in cells)


def _shares(people: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, Proportion]:
    return {name: proportion(sum(bool(one[name]) for one in people), len(people)) for name in measures}


def _waits(people: Sequence[Mapping[str, Any]], least: int) -> dict[str, tuple[float, float, float]]:
    found = {}
    for name in ("read", "judged"):
        seconds = [one[f"{name}_after"] for one in people if one[f"{name}_after"] is not None]
        if len(seconds) >= least:
            found[name] = median_interval(seconds)
    return found


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Median with an interval that supposes nothing of the distribution: two order statistics.

    The ranks are the innermost ones that cover at least `level` by the binomial distribution (Conover, Practical
    nonparametric statistics, 1999, section 3.2).

    Parameters
    ----------
    values : sequence of float
        One or more.
    level : float
        In (0, 1).

    Returns
    -------
    tuple of float
        Median, low, high; the extremes where no ranks within cover `level`.

    Examples
    --------
    >>> median_interval([float(number) for number in range(1, 11)])
    (5.5, 2.0, 9.0)
    """
    ordered = sorted(values)
    below = int(binom.ppf((1 - level) / 2, len(ordered), 0.5))
    rank = max(0, below - 1)
    return float(np.median(ordered)), ordered[rank], ordered[len(ordered) - 1 - rank]


def _person(row: Mapping[str, Any]) -> dict[str, Any]:
    received, read, judged = row["received_at"], row["read_at"], row["judged_at"]
    day = _day(row["acquired_at"], received)
    years = _years(row["birth_date"], day)
    return {
        "ethnicity": row["ethnicity"] if row["ethnicity"] in _ORDER["ethnicity"] else NOT_RECORDED,
        "sex": _SEX.get(row["sex"] or "", _SEX.get(row["film_sex"] or "", NOT_RECORDED)),
        "age": age_band(row["film_age"] if years is None else years),
        "read_after": None if read is None else max(0.0, read - received),
        "judged_after": None if judged is None else max(0.0, judged - received),
        "read": read is not None,
        "read_in_hour": read is not None and read - received <= _HOUR,
        "not_normal": read is not None and row["decision"] not in (None, "normal"),
        "judged": judged is not None,
        "judged_in_day": judged is not None and judged - received <= 24 * _HOUR,
        "agrees": row["agrees"] is True,
        "disagrees": row["agrees"] is False,
    }


def _years(birth_date: str | None, day: date) -> int | None:
    if birth_date is None:
        return None
    born = date.fromisoformat(birth_date)
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return years if years >= 0 else None


def _day(acquired_at: str | None, received_at: float) -> date:
    try:
        return date.fromisoformat((acquired_at or "")[:10])
    except ValueError:
        return datetime.fromtimestamp(received_at).astimezone().date()


def _month(count: int) -> date:
    return date(count // 12, count % 12 + 1, 1)
