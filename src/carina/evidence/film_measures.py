"""The measures of single films: class map against lungs and boxes, and what perturbations say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence.film_record import FilmRecord
from carina.evidence.localisation import box_mask, map_overlap, pointing_hit
from carina.evidence.measures import stage_name
from carina.evidence.perturbation import (
    curve_area,
    deletion_insertion,
    near_points,
    occlusion,
    random_map,
    shifted,
    shifted_correlation,
    shifts,
    with_noise,
)
from carina.evidence.relevance import mass_share, spread_map
from carina.evidence.similarity import rank_correlation, structural_similarity
from carina.evidence.viewing import Network
from carina.inference import normalise_map

__all__ = [
    "POINTING_TOLERANCE",
    "chosen_box",
    "compare_maps",
    "measure_boxes",
    "measure_lungs",
    "measure_occlusion",
    "measure_perturbation",
    "measure_stability",
    "shuffled_name",
]

POINTING_TOLERANCE = 0.03
"""Tolerance of `pointing_near`, share of the field of view's side."""

_COMPARED = 64
_SHIFT, _NOISE, _NOISES = 0.04, 0.02, 2


def measure_lungs(record: FilmRecord) -> None:
    """Class map against the lung fields, with and without the estimated heart."""
    view = record.view
    if view.lungs is None or view.heart is None:
        return
    whole = mass_share(record.raw, view.lungs)
    if whole is not None:
        record.put(
            lung_share=whole.share,
            lung_area=whole.area,
            lung_reference=whole.reference,
            lung_enrichment=whole.enrichment,
        )
    rest = mass_share(record.raw, view.lungs & ~view.heart)
    if rest is not None:
        record.put(
            lung_share_without_heart=rest.share,
            lung_area_without_heart=rest.area,
            lung_enrichment_without_heart=rest.enrichment,
        )


def measure_boxes(record: FilmRecord, average: NDArray[np.float64]) -> None:
    """Class map against the readers' boxes, beside points chosen without looking at the film's disease.

    Parameters
    ----------
    record : FilmRecord
        With boxes. A flat map points nowhere: it misses, and has no overlap.
    average : ndarray of float64, (4,) or (0,)
        The likelier average box of the other patients, film pixels.
    """
    if record.boxes is None:
        return
    side = record.view.frame.size
    boxes = _to_network(record, record.boxes)
    heat = spread_map(record.raw, side)
    found = map_overlap(heat, boxes)
    area = float(box_mask(boxes, (side, side)).mean())
    hit = pointing_hit(heat, boxes) or 0.0
    record.put(
        pointing=hit,
        pointing_near=pointing_hit(heat, boxes, POINTING_TOLERANCE * side) or 0.0,
        box_iou=found.iou if found is not None else 0.0,
        box_share=found.inside if found is not None else None,
        box_area=area,
        box_enrichment=found.inside / found.area if found is not None and found.area else None,
    )
    if record.opacity is not None:
        _opacity(record, boxes)
    if average.size:
        middle = _points_hit([average[:2] + average[2:] / 2], record.boxes)
        record.put(pointing_average_box=middle, pointing_less_average_box=hit - middle)
    if len(record.view.centres):
        centres = _points_hit(record.view.centres, record.boxes)
        record.put(pointing_lung_centres=centres, pointing_less_lung_centres=hit - centres)


def measure_perturbation(record: FilmRecord, network: Network, steps: int, seed: int) -> None:
    """Delete and insert pixels in the order of the map, of a random map and of nearness to the lungs' centres."""
    side = network.size
    grid = (record.raw.shape[0], record.raw.shape[1])
    rankings = {"map": spread_map(record.raw, side), "random": random_map(grid, side, [seed, record.row])}
    if len(record.view.centres):
        rankings["lung_centres"] = near_points(record.view.frame.to_network(record.view.centres), side)
    number = _number(record, network)
    record.curves = deletion_insertion(
        lambda pictures: network.probability(pictures, number), record.view.picture, rankings, steps=steps, seed=seed
    )
    for kind in ("deletion", "insertion"):
        areas = {name: curve_area(getattr(curves, kind)) for name, curves in record.curves.items()}
        record.put(**{kind: areas["map"], f"{kind}_random": areas["random"]})
        record.put(**{f"{kind}_less_random": areas["map"] - areas["random"]})
        if "lung_centres" in areas:
            record.put(**{f"{kind}_lung_centres": areas["lung_centres"]})
            record.put(**{f"{kind}_less_lung_centres": areas["map"] - areas["lung_centres"]})


def measure_stability(record: FilmRecord, network: Network, seed: int) -> None:
    """Map and probability of the film shifted by 4 % and with noise of 2 % of the grey scale."""
    side, picture = network.size, record.view.picture
    moves = shifts(side, _SHIFT)
    noisy = [with_noise(picture, _NOISE, [seed, record.row, nth]) for nth in range(_NOISES)]
    answer = network(np.stack([*(shifted(picture, by) for by in moves), *noisy]))
    number = _number(record, network)
    change = np.abs(answer.probabilities[:, number] - record.probability)
    maps = answer.maps[:, number]
    moved = [shifted_correlation(record.raw, one, by, side) for one, by in zip(maps, moves, strict=False)]
    disturbed = [rank_correlation(record.raw, one) for one in maps[len(moves) :]]
    record.put(
        shift_correlation=_mean(moved),
        shift_change=float(change[: len(moves)].mean()),
        noise_correlation=_mean(disturbed),
        noise_change=float(change[len(moves) :].mean()),
    )


def measure_occlusion(record: FilmRecord, network: Network) -> None:
    """Fall of the class's log-odds under grey patches, against the class map and the lung fields."""
    number, side = _number(record, network), network.size
    found = occlusion(lambda pictures: network.probability(pictures, number), record.view.picture)
    record.occluded = found
    heat = spread_map(record.raw, side)
    record.put(occlusion_correlation=rank_correlation(found.under(heat), found.drops))
    importance = found.over(side)
    if record.view.lungs is not None and importance.max() > 0:
        share = float(importance[record.view.lungs].sum() / importance.sum())
        record.put(occlusion_lung_share=share, occlusion_lung_enrichment=share / float(record.view.lungs.mean()))


def compare_maps(record: FilmRecord, others: Sequence[Any], name: str) -> None:
    """Store how alike the film's map is to other maps, on average.

    Parameters
    ----------
    record : FilmRecord
    others : sequence of ndarray, (h, w)
        Maps of shuffled networks, or of another film.
    name : str
        Of the comparison: ``"shuffled_100"`` or ``"other_film"``.
    """
    usable = [other for other in others if np.isfinite(other).all()]
    own = spread_map(normalise_map(record.raw), _COMPARED)
    alike = [structural_similarity(own, spread_map(normalise_map(other), _COMPARED)) for other in usable]
    record.put(
        **{
            f"{name}_correlation": _mean([rank_correlation(record.raw, other) for other in usable]),
            f"{name}_similarity": _mean(alike),
        }
    )


def shuffled_name(share: float) -> str:
    """Name of a comparison with shuffled weights, as the measures spell it."""
    return f"shuffled_{stage_name(share)}"


def chosen_box(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Box of the highest score, (4,), or (0,) where there is none."""
    return boxes[int(scores.argmax())] if scores.size else np.zeros(0)


def _opacity(record: FilmRecord, boxes: NDArray[np.float64]) -> None:
    """Score map against the readers' boxes, in the field of view."""
    heat = spread_map(record.opacity, record.view.frame.size)
    found = map_overlap(heat, boxes)
    record.put(
        opacity_pointing=pointing_hit(heat, boxes) or 0.0,
        opacity_iou=found.iou if found is not None else 0.0,
        opacity_share=found.inside if found is not None else None,
    )


def _points_hit(points: Any, boxes: NDArray[np.float64]) -> float:
    found = np.asarray(points, dtype=np.float64).reshape(-1, 1, 2)
    inside = (found >= boxes[:, :2]) & (found <= boxes[:, :2] + boxes[:, 2:])
    return float(inside.all(axis=-1).any(axis=-1).mean()) if found.size else 0.0


def _to_network(record: FilmRecord, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes in the field of view; what lies outside it cannot be hit."""
    low = record.view.frame.to_network(boxes[:, :2])
    high = record.view.frame.to_network(boxes[:, :2] + boxes[:, 2:])
    return np.concatenate([low, high - low], axis=1)


def _number(record: FilmRecord, network: Network) -> int:
    return network.bundle.task.classes.index(record.shown)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
