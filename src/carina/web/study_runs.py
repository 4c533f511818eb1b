"""What the runs of a study hold: numbers and verdicts, reports in a sandboxed frame, two evaluations side by side."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from carina.errors import CarinaError, InputError
from carina.evidence.paired_runs import compare_films
from carina.evidence.sharing_compare import compare_evaluations
from carina.inference import load_bundle
from carina.service.study_folders import Run, StudyFolders, read_json
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.study_common import folders_of, note

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_studies))]
_Name = Annotated[str, Query(max_length=128)]
_STYLE: Final = re.compile(rb"<style[^>]*>(.*?)</style>", re.DOTALL)
_LARGEST: Final = 256 * 1024 * 1024
_FRAMES: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_WITHHELD: Final = "withheld"
_COMPARED: Final = ("auc", "sensitivity", "specificity", "ppv", "npv", "accuracy", "f1")


@router.get("/studies/{study}/runs/{run}")
def run_page(request: Request, visitor: _See, study: str, run: str) -> Response:
    """Show what a run holds."""
    folders = folders_of(request, visitor, study)
    found = _run(folders, run)
    note(request, visitor, "run_seen", study=study, run=found.name)
    metrics = read_json(found.path / "metrics.json", folders.runs_folder)
    audit = read_json(found.path / "audit.json", folders.runs_folder)
    answer = render(
        request,
        "study_run",
        visitor,
        study=folders.study,
        run=found,
        headlines=_headlines(metrics),
        sentences=(metrics or {}).get("sentences") or [],
        verdicts=_verdicts((metrics or {}).get("audit") or (audit or {}).get("verdicts")),
        texture=read_json(found.path / "features.json", folders.runs_folder),
        bundle=_bundle(folders, found),
        may_propose=visitor.may(Permission.propose_models),
    )
    answer.headers["Content-Security-Policy"] = _FRAMES
    return answer


@router.get("/studies/{study}/runs/{run}/report")
def report(request: Request, visitor: _See, study: str, run: str) -> Response:
    """Return the report for the frame: it runs nothing, and reaches nothing but itself."""
    content = _report(request, visitor, study, run)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'" for style in _STYLE.findall(content)
    )
    hashes = hashes or "'none'"
    policy = f"default-src 'none'; img-src data:; style-src {hashes}; sandbox; frame-ancestors 'self'"
    headers = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/studies/{study}/runs/{run}/report.html")
def download(request: Request, visitor: _See, study: str, run: str) -> Response:
    """Return the report as a file to be kept."""
    content = _report(request, visitor, study, run)
    headers = {
        "Content-Disposition": f'attachment; filename="report-{re.sub(r"[^A-Za-z0-9._-]", "-", run)}.html"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/studies/{study}/compare")
def compare(request: Request, visitor: _See, study: str, first: _Name = "", second: _Name = "") -> Response:
    """Lay two evaluations side by side, and film by film where they judged the same ones."""
    folders = folders_of(request, visitor, study)
    one, other = _run(folders, first, "evaluation"), _run(folders, second, "evaluation")
    note(request, visitor, "runs_compared", study=study, first=one.name, second=other.name)
    try:
        found = compare_evaluations(one.path, other.path)
    except CarinaError as error:
        raise RefusedError(400, f"The two cannot be compared: {error}.") from error
    rows = [
        each
        for each in found.rows
        if each.cell == "all" and each.films_used == "first_films" and each.measure in _COMPARED
    ]
    paired, unpaired = _paired(folders, one.path, other.path)
    return render(
        request,
        "study_compare",
        visitor,
        study=folders.study,
        names=(one.name, other.name),
        found=found,
        rows=rows,
        paired=paired,
        unpaired=unpaired,
    )


def _paired(folders: StudyFolders, first: Path, second: Path) -> tuple[Any, str | None]:
    said = [read_json(each / "metrics.json", folders.runs_folder) or {} for each in (first, second)]
    thresholds = (said[0].get("thresholds") or {}, said[1].get("thresholds") or {})
    try:
        found = compare_films(first, second, said[0].get("task") or {}, thresholds)
    except CarinaError as error:
        return None, str(error)
    # what an evaluation withholds must not come out by comparing it
    withheld = {
        str(one.get("contrast")): str(one["note"])
        for metrics in said
        for one in metrics.get("numbers") or ()
        if str(one.get("note") or "").startswith(_WITHHELD)
    }
    rows = [
        replace(
            row,
            first=None,
            second=None,
            difference=None,
            low=None,
            high=None,
            p_value=None,
            note=withheld[row.contrast],
        )
        if row.contrast in withheld
        else row
        for row in found.rows
    ]
    return replace(found, rows=tuple(rows)), None


def _run(folders: StudyFolders, name: str, kind: str | None = None) -> Run:
    try:
        return folders.run(name, kind)
    except InputError as error:
        raise RefusedError(404, "There is no such run in this study.") from error


def _report(request: Request, visitor: Visitor, study: str, run: str) -> bytes:
    folders = folders_of(request, visitor, study)
    found = _run(folders, run, "report")
    path = found.path / "report.html"
    if path.stat().st_size > _LARGEST:
        raise RefusedError(413, "The report is too large to be shown; open its file.")
    note(request, visitor, "report_seen", study=study, run=found.name)  # it may show films of the study
    return path.read_bytes()


def _headlines(metrics: dict[str, Any] | None) -> list[dict[str, Any]]:
    numbers = (metrics or {}).get("numbers") or []
    return [each for each in numbers if isinstance(each, dict) and each.get("headline")]


def _verdicts(audit: Any) -> dict[str, dict[str, Any]]:
    found = audit if isinstance(audit, dict) else {}
    return {name: each for name, each in found.items() if isinstance(each, dict) and "verdict" in each}


def _bundle(folders: StudyFolders, run: Run) -> dict[str, Any] | None:
    """Return what a run's bundle says of itself; None where it holds none."""
    place = folders.models().get(run.name)
    if place is None or "model" not in run.kinds:
        return None
    try:
        bundle = load_bundle(place)
    except CarinaError as error:
        return {"error": str(error)}
    return {
        "error": None,
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.model_sha256,
        "calibrated": bundle.calibration is not None,
        "task": bundle.task.name,
    }
