"""What `carina evaluate` wrote, read again: numbers by id, curves, confusion, films, audit (M28-M36)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from carina.errors import InputError, TableError
from carina.evidence.numbers import Number

__all__ = ["EvaluationRun", "factor_of", "level_of", "read_run"]

SCHEMA = 1
"""Version of ``metrics.json`` that this report reads."""

_LEAST: dict[str, Any] = {"group": "", "contrast": None, "denominator": None, "films_used": "all_films", "value": None}
_LEAST["cell"] = "all"
_MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class EvaluationRun:
    """An evaluation read from its folder.

    Attributes
    ----------
    folder : Path
    metrics : dict
        ``metrics.json`` as it is.
    numbers : tuple of Number
        In the file's order.
    audit : dict or None
        ``audit/audit.json``, where an audit ran.
    """

    folder: Path
    metrics: dict[str, Any]
    numbers: tuple[Number, ...]
    audit: dict[str, Any] | None

    @cached_property
    def by_id(self) -> dict[str, Number]:
        """Each number under its id."""
        return {number.id: number for number in self.numbers}

    @property
    def model(self) -> Mapping[str, Any] | None:
        """Name, version, hash and path of the model; `None` where predictions of something else were judged."""
        return self.metrics.get("model")

    @property
    def model_name(self) -> str:
        """Name and version in one line."""
        if self.model is None:
            return "Predictions from a file"
        return " ".join(str(self.model[key]) for key in ("name", "version") if self.model.get(key))

    @cached_property
    def contrasts(self) -> tuple[str, ...]:
        """Names of the contrasts, in the order their numbers come."""
        return tuple(dict.fromkeys(number.contrast for number in self.numbers if number.contrast))

    @cached_property
    def verdicts(self) -> dict[str, str]:
        """Verdict of the audit by contrast, ``"not audited"`` where there was no audit."""
        said: Mapping[str, Any] | None = self.metrics.get("audit")
        if said is None:
            return dict.fromkeys(self.contrasts, "not audited")
        return {name: _verdict(said.get(name)) for name in self.contrasts}

    @cached_property
    def because(self) -> dict[str, list[str]]:
        """Sentences behind each verdict."""
        said: Mapping[str, Any] = self.metrics.get("audit") or {}
        return {
            name: [str(one) for one in _listed(entry.get("because"))]
            for name in self.contrasts
            if isinstance(entry := said.get(name), Mapping)
        }

    def find(self, **wanted: Any) -> Iterator[Number]:
        """Numbers whose attributes are as wanted, in order.

        Examples
        --------
        >>> told = {"id": "a.auc", "group": "contrast", "measure": "auc", "contrast": "a", "cell": "all", "value": 0.9}
        >>> number = Number.from_dict({**told, "denominator": None, "films_used": "first_films"})
        >>> [one.value for one in EvaluationRun(Path(), {}, (number,), None).find(measure="auc", cell="all")]
        [0.9]
        """
        for number in self.numbers:
            if all(getattr(number, name) == value for name, value in wanted.items()):
                yield number

    def first(self, **wanted: Any) -> Number | None:
        """First number as wanted, if any; first films of each patient before all films."""
        found = sorted(self.find(**wanted), key=lambda number: number.films_used != "first_films")
        return found[0] if found else None

    @property
    def headlines(self) -> tuple[Number, ...]:
        """Numbers meant to be read first."""
        return tuple(number for number in self.numbers if number.headline)


def factor_of(number: Number) -> str:
    """Name what a number's cell is a level of: ``"sex"`` of ``"sex=F"``; empty for all films."""
    return number.cell.partition("=")[0] if "=" in number.cell else ""


def level_of(number: Number) -> str:
    """Name the level that a number's cell is: ``"F"`` of ``"sex=F"``; empty for all films."""
    return number.cell.partition("=")[2]


def read_run(folder: Path) -> EvaluationRun:
    """Read the output folder of `carina evaluate`.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    EvaluationRun

    Raises
    ------
    InputError
        If the folder holds no evaluation.
    TableError
        If its ``metrics.json`` is broken, or of another version.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise InputError(
            f"a report is made of a folder that `carina evaluate` wrote, with metrics.json in it; {str(folder)!r} has "
            "none: give the folder named by its --out"
        )
    metrics = _json(path)
    if metrics.get("schema") != SCHEMA:
        raise TableError(
            f"metrics.json must be of version {SCHEMA}; {str(path)!r} is of version {metrics.get('schema')!r}: run "
            "`carina evaluate` again with this version of carina"
        )
    entries = metrics.get("numbers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TableError(f"metrics.json must list its numbers; {str(path)!r} does not: run `carina evaluate` again")
    numbers = tuple(_number(entry, path) for entry in entries)
    if len({number.id for number in numbers}) != len(numbers):
        raise TableError(f"each number of metrics.json must have an id of its own; in {str(path)!r} one stands twice")
    audit = folder / "audit" / "audit.json"
    return EvaluationRun(folder, metrics, numbers, _json(audit) if audit.is_file() else None)


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TableError(f"{str(path)!r} is larger than any evaluation writes; was it changed?")
        found = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TableError(f"{str(path)!r} must be readable JSON as carina wrote it: {error}") from error
    if not isinstance(found, dict):
        raise TableError(f"{str(path)!r} must hold one JSON object as carina wrote it; found {type(found).__name__}")
    return found


def _number(entry: Mapping[str, Any], path: Path) -> Number:
    if not isinstance(entry.get("id"), str) or not isinstance(entry.get("measure"), str):
        raise TableError(f"each number of {str(path)!r} must have an id and a measure; found {entry.get('id')!r}")
    for name in ("value", "low", "high", "level", "threshold"):
        value = entry.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)):
            raise TableError(f"{name!r} of {entry['id']!r} in {str(path)!r} must be a finite number; found {value!r}")
    try:
        return Number.from_dict({**_LEAST, **entry})
    except TypeError as error:
        raise TableError(f"{entry['id']!r} in {str(path)!r} is not a number as carina stores it: {error}") from error


def _verdict(entry: Any) -> str:
    if isinstance(entry, Mapping):
        entry = entry.get("verdict")
    return str(entry) if entry in {"supported", "not supported", "not shown"} else "not shown"


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
