"""How a model bears what happens to films: noise, rotation, brightness, JPEG, lower resolution (M24)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from carina.errors import InputError
from carina.evidence.contrast_films import Compared, compared_films
from carina.evidence.contrast_numbers import IntervalOptions, bootstrapped_auc
from carina.evidence.judged import Change, judge_changes
from carina.evidence.numbers import Number
from carina.evidence.operating import operating_thresholds
from carina.imaging.lung_fields import LungFields
from carina.inference import Bundle
from carina.sampling import FilmTable
from carina.statistics import patient_mean
from carina.types import Array

__all__ = ["STRENGTHS", "Spoiled", "robustness_numbers"]

STRENGTHS: dict[str, tuple[float, ...]] = {
    "noise": (0.02, 0.05, 0.1),
    "rotation": (3.0, 7.0, 15.0),
    "brightness": (-0.2, -0.1, 0.1, 0.2),
    "jpeg": (75.0, 40.0, 15.0),
    "resolution": (0.5, 0.25, 0.125),
}
"""Standard deviation of the grey values' noise; degrees counterclockwise; added to all grey values; quality; share of
the sides that is left. Grey values lie in [0, 1]."""

_PLAIN = "as it is"
_Spoil: TypeAlias = Callable[[Array, float], Array]


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A change of a film; the same film is always changed the same way.

    Attributes
    ----------
    kind : str
        Of `STRENGTHS`.
    strength : float

    Examples
    --------
    >>> film = np.full((4, 4), 0.5, np.float32)
    >>> round(float(Spoiled("brightness", 0.2)(film, None)[0, 0]), 2)
    0.7
    """

    kind: str
    strength: float

    def __call__(self, pixels: Array, fields: LungFields | None) -> Array:
        """Change the pixels, float32 (H, W) in [0, 1]."""
        del fields  # a film is spoiled as a whole
        spoiled = _KINDS[self.kind](np.asarray(pixels, dtype=np.float32), self.strength)
        return np.asarray(np.clip(spoiled, 0.0, 1.0), dtype=np.float32)

    @property
    def cell(self) -> str:
        """Such as ``"noise=0.05"``."""
        return f"{self.kind}={self.strength:g}"


def robustness_numbers(
    bundle: Bundle,
    table: FilmTable,
    options: IntervalOptions,
    *,
    workers: int = 1,
    gate: bool = True,
    progress: Callable[[int], None] | None = None,
) -> list[Number]:
    """AUC of every contrast and mean change of its probability at each strength.

    Lungs are looked for anew on each spoiled film, as in use; the quality gate looks at the film as it is.

    Parameters
    ----------
    bundle : Bundle
    table : FilmTable
    options : IntervalOptions
    workers : int
    gate : bool
        Whether the quality gate comes first.
    progress : callable, optional
        Called with the number of films done.

    Returns
    -------
    list of Number
        ``auc`` (all films, bootstrap by patient) and ``change``, the mean absolute change of the contrast's
        probability, by cell such as ``"noise=0.05"``.

    Raises
    ------
    InputError
        If no film could be judged.
    """
    kinds = [Spoiled(kind, strength) for kind, strengths in STRENGTHS.items() for strength in strengths]
    changes: dict[str, Change | None] = {_PLAIN: None, **{one.cell: one for one in kinds}}
    found = judge_changes(
        bundle, table, changes, workers=workers, progress=progress, keep_features=False, lungs_again=True, gate=gate
    )
    thresholds = operating_thresholds(bundle.task, bundle.calibration)
    numbers = []
    for name in bundle.task.contrasts:
        plain = compared_films(found[_PLAIN], name, thresholds[name])
        if not plain.two_sided:
            continue
        for cell in [_PLAIN, *(one.cell for one in kinds)]:
            here = compared_films(found[cell], name, thresholds[name])
            numbers += _of_one(plain, here, cell, options)
    return numbers


def _of_one(plain: Compared, films: Compared, cell: str, options: IntervalOptions) -> list[Number]:
    if not np.array_equal(plain.rows, films.rows):
        raise InputError("the films of every change must be the same; they are not")
    place = films.place("robustness", cell=cell, rule="M24")
    numbers = [bootstrapped_auc(films, place, options)]
    if cell != _PLAIN:
        change = np.abs(films.scores - plain.scores)
        mean = patient_mean(change, films.patients, seed=options.seed, repeats=options.repeats)
        numbers.append(place.number("change", mean))
    return numbers


def _noisy(pixels: Array, strength: float) -> Array:
    # the film's own mean as a seed: the same film gets the same noise, whatever the order of the films
    seed = int(np.float32(pixels.mean()).view(np.uint32))
    noise = np.random.default_rng(seed).normal(0.0, strength, pixels.shape)
    return np.asarray(pixels + noise, dtype=np.float32)


def _rotated(pixels: Array, strength: float) -> Array:
    rows, columns = pixels.shape
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), strength, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (columns, rows), flags=cv2.INTER_LINEAR), dtype=np.float32)


def _brighter(pixels: Array, strength: float) -> Array:
    return np.asarray(pixels + np.float32(strength), dtype=np.float32)


def _compressed(pixels: Array, strength: float) -> Array:
    done, data = cv2.imencode(".jpg", np.rint(pixels * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
    if not done:
        raise InputError("a film must be such that it can be stored as JPEG; this one is not")
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / np.float32(255)


def _coarser(pixels: Array, strength: float) -> Array:
    rows, columns = pixels.shape
    small = (max(1, round(columns * strength)), max(1, round(rows * strength)))
    down = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(down, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


_KINDS: dict[str, _Spoil] = {
    "noise": _noisy,
    "rotation": _rotated,
    "brightness": _brighter,
    "jpeg": _compressed,
    "resolution": _coarser,
}
