"""The table of episodes: kinds of stay with the answers that the method gives, read from ``episodes.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Aetiology", "CodeSet", "Position", "Reading", "Specimen", "Stay", "Suspicion", "Templates", "templates"]

_MOST_FILMS = 6


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Weighted(_Entry):
    weight: float = Field(gt=0)


class Reading(_Weighted):
    """Reads and codes of an episode, and the gold standard they make (M13).

    `reads`, `gold` and each of `sick` hold one sign a film: P pneumonia, N none, E equivocal, ``_`` no read, ``.`` no
    label. `studies` gives films with equal signs one accession number; `at` is in hours after admission.
    """

    name: str
    codes: Literal["on", "off"]
    reads: str = Field(pattern=r"^[PNE_]{0,6}$")
    gold: str = Field(pattern=r"^[PN.]{0,6}$")
    sick: tuple[str, ...] = Field(min_length=1)
    studies: str | None = None
    at: tuple[float, ...] | None = None
    series: tuple[int, ...] | None = None
    instances: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _one_sign_a_film(self) -> Reading:
        count = len(self.reads)
        parts = [self.gold, *self.sick, self.studies, self.at, self.series, self.instances]
        if any(part is not None and len(part) != count for part in parts):
            raise ValueError(f"reading {self.name!r} must have one sign a film everywhere: {count}")
        if any((read == "_") != (gold == ".") for read, gold in zip(self.reads, self.gold, strict=True)):
            raise ValueError(f"reading {self.name!r}: a film without a read has no label, and no other has none")
        return self


class Position(_Weighted):
    """Positions of an episode's films and which are first and last (M10): E, S, ``?``; F, L, ``-``."""

    positions: str = Field(pattern=r"^[ES?]{1,6}$")
    roles: str = Field(pattern=r"^F[L-]{0,5}$")

    @model_validator(mode="after")
    def _one_sign_a_film(self) -> Position:
        if len(self.positions) != len(self.roles) or self.roles.count("L") > 1:
            raise ValueError(f"positions {self.positions!r} and roles {self.roles!r} must fit")
        return self


class Suspicion(_Weighted):
    """What shows that pneumonia was suspected (M8)."""

    name: str
    marks: Literal["all", "none", "later"]
    reason: bool
    exclusion: str = ""


class CodeSet(_Weighted):
    """Discharge codes and whether they show pneumonia (M14)."""

    shows: Literal["on", "off"]
    codes: tuple[str, ...] = Field(min_length=1)
    suits: Literal["any", "covid19", "newborn"] = Field("any", alias="for")


class Specimen(_Entry):
    """One result; `film` or `admission` is the hour of collection from there."""

    film: float | None = None
    admission: float | None = None
    specimen: str
    test: str
    organism: str
    result: Literal["positive", "negative", "indeterminate"]

    @model_validator(mode="after")
    def _one_clock(self) -> Specimen:
        if (self.film is None) == (self.admission is None):
            raise ValueError("a specimen's hour counts from the film or from the admission")
        return self


class Aetiology(_Weighted):
    """Microbiology of an episode and what it makes of a confirmed pneumonia (M15)."""

    name: str
    era: Literal["before", "since"]
    cause: Literal["bacterial", "viral", "covid19"]
    specimens: tuple[Specimen, ...]
    aetiology: Literal["covid19", "viral", "bacterial", "mixed", "unknown"]
    coinfection: bool = False
    covid: Literal["positive", "negative", "out"]
    bacterial_viral: Literal["bacterial", "viral", "out"]


class Stay(_Weighted):
    """Admission events that are one episode (M9): hours between them."""

    name: str
    gaps: tuple[float, ...]


class Templates(_Entry):
    """All tables."""

    reading: tuple[Reading, ...]
    position: tuple[Position, ...]
    suspicion: tuple[Suspicion, ...]
    codes: tuple[CodeSet, ...]
    aetiology: tuple[Aetiology, ...]
    stay: tuple[Stay, ...]


@cache
def templates() -> Templates:
    """Read the packaged table of episodes.

    Examples
    --------
    >>> {entry.name: entry.gold for entry in templates().reading}["flanked"]
    'PPP'
    """
    text = files("carina.synthesis").joinpath("episodes.toml").read_text("utf-8")
    return Templates.model_validate(tomllib.loads(text))
