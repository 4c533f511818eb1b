"""What must be said beside the numbers of an evaluation, one sentence each (M31, M36)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

from carina.evidence.contrast_films import Compared
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.operating import OperatingThreshold

__all__ = ["count_reasons", "evaluation_sentences"]

_FEW = 30
_BRACKET = re.compile(r" \([^()]*\d[^()]*\)")


def evaluation_sentences(
    judged: JudgedFilms,
    compared: Mapping[str, Compared],
    thresholds: Mapping[str, OperatingThreshold],
    hidden: frozenset[str],
) -> list[str]:
    """Say what a reader of the numbers must know.

    Parameters
    ----------
    judged : JudgedFilms
    compared : mapping of contrast to Compared
    thresholds : mapping of contrast to OperatingThreshold
    hidden : set of str
        Contrasts whose numbers are withheld.

    Returns
    -------
    list of str
        One sentence each.
    """
    table = judged.table
    people = len(set(table.patients))
    found = [f"{len(judged)} films of {people} patients were evaluated", *table.notes()]
    found += _counted(judged.refused, "could not be judged")
    found += _counted(judged.unlabelled, "were predicted and are not in the table: without a label they take no part")
    found += _counted(judged.unmatched, "of the table have no prediction and take no part")
    if people == len(judged):
        found.append("every film has its own patient: first films and all films are the same")
    if people < _FEW:
        found.append(f"{people} patients are few: intervals are wide, and none of this can be relied on")
    if len(np.unique(judged.probabilities, axis=0)) == 1 and len(judged) > 1:
        found.append("the predictions are constant: all films have the same probabilities, and nothing is told apart")
    for name, films in compared.items():
        if len(films.rows):
            found += _of_contrast(films, thresholds[name], hidden=name in hidden)
    return found


def _of_contrast(films: Compared, threshold: OperatingThreshold, *, hidden: bool) -> list[str]:
    name, alone = films.contrast, _one_sided(films)
    cut = f"{threshold.low:.3f} to {threshold.high:.3f}" if threshold.band else f"{threshold.high:.3f}"
    found = [f"{name} is called at {cut}, {threshold.origin}"]
    if not films.two_sided:
        side = "positive" if films.positive.any() else "negative"
        found.append(f"{name} is not estimable: all its {len(films.rows)} films are {side}")
    elif films.scope == "cross-source":
        found.append(
            f"{name}: its positives and negatives share no source; every pooled number of it is cross-source, and "
            "disease and hospital cannot be told apart"
        )
    elif films.scope == "mixed":
        found.append(
            f"{name}: films of {', '.join(alone)} are on one side only; its pooled numbers are part cross-source, "
            "those within a source are given beside them"
        )
    if both := _on_both_sides(films):
        found.append(
            f"{name}: {both} of {films.people} patients have films on both sides; among first films each counts once, "
            "on the side of the first"
        )
    if hidden:
        found.append(f"{name}: its numbers are withheld, for without a shortcut audit they support nothing")
    return found


def _one_sided(films: Compared) -> list[str]:
    names = sorted(set(films.sources.tolist()))
    return [name or "no source" for name in names if not films.take(films.sources == name).two_sided]


def _on_both_sides(films: Compared) -> int:
    up, down = (set(films.patients[films.positive == side].tolist()) for side in (True, False))
    return len(up & down)


def count_reasons(films: Mapping[str, str]) -> dict[str, int]:
    """Count films by reason, whatever numbers stand in it in brackets.

    Examples
    --------
    >>> count_reasons({"a": "too dark (0.1)", "b": "too dark (0.2)"})
    {'too dark': 2}
    """
    return dict(Counter(_BRACKET.sub("", reason) for reason in films.values()))


def _counted(films: Mapping[str, str], what: str) -> list[str]:
    if not films:
        return []
    reasons = count_reasons(films)
    listed = "; ".join(f"{count}: {reason}" for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1])[:5])
    return [f"{len(films)} films {what} ({listed})"]
