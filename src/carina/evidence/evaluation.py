"""A model against a cohort: every number with its interval, source and verdict (M28-M33, M36)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from carina.evidence.association import association_numbers
from carina.evidence.audit_outcome import Audit
from carina.evidence.contrast_films import compared_films
from carina.evidence.contrast_numbers import IntervalOptions, contrast_numbers
from carina.evidence.evaluation_classes import (
    calibration_numbers,
    class_numbers,
    conformal_numbers,
    confusions,
    proportion_numbers,
)
from carina.evidence.evaluation_curves import contrast_curves
from carina.evidence.evaluation_films import ChosenFilms
from carina.evidence.evaluation_pairs import pair_numbers
from carina.evidence.evaluation_sentences import evaluation_sentences
from carina.evidence.evaluation_withheld import judged_by, withheld_confusion, withheld_contrasts
from carina.evidence.gallery import worst_films
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number
from carina.evidence.operating import OperatingThreshold, decided_without_ages, operating_thresholds
from carina.evidence.subgroups import covariates, subgroup_numbers
from carina.inference import Calibration

__all__ = ["Evaluation", "EvaluationOptions", "evaluate_judged"]

_SMALL = ("contrast", "conformal", "pairs", "calibration")


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How an evaluation is made.

    Attributes
    ----------
    intervals : IntervalOptions
    minimum_cell : int
        Cells of fewer patients are suppressed.
    gallery : int
        Worst films shown of each contrast and kind.
    thresholds : mapping of contrast to float
        In the place of the model's.
    prevalence : mapping of class to float, or None
        Shares of all classes, for predictive values elsewhere.
    """

    intervals: IntervalOptions = field(default_factory=IntervalOptions)
    minimum_cell: int = 10
    gallery: int = 6
    thresholds: Mapping[str, float] = field(default_factory=dict)
    prevalence: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found.

    Attributes
    ----------
    judged : JudgedFilms
    decisions : tuple of str, (N,)
        As the model decided; by the thresholds alone where it did not.
    thresholds : dict of contrast to OperatingThreshold
    numbers : tuple of Number
    curves : dict
        By contrast; none for one whose numbers are withheld.
    confusion : dict
        Without its matrices where a contrast is withheld.
    gallery : tuple of dict
        No film of a contrast that is withheld.
    audit : Audit or None
    sentences : tuple of str
        What a reader must know.
    chosen : ChosenFilms
    options : EvaluationOptions
    planned : mapping or None
        Sample size planned beforehand, see `read_sample_size`.
    """

    judged: JudgedFilms
    decisions: tuple[str, ...]
    thresholds: Mapping[str, OperatingThreshold]
    numbers: tuple[Number, ...]
    curves: Mapping[str, Any]
    confusion: Mapping[str, Any]
    gallery: tuple[dict[str, Any], ...]
    audit: Audit | None
    sentences: tuple[str, ...]
    chosen: ChosenFilms
    options: EvaluationOptions = field(default_factory=EvaluationOptions)
    planned: Mapping[str, Any] | None = None

    @property
    def headlines(self) -> tuple[Number, ...]:
        """Numbers to be read first."""
        return tuple(one for one in self.numbers if one.headline)

    def find(self, number_id: str) -> Number | None:
        """Return the number of an id."""
        return next((one for one in self.numbers if one.id == number_id), None)


def evaluate_judged(
    judged: JudgedFilms,
    options: EvaluationOptions,
    *,
    calibration: Calibration | None = None,
    audit: Audit | None = None,
    chosen: ChosenFilms | None = None,
    more: Sequence[Number] = (),
    said: Sequence[str] = (),
    step: Callable[[str], None] | None = None,
) -> Evaluation:
    """Compute every number of judged films.

    Parameters
    ----------
    judged : JudgedFilms
    options : EvaluationOptions
    calibration : Calibration or None
        Of the model: gives thresholds and what prediction sets are guaranteed.
    audit : Audit or None
        Without one, numbers that it alone could support are withheld (M36).
    chosen : ChosenFilms or None
        What was left out before judging.
    more : sequence of Number
        Such as those of robustness or cross-validation.
    said : sequence of str
        Sentences about them.
    step : callable, optional
        Called with what is done next.

    Returns
    -------
    Evaluation

    Raises
    ------
    SettingsError
        If a threshold is given for an unknown contrast.
    """
    tell = step or (lambda _: None)
    task, intervals = judged.task, options.intervals
    thresholds = operating_thresholds(task, calibration, options.thresholds)
    decisions = judged.decisions
    if decisions is None or options.thresholds:
        decisions = decided_without_ages(task, judged.probabilities, thresholds)
    parts, sentences = covariates(judged.table)
    numbers: list[Number] = []
    curves: dict[str, Any] = {}
    gallery: list[dict[str, Any]] = []
    compared = {name: compared_films(judged, name, thresholds[name]) for name in task.contrasts}
    for name, films in compared.items():
        tell(name)
        if not len(films.rows):
            sentences.append(f"{name} is not evaluated: no film's label decides it")
            continue
        numbers += contrast_numbers(
            judged, name, thresholds[name], decisions, options=intervals, prevalence=options.prevalence
        )
        numbers += calibration_numbers(films, intervals)
        numbers += subgroup_numbers(films, parts, intervals, options.minimum_cell)
        found, told = association_numbers(films, judged.table, intervals)
        numbers += found
        sentences += told
        curves[name] = contrast_curves(films, intervals)
        gallery += worst_films(judged, films, decisions, options.gallery)
    tell("classes")
    numbers += class_numbers(judged, intervals)
    numbers += proportion_numbers(judged, decisions, intervals)
    guaranteed = None if calibration is None else dict(calibration.conformal.guaranteed)
    numbers += conformal_numbers(judged, intervals, guaranteed)
    if task.decision.rules:
        found, told = pair_numbers(judged, compared[task.decision.rules[0].contrast], intervals)
        numbers += found
        sentences += told
    numbers += list(more)
    hidden = withheld_contrasts(task, compared, audit)
    chosen = chosen or ChosenFilms(judged.table)
    return Evaluation(
        judged=judged,
        decisions=decisions,
        thresholds=thresholds,
        numbers=tuple(_large_enough(judged_by(one, task, audit, hidden), options.minimum_cell) for one in numbers),
        curves={name: curve for name, curve in curves.items() if name not in hidden},
        confusion=withheld_confusion(confusions(judged, decisions), hidden),
        gallery=tuple(entry for entry in gallery if entry["contrast"] not in hidden),
        audit=audit,
        sentences=tuple(
            dict.fromkeys(
                [*evaluation_sentences(judged, compared, thresholds, hidden), *chosen.sentences, *sentences, *said]
            )
        ),
        chosen=chosen,
        options=options,
    )


def _large_enough(number: Number, minimum: int) -> Number:
    """Suppress a part of the films that has too few patients; subgroups do so themselves, measure by measure."""
    if number.group not in _SMALL or number.cell == "all" or number.patients is None or number.patients >= minimum:
        return number
    if not number.patients:
        return number
    note = f"suppressed: fewer than {minimum} patients"
    return replace(number.withheld(""), n=None, patients=None, headline=False, note=note)
