"""Jobs of the study pages: put into a queue, run one at a time as the command line's verbs, watched, cancelled.

A job is a process group of its own. Its worker says every second that it is alive and how far the verb has come; a
worker that is killed takes its verb with it, and leaves a job that is marked as lost and can be started again.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from huey import crontab

from carina.archive import JobState, Study, StudyJob
from carina.errors import ArchiveError, CarinaError, InputError
from carina.service import study_child
from carina.service.health import health_check
from carina.service.queue import open_huey
from carina.service.study_folders import StudyFolders, read_json
from carina.service.study_verbs import VERBS, check_choices, command_of
from carina.settings import ResearchStudy, Settings

__all__ = ["StudyQueue", "order_job", "progress_of", "research_study"]

_LOG: Final = logging.getLogger("carina.service")
_LOOK: Final = 0.25
_RENEW: Final = 1.0
_KEPT: Final = 20_000
_OPEN_MOST: Final = 20
_SOME_REFUSED: Final = 3
_HANDED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_COUNTED: Final = re.compile(r"^([^:\n]{1,60}): (\d{1,9}) of (\d{1,9})\s*$", re.MULTILINE)


def research_study(settings: Settings, name: str) -> ResearchStudy:
    """Find a study that the settings name.

    Raises
    ------
    InputError
        If they name none of that name.
    """
    for study in settings.research.studies:
        if study.name == name:
            return study
    raise InputError("the settings must name the study under [[research.studies]], and do not")


def order_job(
    study: Study,
    research: ResearchStudy,
    verb: str,
    given: Mapping[str, str],
    *,
    organisation_id: int,
    user_id: int,
) -> StudyJob:
    """Check an order and keep it.

    Parameters
    ----------
    study : Study
        Of kind service.
    research : ResearchStudy
    verb : str
        One of `VERBS`.
    given : mapping of str to str
        Choices by field.
    organisation_id, user_id : int
        Whose order it is.

    Raises
    ------
    InputError
        If verb or choice is on no list, or too many jobs of the study wait.
    """
    folders = StudyFolders(research)
    choices = check_choices(verb, given, folders)
    if sum(job.is_open for job in study.jobs.jobs(research.name)) >= _OPEN_MOST:
        raise InputError(
            f"a study must have at most {_OPEN_MOST} jobs that wait or run; cancel one, or wait for its end"
        )
    own = f"{verb}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    run = own if VERBS[verb].into else choices["evaluation"]
    return study.jobs.order(
        study=research.name, verb=verb, choices=choices, run=run, organisation_id=organisation_id, user_id=user_id
    )


def progress_of(text: str) -> dict[str, Any] | None:
    r"""How far a verb has come, from what it wrote; None before it says so.

    Parameters
    ----------
    text : str
        The end of its log.

    Examples
    --------
    >>> progress_of("films: 2 of 10\nfilms: 4 of 10\n")
    {'what': 'films', 'done': 4, 'total': 10}
    """
    counted = list(_COUNTED.finditer(text))
    if not counted:
        return None
    what, done, total = counted[-1].groups()
    return {"what": what, "done": min(int(done), int(total)), "total": int(total)}


class StudyQueue:
    """Jobs that wait; losing the queue loses none, for `sweep` fills it from the database.

    Parameters
    ----------
    study : Study
        Of kind service.
    settings : Settings
    """

    def __init__(self, study: Study, settings: Settings) -> None:
        self._study = study
        self._settings = settings
        self._huey = open_huey(study.folder, settings.service.queue, "carina-study")

        def run_study_job(job_id: str) -> None:
            self.run_job(job_id)

        def sweep_study_jobs() -> None:
            self.sweep()

        self._task = self._huey.task(name="run_study_job")(run_study_job)
        self._huey.periodic_task(crontab(minute="*"), name="sweep_study_jobs")(sweep_study_jobs)

    def put(self, job_id: str) -> bool:
        """Hand a job to the worker; False where the queue is away: the job is found again by the next `sweep`."""
        try:
            self._task(job_id)
        except Exception as error:  # noqa: BLE001 - SQLite's and Redis's errors share no base; nothing is lost
            _LOG.warning("the queue of jobs does not answer (%s); the job waits in the database", type(error).__name__)
            return False
        return True

    def sweep(self) -> int:
        """Mark lost jobs, and put every job that waits; one put twice is run once."""
        self._study.jobs.mark_lost()
        return sum(self.put(each) for each in self._study.jobs.waiting())

    def run_one(self) -> bool:
        """Take one job and do it; False where none waits."""
        task = self._huey.dequeue()
        if task is None:
            return False
        self._huey.execute(task)
        return True

    def run(self) -> None:
        """Work until a signal ends it, one job at a time."""
        self.sweep()
        self._huey.create_consumer(workers=1, worker_type="thread", max_delay=0.5).run()

    def run_job(self, job_id: str) -> None:
        """Do a job where it still waits and no other runs; a job that cannot begin is left for the next sweep."""
        lease = self._settings.research.lease_seconds
        claimed = self._study.jobs.claim(job_id, lease=lease)
        if claimed is None:
            return
        job, holder = claimed
        try:
            research = research_study(self._settings, job.study)
            folders = StudyFolders(research)
            workers = self._settings.research.workers
            command = command_of(job.verb, job.choices, folders, job.run, workers=workers)
            _Running(self._study, self._settings, job, holder, folders).run(command)
        except (CarinaError, OSError) as error:
            said = str(error) if isinstance(error, CarinaError) else f"{type(error).__name__}: {error.strerror}"
            _LOG.error("a study's job could not be run: %s", type(error).__name__)
            self._study.jobs.end(job_id, holder, "failed", exit_status=None, log=f"carina: {said}\n")


@health_check(
    "jobs", "Start a worker for the study pages: carina worker FOLDER --jobs; start lost jobs again on their pages."
)
def _jobs(study: Study, settings: Settings) -> str:
    study.jobs.mark_lost()
    late = time.time() - settings.research.lease_seconds * 2
    waiting = [job for each in settings.research.studies for job in study.jobs.jobs(each.name) if job.is_open]
    if any(job.state == "running" for job in waiting):
        return "A job of the study pages runs."
    if any(job.ordered_at < late for job in waiting):
        raise CarinaError("jobs of the study pages wait, none runs, and no worker has come for them")
    return "No job of the study pages waits for a worker."


class _Running:
    """One command, from its start to its end."""

    def __init__(self, study: Study, settings: Settings, job: StudyJob, holder: str, folders: StudyFolders) -> None:
        self._jobs = study.jobs
        self._research = settings.research
        self._job = job
        self._holder = holder
        self._folders = folders
        self._epochs: int | None = None
        place = folders.runs_folder / ".jobs"
        place.mkdir(mode=0o700, exist_ok=True)
        self._log = place / f"{job.job_id}.log"

    def run(self, command: list[str]) -> None:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command, with arguments from lists, and no shell
                [sys.executable, "-P", study_child.__file__, sys.executable, "-P", "-m", "carina", *command],
                stdin=subprocess.PIPE,
                stdout=descriptor,
                stderr=descriptor,
                cwd=self._folders.runs_folder,
                env=_environment(self._research.workers),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        try:
            state, said = self._watch(process)
        finally:
            _kill(process)
        log = self._tail() + said
        self._jobs.end(self._job.job_id, self._holder, state, exit_status=process.returncode, log=log)

    def _watch(self, process: subprocess.Popen[bytes]) -> tuple[JobState, str]:
        told = 0.0
        while process.poll() is None:
            if time.monotonic() - told >= _RENEW:
                told = time.monotonic()
                goes_on = self._renew()
                if goes_on is False:
                    _end(process, self._research.cancel_seconds)
                    return "cancelled", "carina: cancelled; the same job may be started again\n"
                if goes_on is None:
                    return "lost", ""
            time.sleep(_LOOK)
        return ("done" if process.returncode in (0, _SOME_REFUSED) else "failed"), ""

    def _renew(self) -> bool | None:
        log = self._tail()
        progress = self._passes() or progress_of(log)
        lease = self._research.lease_seconds
        try:
            return self._jobs.renew(self._job.job_id, self._holder, lease=lease, progress=progress, log=log)
        except ArchiveError:
            # a database that is away for a moment must not end a training; the lease says when it did
            return True

    def _passes(self) -> dict[str, Any] | None:
        """How many passes a training has begun, from its own record of losses; None before the first is written."""
        root = self._folders.runs_folder
        run = root / self._job.run
        if self._job.verb != "train":
            return None
        if self._epochs is None:
            epochs = ((read_json(run / "run.json", root) or {}).get("recipe") or {}).get("epochs")
            self._epochs = epochs if isinstance(epochs, int) else None
        last = _last_line(max(run.glob("logs/csv/version_*/metrics.csv"), key=os.path.getmtime, default=None))
        begun = last.partition(",")[0]
        if self._epochs is None or not begun.isdecimal():
            return None
        return {"what": "passes", "done": min(self._epochs, int(begun) + 1), "total": self._epochs}

    def _tail(self) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - _KEPT))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        # a bar that was drawn over itself leaves its last state alone
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        return "".join(letter for letter in "\n".join(lines) if letter.isprintable() or letter == "\n")


def _last_line(path: Path | None) -> str:
    """Last line of a small text file; empty where there is none."""
    try:
        return "" if path is None else path.read_text("utf-8").rstrip().rpartition("\n")[2]
    except (OSError, UnicodeDecodeError):
        return ""


def _environment(workers: int) -> dict[str, str]:
    handed = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return {**handed, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": str(workers), "NO_COLOR": "1"}


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask the whole group to end, as Ctrl-C does, then more firmly, then make it."""
    for each, share in ((signal.SIGINT, 0.6), (signal.SIGTERM, 0.4)):
        if process.poll() is None:
            os.killpg(process.pid, each)
            try:
                process.wait(timeout=seconds * share)
            except subprocess.TimeoutExpired:
                continue
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # children that the verb left behind are in its group, which lives on for as long as one of them does
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
