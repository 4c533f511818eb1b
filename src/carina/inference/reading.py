"""What a model says of one film, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from carina.imaging.lung_fields import ZONES, LungFields
from carina.tasks import Task
from carina.types import Quality

__all__ = [
    "FilmRecord",
    "HeatmapRecord",
    "LungRecord",
    "Outcome",
    "Problem",
    "Reading",
    "columns",
    "flatten",
    "outcome_of",
]

Outcome: TypeAlias = Literal["judged", "refused", "unread"]
"""With probabilities; refused by the gate; no film, or not readable."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file gave no probabilities.

    Attributes
    ----------
    code : str
        Stable lower-case identifier, such as ``"truncated"``; programs branch on it.
    message : str
        One sentence.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FilmRecord:
    """Which bytes were read.

    Attributes
    ----------
    sha256 : str or None
        Of the file; `None` where it could not be read.
    bytes, modified_ns : int or None
        Size, and time of the last change in nanoseconds since 1970, by which a re-run knows the file again.
    rows, columns : int or None
        Of the film as judged, after the gate's corrections, pixels.
    """

    sha256: str | None = None
    bytes: int | None = None
    modified_ns: int | None = None
    rows: int | None = None
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class HeatmapRecord:
    """Which map the heatmap shows.

    Attributes
    ----------
    of : str
        The class.
    maps : str
        File with the raw maps of all classes and their maxima.
    maximum : float
        Largest value of the raw map shown; 0 means that nothing in the film spoke for the class.
    drawn_on : {"film", "corrected_film"}
        ``"corrected_film"`` where the gate turned or inverted the film first.
    """

    of: str
    maps: str
    maximum: float
    drawn_on: Literal["film", "corrected_film"]


@dataclass(frozen=True, slots=True)
class LungRecord:
    """Lung fields in numbers.

    Attributes
    ----------
    plausible : bool
        Whether they may be used; else `flags` say why not, and nothing is framed or measured by them.
    flags : tuple of str
        One sentence each.
    right, left : float
        Area of the field as a share of the film, in [0, 1].
    box : tuple of int or None
        x, y, width, height of both lungs, pixels of the film.
    """

    plausible: bool
    flags: tuple[str, ...]
    right: float
    left: float
    box: tuple[int, int, int, int] | None

    @classmethod
    def of(cls, fields: LungFields) -> LungRecord:
        """Measure lung fields."""
        right, left = (float((fields.mask == side).mean()) for side in (1, 2))
        return cls(plausible=fields.plausible, flags=fields.flags, right=right, left=left, box=fields.box)


@dataclass(frozen=True, slots=True)
class Reading:
    """One film's line in ``predictions.jsonl``.

    Attributes
    ----------
    file : str
        As named by the caller.
    id : str
        First 16 hex digits of the SHA-256 of the file's absolute path; names its outputs.
    model : dict
        Name, version and hash prefix of the bundle.
    film : FilmRecord
    probabilities : dict of class to float, or None
        Calibrated, of the calibrated class mix; `None` where the film was refused.
    probabilities_at_prevalence : dict of class to float, or None
        At the prevalence asked for (M4).
    contrasts, contrasts_at_prevalence : dict of contrast to float, or None
    prediction_set : tuple of str, or None
        Classes that cannot be ruled out; `None` without calibration.
    decision : str or None
        Of the task, or ``"refused"`` by the gate, or ``"uncalibrated"``; `None` where the file is no film. It rests on
        `probabilities` and the bundle's thresholds, never on the prevalence asked for.
    reason : str or None
        Of the decision, one sentence.
    age_years : tuple of float or None
        Youngest and oldest age the film may be of, as used for the decision.
    quality : Quality or None
    lungs : str or None
        Indexed PNG at the film's size, relative to the output folder: 0 outside, 1 right lung, 2 left lung.
    lungs_found : LungRecord or None
        `None` where lung fields were not looked for.
    boxes : tuple of dict
        Opacities found (M21): `x`, `y`, `width`, `height` in pixels of the film, `score`, and `zone`, the lung zone
        that holds most of it; best first.
    opacity : str or None
        8-bit grey PNG of the opacity map at the film's size (M22).
    opaque_share : dict of str to float or None, or None
        Share of both lungs and of each zone that the opacity map calls opaque, in [0, 1], the estimated heart left
        out; `None` without plausible lungs.
    heatmap : str or None
        Picture file at the film's size, relative to the output folder.
    heatmap_shows : HeatmapRecord or None
    error : Problem or None
    seconds : float
        From the file to this line.
    """

    file: str
    id: str
    model: dict[str, str]
    film: FilmRecord = field(default_factory=FilmRecord)
    probabilities: dict[str, float] | None = None
    probabilities_at_prevalence: dict[str, float] | None = None
    contrasts: dict[str, float] | None = None
    contrasts_at_prevalence: dict[str, float] | None = None
    prediction_set: tuple[str, ...] | None = None
    decision: str | None = None
    reason: str | None = None
    age_years: tuple[float, float] | None = None
    quality: Quality | None = None
    lungs: str | None = None
    lungs_found: LungRecord | None = None
    boxes: tuple[dict[str, Any], ...] = ()
    opacity: str | None = None
    opaque_share: dict[str, float | None] | None = None
    heatmap: str | None = None
    heatmap_shows: HeatmapRecord | None = None
    error: Problem | None = None
    seconds: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """What became of the film."""
        return outcome_of(error=self.error, probabilities=self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: numbers rounded to six decimals, unknown values ``null``."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}

    def to_json(self) -> str:
        """One line, without the line's end."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def outcome_of(*, error: object, probabilities: object) -> Outcome:
    """Tell what became of a film from two fields of its line."""
    if error is not None:
        return "unread"
    return "refused" if probabilities is None else "judged"


def columns(task: Task) -> dict[str, tuple[str, ...]]:
    """Columns of ``predictions.csv``: the JSON keys joined with dots.

    Returns
    -------
    dict of str to tuple of str
        Column to the path of keys. Lists, and ``quality.scores`` whose keys depend on the gate, are one column of JSON.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> columns(default_task())["probabilities.covid19"]
    ('probabilities', 'covid19')
    """
    parts: dict[str, tuple[str, ...]] = {
        "model": ("name", "version", "sha256"),
        "film": tuple(one.name for one in fields(FilmRecord)),
        "probabilities": task.classes,
        "probabilities_at_prevalence": task.classes,
        "contrasts": tuple(task.contrasts),
        "contrasts_at_prevalence": tuple(task.contrasts),
        "quality": ("accepted", "corrected", "reasons", "scores"),
        "lungs_found": tuple(one.name for one in fields(LungRecord)),
        "opaque_share": ("lungs", *ZONES),
        "heatmap_shows": tuple(one.name for one in fields(HeatmapRecord)),
        "error": ("code", "message"),
    }
    result: dict[str, tuple[str, ...]] = {}
    for one in fields(Reading):
        for key in parts.get(one.name, ("",)):
            path = (one.name, key) if key else (one.name,)
            result[".".join(path)] = path
    return result


def flatten(line: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One row of ``predictions.csv`` from one parsed line of ``predictions.jsonl``.

    Parameters
    ----------
    line : mapping
    wanted : mapping
        What `columns` gave.

    Returns
    -------
    list of str
        Empty where the JSON is ``null``.
    """
    return [_cell(line, path) for path in wanted.values()]


def _cell(line: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = line
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        # JSON has no NaN or infinity.
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value
