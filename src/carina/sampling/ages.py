"""The ages that a model learned a contrast on (M2)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.sampling.table import FilmTable
from carina.tasks import Task

__all__ = ["contrast_ages"]

_TRIM = 0.01
_LEAST = 10


def contrast_ages(table: FilmTable, task: Task) -> dict[str, tuple[float, float] | None]:
    """Ages that both sides of each contrast share in a table, which should hold the training films alone.

    Each side spans its 1st to 99th percentile, so that a few films of an age do not open the contrast to it; an age
    group counts from its youngest to its oldest. The contrast's ages are where both sides overlap.

    Parameters
    ----------
    table : FilmTable
    task : Task

    Returns
    -------
    dict of contrast to (float, float) or None
        Completed years; `None` where a side has fewer than 10 films of known age, or the sides do not overlap: a
        contrast of children against adults tells ages, not diseases.
    """
    labels = table.labels
    low = table.frame["age_low"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    high = table.frame["age_high"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    result: dict[str, tuple[float, float] | None] = {}
    for name in task.contrasts:
        truth = task.contrast_truth(name, labels)
        spans = [_span(low[truth == side], high[truth == side]) for side in (1.0, 0.0)]
        result[name] = _overlap(spans[0], spans[1])
    return result


def _span(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[float, float] | None:
    known = ~np.isnan(low) & ~np.isnan(high)
    if known.sum() < _LEAST:
        return None
    youngest = float(np.quantile(low[known], _TRIM, method="inverted_cdf"))
    return youngest, float(np.quantile(high[known], 1.0 - _TRIM, method="inverted_cdf"))


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    if one is None or other is None:
        return None
    low, high = np.floor(max(one[0], other[0])), np.floor(min(one[1], other[1]))
    return (float(low), float(high)) if low <= high else None
