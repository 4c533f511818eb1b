"""What was measured on one film."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carina.evidence.perturbation import Curves, Occlusion
from carina.evidence.viewing import View
from carina.types import Array

__all__ = ["FilmRecord"]


@dataclass(slots=True, eq=False)
class FilmRecord:
    """One film with its measures.

    Attributes
    ----------
    row : int
        Of the table, from 0.
    image_id, source, label, patient : str
    shown : str
        Class whose map is measured.
    probability : float
        Of that class.
    agreed : bool
        Whether it is the model's most probable class.
    view : View
    raw : ndarray of float32, (h, w)
        Raw class map of `shown`.
    lungs_from : str
        ``"mask"``, ``"found"`` or ``"none"``.
    flags : tuple of str
        Why its lungs are not to be believed.
    flat : bool
        Whether the map points nowhere.
    boxes : ndarray of float64, (n, 4), or None
        Readers' boxes, film pixels.
    detected : tuple of ndarray, or None
        Boxes (m, 4) in film pixels and scores (m,) of the model's box branch; on films with readers' boxes.
    opacity : ndarray of float32, (s, s), or None
        The model's score map; on films with readers' boxes.
    values : dict of str to float
        By measure; a measure without a value is missing.
    curves : dict of str to Curves
        Deletion and insertion by ranking.
    occluded : Occlusion or None
    """

    row: int
    image_id: str
    source: str
    label: str
    patient: str
    shown: str
    probability: float
    agreed: bool
    view: View
    raw: Array
    lungs_from: str
    flags: tuple[str, ...]
    flat: bool
    boxes: NDArray[np.float64] | None = None
    detected: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    opacity: Array | None = None
    values: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curves] = field(default_factory=dict)
    occluded: Occlusion | None = None

    def put(self, **values: float | None) -> None:
        """Store measures; those without a value are left out."""
        self.values.update({name: float(value) for name, value in values.items() if value is not None})
