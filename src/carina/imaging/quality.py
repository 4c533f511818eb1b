"""Rules that a film must meet before any network sees it: header, size, contrast, saturation, grey levels.

Each rule is data with its own sentence, so that the documentation and the refusal say the same. What a picture *shows*
is judged by the learned part, `carina.inference.gate.QualityGate`, which runs these rules first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from carina.types import Array, Film, FilmHeader, Quality

__all__ = ["NOT_A_CHEST_FILM", "QUALITY_RULES", "QualityRule", "check_rules"]

SMALLEST_SIDE = 64
"""Pixels. At 64 a rib is about one pixel wide; the gate's network sees 96 and the classifier more."""
LONGEST_ASPECT = 3.0
"""Long side over short side; the longest of the 6,920 films at hand measures 2.24."""
LOWEST_CONTRAST = 0.02
"""99th less 1st percentile, share of the scale. A 12-bit film shown in a window far too wide still has more."""
MOST_SATURATED = 0.85
"""Share of pixels in the darkest and brightest 1/255 of the film's own range."""
FEWEST_LEVELS = 24
"""Distinct greys after rounding to 8 bits over the film's own range; counted where at least 64 x 64 pixels exist."""

NOT_A_CHEST_FILM = "not a chest film"
"""How the reason begins where the header names another part of the body."""

RADIOGRAPHY = frozenset({"CR", "DX", "RG", "XR", "OT", "SC"})
_SAID_NOTHING = frozenset({"", "UNKNOWN", "OTHER", "NONE", "UNDEFINED", "NA", "N/A"})
_CHEST = re.compile(r"CHEST|THORAX|TORAX|TORAC|LUNG")
_NOT_FRONTAL = frozenset({"LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "XTABLE"})
_LATERAL_WORD = re.compile(r"\b(LAT|LATERAL|LATERALE|SEITLICH|PROFIL|OBLIQUE|DECUB\w*)\b")
_FRONTAL_WORD = re.compile(r"\b(AP|PA|P\.A\.|A\.P\.|FRONTAL|FACE)\b")

Measures = dict[str, float]


@dataclass(frozen=True, slots=True)
class QualityRule:
    """One rule of the gate.

    Attributes
    ----------
    code : str
        Stable lower-case identifier.
    sentence : str
        What must hold, for a person; this is what the documentation prints.
    broken : callable
        From the header and the measured values to the reason of a refusal, or `None` where the rule holds.
    """

    code: str
    sentence: str
    broken: Callable[[FilmHeader, Measures], str | None]


def _modality(header: FilmHeader, _: Measures) -> str | None:
    modality = (header.modality or "").strip().upper()
    if modality in _SAID_NOTHING or modality in RADIOGRAPHY:
        return None
    return f"not a radiograph: the header's Modality is {modality!r}, expected one of {', '.join(sorted(RADIOGRAPHY))}"


def _body_part(header: FilmHeader, _: Measures) -> str | None:
    part = (header.body_part or "").strip().upper()
    if part in _SAID_NOTHING or _CHEST.search(part):
        return None
    return f"{NOT_A_CHEST_FILM}: the header's BodyPartExamined is {part!r}"


def _view(header: FilmHeader, _: Measures) -> str | None:
    view = (header.view or "").strip().upper()
    if view in _NOT_FRONTAL or (_LATERAL_WORD.search(view) and not _FRONTAL_WORD.search(view)):
        return f"not a frontal film: the header's ViewPosition is {view!r}"
    series = (header.series_description or "").upper().replace("_", " ")
    if not view and _LATERAL_WORD.search(series) and not _FRONTAL_WORD.search(series):
        return "not a frontal film: the header's SeriesDescription names a lateral, oblique or decubitus view"
    return None


def _size(_: FilmHeader, measures: Measures) -> str | None:
    short = measures["short_side_px"]
    return (
        f"too small: the short side has {short:.0f} pixels, needed {SMALLEST_SIDE}" if short < SMALLEST_SIDE else None
    )


def _aspect(_: FilmHeader, measures: Measures) -> str | None:
    aspect = measures["aspect"]
    if aspect <= LONGEST_ASPECT:
        return None
    return (
        f"not a film's shape: the long side is {aspect:.1f} times the short one, at most {LONGEST_ASPECT:.0f} allowed"
    )


def _contrast(_: FilmHeader, measures: Measures) -> str | None:
    contrast = measures["contrast"]
    if contrast >= LOWEST_CONTRAST:
        return None
    return f"blank: 98 % of the pixels lie within {contrast:.1%} of the grey scale, needed {LOWEST_CONTRAST:.0%}"


def _saturation(_: FilmHeader, measures: Measures) -> str | None:
    share = measures["saturated_share"]
    if share <= MOST_SATURATED:
        return None
    return f"saturated: {share:.0%} of the pixels are black or white, at most {MOST_SATURATED:.0%} allowed"


def _levels(_: FilmHeader, measures: Measures) -> str | None:
    levels = measures["grey_levels"]
    if levels >= FEWEST_LEVELS:
        return None
    return f"too few greys for a radiograph: {levels:.0f} distinct levels, needed {FEWEST_LEVELS}"


QUALITY_RULES: tuple[QualityRule, ...] = (
    QualityRule(
        "modality",
        "The header's Modality (0008,0060), where given, is CR, DX, RG, XR, OT or SC.",
        _modality,
    ),
    QualityRule(
        "body_part",
        "The header's BodyPartExamined (0018,0015), where given, names the chest, thorax or lungs.",
        _body_part,
    ),
    QualityRule(
        "view",
        "The header's ViewPosition (0018,5101), or without one its SeriesDescription (0008,103E), names no lateral, "
        "oblique or decubitus view.",
        _view,
    ),
    QualityRule("size", "The short side has at least 64 pixels.", _size),
    QualityRule("aspect", "The long side is at most 3 times the short side.", _aspect),
    QualityRule(
        "contrast", "The 1st and 99th percentile of the pixels lie at least 2 % of the scale apart.", _contrast
    ),
    QualityRule(
        "saturation",
        "At most 85 % of the pixels are as dark as the darkest or as bright as the brightest.",
        _saturation,
    ),
    QualityRule("levels", "The film has at least 24 distinct greys.", _levels),
)
"""Every rule in the order in which it is checked; all are checked, so that a refusal names all its reasons."""


def check_rules(film: Film) -> Quality:
    """Check a film against the rules of `QUALITY_RULES`.

    Parameters
    ----------
    film : Film
        Pixels in [0, 1], any size.

    Returns
    -------
    Quality
        `reasons` has one sentence a broken rule; `scores` holds ``short_side_px``, ``aspect``, ``contrast`` (0 to 1),
        ``saturated_share`` (0 to 1) and ``grey_levels`` (1 to 256). Nothing is corrected here.

    References
    ----------
    DICOM PS3.3 C.7.3.1.1.1 (Modality), C.8.1.1 (ViewPosition: LL, RL, LLD, RLD, LLO, RLO) and PS3.16 Annex L
    (BodyPartExamined).

    Examples
    --------
    >>> blank = Film(np.full((512, 512), 0.5, np.float32), FilmHeader("png"), "0" * 64)
    >>> check_rules(blank).accepted
    False
    """
    scores = _measure(film.pixels)
    found = (rule.broken(film.header, scores) for rule in QUALITY_RULES)
    reasons = tuple(reason for reason in found if reason is not None)
    return Quality(accepted=not reasons, reasons=reasons, scores=scores)


def _measure(pixels: Array) -> Measures:
    """Measure at most about 1,000 x 1,000 pixels of a film, taken in even steps."""
    rows, columns = pixels.shape
    step = max(1, min(rows, columns) // 1000)
    sample = pixels[::step, ::step]
    low, high = float(sample.min()), float(sample.max())
    first, last = np.percentile(sample, (1.0, 99.0))
    spread = max(high - low, 1e-6)
    counts = np.bincount(((sample - low) * (255.0 / spread)).astype(np.uint8).ravel(), minlength=256)
    return {
        "short_side_px": float(min(rows, columns)),
        "aspect": max(rows, columns) / min(rows, columns),
        "contrast": float(last - first),
        "saturated_share": float(counts[0] + counts[254] + counts[255]) / sample.size,
        "grey_levels": float(np.count_nonzero(counts)),
    }
