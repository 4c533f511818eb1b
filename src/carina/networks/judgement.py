"""What a finished model does on films it was not trained on, for its card (M5, M11, M29, M33).

`calibrate` and `tune` figures are never shown as performance. `test` is opened once for a released model; every opening
is logged beside the run.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.inference.calibration import Calibration
from carina.inference.coverage import coverage_report
from carina.sampling import FilmTable
from carina.statistics import bootstrap_auc, first_of_each, proportion
from carina.tasks import Task

__all__ = ["judge"]

_FEWEST = 10
_SEED = 1
_LOG = "test_openings.jsonl"


def judge(
    probabilities: NDArray[np.float64],
    table: FilmTable,
    task: Task,
    calibration: Calibration,
    out: Path,
    *,
    open_test: bool,
) -> dict[str, Any]:
    """Judge a model on the `test` films of its table, if asked to.

    Parameters
    ----------
    probabilities : ndarray, (N, K)
        Calibrated, of every film of `table`.
    table : FilmTable
        With splits.
    task : Task
    calibration : Calibration
        Gives the thresholds.
    out : Path
        Run folder; the opening is logged in its ``test_openings.jsonl``.
    open_test : bool
        Without it nothing is judged and nothing logged.

    Returns
    -------
    dict
        ``{}``, or for each contrast the figures within each source that has both sides (cross-source comparisons are
        left to the shortcut audit, M36), the contrasts that no source has films enough for, in a sentence each, and
        the coverage of the prediction sets.
    """
    if not open_test:
        return {}
    chosen = np.array(table.frame["split"].to_list()) == "test"
    labels = [label for label, used in zip(table.labels, chosen, strict=True) if used]
    patients = np.array(table.patients)[chosen]
    sources = np.array(table.sources)[chosen]
    opened = {
        "opened": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_sha256": calibration.model_sha256,
        "films": int(chosen.sum()),
    }
    with (out / _LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(opened) + "\n")
    values = probabilities[chosen]
    contrasts: list[dict[str, Any]] = []
    too_few: list[str] = []
    for name in task.contrasts:
        truth = task.contrast_truth(name, labels)
        scores = task.contrast_probability(name, values)
        most = (0, 0)
        for source in sorted(set(sources.tolist())):
            here = (sources == source) & ~np.isnan(truth)
            sides = (int((truth[here] == 1).sum()), int((truth[here] == 0).sum()))
            most = max(most, sides, key=min)
            if min(sides) < _FEWEST:
                continue
            record = calibration.thresholds.get(name)
            cut = (record.low, record.high) if record else None
            contrasts.append(
                {"contrast": name, "source": source, **_figures(truth[here], scores[here], patients[here], cut)}
            )
        if min(most) < _FEWEST:
            too_few.append(
                f"{name}: not estimable, too few films: the source with most in `test` has {most[0]} positive and "
                f"{most[1]} negative, {_FEWEST} of each are needed"
            )
    coverage = coverage_report(
        values, labels, list(patients), sources=list(sources), calibration=calibration, task=task
    )
    return {"test": opened, "contrasts": contrasts, "too_few": too_few, "coverage": [row.to_dict() for row in coverage]}


def _figures(
    truth: NDArray[np.float64], scores: NDArray[np.float64], patients: NDArray[Any], cut: tuple[float, float] | None
) -> dict[str, Any]:
    area = bootstrap_auc(truth, scores, patients, seed=_SEED)
    result: dict[str, Any] = {
        "films": len(truth),
        "patients": len(set(patients.tolist())),
        "auc": {"estimate": area.estimate, "low": area.low, "high": area.high},
    }
    if cut is None:
        return result
    first = first_of_each(patients)
    truth, scores = truth[first], scores[first]
    low, high = cut
    for figure, events, of in (
        ("sensitivity", scores >= high, truth == 1),
        ("specificity", scores < low, truth == 0),
    ):
        found = proportion(int((events & of).sum()), int(of.sum()))
        result[figure] = {
            "events": found.events,
            "trials": found.trials,
            "low": found.low,
            "high": found.high,
            "estimate": found.estimate,
        }
    return result
