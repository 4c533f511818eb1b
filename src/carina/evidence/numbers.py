"""One number of an evaluation with everything that belongs to it: interval, cell, family, source, verdict (M29-M33)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from carina.statistics import Estimate

__all__ = ["Number", "Place", "find_number"]

_OF_CALLED = ("ppv", "npv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number as ``metrics.json`` holds it.

    Attributes
    ----------
    id : str
        Unique within an evaluation.
    group : str
        ``"contrast"``, ``"class"``, ``"proportion"``, ``"calibration"``, ``"conformal"``, ``"subgroup"``,
        ``"association"``, ``"pairs"``, ``"robustness"``, ``"cross_validation"``, ``"leave_one_source_out"`` or
        ``"readers"``.
    contrast : str or None
    measure : str
        Such as ``"auc"`` or ``"ppv"``.
    cell : str
        ``"all"``, or a part of the films such as ``"sex=F"``.
    denominator : str or None
        Films that it is a share of, such as ``"among_pneumonia"`` or ``"all_films"`` (M30).
    films_used : str
        ``"first_films"``, one a patient, or ``"all_films"``.
    value, low, high : float or None
        `None` where not estimable or withheld; `note` says which.
    level : float or None
        Confidence level of the interval; `None` for a count.
    family : int or None
        Number of intervals that hold together at 95 % (Bonferroni); `None` for an interval by itself.
    method : str
        Of the interval, in words.
    events, n, patients : int or None
    threshold : float or None
        At or above which a film is called positive.
    rule : str
        Of the method, such as ``"M30"``.
    headline : bool
    verdict : str or None
        Of the shortcut audit.
    note : str or None
    sources : str or None
        ``"one source"``; ``"within sources"``, where every source has both sides; ``"mixed"``, where some have one side
        only; ``"cross-source"``, where none has both: then disease and hospital cannot be told apart.
    """

    id: str
    group: str
    contrast: str | None
    measure: str
    cell: str
    denominator: str | None
    films_used: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    family: int | None = None
    method: str = "count"
    events: int | None = None
    n: int | None = None
    patients: int | None = None
    threshold: float | None = None
    rule: str = "M29"
    headline: bool = False
    verdict: str | None = None
    note: str | None = None
    sources: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON; numbers that are not finite become ``None``, for JSON has none."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Number:
        """Read back what `to_dict` gave; keys of later versions are left out."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def withheld(self, why: str) -> Number:
        """Return the number without what it says; how many films were called so is no longer said either."""
        size = None if self.measure.startswith(_OF_CALLED) else self.n
        return replace(self, value=None, low=None, high=None, events=None, n=size, note=f"withheld: {why}")

    def __str__(self) -> str:
        if self.value is None:
            return self.note or "not estimable"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (no interval)"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where numbers belong; attributes as those of `Number`."""

    group: str
    contrast: str | None = None
    cell: str = "all"
    denominator: str | None = None
    films_used: str = "all_films"
    rule: str = "M29"
    threshold: float | None = None
    sources: str | None = None
    patients: int | None = field(default=None)

    def number(self, measure: str, found: Estimate, *, variant: str = "", **changes: Any) -> Number:
        """Make a number of an estimate.

        Parameters
        ----------
        measure : str
        found : Estimate
        variant : str
            Ends the id where a number is given twice, by two methods.
        **changes
            Further attributes of `Number`.

        Returns
        -------
        Number
        """
        values: dict[str, Any] = {
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "level": found.level,
            "method": found.method,
            "events": found.events,
            "n": found.n,
            "patients": self.patients if found.patients is None else found.patients,
            "note": _note(found),
        }
        return self._made(measure, variant, values | changes)

    def count(self, measure: str, value: float | None, n: int, **changes: Any) -> Number:
        """Make a number that has no interval, such as a count."""
        return self._made(measure, "", {"value": value, "n": n, "patients": self.patients, **changes})

    def at(self, **changes: Any) -> Place:
        """Return another place."""
        return replace(self, **changes)

    def _made(self, measure: str, variant: str, values: dict[str, Any]) -> Number:
        parts = [self.contrast or self.group, measure, self.denominator, self.films_used, variant]
        if self.cell != "all":
            parts.insert(3, self.cell)
        if self.contrast is not None and self.group != "contrast":
            parts.insert(1, self.group)
        own = {
            "group": self.group,
            "contrast": self.contrast,
            "cell": self.cell,
            "denominator": self.denominator,
            "films_used": self.films_used,
            "rule": self.rule,
            "threshold": self.threshold,
            "sources": self.sources,
        }
        return Number(id=".".join(part for part in parts if part), measure=measure, **(own | values))


def find_number(numbers: Sequence[Number], number_id: str) -> Number | None:
    """Return the number of an id; `None` where there is none."""
    return next((one for one in numbers if one.id == number_id), None)


def _note(found: Estimate) -> str | None:
    if found.value is None:
        return found.note or "not estimable"
    return found.note


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
