"""Jobs of the study pages: only what lists offer, one at a time, watched, cancelled, lost and found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("huey", reason="the service needs the extra 'web'")
pytest.importorskip("sqlalchemy", reason="the service needs the extra 'web'")

from carina.archive import Study, StudyJob, create_study, open_study
from carina.errors import InputError
from carina.service import Health, check_health, study_jobs
from carina.service.models import check_model
from carina.service.study_folders import StudyFolders
from carina.service.study_jobs import StudyQueue, order_job, progress_of, research_study
from carina.service.study_verbs import VERBS, check_choices, command_of
from carina.settings import Settings

LEASE = 5.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "runs" / "tables").mkdir(parents=True)
    (tmp_path / "runs" / "tables" / "films.csv").write_text("path,label,patient_id\n", "utf-8")
    (tmp_path / "research" / "cohort").mkdir(parents=True)
    named = {
        "name": "zzz-study",
        "folder": str(tmp_path / "research"),
        "runs": str(tmp_path / "runs"),
        "organisations": ["ZZZ District"],
    }
    return Settings.model_validate({"research": {"studies": [named], "lease_seconds": LEASE, "cancel_seconds": 5}})


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service") as made:
        home = made.accounts.add_organisation("ZZZ District").organisation_id
        made.accounts.add_user("zzz.researcher", organisation_id=home, role="researcher", password_hash="x")  # noqa: S106 - of nobody
        yield made


@pytest.fixture
def folders(settings: Settings) -> StudyFolders:
    return StudyFolders(research_study(settings, "zzz-study"))


@pytest.fixture
def order(study: Study, settings: Settings) -> Callable[..., StudyJob]:
    def make(verb: str = "texture", **choices: str) -> StudyJob:
        given = {"table": "tables/films.csv", **choices}
        named = research_study(settings, "zzz-study")
        return order_job(study, named, verb, given, organisation_id=1, user_id=1)

    return make


@pytest.fixture
def phantoms(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let every job draw phantom films instead, with the real command line."""

    def make(films: int) -> None:
        def command(_verb: str, _choices: object, folders: StudyFolders, run: str, *, workers: int) -> list[str]:
            del workers
            return ["phantom", str(folders.runs_folder / run), "--films", str(films), "--size", "64"]

        monkeypatch.setattr(study_jobs, "command_of", command)

    return make


def _wait(done: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _look(study: Study, job: StudyJob) -> StudyJob:
    found = study.jobs.job(job.job_id)
    assert found is not None
    return found


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_runs_the_command_line_and_says_how_far_it_came(
    study: Study, settings: Settings, order: Callable[..., StudyJob], phantoms: Callable[[int], None]
) -> None:
    phantoms(5)
    queue, job = StudyQueue(study, settings), order()
    assert queue.put(job.job_id)
    assert queue.run_one()
    done = _look(study, job)
    assert (done.state, done.exit_status, done.attempts) == ("done", 0, 1)
    assert progress_of(done.log) == {"what": "phantom films", "done": 5, "total": 5}
    assert (Path(settings.research.studies[0].runs) / job.run / "films.csv").is_file()
    events = [each.event for each in study.archive.audit_log()]
    assert events[-3:] == ["study_job_ordered", "study_job_started", "study_job_done"]
    log = Path(settings.research.studies[0].runs) / ".jobs" / f"{job.job_id}.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert (Path(settings.research.studies[0].runs) / job.run).stat().st_mode & 0o077 == 0


def test_a_verb_that_refuses_leaves_a_failed_job_with_its_sentence(
    study: Study, settings: Settings, order: Callable[..., StudyJob]
) -> None:
    queue, job = StudyQueue(study, settings), order("evaluate", model="pneumonia-seed", audit="without")
    queue.run_job(job.job_id)
    failed = _look(study, job)
    assert (failed.state, failed.exit_status) == ("failed", 2)
    assert failed.log.startswith("carina: ")
    assert "Traceback" not in failed.log


def test_one_job_runs_at_a_time_and_a_cancelled_one_takes_its_processes_with_it(
    study: Study, settings: Settings, order: Callable[..., StudyJob], phantoms: Callable[[int], None]
) -> None:
    phantoms(100_000)
    queue, first, second = StudyQueue(study, settings), order(), order()
    worker = threading.Thread(target=queue.run_job, args=(first.job_id,))
    worker.start()
    runs = Path(settings.research.studies[0].runs)
    _wait((runs / first.run / "films").is_dir)
    queue.run_job(second.job_id)  # a second worker
    assert _look(study, second).state == "queued"
    assert study.jobs.before(second) == 1
    group = _group_of(first.run)
    study.jobs.cancel(first, by=1)
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert _look(study, first).state == "cancelled"
    assert not _alive(group)
    study.jobs.cancel(second, by=1)
    assert _look(study, second).state == "cancelled"
    study.jobs.again(_look(study, first), by=1)
    assert (_look(study, first).state, _look(study, first).run) == ("queued", first.run)


def _group_of(run: str) -> int:
    """Process group of the command that writes a run."""
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                if run.encode() in (each / "cmdline").read_bytes():
                    return os.getpgid(int(each.name))
            except (OSError, ProcessLookupError):
                continue
    raise AssertionError("no process writes the run")


_WORKER = """
import sys
from pathlib import Path
from carina.archive import open_study
from carina.service import Health, check_health, study_jobs
from carina.settings import Settings
settings = Settings.model_validate_json(sys.argv[2])
study_jobs.command_of = lambda verb, choices, folders, run, workers: [
    "phantom", str(folders.runs_folder / run), "--films", "100000", "--size", "64"]
with open_study(Path(sys.argv[1]), "service") as study:
    study_jobs.StudyQueue(study, settings).run_job(sys.argv[3])
"""


def test_a_killed_worker_takes_its_verb_along_and_leaves_a_lost_job_that_can_be_started_again(
    study: Study, settings: Settings, order: Callable[..., StudyJob], phantoms: Callable[[int], None]
) -> None:
    job = order()
    command = [sys.executable, "-c", _WORKER, str(study.folder), settings.model_dump_json(), job.job_id]
    worker = subprocess.Popen(command)  # noqa: S603 - our own
    runs = Path(settings.research.studies[0].runs)
    _wait((runs / job.run / "films").is_dir)
    group = _group_of(job.run)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    _wait(lambda: not _alive(group))
    _wait(lambda: study.jobs.mark_lost() == 1, LEASE + 5)
    assert _look(study, job).state == "lost"
    assert study.archive.audit_log()[-1].event == "study_job_lost"
    phantoms(1)
    study.jobs.again(_look(study, job), by=1)
    queue = StudyQueue(study, settings)
    assert queue.sweep() == 1
    assert queue.run_one()
    assert (_look(study, job).state, _look(study, job).attempts) == ("done", 2)


def test_a_job_that_no_worker_comes_for_is_seen_on_the_health_page(
    study: Study, settings: Settings, order: Callable[..., StudyJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> Health:
        return next(each for each in check_health(study, settings) if each.name == "jobs")

    job = order()
    assert found().well
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * LEASE)
    assert not found().well
    assert "--jobs" in found().mend
    study.jobs.cancel(job, by=1)
    assert found().well


def test_a_study_has_so_many_jobs_in_line_and_no_more(study: Study, order: Callable[..., StudyJob]) -> None:
    for _ in range(20):
        order()
    with pytest.raises(InputError, match="at most 20 jobs"):
        order()
    assert len(study.jobs.waiting()) == 20


def test_the_queue_holds_the_name_of_a_job_and_nothing_of_its_command(
    study: Study, settings: Settings, order: Callable[..., StudyJob]
) -> None:
    queue, job = StudyQueue(study, settings), order()
    queue.put(job.job_id)
    (message,) = queue._huey.storage.enqueued_items()
    assert job.job_id.encode() in message
    assert b"films.csv" not in message
    with open_study(study.folder, "service") as other:
        assert other.jobs.waiting() == [job.job_id]


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("phantom", {}),
        ("train", {"table": "/etc/passwd"}),
        ("train", {"table": "../films.csv"}),
        ("train", {"table": "tables/films.csv", "epochs": "3; rm -rf /"}),
        ("train", {"table": "tables/films.csv", "recipe": "--out"}),
        ("evaluate", {"model": "/tmp/evil", "table": "tables/films.csv"}),  # noqa: S108 - as an attacker would
        ("report", {"evaluation": ".."}),
    ],
)
def test_what_is_on_no_list_is_refused(folders: StudyFolders, verb: str, given: dict[str, str]) -> None:
    with pytest.raises(InputError):
        check_choices(verb, given, folders)


@pytest.mark.parametrize("run", ["../other", "/etc", "--out", ".jobs", "a/b"])
def test_a_run_is_never_a_path(folders: StudyFolders, run: str) -> None:
    with pytest.raises(InputError, match="plain name"):
        command_of("texture", {"table": "tables/films.csv"}, folders, run, workers=1)


def test_every_command_has_only_paths_below_the_named_folders(folders: StudyFolders) -> None:
    run = folders.runs_folder / "zzz"
    run.mkdir()
    (run / "metrics.json").write_text("{}", "utf-8")
    for verb in VERBS:
        command = command_of(verb, {}, folders, "run-1", workers=1)
        assert command[0] == verb
        paths = [Path(each) for each in command if each.startswith("/")]
        assert paths
        assert all(each.is_relative_to(folders.runs_folder) or each.is_relative_to(folders.folder) for each in paths)


def test_the_command_of_a_training_is_the_one_a_person_would_type(folders: StudyFolders) -> None:
    choices = {"table": "tables/films.csv", "recipe": "pneumonia-seed", "epochs": "4", "size": "64"}
    runs = folders.runs_folder
    assert command_of("train", choices, folders, "run-1", workers=2) == [
        *("train", str(runs / "tables" / "films.csv"), "--recipe", "pneumonia-seed", "--size", "64", "--epochs", "4"),
        *("--seed", "1", "--out", str(runs / "run-1"), "--threads", "2", "--name", "zzz-study"),
        *("--bundle-version", "run-1"),
    ]


def test_a_link_out_of_the_folders_is_on_no_list(folders: StudyFolders, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("x", "utf-8")
    (outside / "metrics.json").write_text("{}", "utf-8")
    (folders.runs_folder / "tables" / "link.csv").symlink_to(outside / "secret.csv")
    (folders.runs_folder / "run").symlink_to(outside)
    assert list(folders.tables()) == ["tables/films.csv"]
    assert folders.runs() == []


def test_progress_is_the_last_that_was_said() -> None:
    assert progress_of("") is None
    assert progress_of("carina: no\n") is None
    assert progress_of("films: 1 of 4\nmaps: 2 of 3\n") == {"what": "maps", "done": 2, "total": 3}


_RECIPE = """
network = "seed_cnn"
pretrained = false
hierarchical = false
convolutions = 2
size = 32
epochs = 2
batch = 16
augmentation = "none"
averaging = 0.0
"""


@pytest.mark.slow  # a real training of a tiny network, about half a minute
def test_a_training_and_its_evaluation_from_the_lists(
    study: Study, settings: Settings, order: Callable[..., StudyJob], folders: StudyFolders
) -> None:
    pytest.importorskip("torch", reason="training needs the extra 'train'")
    pytest.importorskip("onnxscript", reason="training needs the extra 'train'")
    runs, queue = folders.runs_folder, StudyQueue(study, settings)
    (runs / "recipes").mkdir()
    (runs / "recipes" / "tiny.toml").write_text(_RECIPE, "utf-8")
    command = [sys.executable, "-m", "carina", "phantom", str(runs / "tables"), "--films", "320", "--size", "64"]
    subprocess.run([*command, "--format", "png"], check=True, capture_output=True)  # noqa: S603 - our own
    trained = order("train", recipe="recipes/tiny.toml")
    queue.run_job(trained.job_id)
    done = _look(study, trained)
    assert done.state == "done", done.log
    assert done.progress is None or done.progress["what"] in ("films read", "passes")
    judged = order("evaluate", model=trained.run, table=f"{trained.run}/split.csv", split="test", audit="without")
    queue.run_job(judged.job_id)
    assert _look(study, judged).state == "done", _look(study, judged).log
    assert folders.run(judged.run, "evaluation")
    made = check_model(study, settings, folders.models()[trained.run], origin="a test", verdicts={})
    assert (made.name, made.version) == ("zzz-study", trained.run)
    assert study.store.exists(made.path or "")
