"""Pages of a research study: flow, cohort and coverage, quality of its data, the approvals record (M8, M18, M35)."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import APPROVAL_KINDS, NewApproval, open_study
from carina.errors import CarinaError
from carina.service.study_folders import StudyFolders
from carina.service.study_verbs import VERBS
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.study_common import folders_of, note, seen_studies

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_studies))]
_Record = Annotated[Visitor, Depends(Guard(Permission.record_approvals))]
_MOST: Final = 200
_FRESH: Final = 30.0
_DRAWING: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"


@router.get("/studies")
def studies(request: Request, visitor: _See) -> Response:
    """List the studies that the visitor's organisation is shown."""
    found = []
    for each in seen_studies(request, visitor):
        cohort = StudyFolders(each).cohort()
        today = date.today()  # noqa: DTZ011 - the day where the server stands
        record = request.app.state.study.approvals.record(each.name)
        standing = sum(one.stands(today) for one in record)
        found.append({"name": each.name, "title": each.title or each.name, "cohort": cohort, "approvals": standing})
    return render(request, "studies", visitor, studies=found)


@router.get("/studies/{study}")
def study_page(request: Request, visitor: _See, study: str) -> Response:
    """Show a study."""
    return _page(request, visitor, folders_of(request, visitor, study))


@router.get("/studies/{study}/flow.svg")
def flow(request: Request, visitor: _See, study: str) -> Response:
    """Return the flow diagram that `carina cohort` drew."""
    drawing = folders_of(request, visitor, study).cohort_file("flow.svg")
    if drawing is None:
        raise RefusedError(404, "The study has no flow diagram yet; `carina cohort` draws it.")
    return Response(drawing, media_type="image/svg+xml", headers={"Content-Security-Policy": _DRAWING})


@router.post("/studies/{study}/approvals")
def record_approval(request: Request, visitor: _Record, study: str) -> Response:
    """Write an approval down, or that one no longer stands."""
    folders = folders_of(request, visitor, study)
    replaces = visitor.text("replaces", 12)
    new = NewApproval(
        kind=visitor.text("kind", 32),
        reference=visitor.text("reference", 129),
        body=visitor.text("body", 129),
        decided_on=visitor.text("decided_on", 10),
        expires_on=visitor.text("expires_on", 10) or None,
        note=visitor.text("note", 2_001),
        replaces=int(replaces) if replaces.isdecimal() else None,
        withdrawn=visitor.text("withdrawn") == "yes",
    )
    user = visitor.user
    try:
        request.app.state.study.approvals.add(
            new, study=folders.study.name, organisation_id=user.organisation_id, user_id=user.user_id
        )
    except CarinaError as error:
        return _page(request, visitor, folders, message=f"{error}.", status=400)
    return RedirectResponse(f"/studies/{folders.study.name}#approvals", 303)


def _page(
    request: Request, visitor: Visitor, folders: StudyFolders, *, message: str | None = None, status: int = 200
) -> Response:
    state, name = request.app.state, folders.study.name
    note(request, visitor, "study_seen", study=name)
    state.study.jobs.mark_lost()
    record = state.study.approvals.record(name)
    return render(
        request,
        "study",
        visitor,
        status=status,
        study=folders.study,
        cohort=folders.cohort(),
        has_flow=folders.cohort_file("flow.svg") is not None,
        coverage=_coverage(folders.cohort_file("coverage.csv")),
        quality=_recent_quality(request, folders),
        rejected=_rejected(folders),
        record=record,
        kinds=APPROVAL_KINDS,
        open_entries=[one for one in record if one.replaced_by is None and not one.withdrawn],
        today=date.today(),  # noqa: DTZ011 - as above
        may_record=visitor.may(Permission.record_approvals),
        may_run=visitor.may(Permission.run_jobs),
        jobs=state.study.jobs.jobs(name, most=20),
        runs=[{"run": run, "at": datetime.fromtimestamp(run.made_at, UTC)} for run in folders.runs()],
        verbs=[_offered(verb, folders) for verb in VERBS.values()] if visitor.may(Permission.run_jobs) else [],
        message=message,
    )


def _offered(verb: Any, folders: StudyFolders) -> dict[str, Any]:
    fields = []
    for field in verb.fields:
        listed = list(field.listed(folders))
        fields.append({"name": field.name, "words": field.words, "options": listed, "default": field.default})
    return {"verb": verb, "fields": fields, "ready": all(each["options"] for each in fields)}


def _coverage(content: bytes | None) -> list[dict[str, Any]]:
    """Lay the coverage table out by parameter: rows of values, columns of labels (M18)."""
    if content is None:
        return []
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8", "replace"))))
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        values = tables.setdefault(row.get("parameter") or "", {})
        values.setdefault(row.get("value") or "", {})[row.get("label") or ""] = row.get("films") or ""
    labels = list(dict.fromkeys(row.get("label") or "" for row in rows))
    return [{"parameter": name, "labels": labels, "values": values} for name, values in tables.items()]


def _recent_quality(request: Request, folders: StudyFolders) -> dict[str, Any]:
    """Count what lies in a study at most twice a minute: its ledger has a row for each file."""
    known: dict[str, tuple[float, dict[str, Any]]] = request.app.state.study_quality
    at, found = known.get(folders.study.name, (float("-inf"), {}))
    if time.monotonic() - at > _FRESH:
        found = _quality(folders)
        known[folders.study.name] = (time.monotonic(), found)
    return found


def _quality(folders: StudyFolders) -> dict[str, Any]:
    """Count sources that gave no film, by reason, and tables of records; a study that does not open says why."""
    try:
        with open_study(folders.folder, "research") as research:
            ledger = research.archive.sources()
            refused = research.archive.refusals()
            sets = {each.table: each for each in research.archive.record_sets()}
            reasons = Counter(zip(refused["outcome"], refused["code"], refused["reason"], strict=True))
            return {
                "error": None,
                "outcomes": sorted(Counter(ledger["outcome"].to_list()).items()),
                "reasons": [(*key, count) for key, count in reasons.most_common(_MOST)],
                "tables": [{"set": each, "told": each.provenance} for each in sets.values()],
                "identifiers": _proof(research.archive.audit_log()),
            }
    except (CarinaError, OSError) as error:
        return {"error": str(error), "outcomes": [], "reasons": [], "tables": [], "identifiers": None}


def _proof(entries: list[Any]) -> str | None:
    """When the last search for identifiers was made; None where there was none."""
    return next((each.at for each in reversed(entries) if each.event == "removal_verified"), None)


def _rejected(folders: StudyFolders) -> list[tuple[str, str, str, int]]:
    """Rejected rows of the records by table, column and reason; the list holds no cell of theirs."""
    path = folders.rejected()
    if path is None:
        return []
    counted: Counter[tuple[str, str, str]] = Counter()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counted[row.get("table") or "", row.get("column") or "row", row.get("reason") or ""] += 1
    return [(*key, count) for key, count in counted.most_common(_MOST)]
