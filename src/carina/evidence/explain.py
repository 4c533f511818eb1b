"""Relevance, measured: whether the decision rests on the lungs (M3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from carina.errors import InputError
from carina.evidence.baselines import average_boxes
from carina.evidence.boxes import BoxTable
from carina.evidence.film_measures import (
    chosen_box,
    compare_maps,
    measure_boxes,
    measure_lungs,
    measure_occlusion,
    measure_perturbation,
    measure_stability,
    shuffled_name,
)
from carina.evidence.film_record import FilmRecord
from carina.evidence.looking import Finder, Looker, check_boxes
from carina.evidence.measures import STAGES
from carina.evidence.randomised import shuffled_weights
from carina.evidence.sample import choose_films, untrained
from carina.evidence.summary import Curve, Detector, Measured, curves, detectors, measured
from carina.evidence.viewing import Network
from carina.inference import Bundle
from carina.sampling import FilmTable

__all__ = ["ExplainOptions", "Explanation", "Plan", "explain", "plan_films"]


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """How relevance is measured.

    Attributes
    ----------
    films : int
        Films drawn, evenly over source and label; those with boxes or given lung masks are measured besides.
    costly_films : int
        Of these, how many for deletion, insertion, occlusion, stability and shuffled weights.
    seed : int
        Of every choice.
    steps : int
        Of the deletion and insertion curves.
    shuffles : int
        Networks shuffled at each stage.
    repeats : int
        Bootstrap draws.
    with_training_films : bool
        Whether films of the model's training patients may be measured.
    threads : int
        Of one forward pass.
    """

    films: int = 400
    costly_films: int = 60
    seed: int = 1
    steps: int = 10
    shuffles: int = 3
    repeats: int = 2000
    with_training_films: bool = False
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Which films are measured; decided first, applied second.

    Attributes
    ----------
    sampled, costly, boxed, masked : tuple of int
        Rows of the table, from 0.
    notes : tuple of str
        What was left out, one sentence each.
    """

    sampled: tuple[int, ...]
    costly: tuple[int, ...]
    boxed: tuple[int, ...]
    masked: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[int, ...]:
        """Every film that is measured."""
        return tuple(sorted({*self.sampled, *self.costly, *self.boxed, *self.masked}))

    @property
    def steps(self) -> int:
        """Films to look at and films to measure at length, for a progress bar."""
        return len(self.rows) + len(self.costly)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was measured.

    Attributes
    ----------
    model : dict
        Name, version and hash.
    options : ExplainOptions
    plan : Plan
    records : tuple of FilmRecord
        In the table's order.
    measures : tuple of Measured
    detectors : tuple of Detector
        Empty without boxes.
    curves : tuple of Curve
    inputs : dict
        SHA-256 of the table and of the boxes.
    counts : dict of str to int
        Films by what happened to them.
    notes : tuple of str
        What was left out or is to be known, one sentence each.
    """

    model: dict[str, str]
    options: ExplainOptions
    plan: Plan
    records: tuple[FilmRecord, ...]
    measures: tuple[Measured, ...]
    detectors: tuple[Detector, ...]
    curves: tuple[Curve, ...]
    inputs: dict[str, str | None]
    counts: dict[str, int]
    framing: str
    notes: tuple[str, ...] = field(default=())

    def find(self, measure: str, group: str) -> Measured | None:
        """Return a measure of a group; `None` where it was not made."""
        return next((one for one in self.measures if (one.measure, one.group) == (measure, group)), None)

    def to_dict(self) -> dict[str, Any]:
        """As ``explain.json`` holds it: every number with its interval."""
        return {
            "model": self.model,
            "inputs": self.inputs,
            "framing": self.framing,
            "options": asdict(self.options),
            "films": self.counts,
            "notes": list(self.notes),
            "measures": [one.to_dict() for one in self.measures],
            "detectors": [one.to_dict() for one in self.detectors],
            "curves": [one.to_dict() for one in self.curves],
        }


def plan_films(bundle: Bundle, table: FilmTable, boxes: BoxTable | None, options: ExplainOptions) -> Plan:
    """Choose the films.

    Raises
    ------
    TableError
        If every film is of a training patient, or no boxed film is in the table.
    """
    trained = set() if options.with_training_films else bundle.training_films.patients
    allowed = untrained(table, trained)
    notes = list(table.notes())
    if left := len(table) - len(allowed):
        notes.append(f"{left} of {len(table)} films were left out: the model was trained on their patients")
    boxed: list[int] = []
    if boxes is not None:
        found, absent = check_boxes(table, boxes)
        boxed = sorted(set(found) & set(allowed))
        if absent:
            notes.append(f"{absent} films with boxes were left out: they are not in the table")
        if dropped := len(found) - len(boxed):
            notes.append(f"{dropped} films with boxes were left out: the model was trained on their patients")
    masks = table.frame["lung_mask"].is_not_null().to_list() if "lung_mask" in table.frame.columns else []
    masked = [row for row in allowed if masks and masks[row]]
    sampled = choose_films(table, allowed, options.films, options.seed)
    costly = choose_films(table, sampled, options.costly_films, options.seed)
    return Plan(tuple(sampled), tuple(costly), tuple(boxed), tuple(masked), tuple(notes))


def explain(
    bundle: Bundle,
    table: FilmTable,
    *,
    boxes: BoxTable | None = None,
    finder: Finder | None = None,
    options: ExplainOptions = ExplainOptions(),
    plan: Plan | None = None,
    done: Callable[[int], None] | None = None,
) -> Explanation:
    """Measure a model's relevance on films.

    Parameters
    ----------
    bundle : Bundle
    table : FilmTable
    boxes : BoxTable or None
        Readers' boxes; for evaluation only.
    finder : Finder or None
        Finds lungs on films without a `lung_mask`; a given mask goes before it.
    options : ExplainOptions
    plan : Plan or None
        Of `plan_films`; made here when left out.
    done : callable, optional
        Called with the number of steps finished, of `Plan.steps`.

    Returns
    -------
    Explanation

    Raises
    ------
    BundleError
        If the network lacks logits or class maps.
    TableError
        As `plan_films`, and if a box leaves its film.
    InputError
        If no film could be looked at.
    """
    plan = plan if plan is not None else plan_films(bundle, table, boxes, options)
    network = Network(bundle, threads=options.threads)
    looker = Looker(table, network, finder, boxes)
    records = []
    for count, row in enumerate(plan.rows, start=1):
        if (record := looker.look(row)) is not None:
            records.append(record)
        _tell(done, count)
    if not records:
        first = next(iter(looker.refused.values()))
        raise InputError(f"relevance needs films that can be read; none of {len(plan.rows)} could: {first}")
    for record in records:
        measure_lungs(record)
    _against_boxes(records)
    pointing = [record for record in records if record.row in plan.costly and not record.flat]
    for count, record in enumerate(pointing, start=1):
        measure_perturbation(record, network, options.steps, options.seed)
        measure_stability(record, network, options.seed)
        measure_occlusion(record, network)
        _tell(done, len(plan.rows) + count)
    _against_shuffled(pointing, bundle, options)
    _against_others(pointing, options.seed)
    if len(pointing) < len(plan.costly):
        _tell(done, plan.steps)
    seeds = {"seed": options.seed, "repeats": options.repeats}
    lung_masked = bundle.preprocessing.framing == "lung_masked"
    return Explanation(
        model=bundle.identity,
        options=options,
        plan=plan,
        records=tuple(records),
        measures=tuple(measured(records, set(plan.sampled), set(plan.costly), masked=lung_masked, **seeds)),
        detectors=tuple(detectors(records, **seeds)),
        curves=tuple(curves(pointing, **seeds)),
        inputs={"table": table.sha256, "boxes": boxes.sha256 if boxes is not None else None},
        counts=_counts(records, looker, plan),
        framing=bundle.preprocessing.framing,
        notes=(*plan.notes, *_notes(looker, bundle)),
    )


def _against_boxes(records: list[FilmRecord]) -> None:
    boxed = [record for record in records if record.boxes is not None]
    shapes = [(record.view.frame.rows, record.view.frame.columns) for record in boxed]
    averages = average_boxes([record.boxes for record in boxed], shapes, [record.patient for record in boxed])
    for record, average in zip(boxed, averages, strict=True):
        measure_boxes(record, chosen_box(*average))


def _against_shuffled(records: list[FilmRecord], bundle: Bundle, options: ExplainOptions) -> None:
    """One pass a film through each shuffled network, all films of a network at once."""
    if not records:
        return
    pictures = np.stack([record.view.picture for record in records])
    classes = bundle.task.classes
    for share in STAGES:
        maps: list[Any] = []
        for nth in range(options.shuffles):
            model = shuffled_weights(bundle.model, share, options.seed + nth)
            maps.append(Network(bundle, model, threads=options.threads)(pictures).maps)
        for place, record in enumerate(records):
            number = classes.index(record.shown)
            compare_maps(record, [one[place, number] for one in maps], shuffled_name(share))


def _against_others(records: list[FilmRecord], seed: int) -> None:
    """Compare each map with one of another patient: as alike as two maps are that share nothing but the network."""
    rng = np.random.default_rng(seed)
    for record in records:
        others = [other.raw for other in records if other.patient != record.patient]
        if others:
            compare_maps(record, [others[int(rng.integers(len(others)))]], "other_film")


def _counts(records: list[FilmRecord], looker: Looker, plan: Plan) -> dict[str, int]:
    return {
        "in_table": len(looker.table),
        "planned": len(plan.rows),
        "measured": len(records),
        "sampled": sum(record.row in plan.sampled for record in records),
        "costly": sum(record.row in plan.costly and not record.flat for record in records),
        "with_boxes": sum(record.boxes is not None for record in records),
        "patients_with_boxes": len({record.patient for record in records if record.boxes is not None}),
        "boxes": sum(len(record.boxes) for record in records if record.boxes is not None),
        "unreadable": len(looker.refused),
        "lungs_from_mask": sum(record.lungs_from == "mask" for record in records),
        "lungs_found": sum(record.lungs_from == "found" for record in records),
        "without_lungs": sum(record.lungs_from == "none" for record in records),
        "implausible_lungs": sum(bool(record.flags) for record in records),
        "unusable_masks": len(looker.unusable_masks),
        "flat_maps": sum(record.flat for record in records),
    }


def _notes(looker: Looker, bundle: Bundle) -> list[str]:
    notes = [f"film {name!r} was left out: {why}" for name, why in looker.refused.items()]
    notes += [f"the lung mask of film {name!r} was not used: {why}" for name, why in looker.unusable_masks.items()]
    if bundle.calibration is None:
        notes.append("the bundle is not calibrated: probabilities are the network's own")
    return notes


def _tell(done: Callable[[int], None] | None, count: int) -> None:
    if done is not None:
        done(count)
