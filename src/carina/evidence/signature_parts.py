"""Parts of the films that a signature is judged on, and the null it is held against (M27)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carina.evidence.signature_fusion import Fusion
from carina.evidence.signature_models import ModelOptions
from carina.statistics import Estimate

__all__ = ["LEAST_PATIENTS", "Part", "Permutation", "SignatureOptions"]

LEAST_PATIENTS = 10
"""Patients that each side of a contrast needs, of all films and of a source that is judged by itself."""


@dataclass(frozen=True, slots=True)
class SignatureOptions:
    """What is asked.

    Attributes
    ----------
    models : ModelOptions
    permutations : int
        Times that labels are dealt anew within each source; 0 leaves the null out, and nothing can be shown then.
    level : float
        Of all intervals, in (0, 1).
    """

    models: ModelOptions = field(default_factory=ModelOptions)
    permutations: int = 99
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Permutation:
    """The same search on labels dealt anew.

    Attributes
    ----------
    observed : float
        AUC of the elastic net on the labels as they are, its penalty held.
    p : float
        Share of all searches, this one among them, that found as much.
    upper : float
        AUC that one search in twenty exceeds where there is nothing.
    repeats : int
    """

    observed: float
    p: float
    upper: float
    repeats: int


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Models judged on one part of the films.

    Attributes
    ----------
    name : str
        ``"all"``, ``"source=nih"`` or ``"left_out=nih"``: fitted to all other sources, judged on that one.
    scope : str or None
        As `carina.evidence.numbers.Number.sources`.
    films, patients, positives : int
    areas : dict of str to Estimate
        AUC of films that the model was not fitted to, by kind of model.
    scores : dict of str to ndarray, (M,)
        Log odds by kind.
    rows : ndarray of int, (M,)
        Of the contrast's films.
    chosen : dict of str to list of dict
        Settings chosen in each fold.
    used : dict of str to int
        Folds in which the elastic net used a feature.
    permutation : Permutation or None
    fusion : dict of str to Fusion
        By kind, where another model's scores were given.
    control : Fusion or None
        How the film was made by itself, and with texture; the elastic net's scores.
    views : dict of str to Estimate, or None
        AUC of the same scores among films of one view, of views with enough patients on both sides; `None` where the
        table does not name two views. Sick patients are filmed lying down: a view can pass for a disease.
    """

    name: str
    scope: str | None
    films: int
    patients: int
    positives: int
    areas: dict[str, Estimate]
    scores: dict[str, NDArray[np.float64]]
    rows: NDArray[np.intp]
    chosen: dict[str, list[dict[str, float]]]
    used: dict[str, int] = field(default_factory=dict)
    permutation: Permutation | None = None
    fusion: dict[str, Fusion] = field(default_factory=dict)
    control: Fusion | None = None
    views: dict[str, Estimate] | None = None
