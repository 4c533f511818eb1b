"""Jobs of a study: started from lists, watched, cancelled, started again (M34)."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from carina.archive import StudyJob
from carina.errors import CarinaError, InputError
from carina.service.study_folders import StudyFolders
from carina.service.study_jobs import order_job
from carina.service.study_verbs import VERBS
from carina.web.pages import render
from carina.web.permissions import Guard, Permission, RefusedError, Visitor
from carina.web.study_common import folders_of

__all__ = ["router"]

router = APIRouter()

_See = Annotated[Visitor, Depends(Guard(Permission.see_studies))]
_Run = Annotated[Visitor, Depends(Guard(Permission.run_jobs))]
_NO_JOB: Final = "There is no such job in this study."
_POLLS: Final = 300
"""Times that an open page asks by itself; then it waits for a click, so that nobody stays signed in by it."""


@router.post("/studies/{study}/jobs")
def start(request: Request, visitor: _Run, study: str) -> Response:
    """Order a job."""
    folders = folders_of(request, visitor, study)
    verb = visitor.text("verb", 16)
    known = VERBS.get(verb)
    given = {} if known is None else {field.name: visitor.text(field.name) for field in known.fields}
    user = visitor.user
    try:
        job = order_job(
            request.app.state.study,
            folders.study,
            verb,
            {name: value for name, value in given.items() if value},
            organisation_id=user.organisation_id,
            user_id=user.user_id,
        )
    except InputError as error:
        raise RefusedError(400, f"{error}.") from error
    request.app.state.study_queue.put(job.job_id)
    return RedirectResponse(f"/studies/{study}/jobs/{job.job_id}", 303)


@router.get("/studies/{study}/jobs/{job_id}")
def job_page(request: Request, visitor: _See, study: str, job_id: str) -> Response:
    """Show a job."""
    folders = folders_of(request, visitor, study)
    return _show(request, visitor, "study_job", folders, job_id)


@router.get("/studies/{study}/jobs/{job_id}/progress")
def progress(
    request: Request, visitor: _See, study: str, job_id: str, polls: Annotated[int, Query(ge=0, le=_POLLS)] = 0
) -> Response:
    """Return the part of the page that changes while a job runs."""
    folders = folders_of(request, visitor, study)
    return _show(request, visitor, "study_job_state", folders, job_id, polls=polls)


@router.post("/studies/{study}/jobs/{job_id}/cancel")
def cancel(request: Request, visitor: _Run, study: str, job_id: str) -> Response:
    """End a job."""
    job = _job(request, folders_of(request, visitor, study), job_id)
    request.app.state.study.jobs.cancel(job, by=visitor.user.user_id)
    return RedirectResponse(f"/studies/{study}/jobs/{job.job_id}", 303)


@router.post("/studies/{study}/jobs/{job_id}/again")
def again(request: Request, visitor: _Run, study: str, job_id: str) -> Response:
    """Start a job again that failed, was cancelled or lost; its verb goes on where it stopped."""
    job = _job(request, folders_of(request, visitor, study), job_id)
    try:
        request.app.state.study.jobs.again(job, by=visitor.user.user_id)
    except CarinaError as error:
        raise RefusedError(400, f"{error}.") from error
    request.app.state.study_queue.put(job.job_id)
    return RedirectResponse(f"/studies/{study}/jobs/{job.job_id}", 303)


def _job(request: Request, folders: StudyFolders, job_id: str) -> StudyJob:
    found = request.app.state.study.jobs.job(job_id[:32])
    if found is None or found.study != folders.study.name:
        raise RefusedError(404, _NO_JOB)
    assert isinstance(found, StudyJob)  # noqa: S101 - state is untyped
    return found


def _show(
    request: Request, visitor: Visitor, template: str, folders: StudyFolders, job_id: str, *, polls: int = 0
) -> Response:
    jobs = request.app.state.study.jobs
    jobs.mark_lost()
    job = _job(request, folders, job_id)
    seconds = None if job.started_at is None else (job.ended_at or time.time()) - job.started_at
    made = {run.name: run for run in folders.runs()}.get(job.run) if not job.is_open else None
    values: dict[str, Any] = {
        "study": folders.study,
        "job": job,
        "fields": {field.name: field.words for field in VERBS[job.verb].fields} if job.verb in VERBS else {},
        "before": jobs.before(job) if job.state == "queued" else 0,
        "seconds": seconds,
        "run": made,
        "polls": polls + 1 if polls < _POLLS else None,
        "may_run": visitor.may(Permission.run_jobs),
    }
    return render(request, template, visitor, **values)
