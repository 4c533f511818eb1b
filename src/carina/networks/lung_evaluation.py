"""How well lung fields agree with their outlines, measured on patients the network did not see (M22, M33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from carina.imaging.lung_fields import LEFT, RIGHT, LungFields
from carina.networks.lung_data import LungFilm

__all__ = ["Agreement", "agreement", "dice", "folds_by_patient", "hausdorff_95", "patient_interval"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of found with outlined fields on one film, for the right lung, the left, and both as one region.

    Attributes
    ----------
    film : LungFilm
    dice : tuple of float
        Right, left, both, in [0, 1].
    hausdorff : tuple of float
        95 % Hausdorff distance of right, left (in % of that lung's outlined height) and of both (in % of the taller
        one's); `inf` where a side was not found.
    flags : tuple of str
        Of the found fields.
    """

    film: LungFilm
    dice: tuple[float, float, float]
    hausdorff: tuple[float, float, float]
    flags: tuple[str, ...]


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Twice the overlap over the sum of both areas, in [0, 1]; 1 where both are empty.

    Examples
    --------
    >>> dice(np.array([[True, True]]), np.array([[True, False]]))
    0.6666666666666666
    """
    total = int(found.sum()) + int(truth.sum())
    return 2.0 * int((found & truth).sum()) / total if total else 1.0


def hausdorff_95(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """95 % Hausdorff distance of two regions' edges, pixels.

    The larger of the two directions' 95th percentiles of the distance from one region's edge pixels to the other's
    nearest edge pixel; edge pixels belong to the region and touch the outside by a side. 0 where both are empty,
    infinite where one is.

    Parameters
    ----------
    found, truth : ndarray of bool, (H, W)

    Returns
    -------
    float
        Pixels, 0 or more.
    """
    if not found.any() or not truth.any():
        return 0.0 if not found.any() and not truth.any() else float("inf")
    edges = [region & ~binary_erosion(region) for region in (found, truth)]
    away = [distance_transform_edt(~edge) for edge in edges]
    return float(max(np.percentile(away[1][edges[0]], 95), np.percentile(away[0][edges[1]], 95)))


def agreement(film: LungFilm, found: LungFields, truth: LungFields) -> Agreement:
    """Compare found fields with outlined ones of the same size."""
    pairs = [(found.mask == side, truth.mask == side) for side in (RIGHT, LEFT)]
    pairs.append((found.mask > 0, truth.mask > 0))
    heights = [int(np.count_nonzero(given.any(axis=1))) for _, given in pairs[:2]]
    heights.append(max(heights))
    shares = [dice(one, other) for one, other in pairs]
    distances = [100.0 * hausdorff_95(one, other) / height for (one, other), height in zip(pairs, heights, strict=True)]
    return Agreement(film, (shares[0], shares[1], shares[2]), (distances[0], distances[1], distances[2]), found.flags)


def folds_by_patient(films: Sequence[LungFilm], folds: int, seed: int) -> list[list[LungFilm]]:
    """Divide films into folds of about equal size, all films of a patient in one.

    Patients in an order drawn from `seed`, those with most films first, each to the fold with fewest films.
    """
    rng = np.random.default_rng(seed)
    groups: dict[str, list[LungFilm]] = {}
    for film in sorted(films, key=lambda film: film.image_id):
        groups.setdefault(film.patient_id, []).append(film)
    order = [sorted(groups)[number] for number in rng.permutation(len(groups))]
    order.sort(key=lambda patient: -len(groups[patient]))
    result: list[list[LungFilm]] = [[] for _ in range(folds)]
    for patient in order:
        min(result, key=len).extend(groups[patient])
    return result


def patient_interval(
    values: Sequence[float], patients: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over films, with the 95 % percentile interval of a bootstrap that draws patients with all their films (M33).

    Parameters
    ----------
    values : sequence of float
        One a film.
    patients : sequence of str
        Whose film it is.
    draws, seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of float
        Mean, low, high.
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, np.float64))
    counts = np.bincount(index)
    chosen = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(np.mean(values)), float(low), float(high)
