"""What `carina evaluate` leaves behind: metrics.json, numbers.csv, films.parquet, the gallery's list and the audit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from carina import __version__
from carina.errors import OutputError
from carina.evidence.audit import write_audit
from carina.evidence.characteristics import table_characteristics
from carina.evidence.evaluation import Evaluation
from carina.evidence.evaluation_sentences import count_reasons
from carina.evidence.numbers import Number

__all__ = ["as_metrics", "write_evaluation"]

SCHEMA = 1
_GALLERY = ("contrast", "kind", "image_id", "path", "label", "source", "score", "decision", "reason")
_OPENINGS = "test_openings.jsonl"


def as_metrics(found: Evaluation, options: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """Everything as ``metrics.json`` holds it.

    Parameters
    ----------
    found : Evaluation
    options : mapping
        As asked, for the record.
    now : datetime or None
        Time stored; the present when left out.

    Returns
    -------
    dict
    """
    judged, table = found.judged, found.judged.table
    task = judged.task
    left_out = {
        **found.chosen.left_out,
        **{f"label {name!r} outside the task": n for name, n in table.left_out.items()},
    }
    if table.duplicates:
        left_out["the same picture under another image_id"] = table.duplicates
    judged_by = None if found.audit is None else found.audit.verdicts
    return {
        "schema": SCHEMA,
        "carina": __version__,
        "created": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "options": dict(options),
        "seed": options.get("seed"),
        "task": {
            "name": task.name,
            "version": task.version,
            "classes": list(task.classes),
            "contrasts": {name: one.model_dump(mode="json") for name, one in task.contrasts.items()},
        },
        "model": None if judged.model is None else asdict(judged.model),
        "table": {
            "sha256": table.sha256,
            "films": len(table),
            "patients": len(set(table.patients)),
            "folder": str(table.folder),
        },
        "films": {
            "given": len(judged) + len(judged.refused) + len(judged.unmatched) + sum(left_out.values()),
            "judged": len(judged),
            "refused": count_reasons(judged.refused),
            "left_out": left_out,
            "unlabelled": len(judged.unlabelled),
            "unmatched": sorted(judged.unmatched),
        },
        "characteristics": table_characteristics(table, found.chosen.given, minimum=found.options.minimum_cell),
        "sample_size": None if found.planned is None else dict(found.planned),
        "thresholds": {name: asdict(one) for name, one in found.thresholds.items()},
        "numbers": [one.to_dict() for one in found.numbers],
        "curves": dict(found.curves),
        "confusion": dict(found.confusion),
        "gallery": list(found.gallery),
        "audit": None
        if judged_by is None
        else {name: {"verdict": one.verdict, "because": list(one.because)} for name, one in judged_by.items()},
        "sentences": list(found.sentences),
    }


def write_evaluation(
    found: Evaluation, options: Mapping[str, Any], out: Path, now: datetime | None = None
) -> dict[str, Any]:
    """Write an evaluation into a folder.

    Parameters
    ----------
    found : Evaluation
    options : mapping
    out : Path
        Made where missing; files of the same names are replaced. Openings of `test` are added to its
        ``test_openings.jsonl`` (M11).
    now : datetime or None

    Returns
    -------
    dict
        What ``metrics.json`` holds.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    metrics = as_metrics(found, options, now)
    text = json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        (out / "gallery").mkdir(parents=True, exist_ok=True)
        (out / "numbers.csv").write_text(_numbers(found), "utf-8")
        (out / "gallery" / "films.csv").write_text(_table(_GALLERY, found.gallery), "utf-8")
        _films(found).write_parquet(out / "films.parquet")
        if found.audit is not None:
            write_audit(found.audit, out / "audit")
        _log_opening(found, out, metrics["created"])
        (out / "metrics.json").write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"the evaluation cannot be written to {str(out)!r}: {error.strerror}") from error
    return metrics


def _numbers(found: Evaluation) -> str:
    return _table([one.name for one in fields(Number)], [one.to_dict() for one in found.numbers])


def _table(columns: Any, rows: Any) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(target, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def _films(found: Evaluation) -> pl.DataFrame:
    judged, table = found.judged, found.judged.table
    columns: dict[str, Any] = {
        "image_id": table.image_ids,
        "patient": table.patients,
        "path": [str(path) for path in table.frame["path"].to_list()],
        "label": table.labels,
        "source": table.sources,
    }
    for place, name in enumerate(judged.task.classes):
        columns[f"probabilities.{name}"] = judged.probabilities[:, place]
    for name in judged.task.contrasts:
        columns[f"contrasts.{name}"] = judged.task.contrast_probability(name, judged.probabilities)
    columns["decision"] = list(found.decisions)
    if judged.prediction_sets is not None:
        order = judged.task.classes
        columns["prediction_set"] = [sorted(one, key=order.index) for one in judged.prediction_sets]
    return pl.DataFrame(columns)


def _log_opening(found: Evaluation, out: Path, created: str) -> None:
    frame = found.judged.table.frame
    count = sum(value == "test" for value in frame["split"].to_list()) if "split" in frame.columns else 0
    if not count:
        return
    model = found.judged.model
    opened = {"opened": created, "model_sha256": None if model is None else model.model_sha256, "films": count}
    with (out / _OPENINGS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(opened) + "\n")
