"""Two evaluations side by side: two districts with one model, or two models."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carina.errors import SharingError

__all__ = ["Compared", "Comparison", "Side", "compare_evaluations"]

_FILES = ("aggregates.json", "metrics.json")
_KEY = ("contrast", "measure", "cell", "denominator", "films_used")
_SIDE = ("id", "group", "value", "low", "high", "level", "events", "n", "method", "note", "verdict")


@dataclass(frozen=True, slots=True)
class Compared:
    """One number in both.

    Attributes
    ----------
    contrast, measure, cell, denominator, films_used : str
        What is measured, among whom.
    first, second : dict
        `id`, `group`, `value`, `low`, `high`, `level`, `events`, `n`, `method`, `note`, `verdict`; empty where one
        lacks it.
    difference : tuple of float or None
        Second less first, with its interval at the level of both; `None` unless both have value and interval at one
        level. The interval combines the two independent ones (Zou and Donner 2008, doi:10.1002/sim.3095).
    """

    contrast: str
    measure: str
    cell: str
    denominator: str
    films_used: str
    first: dict[str, Any]
    second: dict[str, Any]
    difference: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two evaluations.

    Attributes
    ----------
    shared : bool
        A package's aggregates, with small cells suppressed; else an evaluation as it is.
    model : str
        SHA-256 of its network, or empty.
    created : str
    patients : str
        How many, in words.
    suppressed : int
        Numbers held back.
    verdicts : dict of str to str
        Of the shortcut audit, by contrast; empty without one.
    """

    shared: bool
    model: str
    created: str
    patients: str
    suppressed: int
    verdicts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two evaluations.

    Attributes
    ----------
    sentences : tuple of str
        What to know before reading.
    rows : tuple of Compared
    sides : tuple of Side
        The first and the second.
    """

    sentences: tuple[str, ...]
    rows: tuple[Compared, ...]
    sides: tuple[Side, Side]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "schema": 1,
            "sentences": list(self.sentences),
            "sides": [asdict(side) for side in self.sides],
            "rows": [asdict(row) for row in self.rows],
        }


def compare_evaluations(first: Path, second: Path) -> Comparison:
    """Lay two evaluations side by side.

    Parameters
    ----------
    first, second : Path
        Folder of an evaluation or of an imported package, or its ``metrics.json`` or ``aggregates.json``.

    Returns
    -------
    Comparison

    Raises
    ------
    SharingError
        If one is neither, or they are of different tasks.
    """
    one, other = _read(first), _read(second)
    tasks = [_task(values) for values in (one, other)]
    if tasks[0] != tasks[1]:
        raise SharingError(f"evaluations of one task can be compared; found {tasks[0]!r} and {tasks[1]!r}")
    numbers = [_by_key(values) for values in (one, other)]
    keys = [*numbers[0], *(key for key in numbers[1] if key not in numbers[0])]
    rows = tuple(_compared(key, numbers[0].get(key), numbers[1].get(key)) for key in keys)
    sides = _side_of(one), _side_of(other)
    return Comparison(_sentences(sides, same_films=_same_films(one, other)), rows, sides)


def _read(path: Path) -> dict[str, Any]:
    found = [path / name for name in _FILES if (path / name).is_file()] if path.is_dir() else [path]
    if not found:
        raise SharingError(f"an evaluation is a folder with {' or '.join(_FILES)}; {str(path)!r} has neither")
    try:
        values = json.loads(found[0].read_text("utf-8"))
        if isinstance(values["numbers"], list):
            return dict(values)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise SharingError(f"{str(found[0])!r} must be an evaluation in JSON, and is not") from error
    raise SharingError(f"{str(found[0])!r} must be an evaluation in JSON; its numbers are no list")


def _task(values: Mapping[str, Any]) -> str:
    task = values.get("task")
    return str(task.get("name") if isinstance(task, Mapping) else task)


def _model(values: Mapping[str, Any]) -> str:
    model = values.get("model")
    said = model.get("model_sha256") if isinstance(model, Mapping) else values.get("model_sha256")
    return str(said or "")


def _by_key(values: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    result: dict[tuple[str, ...], dict[str, Any]] = {}
    for number in values["numbers"]:
        if isinstance(number, dict):
            result.setdefault(tuple(str(number.get(name) or "") for name in _KEY), number)
    return result


def _compared(key: tuple[str, ...], one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Compared:
    shown = [_side(number) for number in (one, other)]
    contrast, measure, cell, denominator, films_used = key
    return Compared(
        contrast=contrast,
        measure=measure,
        cell=cell,
        denominator=denominator,
        films_used=films_used,
        first=shown[0],
        second=shown[1],
        difference=_difference(*shown),
    )


def _side(number: Mapping[str, Any] | None) -> dict[str, Any]:
    if number is None:
        return {}
    return {name: number.get(name) for name in _SIDE}


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float, float] | None:
    places = ("value", "low", "high")
    values = [side.get(name) for side in (one, other) for name in places]
    if any(not isinstance(value, int | float) for value in values) or one.get("level") != other.get("level"):
        return None
    first, first_low, first_high, second, second_low, second_high = (float(value or 0.0) for value in values)
    moved = second - first
    below = math.hypot(second - second_low, first_high - first)
    above = math.hypot(second_high - second, first - first_low)
    return moved, moved - below, moved + above


def _side_of(values: Mapping[str, Any]) -> Side:
    shared = "suppressed_below" in values
    table = values.get("table")
    people = values.get("patients_in_tens") if shared else (table or {}).get("patients")
    verdicts = {
        str(name): str(found.get("verdict") if isinstance(found, Mapping) else found)
        for name, found in (values.get("audit") or {}).items()
    }
    told = "not told" if not isinstance(people, int) else f"{people:,} or more" if shared else f"{people:,}"
    held = values.get("held_back")
    return Side(
        shared=shared,
        model=_model(values),
        created=str(values.get("created") or "not told"),
        patients=told,
        suppressed=held if isinstance(held, int) else 0,
        verdicts=verdicts,
    )


def _same_films(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    found = [(values.get("table") or {}).get("sha256") for values in (one, other)]
    return bool(found[0]) and found[0] == found[1]


def _sentences(sides: tuple[Side, Side], *, same_films: bool) -> tuple[str, ...]:
    models = [side.model for side in sides]
    if models[0] and models[0][:12] == models[1][:12]:
        said = [f"Both judged the same model, {models[0][:12]}."]
    else:
        said = [f"Two models: {models[0][:12] or 'not named'} and {models[1][:12] or 'not named'}."]
    for word, side in zip(("First", "Second"), sides, strict=True):
        told = "; ".join(f"{name}: {verdict}" for name, verdict in side.verdicts.items())
        said.append(f"{word}: shortcut audit {told}." if told else f"{word}: no shortcut audit.")
        if side.suppressed:
            said.append(f"{word}: {side.suppressed} numbers are suppressed, for they tell of fewer than ten people.")
    if same_films:
        said.append(
            "Both judged the same films: the two are not independent, and the intervals of the differences are wider "
            "or narrower than they should be; compare them in pairs instead."
        )
    else:
        said.append(
            "The two groups of people may differ in more than the place: a difference is not by itself one of the "
            "model."
        )
    return tuple(said)
