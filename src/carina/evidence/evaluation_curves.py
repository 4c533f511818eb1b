"""Curves of a contrast: ROC and precision-recall with bands, reliability, net benefit (M29)."""

from __future__ import annotations

from typing import Any

import numpy as np

from carina.evidence.contrast_films import Compared
from carina.evidence.contrast_numbers import IntervalOptions
from carina.statistics import Band, DecisionCurve, decision_curve, pr_curve, reliability_curve, roc_curve

__all__ = ["contrast_curves"]

_DRAWS = 500


def contrast_curves(films: Compared, options: IntervalOptions) -> dict[str, Any]:
    """Curves of all films of a contrast, as ``metrics.json`` holds them; empty where a side has no film.

    Parameters
    ----------
    films : Compared
    options : IntervalOptions

    Returns
    -------
    dict
        ``roc`` and ``pr``: ``points`` (x, y, threshold; `None` for an infinite one), ``band`` (x, low, high; pointwise,
        by patient), ``films_used``, ``positives``, ``negatives``; ``calibration``: ``bins`` of equal number;
        ``decision``: net benefit by threshold, of the model and of calling every film.
    """
    if not films.two_sided:
        return {}
    truth = films.positive.astype(np.float64)
    drawn: dict[str, Any] = {"seed": options.seed, "repeats": min(options.repeats, _DRAWS), "level": options.level}
    roc = roc_curve(truth, films.scores, films.patients, **drawn)
    pr = pr_curve(truth, films.scores, films.patients, **drawn)
    both = {
        "films_used": "all_films",
        "positives": int(films.positive.sum()),
        "negatives": int((~films.positive).sum()),
        "sources": films.scope,
    }
    net = decision_curve(truth, films.scores, films.patients, **drawn)
    return {
        "roc": {"points": _rows(roc.fpr, roc.tpr, roc.thresholds), **_banded(roc.band), **both},
        "pr": {"points": _rows(pr.recall, pr.precision, pr.thresholds), **_banded(pr.band), **both},
        "calibration": {
            "bins": [
                {
                    "predicted": one.mean_probability,
                    "observed": one.observed.value,
                    "low": one.observed.low,
                    "high": one.observed.high,
                    "n": one.observed.n,
                }
                for one in reliability_curve(truth, films.scores, films.patients, level=options.level)
                if one.observed.n
            ],
            **both,
        },
        "decision": _net(net),
    }


def _rows(*columns: Any) -> list[list[float | None]]:
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    return [[float(value) if np.isfinite(value) else None for value in row] for row in table]


def _banded(band: Band | None) -> dict[str, Any]:
    if band is None:
        return {}
    return {"band": _rows(band.at, band.low, band.high), "level": band.level}


def _net(net: DecisionCurve) -> list[dict[str, float | None]]:
    if not net.net_benefit.size:
        return []
    none = np.full(net.thresholds.size, np.nan)
    rows = _rows(
        net.thresholds,
        net.net_benefit,
        net.treat_all,
        none if net.low is None else net.low,
        none if net.high is None else net.high,
    )
    return [dict(zip(("threshold", "net_benefit", "treat_all", "low", "high"), row, strict=True)) for row in rows]
