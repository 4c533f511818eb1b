"""Films of one comparison: scores, gold standard, calls, patients, sources (M2, M30)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence.evaluation_films import film_order, first_films, source_scope
from carina.evidence.judged_films import JudgedFilms, contrast_scores
from carina.evidence.numbers import Place
from carina.evidence.operating import (
    Calls,
    OperatingThreshold,
    call_scores,
    decision_calls,
    is_conditional,
    truth_among_all,
)
from carina.tasks import Task

__all__ = ["ALL_FILMS", "Compared", "compared_films", "denominator_name"]

ALL_FILMS = "all_films"


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Films of one comparison.

    Attributes
    ----------
    contrast, denominator : str
    scores : ndarray of float64, (M,)
    positive : ndarray of bool, (M,)
    calls : ndarray of int8, (M,)
    patients, sources : ndarray, (M,)
    order : ndarray of float64, (M,)
        When each film was taken.
    rows : ndarray of int, (M,)
        Of the judged films.
    threshold : OperatingThreshold or None
        `None` where the calls are the decisions.
    """

    contrast: str
    denominator: str
    scores: NDArray[np.float64]
    positive: NDArray[np.bool_]
    calls: Calls
    patients: NDArray[Any]
    sources: NDArray[Any]
    order: NDArray[np.float64]
    rows: NDArray[np.intp]
    threshold: OperatingThreshold | None = None

    def place(self, group: str, **changes: Any) -> Place:
        """Where numbers of these films belong; `changes` are further attributes of `Place`, or others."""
        own = {"denominator": self.denominator, "sources": self.scope, "patients": self.people}
        return Place(group=group, contrast=self.contrast, **(own | changes))

    @property
    def cut(self) -> float | None:
        """At or above which a film is called positive; `None` where the calls are decisions."""
        return None if self.threshold is None else self.threshold.high

    def take(self, chosen: NDArray[Any]) -> Compared:
        """Return some of the films."""
        names = ("scores", "positive", "calls", "patients", "sources", "order", "rows")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def joined(self, others: Sequence[Compared]) -> Compared:
        """Return these films and others of the same contrast, in order."""
        names = ("scores", "positive", "calls", "patients", "sources", "order", "rows")
        whole = [self, *others]
        changes: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in whole]) for name in names}
        return replace(self, **changes)

    def first(self) -> Compared:
        """Return each patient's first film (M31)."""
        return self.take(first_films(self.patients, self.order))

    @property
    def people(self) -> int:
        """Patients."""
        return len(set(self.patients.tolist()))

    @property
    def two_sided(self) -> bool:
        """Whether both sides have a film."""
        return bool(self.positive.any()) and not bool(self.positive.all())

    @property
    def scope(self) -> str | None:
        """See `Number.sources`."""
        return source_scope(self.sources, self.positive)


def compared_films(
    judged: JudgedFilms, contrast: str, threshold: OperatingThreshold, decisions: tuple[str, ...] | None = None
) -> Compared:
    """Films of a contrast with their calls.

    Parameters
    ----------
    judged : JudgedFilms
    contrast : str
    threshold : OperatingThreshold
        Calls the films among those of the contrast (M30 a).
    decisions : tuple of str, (N,), or None
        Where given, all films take part, whatever the gold standard, called by what was decided (M30 b); the score is
        then the probability of the positive classes among all.

    Returns
    -------
    Compared
    """
    table = judged.table
    patients, sources, order = np.array(table.patients), np.array(table.sources), film_order(table)
    if decisions is None:
        scores, positive, rows = contrast_scores(judged, contrast)
        calls, name = call_scores(scores, threshold), denominator_name(judged.task, contrast)
    else:
        truth = truth_among_all(judged.task, contrast, table.labels)
        rows = np.flatnonzero(~np.isnan(truth))
        up, _ = judged.task.sides(contrast)
        scores = np.asarray(judged.probabilities[rows][:, up].sum(axis=1))
        positive, name = truth[rows] == 1.0, ALL_FILMS
        calls = decision_calls(judged, contrast, decisions)[rows]
    return Compared(
        contrast=contrast,
        denominator=name,
        scores=scores,
        positive=positive,
        calls=calls,
        patients=patients[rows],
        sources=sources[rows],
        order=order[rows],
        rows=rows,
        threshold=threshold if decisions is None else None,
    )


def denominator_name(task: Task, contrast: str) -> str:
    """Films among which a contrast is asked: all, or those of the smallest named set that holds its classes.

    Examples
    --------
    >>> from carina.tasks import default_task
    >>> denominator_name(default_task(), "covid19_given_pneumonia"), denominator_name(default_task(), "pneumonia")
    ('among_pneumonia', 'all_films')
    """
    if not is_conditional(task, contrast):
        return ALL_FILMS
    chosen = task.contrasts[contrast]
    classes = {*chosen.positive, *chosen.negative}
    holding = [name for name, members in task.groups.items() if classes <= set(members)]
    return f"among_{holding[0]}" if holding else "among_its_classes"
