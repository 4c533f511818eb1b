"""From measured films to figures with intervals by patient, and what they say in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence.baselines import average_boxes, lung_centre_boxes
from carina.evidence.estimates import Estimate, figure_to_dict, patient_bootstrap, patient_mean
from carina.evidence.film_record import FilmRecord
from carina.evidence.localisation import Detections, average_precision, froc_sensitivity, heat_boxes, match_boxes
from carina.evidence.measures import MEASURES, MeasureKind
from carina.evidence.relevance import spread_map

__all__ = ["BY_CONSTRUCTION", "FALSE_BOXES", "IOUS", "Curve", "Detector", "Measured", "curves", "detectors", "measured"]

IOUS = (0.3, 0.5)
FALSE_BOXES = (0.5, 1.0, 2.0)
BY_CONSTRUCTION = "by construction: the network sees nothing but the lung fields"
_GROUPS = {"boxes": ("boxes", "boxes_agreed"), "lungs": ("sample", "agreed", "masks", "boxes")}
_MASKED = ("lung_", "occlusion_lung_")


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of a group of films.

    Attributes
    ----------
    measure, sentence, family : str
        As in `MEASURES`.
    group : str
        ``"sample"`` and of these ``"agreed"``, where the class shown is the model's most probable; ``"costly"``;
        ``"boxes"`` and of these ``"boxes_agreed"``; ``"masks"``, ``"source=..."`` or ``"label=..."``.
    estimate : Estimate
    note : str
        What else to know, such as why there is no number.
    """

    measure: str
    sentence: str
    family: str
    group: str
    estimate: Estimate
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "measure": self.measure,
            "group": self.group,
            **figure_to_dict(self.estimate),
            "sentence": self.sentence,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Detector:
    """How well boxes of one origin find the readers' boxes.

    Attributes
    ----------
    name, sentence : str
    average_precision : dict of float to Estimate
        By least IoU.
    sensitivity : dict of float to Estimate
        By false boxes a film, at IoU 0.3.
    boxes : int
        Boxes found in all.
    """

    name: str
    sentence: str
    average_precision: dict[float, Estimate]
    sensitivity: dict[float, Estimate]
    boxes: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "detector": self.name,
            "sentence": self.sentence,
            "boxes": self.boxes,
            "average_precision": [{"iou": iou, **figure_to_dict(one)} for iou, one in self.average_precision.items()],
            "sensitivity": [
                {"false_boxes_a_film": at, "iou": IOUS[0], **figure_to_dict(one)}
                for at, one in self.sensitivity.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean deletion or insertion curve.

    Attributes
    ----------
    kind : str
        ``"deletion"`` or ``"insertion"``.
    ranking : str
        ``"map"``, ``"random"`` or ``"lung_centres"``.
    points : tuple of Estimate
        Mean probability at shares 0, 1 / steps, ..., 1 of the pixels.
    """

    kind: str
    ranking: str
    points: tuple[Estimate, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        last = len(self.points) - 1
        return {
            "kind": self.kind,
            "ranking": self.ranking,
            "points": [{"share": place / last, **figure_to_dict(one)} for place, one in enumerate(self.points)],
        }


def measured(
    records: Sequence[FilmRecord], sampled: set[int], costly: set[int], *, masked: bool, seed: int, repeats: int
) -> list[Measured]:
    """Every measure of every group of films that has one.

    Parameters
    ----------
    records : sequence of FilmRecord
    sampled, costly : set of int
        Rows of the films drawn, and of those that the costly measures were made on.
    masked : bool
        Whether the network's input is masked to the lungs: what lies inside them is then no finding.
    seed, repeats : int
        Of the bootstrap.

    Returns
    -------
    list of Measured
    """
    drawn = [record for record in records if record.row in sampled]
    boxed = [record for record in records if record.boxes is not None]
    groups: dict[str, list[FilmRecord]] = {
        "sample": drawn,
        "agreed": [record for record in drawn if record.agreed],
        "costly": [record for record in records if record.row in costly],
        "boxes": boxed,
        "boxes_agreed": [record for record in boxed if record.agreed],
        "masks": [record for record in records if record.lungs_from == "mask"],
    }
    parts: dict[str, list[FilmRecord]] = {}
    for record in drawn:
        parts.setdefault(f"label={record.label}", []).append(record)
        parts.setdefault(f"source={record.source}", []).append(record)
    found = []
    for kind in MEASURES:
        names = _GROUPS.get(kind.family, ("costly",))
        chosen = {name: groups[name] for name in names if groups[name]}
        if kind.by_group:
            chosen |= dict(sorted(parts.items()))
        if kind.optional and not any(kind.name in record.values for record in records):
            continue
        for name, films in chosen.items():
            found.append(_one(kind, name, films, masked=masked, seed=seed, repeats=repeats))
    return found


def detectors(records: Sequence[FilmRecord], *, seed: int, repeats: int) -> list[Detector]:
    """Boxes of the model, of its class map and of two baselines against the readers' boxes.

    A film's boxes of the class map and of the baselines carry the probability of the class shown times their own
    score, so that only the place differs.

    Parameters
    ----------
    records : sequence of FilmRecord
        Those with boxes count.
    seed, repeats : int

    Returns
    -------
    list of Detector
        Empty without a film with boxes.
    """
    boxed = [record for record in records if record.boxes is not None]
    if not boxed:
        return []
    truths = [record.boxes for record in boxed]
    shapes = [(record.view.frame.rows, record.view.frame.columns) for record in boxed]
    patients = [record.patient for record in boxed]
    centres = [record.view.centres for record in boxed]
    origins: dict[str, tuple[str, list[tuple[Any, Any]]]] = {
        "class_map": (
            "boxes around the class map's regions from half its maximum up",
            [_regions(one) for one in boxed],
        ),
        "lung_centres": (
            "a box of the other patients' average size at the centre of each lung",
            _scored(lung_centre_boxes(centres, truths, shapes, patients), boxed),
        ),
        "average_box": (
            "the other patients' average box in each half of the film",
            _scored(average_boxes(truths, shapes, patients), boxed),
        ),
    }
    if any(record.detected is not None for record in boxed):
        none = (np.zeros((0, 4)), np.zeros(0))
        own = [record.detected if record.detected is not None else none for record in boxed]
        origins = {"model": ("boxes of the model's box branch", own), **origins}
    return [
        _detector(name, sentence, Detections.gather(found), truths, patients, seed=seed, repeats=repeats)
        for name, (sentence, found) in origins.items()
    ]


def curves(records: Sequence[FilmRecord], *, seed: int, repeats: int) -> list[Curve]:
    """Mean deletion and insertion curves with intervals by patient at each point."""
    found = []
    for kind in ("deletion", "insertion"):
        for ranking in ("map", "random", "lung_centres"):
            own = [record for record in records if ranking in record.curves]
            if not own:
                continue
            values = np.stack([getattr(record.curves[ranking], kind) for record in own])
            patients = [record.patient for record in own]
            points = tuple(patient_mean(column, patients, seed=seed, repeats=repeats) for column in values.T)
            found.append(Curve(kind, ranking, points))
    return found


def _one(
    kind: MeasureKind, group: str, films: Sequence[FilmRecord], *, masked: bool, seed: int, repeats: int
) -> Measured:
    if masked and kind.name.startswith(_MASKED):
        empty = Estimate(None, None, None, 0, 0)
        return Measured(kind.name, kind.sentence, kind.family, group, empty, BY_CONSTRUCTION)
    values = [film.values.get(kind.name, float("nan")) for film in films]
    estimate = patient_mean(values, [film.patient for film in films], seed=seed, repeats=repeats)
    left = len(films) - estimate.films
    note = f"{left} of {len(films)} films have no value" if left else ""
    return Measured(kind.name, kind.sentence, kind.family, group, estimate, note)


def _regions(record: FilmRecord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    boxes, scores = heat_boxes(spread_map(record.raw, record.view.frame.size))
    low = record.view.frame.to_film(boxes[:, :2])
    high = record.view.frame.to_film(boxes[:, :2] + boxes[:, 2:])
    return np.concatenate([low, high - low], axis=1), scores * record.probability


def _scored(found: list[tuple[Any, Any]], boxed: list[FilmRecord]) -> list[tuple[Any, Any]]:
    return [(boxes, scores * record.probability) for (boxes, scores), record in zip(found, boxed, strict=True)]


def _detector(
    name: str,
    sentence: str,
    found: Detections,
    truths: Sequence[Any],
    patients: Sequence[str],
    *,
    seed: int,
    repeats: int,
) -> Detector:
    counts = np.array([len(one) for one in truths], dtype=np.float64)

    def judged(least_iou: float, figure: Callable[..., float | None]) -> Estimate:
        hits = match_boxes(found, truths, least_iou)

        def weighted(weights: NDArray[np.float64]) -> float | None:
            return figure(found.scores, hits, float(weights @ counts), float(weights.sum()), weights[found.films])

        return patient_bootstrap(weighted, list(patients), seed=seed, repeats=repeats)

    def precision(scores: Any, hits: Any, total: float, films: float, weights: Any) -> float | None:
        del films
        return average_precision(scores, hits, total, weights)

    def sensitivity(at: float) -> Callable[..., float | None]:
        def figure(scores: Any, hits: Any, total: float, films: float, weights: Any) -> float | None:
            return froc_sensitivity(scores, hits, truths=total, films=films, at=(at,), weights=weights)[0]

        return figure

    return Detector(
        name,
        sentence,
        {iou: judged(iou, precision) for iou in IOUS},
        {at: judged(IOUS[0], sensitivity(at)) for at in FALSE_BOXES},
        len(found.scores),
    )
