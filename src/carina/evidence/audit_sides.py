"""The two sides of a contrast, and how a probe of them is put into an answer (M36)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from carina.evidence import audit_criteria as limits
from carina.evidence.audit_films import AuditedFilms
from carina.evidence.audit_measured import Measured
from carina.evidence.audit_outcome import Outcome, Probe

__all__ = ["HALF", "LUNGLESS_WORDS", "Question", "Sides", "above", "in_words"]

LUNGLESS_WORDS = {"lungs_black": "the lungs blacked out", "border_only": "only the border left"}
"""Films without lungs, in words."""

HALF = 0.5
"""AUC of a guess."""


@dataclass(frozen=True)
class Sides:
    """Films of one contrast.

    Attributes
    ----------
    found : AuditedFilms
    name : str
        Contrast.
    """

    found: AuditedFilms
    name: str

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """1 positive, 0 negative, NaN elsewhere, (N,)."""
        return self.found.task.contrast_truth(self.name, self.found.table.labels)

    @cached_property
    def decided(self) -> NDArray[np.bool_]:
        """Films of either side, (N,)."""
        return np.asarray(~np.isnan(self.truth), dtype=np.bool_)

    @cached_property
    def patients(self) -> NDArray[Any]:
        """Patient of each film, (N,)."""
        return np.array(self.found.table.patients)

    @cached_property
    def sources(self) -> NDArray[Any]:
        """Source of each film, (N,)."""
        return np.array(self.found.table.sources)

    def side(self, which: int) -> NDArray[np.bool_]:
        """Films of the positive (1) or the negative (0) side, (N,)."""
        return np.asarray(self.truth == which, dtype=np.bool_)

    def enough(self, rows: NDArray[np.bool_]) -> bool:
        """Whether both sides have patients enough among these rows."""
        return all(len(set(self.patients[rows & self.side(which)].tolist())) >= limits.LEAST_FILMS for which in (0, 1))

    def few(self, rows: NDArray[np.bool_]) -> str:
        """Say how many there are."""
        up, down = (int((rows & self.side(which)).sum()) for which in (1, 0))
        return (
            f"{up} positive and {down} negative films are too few: {limits.LEAST_FILMS} patients of each side are "
            "needed"
        )


@dataclass(frozen=True, slots=True)
class Question:
    """A probe before its answer.

    Attributes
    ----------
    sides : Sides
    kind : str
        First part of the probe's id.
    words : str
        Name of the probe.
    criterion : str
    describes : {"model", "data"}
    """

    sides: Sides
    kind: str
    words: str
    criterion: str
    describes: Literal["model", "data"]

    def answer(self, outcome: Outcome, sentence: str, measured: Mapping[str, Measured] | None = None) -> Probe:
        """Make the probe."""
        return Probe(
            id=f"{self.kind}.{self.sides.name}",
            name=self.words,
            contrast=self.sides.name,
            criterion=self.criterion,
            describes=self.describes,
            measured=dict(measured or {}),
            outcome=outcome,
            sentence=sentence,
        )

    def too_few(self, rows: NDArray[np.bool_]) -> Probe:
        """Make the probe that had too few films."""
        return self.answer("not estimable", self.sides.few(rows))

    def by_area(self, measured: Mapping[str, Measured], sentence: str | None = None) -> Probe:
        """Make the probe that an AUC decides: failed at `AUC_CEILING` or more, beyond chance."""
        found = measured.get("auc")
        if found is None or found.value is None:
            return self.answer("not estimable", f"{self.words}: no AUC could be had", measured)
        failed = above(found, HALF, limits.AUC_CEILING - HALF)
        return self.answer(
            "failed" if failed else "passed", sentence or f"{self.words}: AUC {in_words(found)}", measured
        )


def above(found: Measured, chance: float, excess: float) -> bool:
    """Whether a number exceeds chance by so much, and its interval lies above chance."""
    if found.value is None:
        return False
    low = found.value if found.low is None else found.low
    return found.value - chance >= excess and low > chance


def in_words(found: Measured) -> str:
    """Print a number with its interval."""
    if found.value is None:
        return "not estimable"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
