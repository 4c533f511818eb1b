"""Probes that describe the model, and all probes of a contrast in order (M36)."""

from __future__ import annotations

import numpy as np

from carina.evidence import audit_criteria as limits
from carina.evidence.audit_data_probes import ask_classes, ask_duplicates, ask_refit, ask_source_table, ask_sources
from carina.evidence.audit_films import AuditedFilms
from carina.evidence.audit_measured import Measured
from carina.evidence.audit_outcome import Outcome, Probe
from carina.evidence.audit_sides import HALF, LUNGLESS_WORDS, Question, Sides, above, in_words
from carina.evidence.shortcut_changes import LUNGLESS
from carina.evidence.shortcut_readers import area, auc_loss, mean_of, source_gap

__all__ = ["ask_contrast", "ask_table"]


def ask_table(found: AuditedFilms) -> tuple[list[Probe], list[dict[str, str]]]:
    """Ask what concerns all films: near-duplicates, and where the class map lies.

    Parameters
    ----------
    found : AuditedFilms

    Returns
    -------
    probes : list of Probe
    listed : list of dict
        Films that stand out.
    """
    probe, listed = ask_duplicates(found)
    return [probe, *([_heatmap(found)] if found.has_model else [])], listed


def ask_contrast(found: AuditedFilms, name: str, *, refit: bool = False) -> list[Probe]:
    """Ask every probe of one contrast.

    Parameters
    ----------
    found : AuditedFilms
    name : str
        Contrast of the task.
    refit : bool
        Also refit readers on films without lungs.

    Returns
    -------
    list of Probe
    """
    sides = Sides(found, name)
    table = ask_source_table(sides)
    probes = [table, *ask_sources(sides, related=table.outcome == "failed"), *ask_classes(sides)]
    if found.has_model:
        probes.append(_as_it_is(sides))
        probes += [_lungless(sides, view) for view in LUNGLESS]
        probes += [_markers(sides), _gap(sides)]
    if refit:
        probes += [ask_refit(sides, view) for view in LUNGLESS]
    return probes


def _as_it_is(sides: Sides) -> Probe:
    """Ask for the AUC of the films as they are: what the other probes are held against."""
    criterion = f"the model tells the classes apart beyond chance ({limits.LEVEL:.0%})"
    question = Question(sides, "as_it_is", "the films as they are", criterion, "model")
    rows = sides.decided
    if not sides.enough(rows):
        return question.too_few(rows)
    found = area(sides.truth[rows], sides.found.scores(sides.name)[rows], sides.patients[rows])
    outcome: Outcome = "passed" if above(found, HALF, 0.0) else "failed"
    return question.answer(outcome, f"the model's AUC is {in_words(found)}", {"auc": found})


def _lungless(sides: Sides, view: str) -> Probe:
    """Ask for the model's own output on films without lungs."""
    words = f"the model's output with {LUNGLESS_WORDS[view]}"
    question = Question(sides, view, words, limits.CRITERIA["changed_films"], "model")
    measured = _changed(sides, view)
    if not measured:
        return question.too_few(sides.decided & sides.found.with_lungs())
    told = (
        f"with {LUNGLESS_WORDS[view]} the model's AUC is {in_words(measured['auc'])}, on the same films as they are "
        f"{_number(measured['auc_as_it_is']):.3f}; its probability changes by {_number(measured['change']):+.2f} on "
        "average"
    )
    return question.by_area(measured, told)


def _changed(sides: Sides, view: str) -> dict[str, Measured]:
    """AUC on changed films, on the same films as they are, and the change of the probability; empty with too few."""
    before, after = sides.found.scores(sides.name), sides.found.scores(sides.name, view)
    rows = sides.decided & np.isfinite(after)
    if not sides.enough(rows):
        return {}
    truth, patients = sides.truth[rows], sides.patients[rows]
    moved = after[rows] - before[rows]
    measured = {
        "auc": area(truth, after[rows], patients),
        "auc_as_it_is": area(truth, before[rows], patients),
        "loss": auc_loss(truth, before[rows], after[rows], patients),
        "change": mean_of(moved, patients),
        "absolute_change": mean_of(np.abs(moved), patients),
    }
    for word, which in (("positive", 1), ("negative", 0)):
        measured[f"change.{word}"] = mean_of(moved[truth == which], patients[truth == which])
    return measured


def _markers(sides: Sides) -> Probe:
    """Ask for the model's own output without markers, against its output with them."""
    words = "the model's output with text and markers removed"
    question = Question(sides, "markers_removed", words, limits.CRITERIA["markers_removed"], "model")
    measured = _changed(sides, "markers_removed")
    if not measured:
        return question.too_few(sides.decided & sides.found.with_lungs())
    loss, change = measured["loss"], _number(measured["absolute_change"])
    failed = above(loss, 0.0, limits.MARKER_LOSS_CEILING) or change >= limits.MARKER_CHANGE_CEILING
    told = (
        f"without markers the model's AUC changes by {-_number(loss):+.3f} and its probability by {change:.2f} on "
        "average, either way"
    )
    return question.answer("failed" if failed else "passed", told, measured)


def _gap(sides: Sides) -> Probe:
    """Ask for the AUC over pairs of films within and across sources."""
    words = "within-source against cross-source performance"
    question = Question(sides, "source_gap", words, limits.CRITERIA["source_gap"], "model")
    rows = sides.decided
    if not sides.enough(rows):
        return question.too_few(rows)
    scores = sides.found.scores(sides.name)
    measured = source_gap(sides.truth[rows], scores[rows], sides.sources[rows], sides.patients[rows])
    for name in sorted(set(sides.sources[rows].tolist())):
        here = rows & (sides.sources == name)
        if sides.enough(here):
            measured[f"auc.{name or 'unnamed'}"] = area(sides.truth[here], scores[here], sides.patients[here])
    gap = measured.get("gap")
    if gap is None:
        why = (
            "all films come from one source: what the model does elsewhere is not estimable"
            if "within_source_auc" in measured
            else "no source has both sides: the AUC within a source is not estimable"
        )
        return question.answer("not estimable", why, measured)
    told = (
        f"the AUC is {in_words(measured['within_source_auc'])} over pairs of one source and "
        f"{in_words(measured['cross_source_auc'])} over pairs of different ones"
    )
    failed = above(gap, 0.0, limits.SOURCE_GAP_CEILING)
    return question.answer("failed" if failed else "passed", told, measured)


def _heatmap(found: AuditedFilms) -> Probe:
    """Ask for the share of the class map in the lungs, against the share of the picture that they cover."""
    share = np.array([one.lung_share for one in found.observations])
    covered = np.array([one.lung_area for one in found.observations])
    patients = np.array(found.table.patients)
    measured = {
        "share": mean_of(share, patients),
        "area": mean_of(covered, patients),
        "excess": mean_of(share - limits.HEATMAP_FLOOR * covered, patients),
    }
    excess = measured["excess"]
    outcome: Outcome = "failed" if excess.high is not None and excess.high < 0 else "passed"
    told = (
        f"{_number(measured['share']):.0%} of the heatmap lies in the lungs, which cover "
        f"{_number(measured['area']):.0%} of the picture"
    )
    if excess.n < limits.LEAST_FILMS:
        outcome, told = "not estimable", f"{excess.n} films have both lungs and a heatmap: too few"
    words, criterion = "the heatmap's share in the lungs", limits.CRITERIA["heatmap"]
    return Probe("heatmap", words, None, criterion, "model", measured, outcome, told)


def _number(found: Measured) -> float:
    return 0.0 if found.value is None else found.value
