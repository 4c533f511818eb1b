"""What a proof of a guideline item may look at, and what it answers with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from carina.evidence.numbers import Number
from carina.report.evaluation_run import EvaluationRun, factor_of, level_of

__all__ = ["Evidence", "Link", "Proof"]


@dataclass(frozen=True, slots=True)
class Link:
    """Where something is shown.

    Attributes
    ----------
    href : str
        ``"#anchor"`` of the report, or a file beside it.
    says : str
        What is to be seen there.
    """

    href: str
    says: str


@dataclass(frozen=True)
class Evidence:
    """What a proof may look at.

    Attributes
    ----------
    run : EvaluationRun
    cohort : dict or None
        ``cohort.json``, where the films come from `carina cohort`.
    bundle : dict or None
        ``bundle.json`` of the model that was judged, where it can be read.
    """

    run: EvaluationRun
    cohort: Mapping[str, Any] | None = None
    bundle: Mapping[str, Any] | None = None
    cells: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        cells: dict[str, set[str]] = {}
        for number in self.run.numbers:
            if number.group == "subgroup" and factor_of(number) and number.value is not None:
                cells.setdefault(factor_of(number), set()).add(level_of(number))
        object.__setattr__(self, "cells", cells)

    @property
    def training(self) -> Mapping[str, Any]:
        """What the bundle says of its training; empty where it is not known."""
        found = (self.bundle or {}).get("training")
        return found if isinstance(found, Mapping) else {}

    def estimated(self, *measures: str, group: str | None = None) -> list[Number]:
        """Numbers of these measures that have a value and an interval."""
        return [
            number
            for number in self.run.numbers
            if number.measure in measures
            and (group is None or number.group == group)
            and None not in {number.value, number.low, number.high}
        ]

    def of_group(self, *groups: str) -> list[Number]:
        """Numbers of these groups that have a value."""
        return [number for number in self.run.numbers if number.group in groups and number.value is not None]

    def probe(self, *fragments: str) -> Mapping[str, Any] | None:
        """First probe of the audit that was carried out and whose id or name holds one of these."""
        for probe in (self.run.audit or {}).get("probes", []):
            said = f"{probe.get('id')} {probe.get('name')}".lower().replace("_", " ").replace("-", " ")
            if probe.get("outcome") in {"passed", "failed"} and any(part in said for part in fragments):
                return dict(probe)
        return None


@dataclass(frozen=True, slots=True)
class Proof:
    """A thing that an item asks for.

    Attributes
    ----------
    takes : str
        What would show it.
    show : callable
        Answers where it is shown, or `None`.
    """

    takes: str
    show: Callable[[Evidence], Link | None]
