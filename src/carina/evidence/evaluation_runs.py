"""From a model, or predictions, and a table to an evaluation: choose, judge, audit, compute (M11, M28-M36)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from carina.errors import SettingsError, TableError
from carina.evidence.audit import audit_model
from carina.evidence.audit_outcome import Audit
from carina.evidence.cross_validation import TrainingPlan, cross_validation_numbers, source_numbers
from carina.evidence.evaluation import Evaluation, EvaluationOptions, evaluate_judged
from carina.evidence.evaluation_films import ChosenFilms, choose_evaluation_films, without_near_trained
from carina.evidence.judged import JudgedFilms, judge_films, read_predictions
from carina.evidence.numbers import Number
from carina.evidence.readers import read_readers, reader_numbers
from carina.evidence.robustness import STRENGTHS, robustness_numbers
from carina.inference import Bundle, complete_prevalence
from carina.sampling import FilmTable
from carina.statistics import TimeWindow
from carina.tasks import Task

__all__ = [
    "EvaluationOrder",
    "Watched",
    "evaluate_model",
    "evaluate_predictions",
    "is_predictions",
    "parse_thresholds",
    "read_sample_size",
]

Watched: TypeAlias = Callable[[int, str], AbstractContextManager[Callable[[int], None]]]
"""Shows how far a long step has come: called with its length and what is counted."""

_PREDICTIONS = (".csv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, slots=True)
class EvaluationOrder:
    """What is asked.

    Attributes
    ----------
    options : EvaluationOptions
    split : str or None
        See `choose_evaluation_films`.
    workers : int
        Processes that judge films.
    audit : bool or Audit
        Whether the shortcut audit runs, or one made before of the same model and table; without it what it alone could
        support is withheld.
    gate : bool
        Whether the quality gate comes first, as in use.
    robustness : bool
    readers : Path or None
        Reader study, see `read_readers`.
    prevalence : mapping of class to float, or None
        Some or all shares.
    folds : int or None
        Of a cross-validation by patient, which trains so many networks on the whole table.
    leave_source_out : bool
        Whether a network is trained without each source that has both sides of a contrast.
    recipe : str or None
        Of these networks.
    runs : Path or None
        Folder of their runs.
    sample_size : Path or None
        JSON of `carina sample-size`, planned beforehand.
    """

    options: EvaluationOptions = field(default_factory=EvaluationOptions)
    split: str | None = None
    workers: int = 1
    audit: bool | Audit = True
    gate: bool = True
    robustness: bool = False
    readers: Path | None = None
    prevalence: Mapping[str, float] | None = None
    folds: int | None = None
    leave_source_out: bool = False
    recipe: str | None = None
    runs: Path | None = None
    sample_size: Path | None = None


def is_predictions(path: str) -> bool:
    """Whether an argument names predictions and not a model.

    Examples
    --------
    >>> is_predictions("out/predictions.csv"), is_predictions("pneumonia")
    (True, False)
    """
    return Path(path).suffix.lower() in _PREDICTIONS


def parse_thresholds(texts: Sequence[str]) -> dict[str, float]:
    """Thresholds from ``contrast=value``.

    Raises
    ------
    SettingsError
        If one is not written so, or a contrast is named twice.

    Examples
    --------
    >>> parse_thresholds(["pneumonia=0.5"])
    {'pneumonia': 0.5}
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError as error:
            raise SettingsError(f"a threshold is written contrast=value; found {text!r}") from error
        if name.strip() in found:
            raise SettingsError(f"a contrast has one threshold; {name.strip()!r} is given two")
        found[name.strip()] = number
    return found


def evaluate_model(
    bundle: Bundle, table: FilmTable, order: EvaluationOrder, *, watched: Watched, path: str | None = None
) -> Evaluation:
    """Judge a table's films with a model and evaluate it.

    Parameters
    ----------
    bundle : Bundle
    table : FilmTable
        Read with the model's task.
    order : EvaluationOrder
    watched : callable
        See `Watched`.
    path : str or None
        Of the bundle, for the record.

    Returns
    -------
    Evaluation

    Raises
    ------
    TableError, InputError, BundleError, SettingsError
        As choosing, judging and auditing do.
    """
    planned = None if order.sample_size is None else read_sample_size(order.sample_size, bundle.task)
    chosen = choose_evaluation_films(table, bundle, order.split)
    options = order.options
    if order.prevalence is not None:
        options = replace(options, prevalence=complete_prevalence(bundle, order.prevalence))
    with watched(len(chosen.table), "films judged") as step:
        judged = judge_films(
            bundle, chosen.table, workers=order.workers, progress=step, keep_features=False, gate=order.gate
        )
    if judged.model is not None:
        judged = replace(judged, model=replace(judged.model, path=path))
    if order.split is None:
        judged, near = without_near_trained(judged, bundle)
        if near:
            left = {**chosen.left_out, "near-duplicates of films that the model learned from": near}
            chosen = replace(chosen, left_out=left)
    audit = _given_audit(order, judged)
    if order.audit is True:
        with watched(len(judged), "films audited") as step:
            audit = audit_model(
                bundle, judged.table, workers=order.workers, with_training_films=order.split is not None, progress=step
            )
    more, said = trained_again(table, bundle.task, order)
    if order.robustness:
        with watched(len(judged), f"films spoiled {sum(map(len, STRENGTHS.values()))} ways") as step:
            more += robustness_numbers(
                bundle, judged.table, options.intervals, workers=order.workers, progress=step, gate=order.gate
            )
    if order.readers is not None:
        found, told = reader_numbers(read_readers(order.readers, judged.task), judged, options, bundle.calibration)
        more += found
        said += told
    made = evaluate_judged(
        judged, options, calibration=bundle.calibration, audit=audit, chosen=chosen, more=more, said=said
    )
    return _with_plan(made, planned)


def evaluate_predictions(predictions: Path, table: FilmTable, task: Task, order: EvaluationOrder) -> Evaluation:
    """Evaluate predictions of any system.

    Parameters
    ----------
    predictions : Path
        See `read_predictions`.
    table : FilmTable
        Read with `task`.
    task : Task
    order : EvaluationOrder
        Audit and robustness need the model and are not made.

    Returns
    -------
    Evaluation

    Raises
    ------
    TableError
        If the predictions are not usable.
    SettingsError
        If robustness is asked for, or a prevalence does not give all classes their shares.
    """
    if order.robustness:
        raise SettingsError("robustness needs the model itself: give the bundle, not its predictions")
    options = order.options
    if order.prevalence is not None:
        options = replace(options, prevalence=_whole(order.prevalence, task))
    planned = None if order.sample_size is None else read_sample_size(order.sample_size, task)
    chosen: ChosenFilms = choose_evaluation_films(table, None, order.split)
    judged = read_predictions(predictions, chosen.table, task)
    more, said = trained_again(table, task, order)
    if order.readers is not None:
        found, told = reader_numbers(read_readers(order.readers, task), judged, options, None)
        more += found
        said += told
    made = evaluate_judged(judged, options, audit=_given_audit(order, judged), chosen=chosen, more=more, said=said)
    return _with_plan(made, planned)


def read_sample_size(path: Path, task: Task) -> dict[str, Any]:
    """Read what `carina sample-size --json` said before the films were collected (M12).

    Parameters
    ----------
    path : Path
    task : Task

    Returns
    -------
    dict
        `level`, `films` (needed, by contrast), `eligible_patients` and `months` as stored, and `sha256` of the file.

    Raises
    ------
    TableError
        If the file is not one of these, or names a contrast that the task does not have.
    """
    try:
        text = path.read_bytes()
        told = json.loads(text)
        planned = TimeWindow(**{one.name: told[one.name] for one in fields(TimeWindow)})
        sound = {name: int(count) for name, count in planned.films.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(
            f"a planned sample size is the file that `carina sample-size ... --json` printed; {str(path)!r} is not"
        ) from error
    if unknown := sorted(set(sound) - set(task.contrasts)):
        raise TableError(
            f"a sample size is planned for contrasts of the task, {', '.join(task.contrasts)}; {str(path)!r} names "
            f"{unknown[0]!r}: give `carina sample-size --contrast` their names"
        )
    return {**planned.to_dict(), "sentences": list(planned.sentences()), "sha256": sha256(text).hexdigest()}


def _with_plan(found: Evaluation, planned: dict[str, Any] | None) -> Evaluation:
    """Say of each contrast whether the films that were planned for it are there."""
    if planned is None:
        return found
    said = []
    for name, needed in planned["films"].items():
        one = found.find(f"{name}.accuracy.among_pneumonia.first_films")
        one = one or next((n for n in found.numbers if n.contrast == name and n.measure == "accuracy"), None)
        have = 0 if one is None or one.n is None else one.n
        enough = "as planned" if have >= needed else "fewer than planned: intervals are wider than was meant"
        said.append(f"{name}: {needed} films, one a patient, were planned and {have} are there, {enough}")
    planned = {**planned, "found": said}
    return replace(found, planned=planned, sentences=(*found.sentences, *said))


def trained_again(table: FilmTable, task: Task, order: EvaluationOrder) -> tuple[list[Number], list[str]]:
    """Cross-validate and leave sources out, as asked; they say what the recipe does, not what the model does.

    Raises
    ------
    SettingsError
        Without a recipe.
    """
    if order.folds is None and not order.leave_source_out:
        return [], []
    if order.recipe is None or order.runs is None:
        raise SettingsError(
            "cross-validation and leaving sources out train networks: name a recipe with --recipe, such as "
            "pneumonia-seed"
        )
    plan = TrainingPlan(task, order.recipe, order.runs, order.options.intervals.seed, order.workers)
    numbers: list[Number] = []
    said = [
        f"cross-validation and leave-one-source-out are of recipe {order.recipe!r} trained again, not of this model"
    ]
    if order.folds is not None:
        numbers += cross_validation_numbers(table, order.folds, plan, order.options.intervals)
    if order.leave_source_out:
        found, told = source_numbers(table, plan)
        numbers += found
        said += told
    return numbers, said


def _given_audit(order: EvaluationOrder, judged: JudgedFilms) -> Audit | None:
    """Return an audit made before, if it is of these films and this model."""
    if isinstance(order.audit, bool):
        return None
    audit, model = order.audit, judged.model
    if audit.table_sha256 != judged.table.sha256:
        raise SettingsError(
            f"an audit must be of the table that is evaluated, {judged.table.sha256[:12]}; this one is of "
            f"{audit.table_sha256[:12]}"
        )
    # predictions carry the first digits of the model's hash
    if model is None or audit.model is None or not audit.model.model_sha256.startswith(model.model_sha256):
        raise SettingsError(
            "an audit must be of the model that is evaluated; "
            + ("the predictions name no model" if model is None else f"this one is not of {model.model_sha256[:12]}")
        )
    return audit


def _whole(prevalence: Mapping[str, float], task: Task) -> dict[str, float]:
    sound = set(prevalence) == set(task.classes) and all(0 <= share <= 1 for share in prevalence.values())
    if not sound or abs(sum(prevalence.values()) - 1.0) > 1e-3:  # noqa: PLR2004 - as everywhere for shares
        raise SettingsError(
            f"for predictions without their model a prevalence gives each of {', '.join(task.classes)} a share, "
            f"summing to 1; found {dict(prevalence)!r}"
        )
    return dict(prevalence)
