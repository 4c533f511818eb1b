"""Phantom cohorts with one planted shortcut, to find out what the shortcut audit finds (M36).

A cohort has two classes, normal and diseased, that opacities in the lungs tell apart. Besides, every film carries four
*signs* that have nothing to do with disease: a lead marker, a collimator's border, a steep film curve and the look of
one of two sources (unsharp and noisy, or not). In a clean cohort each sign falls on half of the films of either class.
In a planted one, one sign follows the class: at strength 0.8 it agrees with it on 80 % of the films, at 0.5 not at all.
The table names the source, as a hospital's would; it says nothing of marker, border and film curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.imaging.lung_fields import LungFields, from_mask
from carina.imaging.phantom import Signature, phantom_film
from carina.tasks import Task, task_from_dict
from carina.types import Array, Bytes

__all__ = ["SHORTCUTS", "PhantomCohort", "PhantomPool", "phantom_pool", "phantom_task", "plant_cohort"]

SHORTCUTS = ("marker", "border", "contrast", "source")
"""Kinds of planted shortcut."""

_LABELS = ("normal", "covid19")
_PLAIN = Signature(marker="")
_TEXTS = ("AP PORTABLE", "AP SUPINE", "BEDSIDE AP")
_BORDER = (0.05, 0.09)
_GAMMA = (0.95, 1.15)
_STEEP = (1.7, 2.1)
_BLUR = (0.9, 1.3)
_NOISE = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class PhantomPool:
    """Phantom patients that cohorts are drawn from, each once well and once ill.

    Attributes
    ----------
    films : ndarray of uint8, (P, 2, S, S)
        Without marker or border; the second axis is normal, diseased.
    lungs : ndarray of bool, (P, S, S)
        Lung fields.
    """

    films: Bytes
    lungs: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PhantomCohort:
    """Films of a cohort, in memory.

    Attributes
    ----------
    films : ndarray of float32, (N, S, S)
        Intensities in [0, 1].
    lungs : ndarray of bool, (N, S, S)
        The true lung fields.
    frame : polars.DataFrame
        ``image_id``, ``patient_id``, ``label``, ``source``, a row a film.
    signs : dict of str to ndarray of bool, (N,)
        Which films carry each sign.
    kind : str or None
        Planted shortcut; `None` in a clean cohort.
    strength : float
        Share of films on which it agrees with the class.
    """

    films: Array
    lungs: NDArray[np.bool_]
    frame: pl.DataFrame
    signs: dict[str, NDArray[np.bool_]]
    kind: str | None
    strength: float

    def fields(self, row: int) -> LungFields:
        """Lung fields of a film."""
        return from_mask(self.lungs[row])


def phantom_task() -> Task:
    """Task of the cohorts: normal or diseased, one contrast."""
    values: dict[str, Any] = {
        "name": "phantom_disease",
        "version": 1,
        "input": "chest_radiograph",
        "classes": list(_LABELS),
        "contrasts": {"disease": {"positive": ["covid19"], "negative": ["normal"]}},
        "decision": {"otherwise": "indeterminate"},
    }
    return task_from_dict(values, origin="the task of the phantom cohorts")


def phantom_pool(seed: int, patients: int, *, size: int = 128, severity: float = 1.0) -> PhantomPool:
    """Draw phantom patients.

    Parameters
    ----------
    seed : int
        Of the first patient; each further patient has the next.
    patients : int
    size : int
        Side of the films, pixels.
    severity : float
        Of the disease, 0 to 1.

    Returns
    -------
    PhantomPool
    """
    films = np.zeros((patients, 2, size, size), np.uint8)
    lungs = np.zeros((patients, size, size), np.bool_)
    for number in range(patients):
        for which, label in enumerate(_LABELS):
            phantom = phantom_film(
                seed + number, label=label, size=size, severity=severity, child=False, signature=_PLAIN
            )
            films[number, which] = np.rint(phantom.pixels * 255.0).astype(np.uint8)
            lungs[number] = phantom.right_lung | phantom.left_lung
    return PhantomPool(films, lungs)


def plant_cohort(
    pool: PhantomPool, seed: int, *, kind: str | None = None, strength: float = 0.5, films: int = 200
) -> PhantomCohort:
    """Draw a cohort from a pool, one film a patient, half of the films diseased.

    Parameters
    ----------
    pool : PhantomPool
        With at least as many patients as the cohort has films.
    seed : int
    kind : str or None
        One of `SHORTCUTS`; `None` plants none.
    strength : float
        Share of films on which the planted sign agrees with the class, 0.5 to 1.
    films : int
        Even; the classes alternate.

    Returns
    -------
    PhantomCohort

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if kind is not None and kind not in SHORTCUTS:
        raise ValueError(f"kind must be one of {', '.join(SHORTCUTS)} or None; found {kind!r}")
    if not 0.5 <= strength <= 1.0 or films > len(pool.films):  # noqa: PLR2004 - a fair coin
        raise ValueError(
            f"strength must lie in [0.5, 1] and the pool hold a patient a film; found {strength!r} and "
            f"{len(pool.films)} patients for {films} films"
        )
    rng = np.random.default_rng([seed, 36])
    people = rng.permutation(len(pool.films))[:films]
    ill = np.arange(films) % 2 == 1
    signs = {name: _even(ill, rng) for name in SHORTCUTS}
    if kind is not None:
        signs[kind] = np.where(_shuffled_share(ill, strength, rng), ill, ~ill)
    pictures = [
        _signed(pool.films[who, int(sick)], {name: bool(signs[name][place]) for name in SHORTCUTS}, rng)
        for place, (who, sick) in enumerate(zip(people, ill, strict=True))
    ]
    frame = pl.DataFrame(
        {
            "image_id": [f"phantom-{number}" for number in range(films)],
            "patient_id": [f"PHANTOM{who:05d}" for who in people],
            "label": [_LABELS[int(sick)] for sick in ill],
            "source": ["south" if sign else "north" for sign in signs["source"]],
        }
    )
    return PhantomCohort(
        np.stack(pictures), pool.lungs[people], frame, signs, kind, strength if kind is not None else 0.5
    )


def _even(ill: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Put a sign on half of the films of either class."""
    return np.asarray(ill ^ _shuffled_share(ill, 0.5, rng), dtype=np.bool_)


def _shuffled_share(ill: NDArray[np.bool_], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark that share of the films of either class, drawn at random."""
    result = np.zeros(len(ill), np.bool_)
    for side in (False, True):
        rows = np.flatnonzero(ill == side)
        result[rng.permutation(rows)[: round(share * len(rows))]] = True
    return result


def _signed(film: Bytes, signs: dict[str, bool], rng: np.random.Generator) -> Array:
    """Lay the signs on a film, in the order in which equipment leaves them."""
    pixels = film.astype(np.float32) / np.float32(255.0)
    pixels = pixels ** np.float32(rng.uniform(*_GAMMA))
    if signs["contrast"]:
        pixels = pixels ** np.float32(rng.uniform(*_STEEP))
    if signs["source"]:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(*_BLUR)))
        pixels = pixels + np.float32(_NOISE) * rng.standard_normal(pixels.shape, dtype=np.float32)
    edge = round(float(rng.uniform(*_BORDER)) * len(pixels)) if signs["border"] else 0
    if edge:
        pixels = pixels.copy()
        for part in (pixels[:edge], pixels[-edge:], pixels[:, :edge], pixels[:, -edge:]):
            part[:] = 0.0
    if signs["marker"]:
        pixels = _with_text(np.asarray(pixels, np.float32), edge, rng)
    return np.asarray(np.clip(pixels, 0.0, 1.0), np.float32)


def _with_text(pixels: Array, edge: int, rng: np.random.Generator) -> Array:
    """Lay white letters in an upper corner, drawn four times as fine."""
    size, fine = pixels.shape[0], 4
    sheet = np.zeros((fine * size, fine * size), np.uint8)
    text = _TEXTS[int(rng.integers(len(_TEXTS)))]
    scale = size * fine / 512
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 3)
    gap = round(float(rng.uniform(0.02, 0.05)) * fine * size) + fine * edge
    left = gap if rng.random() < 0.5 else fine * size - gap - wide  # noqa: PLR2004 - a fair coin
    cv2.putText(sheet, text, (left, gap + high), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 3, cv2.LINE_AA)
    lead = cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255.0)
    return np.asarray(pixels + np.minimum(1.6 * lead, 1.0) * np.maximum(0.98 - pixels, 0.0), np.float32)
