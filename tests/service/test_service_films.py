"""Films received, read by a worker, and the health of the links."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("huey", reason="the service needs the extra 'web'")
pytest.importorskip("sqlalchemy", reason="the service needs the extra 'web'")

from carina.archive import DeskFilm, Study, WorklistQuery, create_study
from carina.errors import FilmRejectedError
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import FilmWorker, JobQueue, check_health, health_check, receive_files, receive_film
from carina.service.health import _CHECKS
from carina.settings import Settings


@pytest.fixture(scope="module")
def film_bytes() -> bytes:
    file = io.BytesIO()
    phantom_dicom(phantom_film(1, label="viral"), patient="ZZZ0016").save_as(file)
    return file.getvalue()


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with create_study(tmp_path / "service", "service") as made:
        made.accounts.add_organisation("ZZZ District")
        yield made


@pytest.fixture
def settings(tiny_bundle: Path) -> Settings:
    return Settings.model_validate({"service": {"model": str(tiny_bundle), "lease_seconds": 5, "attempts": 2}})


def _receive(study: Study, data: bytes, settings: Settings, queue: JobQueue | None = None) -> DeskFilm:
    return receive_film(study, data, organisation_id=1, source="upload", settings=settings, queue=queue)[0]


def _look(study: Study, film: DeskFilm) -> DeskFilm:
    found = study.desk.film(film.entry_id, organisation_id=1, referrer_id=None)
    assert found is not None
    return found


def test_a_film_goes_from_receipt_through_the_queue_to_a_result(
    study: Study, settings: Settings, film_bytes: bytes
) -> None:
    with FilmWorker(study, settings) as worker:
        queue = JobQueue(study, settings, worker.read)
        film = _receive(study, film_bytes, settings, queue)
        assert (film.patient_id, film.patient_name, film.state) == ("ZZZ0016", "PHANTOM^0001", "received")
        assert queue.run_one()
        assert not queue.run_one()
    read = _look(study, film)
    assert (read.state, read.reason) == ("read", None)
    result = study.desk.result(film.entry_id, organisation_id=1)
    assert result is not None
    assert sum(result.reading["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert read.urgency == pytest.approx(1 - result.reading["probabilities"]["normal"], abs=1e-5)
    assert {"maps", "lungs", "heat-normal", "heat-covid19"} <= set(result.files)
    assert study.store.read(result.files["heat-normal"]).startswith(b"\x89PNG")
    assert study.archive.films()["film_id"].to_list() == [film.film_id]
    assert not list(study.folder.glob(".worker-*"))


def test_a_killed_worker_loses_no_film_and_a_film_that_kills_is_given_up(
    study: Study, settings: Settings, film_bytes: bytes
) -> None:
    film = _receive(study, film_bytes, settings)
    for _ in range(2):  # claimed, and never seen again
        assert study.desk.claim(film.entry_id, organisation_id=1, lease=-1.0) is not None
    with FilmWorker(study, settings) as worker:
        queue = JobQueue(study, settings, worker.read)
        assert queue.sweep() == 1
        assert queue.run_one()
    left = _look(study, film)
    assert (left.state, left.code) == ("failed", "worker_ended")
    assert "by hand" in (left.reason or "")


def test_the_same_job_twice_makes_one_result(study: Study, settings: Settings, film_bytes: bytes) -> None:
    film = _receive(study, film_bytes, settings)
    with FilmWorker(study, settings) as worker:
        worker.read(1, film.entry_id)
        worker.read(1, film.entry_id)
    assert [entry.event for entry in study.archive.audit_log()].count("film_read") == 1
    assert _look(study, film).attempts == 1


def test_a_picture_cut_short_is_refused_by_the_worker_in_words(study: Study, settings: Settings) -> None:
    picture = io.BytesIO()
    Image.effect_noise((256, 256), 50).save(picture, "PNG")
    film = _receive(study, picture.getvalue()[:-20_000], settings)
    with FilmWorker(study, settings) as worker:
        worker.read(1, film.entry_id)
    left = _look(study, film)
    assert left.state == "refused"
    assert left.code is not None
    assert "the file" in (left.reason or "")


def test_a_film_cut_short_is_refused_at_the_door(study: Study, settings: Settings, film_bytes: bytes) -> None:
    with pytest.raises(FilmRejectedError, match="ends inside its pixel data"):
        _receive(study, film_bytes[:-1000], settings)


@pytest.mark.parametrize(("data", "code"), [(b"", "empty"), (b"hello" * 100, "not_a_picture")])
def test_what_is_no_film_is_refused_at_the_door(study: Study, settings: Settings, data: bytes, code: str) -> None:
    with pytest.raises(FilmRejectedError) as caught:
        _receive(study, data, settings)
    assert caught.value.code == code
    assert study.desk.worklist(WorklistQuery(), organisation_id=1, referrer_id=None).films == ()


def test_an_upload_of_film_zip_and_rubbish_takes_the_good_and_says_what_is_wrong(
    study: Study, settings: Settings, film_bytes: bytes
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../evil.dcm", film_bytes)
        archive.writestr("inner.zip", b"PK\x03\x04")
    files = [("a.dcm", io.BytesIO(film_bytes)), ("b.zip", packed), ("c.txt", io.BytesIO(b"hello" * 50))]
    packed.seek(0)
    done = list(
        receive_files(study, iter(files), organisation_id=1, settings=settings, queue=None, referrer_id=None, by=None)
    )
    assert [(each.film is not None, each.new, each.code) for each in done] == [
        (True, True, None),
        (True, False, None),
        (False, False, "nested_zip"),
        (False, False, "not_a_picture"),
    ]
    assert not list(study.folder.glob(".upload-*"))


def test_jobs_in_the_queue_are_json_and_name_no_patient(study: Study, settings: Settings, film_bytes: bytes) -> None:
    queue = JobQueue(study, settings)
    film = _receive(study, film_bytes, settings, queue)
    (message,) = queue._huey.storage.enqueued_items()
    assert json.loads(message)["args"] == [1, film.entry_id]
    assert (study.folder / "queue.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_worker_clears_what_has_run_out_once_an_hour(study: Study, settings: Settings) -> None:
    user = study.accounts.add_user("zzz.reader", organisation_id=1, role="radiologist", password_hash="x")  # noqa: S106 - no password
    tokens = [study.accounts.begin_session(user, "full", now=time.time() - hours * 3600) for hours in (0, 11)]
    huey = JobQueue(study, settings)._huey
    for minute in range(60):
        for task in huey.read_periodic(dt.datetime(2020, 4, 1, 8, minute)):  # noqa: DTZ001 - huey's own form
            if task.name.endswith("clear_expired"):
                huey.execute(task)
    kept = [study.accounts.session(each, idle=1e9, absolute=1e9) is not None for each in tokens]
    assert kept == [True, False], "session_hours is 10"


def test_a_queue_that_is_away_loses_no_film(
    study: Study, settings: Settings, film_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    away = settings.model_copy(update={"service": settings.service.model_copy(update={"queue": "redis://127.0.0.1:1"})})
    pytest.importorskip("redis", reason="Redis needs the extra 'redis'")
    with caplog.at_level(logging.WARNING):
        film = _receive(study, film_bytes, settings, JobQueue(study, away))
    assert "waits in the database" in caplog.text
    assert study.desk.waiting() == [(1, film.entry_id)]
    health = {each.name: each for each in check_health(study, away)}
    assert not health["queue"].well
    assert "Redis" in health["queue"].mend


def test_a_whole_service_is_well_in_every_link(study: Study, settings: Settings) -> None:
    health = check_health(study, settings)
    assert [each.name for each in health][:4] == ["database", "storage", "queue", "films"]
    assert [(each.name, each.found) for each in health if not each.well] == []


def test_a_check_that_breaks_is_a_finding_and_says_how_to_mend_it(study: Study, settings: Settings) -> None:
    @health_check("zzz", "Turn it off and on.")
    def _broken(*_: object) -> str:
        raise RuntimeError("secret")

    try:
        (found,) = (each for each in check_health(study, settings) if each.name == "zzz")
    finally:
        del _CHECKS["zzz"]
    assert (found.well, found.found, found.mend) == (False, "the check broke off: RuntimeError", "Turn it off and on.")
