"""Which films went wrong most surely: the worst of each contrast (M3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from carina.evidence.contrast_films import Compared
from carina.evidence.judged_films import JudgedFilms

__all__ = ["worst_films"]


def worst_films(
    judged: JudgedFilms, films: Compared, decisions: tuple[str, ...], most: int = 6
) -> list[dict[str, Any]]:
    """Films of a contrast called wrongly, the most confident first.

    Parameters
    ----------
    judged : JudgedFilms
    films : Compared
        Of one contrast, among its own classes.
    decisions : tuple of str, (N,)
    most : int
        Of each kind, at most; one film a patient.

    Returns
    -------
    list of dict
        ``contrast``, ``kind`` (``"false_positive"`` or ``"false_negative"``), ``image_id``, ``path`` (as in the table),
        ``label``, ``source``, ``score``, ``probabilities``, ``decision``, ``reason``.
    """
    wrong = {
        "false_positive": (films.calls == 1) & ~films.positive,
        "false_negative": (films.calls == -1) & films.positive,
    }
    table, result = judged.table, []
    ids, labels, sources = table.image_ids, table.labels, table.sources
    paths = [str(path) for path in table.frame["path"].to_list()]
    for kind, here in wrong.items():
        places = np.flatnonzero(here)
        sign = -1.0 if kind == "false_positive" else 1.0
        seen: set[str] = set()
        for place in places[np.argsort(sign * films.scores[places], kind="stable")].tolist():
            if len(seen) == most:
                break
            patient = str(films.patients[place])
            if patient in seen:
                continue
            seen.add(patient)
            row = int(films.rows[place])
            values = dict(zip(judged.task.classes, judged.probabilities[row].tolist(), strict=True))
            result.append(
                {
                    "contrast": films.contrast,
                    "kind": kind,
                    "image_id": ids[row],
                    "path": paths[row],
                    "label": labels[row],
                    "source": sources[row],
                    "score": float(films.scores[place]),
                    "probabilities": values,
                    "decision": decisions[row],
                    "reason": f"{films.contrast} {films.scores[place]:.3f} on a film labelled {labels[row]}",
                }
            )
    return result
