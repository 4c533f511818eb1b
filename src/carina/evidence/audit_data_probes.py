"""Probes that describe the films, not the model: what any reader could use instead of the disease (M36)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence import audit_criteria as limits
from carina.evidence.audit_films import AuditedFilms
from carina.evidence.audit_measured import Measured
from carina.evidence.audit_outcome import Outcome, Probe
from carina.evidence.audit_sides import LUNGLESS_WORDS, Question, Sides, above
from carina.evidence.shortcut_readers import cramers_v, tell_class, tell_source
from carina.evidence.shortcut_signs import SIGNS
from carina.sampling import DEFAULT_BITS, near_duplicates, within_reach

__all__ = ["ask_classes", "ask_duplicates", "ask_refit", "ask_source_table", "ask_sources"]

_METADATA = "size, aspect and which entries of the table are filled"
_ENTRIES = ("age", "sex", "view", "position", "bmi", "ethnicity")


def ask_source_table(sides: Sides) -> Probe:
    """Relate source and class.

    Parameters
    ----------
    sides : Sides

    Returns
    -------
    Probe
    """
    question = Question(sides, "source_table", "source against class", limits.CRITERIA["source_table"], "data")
    rows = sides.decided
    if not sides.enough(rows):
        return question.too_few(rows)
    sources, count = sides.sources[rows], int(rows.sum())
    names = sorted(set(sources.tolist()))
    counts = {
        f"{name or 'unnamed'}.{word}": Measured(float(((sides.sources == name) & sides.side(which)).sum()), n=count)
        for name in names
        for word, which in (("positive", 1), ("negative", 0))
    }
    strength = cramers_v(sources, sides.truth[rows])
    if strength is None:
        told = "all films come from one source: no source can stand for the class, and nothing can be said of others"
        return question.answer("not estimable", told, counts)
    shared = _shared(sides)
    told = f"source and class are related with a bias-corrected Cramer's V of {strength:.2f}; " + (
        "no source has films of both sides"
        if shared == 0
        else f"{shared:.0%} of the films of either side, at least, lie in sources that have both"
    )
    measured = {"cramers_v": Measured(strength, n=count), "shared_films": Measured(shared, n=count), **counts}
    return question.answer("failed" if strength >= limits.CRAMERS_V_CEILING else "passed", told, measured)


def ask_sources(sides: Sides, *, related: bool) -> list[Probe]:
    """Tell the source of films of one class from features, metadata and signs.

    Parameters
    ----------
    sides : Sides
    related : bool
        Whether the source is related to the class: a source that can be told is no shortcut otherwise.

    Returns
    -------
    list of Probe
    """
    found = sides.found
    every = np.ones(len(found.table), np.bool_)
    asked = [("metadata", _metadata(found), _METADATA, every)]
    asked += [(name, found.signs(name), words, found.with_lungs()) for name, words in SIGNS.items()]
    if found.has_model:
        features = np.stack([np.asarray(one.features, np.float64) for one in found.observations])
        asked.append(("features", features, "the network's features", every))
    probes = []
    for kind, values, words, usable in asked:
        question = Question(
            sides,
            f"source_from_{kind}",
            f"the source from {words}",
            limits.CRITERIA["source_told"].replace("the network's features", words),
            "model" if kind == "features" else "data",
        )
        probes.append(_source_told(question, values, usable, related=related))
    return probes


def ask_classes(sides: Sides) -> list[Probe]:
    """Tell the class from metadata and from signs that hold no lungs.

    Parameters
    ----------
    sides : Sides

    Returns
    -------
    list of Probe
    """
    found = sides.found
    asked = [("metadata", _metadata(found), _METADATA, np.ones(len(found.table), np.bool_))]
    asked += [(name, found.signs(name), words, found.with_lungs()) for name, words in SIGNS.items()]
    probes = []
    for kind, values, words, usable in asked:
        question = Question(
            sides, f"class_from_{kind}", f"the class from {words}", limits.CRITERIA["class_told"], "data"
        )
        rows = sides.decided & usable
        probes.append(
            question.by_area(tell_class(values[rows], sides.truth[rows], sides.patients[rows]))
            if sides.enough(rows)
            else question.too_few(rows)
        )
    return probes


def ask_refit(sides: Sides, view: str) -> Probe:
    """Refit a reader on films without lungs.

    Parameters
    ----------
    sides : Sides
    view : str
        One of `carina.evidence.shortcut_changes.LUNGLESS`.

    Returns
    -------
    Probe
    """
    words = f"a reader refitted with {LUNGLESS_WORDS[view]}"
    question = Question(sides, f"refit_{view}", words, limits.CRITERIA["refit"], "data")
    rows = sides.decided & sides.found.with_lungs()
    if not sides.enough(rows):
        return question.too_few(rows)
    return question.by_area(tell_class(sides.found.thumbs(view)[rows], sides.truth[rows], sides.patients[rows]))


def ask_duplicates(found: AuditedFilms) -> tuple[Probe, list[dict[str, str]]]:
    """Find films that are one picture under two names where that makes a number too good.

    Parameters
    ----------
    found : AuditedFilms

    Returns
    -------
    probe : Probe
    listed : list of dict
        Each film found, with the reason.
    """
    table = found.table
    hashes, patients = [one.hash for one in found.observations], table.patients
    splits = table.frame["split"].to_list() if "split" in table.frame.columns else [None] * len(table)
    pairs = [(int(one), int(other)) for one, other in near_duplicates(hashes)]
    across = [pair for pair in pairs if patients[pair[0]] != patients[pair[1]] or splits[pair[0]] != splits[pair[1]]]
    known = np.flatnonzero(
        within_reach(hashes, sorted(one for one in found.training_hashes if len(one) == len(hashes[0])))
    ).tolist()
    films = {row for pair in across for row in pair} | set(known)
    share = len(films) / len(table)
    names = table.image_ids
    reasons = [(row, "near-duplicate of a training film") for row in known]
    reasons += [(one, f"near-duplicate of {names[other]!r}") for one, other in across]
    listed = [{"image_id": names[row], "probe": "near_duplicates", "reason": why} for row, why in reasons]
    measured = {
        "share": Measured(share, n=len(table)),
        "pairs": Measured(float(len(across)), n=len(table)),
        "of_training_films": Measured(float(len(known)), n=len(table)),
    }
    told = (
        f"{len(films)} of {len(table)} films ({share:.1%}) lie within {DEFAULT_BITS} bits of a training film, or of a "
        "film of another patient or split"
    )
    outcome: Outcome = "failed" if share > limits.DUPLICATE_CEILING else "passed"
    criterion = limits.CRITERIA["near_duplicates"]
    probe = Probe("near_duplicates", "near-duplicate films", None, criterion, "data", measured, outcome, told)
    return probe, listed


def _source_told(question: Question, values: NDArray[Any], usable: NDArray[np.bool_], *, related: bool) -> Probe:
    sides = question.sides
    told = []
    for which in (0, 1):
        rows = _of_larger_sources(sides, usable & sides.side(which))
        answer = tell_source(values[rows], sides.sources[rows], sides.patients[rows]) if rows.any() else None
        if answer is not None:
            told.append((which, *answer))
    if not told:
        none = f"no side of the contrast has two sources of at least {limits.LEAST_FILMS} films"
        return question.answer("not estimable", none)
    measured = {}
    for which, accuracy, chance in told:
        word = ("negative", "positive")[which]
        measured[f"balanced_accuracy.{word}"] = accuracy
        measured[f"chance.{word}"] = Measured(chance, n=accuracy.n)
    seen = any(above(accuracy, chance, limits.EXCESS_CEILING) for _, accuracy, chance in told)
    _, best, chance = max(told, key=lambda one: (one[1].value or 0.0) - one[2])
    sentence = (
        f"{question.words} is told with balanced accuracy {best.value or 0.0:.2f} (chance {chance:.2f}) among films of "
        f"one class; source and class are {'related' if related else 'not related beyond the criterion'}"
    )
    return question.answer("failed" if seen and related else "passed", sentence, measured)


def _of_larger_sources(sides: Sides, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    names, counts = np.unique(sides.sources[rows], return_counts=True)
    return np.asarray(rows & np.isin(sides.sources, names[counts >= limits.LEAST_FILMS]), dtype=np.bool_)


def _shared(sides: Sides) -> float:
    """Smaller share, over both sides, of films in sources that have films of either side."""
    both = [
        name
        for name in set(sides.sources[sides.decided].tolist())
        if all(((sides.sources == name) & sides.side(which)).any() for which in (0, 1))
    ]
    inside = np.isin(sides.sources, both)
    return min(float(inside[sides.side(which)].mean()) for which in (0, 1))


def _metadata(found: AuditedFilms) -> NDArray[np.float64]:
    """Size, aspect, bits, and which entries of the table are there, (N, F)."""
    shapes = np.log(np.array([one.shape for one in found.observations], dtype=np.float64))
    bits = np.array([one.bits for one in found.observations], dtype=np.float64)
    columns = [shapes[:, 0], shapes[:, 1], shapes[:, 1] - shapes[:, 0], bits]
    frame = found.table.frame
    columns += [frame[name].is_not_null().to_numpy().astype(np.float64) for name in _ENTRIES if name in frame.columns]
    return np.stack(columns, axis=1)
