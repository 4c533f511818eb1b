"""Flow of films into an evaluation: the cohort's own diagram, then what the evaluation left out."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carina.errors import InputError, TableError
from carina.report.evaluation_run import EvaluationRun
from carina.report.flow import flow_svg

__all__ = ["cohort_notes", "read_cohort", "run_flow"]

_NO_DAYS = "The films' days are not told."
_COUNTS = ("films", "patients", "episodes")
_SHARE = re.compile(r" \(probability [\d.]+\)")  # of one film; films refused for one reason are counted together


def read_cohort(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read what `carina cohort` wrote.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    record : dict
        ``cohort.json``.
    rows : list of dict
        ``flow.csv``.

    Raises
    ------
    InputError
        If the folder holds no cohort.
    TableError
        If its files are broken.
    """
    record, flow = folder / "cohort.json", folder / "flow.csv"
    if not record.is_file() or not flow.is_file():
        raise InputError(
            "--cohort names a folder that `carina cohort` wrote, with cohort.json and flow.csv; "
            f"{str(folder)!r} lacks one"
        )
    try:
        told = json.loads(record.read_text("utf-8"))
        with flow.open(encoding="utf-8", newline="") as file:
            rows = [{**row, **{name: int(row[name] or 0) for name in _COUNTS}} for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"the cohort in {str(folder)!r} must be as carina wrote it: {error}") from error
    if not isinstance(told, dict):
        raise TableError(f"{str(record)!r} must hold one JSON object as carina wrote it")
    return told, rows


def run_flow(run: EvaluationRun, cohort: list[dict[str, Any]] | None = None, *, styled: bool = False) -> str:
    """Draw the flow of films into a run.

    Parameters
    ----------
    run : EvaluationRun
    cohort : list of dict, optional
        Rows of the cohort's flow, which then comes first.
    styled : bool
        Whether the diagram carries its own colours; a page has those of ``.flow`` in its style sheet.

    Returns
    -------
    str
        SVG.
    """
    films: Mapping[str, Any] = run.metrics.get("films") or {}
    table: Mapping[str, Any] = run.metrics.get("table") or {}
    rows = [row for row in cohort or [] if row["kind"] in {"stage", "exclusion"}]
    given = _whole(films.get("given"), table.get("films"))
    rows.append(_row("stage", "given", given, "Films of the table"))
    for name, told in (("left_out", "left out"), ("refused", "refused by the quality gate")):
        counts = films.get(name) or {}
        counts = counts if isinstance(counts, Mapping) else {told: counts}
        merged: dict[str, int] = {}
        for reason, count in counts.items():
            plain = _sentence(str(reason))
            merged[plain] = merged.get(plain, 0) + _whole(count)
        rows += [_row("exclusion", name, count, sentence) for sentence, count in merged.items()]
    judged = _whole(films.get("judged"))
    patients = table.get("patients") if table.get("films") == judged else None
    rows.append(_row("stage", "judged", judged, "Films judged", patients))
    return flow_svg(rows, title="", styled=styled)


def cohort_notes(cohort: Mapping[str, Any] | None) -> list[str]:
    """Say when a cohort's films were taken, and whether identifiers were searched for.

    Parameters
    ----------
    cohort : dict or None
        ``cohort.json``.

    Returns
    -------
    list of str
        Sentences; empty without a cohort.

    Examples
    --------
    >>> cohort_notes({"dates": {"sentence": "Films from 2031-01-02 to 2031-03-04."}})[0]
    'Films from 2031-01-02 to 2031-03-04.'
    """
    if cohort is None:
        return []
    dates = cohort.get("dates")
    said = [str(dates["sentence"]) if isinstance(dates, Mapping) and dates.get("sentence") else _NO_DAYS]
    proof = (cohort.get("inputs") or {}).get("deidentified")
    if not isinstance(proof, Mapping):
        return [*said, "No search for identifiers since the last intake lies behind this cohort."]
    pictures = "" if proof.get("ocr") else ", pictures not read"
    return [
        *said,
        (
            f"Identifiers were removed; on {str(proof.get('at'))[:10]} every stored byte was searched for "
            f"{proof.get('identifiers', 0):,} of them{pictures}, and none was found."
        ),
    ]


def _row(kind: str, code: str, films: int, sentence: str, patients: Any = None) -> dict[str, Any]:
    return {
        "kind": kind,
        "code": code,
        "sentence": sentence,
        "films": films,
        "episodes": 0,
        "patients": patients if isinstance(patients, int) else None,
    }


def _whole(*values: Any) -> int:
    return next((int(value) for value in values if isinstance(value, int) and not isinstance(value, bool)), 0)


def _sentence(reason: str) -> str:
    reason = _SHARE.sub("", reason.replace("_", " "))
    return reason[:1].upper() + reason[1:]
