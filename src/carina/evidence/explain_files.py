"""What `carina explain` leaves behind for a machine: ``films.csv``, ``measures.csv`` and ``explain.json``."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carina import __version__
from carina.errors import OutputError
from carina.evidence.explain import Explanation
from carina.evidence.film_record import FilmRecord
from carina.evidence.findings import findings
from carina.evidence.measures import MEASURES

__all__ = ["as_json", "write_explanation"]

_FILM = (
    *("image_id", "source", "label", "shown", "probability", "agreed", "sampled", "costly"),
    *("lungs_from", "lungs_plausible", "lung_flags", "flat", "boxes"),
)
_MEASURED = ("measure", "group", "estimate", "low", "high", "level", "films", "patients", "method", "sentence", "note")


def as_json(explanation: Explanation, now: datetime | None = None) -> dict[str, Any]:
    """Everything as ``explain.json`` holds it."""
    moment = now or datetime.now(UTC)
    said = [{"subject": one.subject, "sentence": one.sentence, "verdict": one.verdict} for one in findings(explanation)]
    return {
        "carina_version": __version__,
        "created": moment.isoformat(timespec="seconds"),
        **explanation.to_dict(),
        "findings": said,
    }


def write_explanation(explanation: Explanation, out: Path, now: datetime | None = None) -> tuple[Path, ...]:
    """Write the tables and ``explain.json`` into a folder.

    Parameters
    ----------
    explanation : Explanation
    out : Path
        Folder; made where missing, files of the same names are replaced.
    now : datetime or None
        Time stored; the present when left out.

    Returns
    -------
    tuple of Path

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    rows = [_film(record, explanation) for record in explanation.records]
    figures = [one.to_dict() for one in explanation.measures]
    text = json.dumps(as_json(explanation, now), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        _table(out / "films.csv", (*_FILM, *(kind.name for kind in MEASURES)), rows)
        _table(out / "measures.csv", _MEASURED, figures)
        (out / "explain.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"results must go to a folder that can be written; {str(out)!r}: {error.strerror or type(error).__name__}"
        ) from error
    return (out / "films.csv", out / "measures.csv", out / "explain.json")


def _table(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)


def _film(record: FilmRecord, explanation: Explanation) -> dict[str, Any]:
    plausible = "" if record.lungs_from == "none" else str(not record.flags).lower()
    return {
        "image_id": record.image_id,
        "source": record.source,
        "label": record.label,
        "shown": record.shown,
        "probability": f"{record.probability:.6f}",
        "agreed": str(record.agreed).lower(),
        "sampled": str(record.row in explanation.plan.sampled).lower(),
        "costly": str(bool(record.curves)).lower(),
        "lungs_from": record.lungs_from,
        "lungs_plausible": plausible,
        "lung_flags": "; ".join(record.flags),
        "flat": str(record.flat).lower(),
        "boxes": 0 if record.boxes is None else len(record.boxes),
        **{name: f"{value:.6g}" for name, value in record.values.items()},
    }
