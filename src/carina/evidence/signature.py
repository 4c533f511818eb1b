"""Signatures of texture: which features tell a contrast apart, and whether that outlives an honest test (M27, M36)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import SettingsError, TableError, TaskError
from carina.evidence.evaluation_films import source_scope
from carina.evidence.signature_effects import Effect, feature_effects
from carina.evidence.signature_fits import LinearModel
from carina.evidence.signature_fusion import Fusion, judge_fusion
from carina.evidence.signature_models import (
    Sample,
    cross_validate,
    fit_then_score,
)
from carina.evidence.signature_parts import LEAST_PATIENTS, Part, Permutation, SignatureOptions
from carina.evidence.signature_permutation import permuted_areas
from carina.evidence.signature_table import SignatureTable, StableFeatures
from carina.evidence.signature_verdict import ALPHA, SignatureVerdict, conclude_signature
from carina.statistics import Estimate, clustered_auc
from carina.tasks import Task

__all__ = ["Part", "Permutation", "Signature", "SignatureOptions", "controlled_films", "find_signature"]


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """What was found of one contrast.

    Attributes
    ----------
    contrast : str
    task : Task
    table : SignatureTable
        Films whose side is known.
    positive : ndarray of bool, (N,)
    effects : list of Effect
        Of every feature that could be measured, stable or not.
    stability : StableFeatures or None
    kept : tuple of str
        Features that models may use.
    parts : list of Part
    not_judged : list of str
        Sentences: sources that could not be judged by themselves, and why.
    model : LinearModel or None
        Fitted to the sources that have both sides, or to all films where none has; `model_films` says which.
    model_features : tuple of str
        Names of its columns.
    model_films : str
    verdict : SignatureVerdict
    options : SignatureOptions
    notes : tuple of str
        Sentences on the scores of the other model.
    """

    contrast: str
    task: Task
    table: SignatureTable
    positive: NDArray[np.bool_]
    effects: list[Effect]
    stability: StableFeatures | None
    kept: tuple[str, ...]
    parts: list[Part]
    not_judged: list[str]
    model: LinearModel | None
    model_features: tuple[str, ...]
    model_films: str
    verdict: SignatureVerdict
    options: SignatureOptions
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> Part | None:
        """Part of a name; `None` where there is none."""
        return next((one for one in self.parts if one.name == name), None)


def find_signature(
    table: SignatureTable,
    contrast: str,
    task: Task,
    options: SignatureOptions | None = None,
    *,
    stability: StableFeatures | None = None,
    other: NDArray[np.floating[Any]] | None = None,
    control: NDArray[np.floating[Any]] | None = None,
    notes: Sequence[str] = (),
    done: Callable[[str], None] | None = None,
) -> Signature:
    """Look for a signature of a contrast.

    Parameters
    ----------
    table : SignatureTable
    contrast : str
        Of the task.
    task : Task
    options : SignatureOptions or None
        The defaults without.
    stability : StableFeatures or None
        Features that it does not keep have an effect but no part in a model; one it does not name is kept.
    other : ndarray, (N,), optional
        Log odds of the contrast by another model, such as the network, for each film of the table; NaN where there are
        none.
    control : ndarray, (N, K), optional
        How each film was made, such as `carina.evidence.signature_control.film_controls` measures it. Without, nothing
        can be shown: films of one source differ in sharpness and noise too. Only the rows of `controlled_films` are
        looked at.
    notes : sequence of str
        Sentences on `other`, for who reads the signature.
    done : callable, optional
        Called with what was finished.

    Returns
    -------
    Signature

    Raises
    ------
    TaskError
        If the task has no such contrast.
    TableError
        If a side has fewer than 10 patients, or no stable feature is left.
    """
    chosen, tell = options or SignatureOptions(), done or (lambda _: None)
    films, positive, chosen_rows = _films_of(table, contrast, task)
    scores = None if other is None else np.asarray(other, np.float64)[chosen_rows]
    made = None if control is None else np.asarray(control, np.float64)[chosen_rows]
    patients, sources = films.column("patient_id"), films.column("source")
    kept = _kept(films.names, stability)
    sample = Sample(films.with_features(kept).values, positive, patients, sources)
    inside, not_judged = _judged_sources(sample)
    _check_permutations(chosen.permutations, len(inside))
    effects = feature_effects(films.values, films.names, positive, patients, sources, level=chosen.level)
    tell("effects")
    parts = [_part("all", sample, np.arange(len(sample)), kept=kept, options=chosen, other=scores)]
    tell("all films")
    for name in inside:
        rows = np.flatnonzero(sources == name)
        if len(rows) == len(sample):  # one source: the part is all films
            parts.append(replace(parts[0], name=f"source={name}"))
        else:
            parts.append(_part(f"source={name}", sample, rows, kept=kept, options=chosen, other=scores))
        parts[-1] = _with_views(_with_null(parts[-1], sample, chosen), sample, films.column("view"), chosen)
        parts[-1] = replace(parts[-1], control=_beside_control(sample, made, rows, chosen))
        tell(f"source {name}")
        if (left := _left_out(name, sample, chosen)) is not None:
            parts.append(left)
            tell(f"without {name}")
    fitted = np.flatnonzero(np.isin(sources, inside)) if inside else np.arange(len(sample))
    model = fit_then_score(sample.take(fitted), sample.take(fitted[:1]), chosen.models)[2]
    seen = [str(label) for label in set(films.column("label")[np.isin(sources, inside)].tolist())]
    verdict = conclude_signature(parts, effects, kept, _beyond(contrast, task, seen) + not_judged, level=chosen.level)
    return Signature(
        contrast, task, films, positive, effects, stability, kept, parts, not_judged, model,
        () if model is None else tuple(kept[column] for column in model.columns.tolist()),
        f"sources {', '.join(inside)}" if inside else "all films, each source of one side",
        verdict, chosen, tuple(notes),
    )  # fmt: skip


def controlled_films(table: SignatureTable, contrast: str, task: Task) -> NDArray[np.intp]:
    """Rows of the films whose making is held against texture: those of sources that are judged by themselves.

    Raises
    ------
    TaskError, TableError
        As `find_signature`.
    """
    _, positive, rows = _films_of(table, contrast, task)
    sources = table.column("source")[rows]
    sample = Sample(np.empty((len(rows), 0)), positive, table.column("patient_id")[rows], sources)
    return np.asarray(rows[np.isin(sources, _judged_sources(sample)[0])])


def _films_of(
    table: SignatureTable, contrast: str, task: Task
) -> tuple[SignatureTable, NDArray[np.bool_], NDArray[np.intp]]:
    """Films whose label decides a side, their sides and rows; refused where a side has too few patients."""
    if contrast not in task.contrasts:
        raise TaskError(f"task {task.name!r} has the contrasts {sorted(task.contrasts)}; found {contrast!r}")
    known = [label if label in task.classes or label in task.label_sets else None for label in table.column("label")]
    truth = np.full(len(known), np.nan)
    named = [row for row, label in enumerate(known) if label is not None]
    truth[named] = task.contrast_truth(contrast, [str(known[row]) for row in named])
    rows = np.flatnonzero(~np.isnan(truth))
    films, positive = table.take(rows), truth[rows] == 1.0
    people = films.column("patient_id")
    for side, chosen in (("positive", positive), ("negative", ~positive)):
        count = len(set(people[chosen].tolist()))
        if count < LEAST_PATIENTS:
            raise TableError(
                f"each side of {contrast!r} must have films of {LEAST_PATIENTS} patients; the {side} side has "
                f"{int(chosen.sum())} films of {count}: "
                + (
                    "there is one class only, so add films of the other"
                    if not count
                    else "add films, or ask another contrast"
                )
            )
    return films, positive, rows


def _kept(names: Sequence[str], stability: StableFeatures | None) -> tuple[str, ...]:
    if stability is None:
        return tuple(names)
    kept = tuple(name for name in names if stability.keep.get(name, True))
    if not kept:
        raise TableError(
            f"a signature needs stable features; the stability table keeps none of the {len(names)} that vary"
        )
    return kept


def _judged_sources(sample: Sample) -> tuple[list[str], list[str]]:
    """Find the sources with enough patients on both sides; a sentence on each other one."""
    inside, sentences = [], []
    for name in sorted(set(sample.sources.tolist())):
        here = sample.sources == name
        counts = [len(set(sample.patients[here & side].tolist())) for side in (sample.positive, ~sample.positive)]
        if min(counts) >= LEAST_PATIENTS:
            inside.append(name)
        else:
            lacking = "positive" if counts[0] < counts[1] else "negative"
            sentences.append(
                f"{name or 'The table without sources'} cannot be judged by itself: {min(counts)} patients on the "
                f"{lacking} side, where {LEAST_PATIENTS} are needed."
            )
    return inside, sentences


def _check_permutations(repeats: int, sources: int) -> None:
    """Raise where labels are dealt anew too few times for any result to be beyond chance."""
    least = math.ceil(max(sources, 1) / ALPHA) - 1
    if 0 < repeats < least:
        raise SettingsError(
            f"with {sources} sources judged by themselves labels must be dealt anew at least {least} times, or nothing "
            f"could be shown; found {repeats}: give more, or 0 to leave the test out"
        )


def _part(
    name: str,
    sample: Sample,
    rows: NDArray[np.intp],
    *,
    kept: Sequence[str],
    options: SignatureOptions,
    other: NDArray[np.float64] | None,
) -> Part:
    part = sample.take(rows)
    own = None if other is None or not np.isfinite(other[rows]).any() else other[rows]
    crossed = cross_validate(part, options.models, own)
    fusion = {
        kind: judge_fusion(part, own, crossed.scores[kind], fused, options.level)
        for kind, fused in (crossed.fused.items() if own is not None else ())
        if own is not None
    }
    used = {kept[column]: count for column, count in sorted(crossed.used.items(), key=lambda item: -item[1])}
    return Part(
        name, source_scope(part.sources.tolist(), part.positive), len(part), len(set(part.patients.tolist())),
        int(part.positive.sum()), _areas(part, crossed.scores, options.level), crossed.scores, rows, crossed.chosen,
        used, None, fusion,
    )  # fmt: skip


def _areas(part: Sample, scores: dict[str, NDArray[np.float64]], level: float) -> dict[str, Estimate]:
    found = {}
    for kind, values in scores.items():
        known = np.isfinite(values)
        found[kind] = clustered_auc(
            part.positive[known].astype(np.float64), values[known], part.patients[known].astype(str), level
        )
    return found


def _with_null(part: Part, sample: Sample, options: SignatureOptions) -> Part:
    """Add the search on labels dealt anew, its penalty the one most folds chose."""
    if not options.permutations or "elastic_net" not in part.chosen:
        return part
    chosen = [(one["C"], one["l1_ratio"]) for one in part.chosen["elastic_net"]]
    penalty, ratio = max(sorted(set(chosen)), key=chosen.count)
    settings = {"C": penalty, "l1_ratio": ratio}
    observed, drawn = permuted_areas(sample.take(part.rows), options.models, settings, options.permutations)
    drawn = drawn[np.isfinite(drawn)]
    p = (1 + int((drawn >= observed - 1e-12).sum())) / (1 + len(drawn))
    return replace(part, permutation=Permutation(observed, p, float(np.quantile(drawn, 0.95)), len(drawn)))


def _beside_control(
    sample: Sample, made: NDArray[np.float64] | None, rows: NDArray[np.intp], options: SignatureOptions
) -> Fusion | None:
    """Whether texture says more than how the film was made; `None` where that is not known of enough films."""
    if made is None:
        return None
    rows = rows[np.isfinite(made[rows]).all(axis=1)]
    part = sample.take(rows)
    counts = [len(set(part.patients[side].tolist())) for side in (part.positive, ~part.positive)]
    if min(counts) < LEAST_PATIENTS:
        return None
    plain = replace(options.models, kinds=("elastic_net",), harmonise=None)
    signs = cross_validate(replace(part, values=made[rows]), plain).scores["elastic_net"]
    crossed = cross_validate(part, plain, signs)
    return judge_fusion(part, signs, crossed.scores["elastic_net"], crossed.fused["elastic_net"], options.level)


def _with_views(part: Part, sample: Sample, views: NDArray[Any], options: SignatureOptions) -> Part:
    """Add the AUC within each view."""
    films, shown = sample.take(part.rows), views[part.rows]
    names = sorted({str(view) for view in shown.tolist()} - {""})
    if len(names) < 2:  # noqa: PLR2004 - one view cannot pass for a disease
        return part
    found = {}
    for name in names:
        rows = np.flatnonzero(shown == name)
        sides, people = films.positive[rows], films.patients[rows]
        if min(len(set(people[sides].tolist())), len(set(people[~sides].tolist()))) >= LEAST_PATIENTS:
            kind = next(iter(part.scores))
            found[name] = _areas(films.take(rows), {kind: part.scores[kind][rows]}, options.level)[kind]
    return replace(part, views=found)


def _left_out(name: str, sample: Sample, options: SignatureOptions) -> Part | None:
    """Fit to all other sources and judge one; `None` where no other source has both sides."""
    here = sample.sources == name
    rest = sample.take(np.flatnonzero(~here))
    inside, _ = _judged_sources(rest)
    if not inside:
        return None
    # A source of one side teaches the source, not the disease: only those with both sides are learned from.
    train = rest.take(np.flatnonzero(np.isin(rest.sources, inside)))
    rows = np.flatnonzero(here)
    test = sample.take(rows)
    plain = replace(options.models, harmonise=None)
    scores, chosen, _ = fit_then_score(train, test, plain)
    return Part(
        f"left_out={name}", "one source", len(test), len(set(test.patients.tolist())), int(test.positive.sum()),
        _areas(test, scores, options.level), scores, rows, {kind: [one] for kind, one in chosen.items()},
    )  # fmt: skip


def _beyond(contrast: str, task: Task, seen: Sequence[str]) -> list[str]:
    """Classes of the contrast on which the sources judged by themselves say nothing."""
    chosen = task.contrasts[contrast]
    members = {member for label in seen for member in task.members(label)}
    missing = sorted({*chosen.positive, *chosen.negative} - members)
    if not members or not missing:
        return []
    return [f"No source that has both sides has films of {', '.join(missing)}: nothing is said about them."]
