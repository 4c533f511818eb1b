"""Jobs of the study pages: ordered by a user, held by one worker, done, failed, cancelled or lost.

The row is the truth about a job, and the queue a hint. A worker holds a job by a token that it must renew; a token that
ran out means that the worker was killed, and the job is lost until somebody starts it again.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Engine, and_, exists, insert, select, update
from sqlalchemy.orm import aliased

from carina.archive.archive import append_audit
from carina.archive.database import lock_audit, reading, writing
from carina.archive.study_tables import StudyJobRow
from carina.errors import ArchiveError

__all__ = ["JobState", "StudyJob", "StudyJobs"]

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled", "lost"]

_LOG_KEPT: Final = 20_000
_AGAIN: Final = ("failed", "cancelled", "lost")


@dataclass(frozen=True, slots=True)
class StudyJob:
    """One job.

    Attributes
    ----------
    job_id : str
        32 hex digits, drawn at random.
    organisation_id, user_id : int
        Whose order it is.
    study : str
        Name of the study in the settings.
    verb : str
    choices : dict of str to str
        What was chosen on the page; the worker makes the command's arguments of it.
    run : str
        Folder that the job writes, below the study's folder of runs.
    state : {"queued", "running", "done", "failed", "cancelled", "lost"}
    attempts : int
        How often it was started.
    ordered_at : float
        Seconds since 1970.
    started_at, ended_at : float or None
    held_until : float
        Until when its worker is believed to be alive.
    cancelled_by : int or None
        Who wants it to end.
    exit_status : int or None
        Of the command.
    progress : dict or None
        ``what``, ``done`` and ``total`` as the command last said.
    log : str
        The end of what the command wrote.
    """

    job_id: str
    organisation_id: int
    user_id: int
    study: str
    verb: str
    choices: dict[str, str]
    run: str
    state: JobState
    attempts: int
    ordered_at: float
    started_at: float | None
    ended_at: float | None
    held_until: float
    cancelled_by: int | None
    exit_status: int | None
    progress: dict[str, Any] | None
    log: str

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")


_COLUMNS: Final = [getattr(StudyJobRow, each.name) for each in fields(StudyJob)]


class StudyJobs:
    """Jobs of a service study; get it from `Study.jobs`.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def order(
        self, *, study: str, verb: str, choices: dict[str, str], run: str, organisation_id: int, user_id: int
    ) -> StudyJob:
        """Keep an order; its arguments were checked by the caller, and are again by the worker."""
        values = {
            "job_id": secrets.token_hex(16),
            "organisation_id": organisation_id,
            "user_id": user_id,
            "study": study,
            "verb": verb,
            "choices": choices,
            "run": run,
            "state": "queued",
            "attempts": 0,
            "ordered_at": time.time(),
            "held_until": 0.0,
            "log": "",
        }
        with writing(self._engine) as connection:
            row = connection.execute(insert(StudyJobRow).values(**values).returning(*_COLUMNS)).one()
            said = {"job": row.job_id, "study": study, "verb": verb, "choices": choices}
            append_audit(connection, "study_job_ordered", {**said, "organisation": organisation_id, "user": user_id})
        return StudyJob(*row)

    def job(self, job_id: str) -> StudyJob | None:
        """Find a job; None where there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(select(*_COLUMNS).where(StudyJobRow.job_id == job_id)).first()
        return None if row is None else StudyJob(*row)

    def jobs(self, study: str, most: int = 50) -> list[StudyJob]:
        """Jobs of one study, newest first."""
        query = select(*_COLUMNS).where(StudyJobRow.study == study).order_by(StudyJobRow.ordered_at.desc())
        with reading(self._engine) as connection:
            return [StudyJob(*row) for row in connection.execute(query.limit(most))]

    def waiting(self) -> list[str]:
        """Jobs that wait, oldest first."""
        query = select(StudyJobRow.job_id).where(StudyJobRow.state == "queued").order_by(StudyJobRow.ordered_at)
        with reading(self._engine) as connection:
            return [str(row.job_id) for row in connection.execute(query.limit(100))]

    def before(self, job: StudyJob) -> int:
        """Jobs of all studies that run, or wait and were ordered earlier."""
        first = and_(StudyJobRow.state == "queued", StudyJobRow.ordered_at < job.ordered_at)
        query = select(StudyJobRow.job_id).where(first | (StudyJobRow.state == "running"))
        with reading(self._engine) as connection:
            return len(connection.execute(query.where(StudyJobRow.job_id != job.job_id)).fetchall())

    # -- the user --------------------------------------------------------------------------------------------------

    def cancel(self, job: StudyJob, *, by: int) -> None:
        """End a job that waits at once, and ask the worker of one that runs to end it."""
        with writing(self._engine) as connection:
            this = update(StudyJobRow).where(StudyJobRow.job_id == job.job_id)
            now = time.time()
            values = {"state": "cancelled", "cancelled_by": by, "ended_at": now}
            waited = connection.execute(this.where(StudyJobRow.state == "queued").values(**values)).rowcount
            asked = connection.execute(this.where(StudyJobRow.state == "running").values(cancelled_by=by)).rowcount
            if waited or asked:
                append_audit(connection, "study_job_cancelled", _said(job.job_id, job.organisation_id, user=by))

    def again(self, job: StudyJob, *, by: int) -> None:
        """Put a job that failed, was cancelled or lost into the queue again; its verb goes on where it stopped.

        Raises
        ------
        ArchiveError
            If it is none of these.
        """
        values = {"state": "queued", "cancelled_by": None, "ended_at": None, "exit_status": None, "held_until": 0.0}
        statement = update(StudyJobRow).where(StudyJobRow.job_id == job.job_id, StudyJobRow.state.in_(_AGAIN))
        with writing(self._engine) as connection:
            if connection.execute(statement.values(**values, ordered_at=time.time())).rowcount != 1:
                raise ArchiveError("a job can be started again once it failed, was cancelled or lost")
            append_audit(connection, "study_job_restarted", _said(job.job_id, job.organisation_id, user=by))

    # -- the worker ------------------------------------------------------------------------------------------------

    def claim(self, job_id: str, *, lease: float) -> tuple[StudyJob, str] | None:
        """Take a job; None where it no longer waits, or any other job runs: one heavy job at a time.

        Returns
        -------
        tuple of (StudyJob, str) or None
            And the token by which it is held.
        """
        now, holder = time.time(), secrets.token_hex(16)
        other = aliased(StudyJobRow)
        busy = exists().where(other.state == "running", other.held_until >= now)
        values = {
            "state": "running",
            "holder": holder,
            "held_until": now + lease,
            "started_at": now,
            "attempts": StudyJobRow.attempts + 1,
            "progress": None,
            "log": "",
        }
        with writing(self._engine) as connection:
            lock_audit(connection)  # two machines must not both find that none runs
            statement = update(StudyJobRow).where(StudyJobRow.job_id == job_id, StudyJobRow.state == "queued", ~busy)
            row = connection.execute(statement.values(**values).returning(*_COLUMNS)).first()
            if row is not None:
                said = _said(job_id, row.organisation_id, attempt=row.attempts)
                append_audit(connection, "study_job_started", said)
        return None if row is None else (StudyJob(*row), holder)

    def renew(
        self, job_id: str, holder: str, *, lease: float, progress: dict[str, Any] | None, log: str
    ) -> bool | None:
        """Say that the worker is alive, and how far it has come.

        Returns
        -------
        bool or None
            Whether it goes on; False where a user wants it to end, None where it is no longer this worker's.
        """
        values = {"held_until": time.time() + lease, "progress": progress, "log": log[-_LOG_KEPT:]}
        held = and_(StudyJobRow.job_id == job_id, StudyJobRow.holder == holder, StudyJobRow.state == "running")
        with writing(self._engine) as connection:
            statement = update(StudyJobRow).where(held).values(**values).returning(StudyJobRow.cancelled_by)
            row = connection.execute(statement).first()
        return None if row is None else row.cancelled_by is None

    def end(self, job_id: str, holder: str, state: JobState, *, exit_status: int | None, log: str) -> bool:
        """Note how a job ended; False where it is no longer this worker's."""
        held = and_(StudyJobRow.job_id == job_id, StudyJobRow.holder == holder, StudyJobRow.state == "running")
        values = {"state": state, "exit_status": exit_status, "ended_at": time.time(), "log": log[-_LOG_KEPT:]}
        with writing(self._engine) as connection:
            statement = update(StudyJobRow).where(held).values(**values, holder=None)
            row = connection.execute(statement.returning(StudyJobRow.organisation_id)).first()
            if row is None:
                return False
            said = _said(job_id, row.organisation_id, exit_status=exit_status)
            append_audit(connection, f"study_job_{state}", said)
        return True

    def mark_lost(self) -> int:
        """Mark the jobs whose worker no longer says that it is alive; tell how many."""
        gone = and_(StudyJobRow.state == "running", StudyJobRow.held_until < time.time())
        with reading(self._engine) as connection:
            if connection.execute(select(StudyJobRow.job_id).where(gone).limit(1)).first() is None:
                return 0
        with writing(self._engine) as connection:
            return _lose(connection, gone)


def _lose(connection: Connection, gone: Any) -> int:
    values = {"state": "lost", "ended_at": time.time(), "holder": None}
    statement = update(StudyJobRow).where(gone).values(**values)
    rows = connection.execute(statement.returning(StudyJobRow.job_id, StudyJobRow.organisation_id)).fetchall()
    for row in rows:
        append_audit(connection, "study_job_lost", _said(row.job_id, row.organisation_id))
    return len(rows)


def _said(job_id: str, organisation_id: int, **more: Any) -> dict[str, Any]:
    return {"job": job_id, "organisation": organisation_id, **more}
