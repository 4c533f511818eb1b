"""The folder that `carina predict` wrote, read back line by line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from carina.errors import TableError

__all__ = [
    "FilmError",
    "FilmQuality",
    "FilmReading",
    "FilmSize",
    "FoundBox",
    "HeatmapShown",
    "LungsFound",
    "Readings",
    "read_readings",
]

_NAME = "predictions.jsonl"
_LONGEST_LINE = 4 * 1024 * 1024  # bytes; a longer line is not one film's and would only fill the memory

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


def _empty_if_none(value: Any) -> Any:
    return {} if value is None else value


def _list_if_none(value: Any) -> Any:
    return [] if value is None else value


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class FilmQuality(_Line):
    """The quality gate's verdict: accepted or not, what was put right, and why it was refused."""

    accepted: bool = True
    corrected: Annotated[tuple[str, ...], BeforeValidator(_list_if_none)] = ()
    reasons: Annotated[tuple[str, ...], BeforeValidator(_list_if_none)] = ()


class FilmError(_Line):
    """Why a file could not be judged: a code for programs and a sentence for people."""

    code: str
    message: str


class FilmSize(_Line):
    """Rows and columns of the film as it was judged, pixels, and the SHA-256 of its file."""

    sha256: str | None = None
    rows: int | None = Field(None, ge=1)
    columns: int | None = Field(None, ge=1)


class HeatmapShown(_Line):
    """Which class's map the heatmap shows, the file of all raw maps, and the shown one's largest value."""

    of: str
    maps: str | None = None
    maximum: float | None = None


class LungsFound(_Line):
    """Whether the lung fields may be used, and the sentences that speak against them."""

    plausible: bool = True
    flags: Annotated[tuple[str, ...], BeforeValidator(_list_if_none)] = ()


class FoundBox(_Line):
    """An opacity found: pixels of the film, score in [0, 1], the lung zone that holds most of it."""

    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    width: float = Field(gt=0, allow_inf_nan=False)
    height: float = Field(gt=0, allow_inf_nan=False)
    score: Probability
    zone: str | None = None


class FilmReading(_Line):
    """One film's line of `predictions.jsonl`, as the contract of `carina predict` has it.

    Attributes
    ----------
    file : str
        The film as it was given.
    model : str or dict
        Name and version, as written.
    film : FilmSize or None
    probabilities, probabilities_at_prevalence, contrasts : dict of str to float
        By class, as calibrated and at a prevalence asked for, and by contrast; in [0, 1] (a contrast may be null).
    prediction_set : tuple of str
        Classes that cannot be ruled out.
    decision, reason : str
        The decision's name and its sentence.
    quality : FilmQuality or None
    lungs, opacity : str or None
        Pictures of the lung fields and of the opacity map at the film's size, relative to the folder.
    lungs_found : LungsFound or None
    boxes : tuple of FoundBox
    opaque_share : dict of str to float
        By lung zone, in [0, 1].
    heatmap : str or None
        Picture of the heatmap over the film, relative to the folder.
    heatmap_shows : HeatmapShown or None
    error : FilmError or None
    seconds : float or None
    """

    file: str
    model: str | dict[str, Any] | None = None
    film: FilmSize | None = None
    probabilities: Annotated[dict[str, Probability], BeforeValidator(_empty_if_none)] = Field(default_factory=dict)
    probabilities_at_prevalence: Annotated[dict[str, Probability], BeforeValidator(_empty_if_none)] = Field(
        default_factory=dict
    )
    contrasts: Annotated[dict[str, Probability | None], BeforeValidator(_empty_if_none)] = Field(default_factory=dict)
    prediction_set: tuple[str, ...] | None = None
    decision: str | None = None
    reason: str | None = None
    quality: FilmQuality | None = None
    lungs: str | None = None
    lungs_found: LungsFound | None = None
    boxes: Annotated[tuple[FoundBox, ...], BeforeValidator(_list_if_none)] = ()
    opacity: str | None = None
    opaque_share: Annotated[dict[str, Probability | None], BeforeValidator(_empty_if_none)] = Field(
        default_factory=dict
    )
    heatmap: str | None = None
    heatmap_shows: HeatmapShown | None = None
    error: FilmError | None = None
    seconds: float | None = None

    @property
    def refused(self) -> bool:
        """Whether the film was not judged."""
        return self.error is not None or self.decision in (None, "refused")

    @property
    def refusal(self) -> tuple[str, ...]:
        """The sentences that say why it was not judged."""
        if not self.refused:
            return ()
        said = self.quality.reasons if self.quality is not None and self.quality.reasons else ()
        if said:
            return said
        if self.error is not None:
            return (self.error.message,)
        return (self.reason,) if self.reason else ("no reason was recorded",)


@dataclass(frozen=True, slots=True)
class Readings:
    """A folder of readings.

    Attributes
    ----------
    folder : Path
        Where it is.
    shown : tuple of FilmReading
        Those within the limit, in the order read.
    total : int
        Films in the folder.
    decisions : dict of str to int
        Films by decision, over all of them.
    unreadable : int
        Lines that are not a reading, such as the last one of an interrupted run.
    """

    folder: Path
    shown: tuple[FilmReading, ...]
    total: int
    decisions: dict[str, int]
    unreadable: int


def read_readings(folder: Path, *, start: int = 1, most: int | None = None) -> Readings:
    """Read the output folder of `carina predict`.

    Parameters
    ----------
    folder : Path
        The folder given to ``--out``.
    start : int
        First film kept, from 1.
    most : int, optional
        How many are kept; all when left out. The counts are always of all films.

    Returns
    -------
    Readings

    Raises
    ------
    TableError
        If the folder holds no readable ``predictions.jsonl``.
    """
    path = folder / _NAME
    shown: list[FilmReading] = []
    decisions: Counter[str] = Counter()
    total = unreadable = 0
    try:
        for raw in _lines(path):
            reading = _parse(raw)
            if reading is None:
                unreadable += 1
                continue
            total += 1
            decisions["refused" if reading.refused else str(reading.decision)] += 1
            if total >= start and (most is None or len(shown) < most):
                shown.append(reading)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise TableError(
            f"a folder of readings must hold {_NAME}, as `carina predict --out` writes it; {str(folder)!r}: {why}"
        ) from error
    return Readings(folder=folder, shown=tuple(shown), total=total, decisions=dict(decisions), unreadable=unreadable)


def _lines(path: Path) -> Iterator[bytes | None]:
    """Lines that hold something; `None` for one that is too long."""
    with path.open("rb") as file:
        while raw := file.readline(_LONGEST_LINE):
            if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
                while (rest := file.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield None
            elif raw.strip():
                yield raw


def _parse(raw: bytes | None) -> FilmReading | None:
    if raw is None:
        return None
    try:
        return FilmReading.model_validate(json.loads(raw))
    except (ValueError, RecursionError, ValidationError):
        return None
