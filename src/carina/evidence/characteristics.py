"""Who the patients are, by part and class: films, patients, age, sex and what else the table says (M18)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.evidence.evaluation_films import film_order, first_films
from carina.evidence.subgroups import Covariate, covariates
from carina.sampling import SPLITS, FilmTable

__all__ = ["ALL_LABELS", "JUDGED", "table_characteristics"]

JUDGED = "judged"
"""Name of the part that was judged."""
ALL_LABELS = "all"
_NOT_TOLD = "not told"


def table_characteristics(judged: FilmTable, given: FilmTable | None = None, *, minimum: int = 10) -> dict[str, Any]:
    """Describe the films that were judged, and every part that the table names.

    Parameters
    ----------
    judged : FilmTable
    given : FilmTable, optional
        Whole table, whose column `split` names parts.
    minimum : int
        Levels of fewer patients are suppressed, and with one alone the next smallest, for it would follow.

    Returns
    -------
    dict
        `minimum_cell`; `parts`, a list with `part` (``"judged"`` or a split), `label` (``"all"`` or one), `films`,
        `patients`, `age` (`known`, `median`, `quartiles` of the patients' first films, or `None`) and `levels`, by
        covariate and level the number of patients, `None` where suppressed; `sentences`.
    """
    parts = {JUDGED: judged}
    if given is not None and "split" in given.frame.columns:
        splits = given.frame["split"].to_list()
        for name in SPLITS:
            if here := [row for row, value in enumerate(splits) if value == name]:
                parts[name] = given.with_frame(given.frame[here])
    found, hidden = [], False
    for part, table in parts.items():
        known, _ = covariates(table)
        labels = np.array(table.labels)
        for label in (ALL_LABELS, *dict.fromkeys(sorted(table.labels))):
            rows = np.flatnonzero(labels == label) if label != ALL_LABELS else np.arange(len(table))
            one = _described(table, rows, known, minimum)
            hidden = hidden or any(count is None for levels in one["levels"].values() for count in levels.values())
            found.append({"part": part, "label": label, **one})
    sentences = ["of each patient the first film of the part and class counts"]
    if hidden:
        sentences.append(
            f"levels of fewer than {minimum} patients are suppressed, with one alone the next smallest; though classes "
            "together may tell them: for the house alone"
        )
    return {"minimum_cell": minimum, "parts": found, "sentences": sentences}


def _described(table: FilmTable, rows: NDArray[np.intp], known: list[Covariate], minimum: int) -> dict[str, Any]:
    patients = np.array(table.patients)[rows]
    first = rows[first_films(patients, film_order(table)[rows])]
    return {
        "films": len(rows),
        "patients": len(first),
        "age": _age(table, first, minimum),
        "levels": {one.name: _levels(one, first, minimum) for one in known},
    }


def _age(table: FilmTable, first: NDArray[np.intp], minimum: int) -> dict[str, Any] | None:
    """Median and quartiles of the ages told in years; `None` where too few are."""
    if "age" not in table.frame.columns:
        return None
    ages = table.frame["age"].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()[first]
    ages = ages[np.isfinite(ages)]
    if len(ages) < minimum:
        return None
    low, middle, high = np.percentile(ages, (25, 50, 75)).tolist()
    return {"known": len(ages), "median": middle, "quartiles": [low, high]}


def _levels(one: Covariate, first: NDArray[np.intp], minimum: int) -> dict[str, int | None]:
    values = one.values[first]
    counts = {name: int((values == name).sum()) for name in one.order}
    counts = {name: count for name, count in counts.items() if count}
    if blank := int((values == "").sum()):
        counts[_NOT_TOLD] = blank
    small = [name for name, count in counts.items() if count < minimum]
    if len(small) == 1 and len(counts) > 1:
        # the patients of the part less the levels shown would be the one held back
        small.append(min((name for name in counts if name not in small), key=lambda name: counts[name]))
    return {name: None if name in small else count for name, count in counts.items()}
