"""What of an evaluation may leave the house: numbers over ten people or more, and none that gives away a smaller cell.

A number that was counted (a sensitivity, a PPV) tells its counts even where only its value or its interval is printed,
so it goes or stays whole. The counts behind one contrast in one group of people are linked: a PPV and a sensitivity
together give every cell of the two-by-two table. They are therefore kept or suppressed together; an AUC tells of the
sizes of the two sides alone, and stays where these are ten or more. And a group's numbers can be had from the total's
less the other groups', so that what a dimension leaves unshown must itself count ten or more in every cell
(complementary suppression; Hundepool et al. 2012, Statistical Disclosure Control, doi:10.1002/9781118348239); a group
whose size is hidden in one contrast is hidden in all. Last, what several contrasts together give away of the size of a
class is looked for (`carina.evidence.sharing_linked`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from carina.evidence.sharing_linked import derived_counts
from carina.tasks import Task

__all__ = ["LEAST", "Suppressed", "share_numbers"]

LEAST = 10
"""Fewest people in a cell that is shown (M35)."""

_TOGETHER = ("class", "proportion")
_SHOWN_GROUPS = frozenset({"contrast", "subgroup", *_TOGETHER})
_FILMS = "first_films"
_ALL = "all"
_RANKING = ("auc", "average_precision")
_SIDE = "side"
_CELLS = frozenset({"tp", "fp", "tn", "fn"})
_KEPT = ("id", "group", "contrast", "measure", "cell", "denominator", "films_used", "level", "method", "threshold")
_VALUES = ("value", "low", "high", "events", "n", "family", "verdict", "rule", "headline")

_Number: TypeAlias = Mapping[str, Any]
_Table: TypeAlias = tuple[str, str, bool]
_Counts: TypeAlias = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Numbers that may be shared.

    Attributes
    ----------
    numbers : list of dict
        As in ``metrics.json``; `value`, `low`, `high`, `events` and `n` null and `note` ``"suppressed"`` where held
        back.
    held_back : int
        How many were.
    left_out : int
        Numbers of kinds that are not shared at all: of all films instead of one film a person, of pairs, readers,
        robustness.
    """

    numbers: list[dict[str, Any]]
    held_back: int
    left_out: int


def share_numbers(numbers: Iterable[_Number], task: Task, *, least: int = LEAST) -> Suppressed:
    """Hold back every number of ``metrics.json`` that tells of fewer than `least` people.

    Parameters
    ----------
    numbers : iterable of mapping
        ``numbers`` of ``metrics.json``.
    task : Task
        Of the model.
    least : int
        Fewest people in a cell that is shown, 2 or more.

    Returns
    -------
    Suppressed

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> one = {"group": "contrast", "contrast": "pneumonia", "measure": "sensitivity", "cell": "all",
    ...        "films_used": "first_films", "value": 0.9, "events": 90, "n": 100}
    >>> few = one | {"value": 0.95, "events": 95}
    >>> share_numbers([one], default_task()).held_back, share_numbers([few], default_task()).held_back
    (0, 1)
    """
    given = [dict(number) for number in numbers]
    chosen = [number for number in given if _may_be_shared(number)]
    tables: dict[_Table, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for number in chosen:
        if number.get("group") not in _TOGETHER:
            tables[_table(number)][_cell(number)].append(number)
    _with_sides(tables)
    sized = _hidden_groups(tables, least)
    hidden: set[int] = set()
    for cells in tables.values():
        for cell in _hidden_cells(cells, least, sized):
            hidden.update(id(number) for number in cells[cell])
    hidden |= _hidden_together(chosen, least)
    hidden |= _hidden_sizes(chosen, hidden, task, least)
    shared = [_shared(number, hide=id(number) in hidden) for number in chosen]
    return Suppressed(shared, sum(id(number) in hidden for number in chosen), len(given) - len(chosen))


def _hidden_together(numbers: Sequence[_Number], least: int) -> set[int]:
    """Find what goes all at once: the classes sum to the whole, so that one that is few follows from the others."""
    gone: set[int] = set()
    for group in _TOGETHER:
        chosen = [number for number in numbers if number.get("group") == group]
        cells: dict[str, list[_Number]] = defaultdict(list)
        for number in chosen:
            cells[f"{number.get('contrast')} {_cell(number)}"].append(number)
        if any(_is_few(found, least) for found in cells.values()):
            gone |= {id(number) for number in chosen}
    return gone


def _hidden_sizes(numbers: Sequence[_Number], hidden: set[int], task: Task, least: int) -> set[int]:
    """Hide the contrasts with fewest films until none of the rest together gives the size of a small class away."""
    gone: set[int] = set()
    cells: dict[str, list[_Number]] = defaultdict(list)
    for number in numbers:
        cells[_people_of(number)].append(number)
    for found in cells.values():
        while shown := [number for number in found if id(number) not in hidden | gone]:
            few = [count for count in derived_counts(shown, task).values() if 0 < count < least]
            if not few:
                break
            tables: dict[_Table, list[_Number]] = defaultdict(list)
            for number in shown:
                tables[_table(number)].append(number)
            smallest = min(tables, key=lambda table: _people(_counts(tables[table])))
            gone |= {id(number) for number in tables[smallest]}
    return gone


def _table(number: _Number) -> _Table:
    ranks = str(number.get("measure")).startswith(_RANKING)
    return str(number.get("contrast")), str(number.get("denominator")), ranks


def _with_sides(tables: Mapping[_Table, Mapping[str, list[dict[str, Any]]]]) -> None:
    """Put the two sides beside the ranking measures, which tell of nothing else; unknown sides count as few."""
    for (contrast, denominator, ranks), cells in tables.items():
        if not ranks:
            continue
        calls = tables.get((contrast, denominator, False), {})
        for cell, numbers in cells.items():
            found = {str(one.get("measure")): one.get("n") for one in calls.get(cell, ())}
            sizes = [found.get(name) for name in ("sensitivity", "specificity")]
            numbers += [{"measure": _SIDE, "n": size if isinstance(size, int) else 0} for size in sizes]


def _cell(number: _Number) -> str:
    return str(number.get("cell") or _ALL)


def _people_of(number: _Number) -> str:
    """Name the people that a number is of; the classes' numbers are of all."""
    return _ALL if number.get("group") in _TOGETHER else _cell(number)


def _may_be_shared(number: _Number) -> bool:
    # A gap between the largest and the smallest group tells of groups that are not shown.
    return (
        number.get("group") in _SHOWN_GROUPS
        and number.get("films_used") in (_FILMS, None)
        and not str(number.get("measure")).startswith("gap_")
    )


def _hidden_groups(tables: Mapping[_Table, Mapping[str, Sequence[_Number]]], least: int) -> frozenset[str]:
    """Find the groups whose size must not be shown by any contrast, for the size of another follows from it."""
    found: frozenset[str] = frozenset()
    while True:
        parts = (_hidden_cells(cells, least, found) for (_, _, ranks), cells in tables.items() if ranks)
        more = found.union(*parts) - {_ALL}
        if more == found:
            return found
        found = more


def _hidden_cells(cells: Mapping[str, Sequence[_Number]], least: int, sized: frozenset[str]) -> set[str]:
    """Find the groups of people whose numbers are held back, in one contrast and denominator."""
    counts = {cell: _counts(numbers) for cell, numbers in cells.items()}
    hidden = {cell for cell, numbers in cells.items() if cell in sized or _is_few(numbers, least)}
    total = counts.get(_ALL)
    dimensions: dict[str, list[str]] = defaultdict(list)
    for cell in counts:
        if cell != _ALL:
            dimensions[cell.partition("=")[0]].append(cell)
    if _ALL in hidden:
        # Summing the groups would give the total back.
        return set(counts)
    for members in dimensions.values():
        hidden |= _complement(members, counts, total, hidden, least)
    return hidden


def _complement(
    members: Sequence[str], counts: Mapping[str, _Counts], total: _Counts | None, hidden: set[str], least: int
) -> set[str]:
    """Hide more groups of a dimension until what the shown ones leave of the total is no small cell."""
    gone = {cell for cell in members if cell in hidden}
    while shown := sorted((cell for cell in members if cell not in gone), key=lambda cell: _people(counts[cell])):
        if len(gone) != 1 and not _leaves_few(shown, counts, total, least, any_hidden=bool(gone)):
            break
        gone.add(shown[0])
    return gone


def _leaves_few(
    shown: Sequence[str], counts: Mapping[str, _Counts], total: _Counts | None, least: int, *, any_hidden: bool
) -> bool:
    """Whether the total less the groups shown tells a cell of fewer than `least` people."""
    if total is None:
        return False
    for name, count in total.items():
        parts = [counts[cell].get(name) for cell in shown]
        if any(part is None for part in parts):
            continue
        rest = count - sum(part for part in parts if part is not None)
        # Without a hidden group the rest are people of whom the group is not known; none of them is no secret.
        if rest < least and (any_hidden or rest > 0):
            return True
    return False


def _is_few(numbers: Sequence[_Number], least: int) -> bool:
    """Whether a count behind the numbers is below `least`; numbers that do not say their counts are not trusted."""
    found = _counts(numbers)
    return not found or any(count < least for count in found.values())


def _people(found: _Counts) -> int:
    return max(found.values(), default=0)


def _counts(numbers: Iterable[_Number]) -> _Counts:
    """Every count that the numbers of one group tell: those that had the event, and those that had not."""
    found: _Counts = {}
    for number in numbers:
        events, trials = number.get("events"), number.get("n")
        measure = str(number.get("measure"))
        key = f"{measure} {sum(name.startswith(f'{measure} ') for name, _ in found)}"
        if measure in _CELLS and isinstance(number.get("value"), int | float):
            found[(key, "with")] = int(number["value"])
            continue
        if isinstance(trials, int):
            found[(key, "n")] = trials
        if isinstance(trials, int) and isinstance(events, int):
            found[(key, "with")], found[(key, "without")] = events, trials - events
    return found


def _shared(number: _Number, *, hide: bool) -> dict[str, Any]:
    kept = {name: number.get(name) for name in (*_KEPT, *_VALUES)}
    kept = {name: value if _is_finite(value) else None for name, value in kept.items()}
    kept["note"] = str(number["note"]) if number.get("value") is None and number.get("note") else None
    if hide:
        kept |= dict.fromkeys(("value", "low", "high", "events", "n")) | {"note": "suppressed"}
    return kept


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
