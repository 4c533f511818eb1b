"""Texture sheets: asked for once, made by a worker, failures in words, nothing lost."""

from __future__ import annotations

import io
import time
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("huey", reason="the service needs the extra 'web'")

from carina.archive import DeskFilm, Study, create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import JobQueue, SheetMaker, receive_film
from carina.settings import Settings


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Study, DeskFilm]:
    study = create_study(tmp_path / "service", "service")
    home = study.accounts.add_organisation("ZZZ District").organisation_id
    study.accounts.add_user("zzz.one", organisation_id=home, role="radiologist", password_hash="-")  # noqa: S106 - none
    content = io.BytesIO()
    phantom_dicom(phantom_film(1, size=512), patient="ZZZ0016").save_as(content)
    film, _ = receive_film(study, content.getvalue(), organisation_id=1, source="upload", settings=Settings())
    return study, film


def test_a_sheet_without_reference_films_says_what_to_set(desk: tuple[Study, DeskFilm]) -> None:
    study, film = desk
    assert study.sheets.of(film) is None
    study.sheets.ask(film, user_id=1)
    assert study.sheets.waiting() == [(1, film.entry_id)]
    SheetMaker(study, Settings()).make(1, film.entry_id)
    made = study.sheets.of(film)
    assert made is not None
    assert made.state == "failed"
    assert "texture_reference" in str(made.reason)
    study.sheets.ask(film, user_id=1)  # asked again, it is tried again
    assert study.sheets.of(film).state == "asked"  # type: ignore[union-attr]  # it is there


def test_a_sheet_is_held_by_one_worker_and_found_again_after_its_end(desk: tuple[Study, DeskFilm]) -> None:
    study, film = desk
    study.sheets.ask(film, user_id=1)
    assert study.sheets.claim(film.entry_id, organisation_id=1, lease=0.05) is not None
    assert study.sheets.claim(film.entry_id, organisation_id=1, lease=0.05) is None
    assert study.sheets.waiting() == []
    time.sleep(0.06)
    assert study.sheets.waiting() == [(1, film.entry_id)]


def test_the_queue_hands_sheets_to_the_worker_and_finds_those_it_lost(desk: tuple[Study, DeskFilm]) -> None:
    study, film = desk
    done: list[tuple[int, str]] = []
    queue = JobQueue(study, Settings(), lambda *_: None, lambda *job: done.append(job))
    study.sheets.ask(film, user_id=1)
    assert queue.sweep() == 2  # the film, and its sheet
    while queue.run_one():
        pass
    assert done == [(1, film.entry_id)]


@pytest.mark.slow
def test_a_sheet_holds_the_film_against_the_reference(desk: tuple[Study, DeskFilm], tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="texture needs the extra 'texture'")
    from carina.evidence.texture_films import MeasureOptions  # noqa: PLC0415 - the extra
    from carina.evidence.texture_rows import film_rows  # noqa: PLC0415 - as above
    from carina.evidence.texture_run import extract_texture  # noqa: PLC0415 - as above
    from carina.tasks import default_task  # noqa: PLC0415 - as above

    study, film = desk
    rows = []
    for seed in range(10, 22):
        phantom_dicom(phantom_film(seed, size=384), patient=f"ZZZ{seed:04d}").save_as(tmp_path / f"{seed}.dcm")
        rows.append({"path": f"{seed}.dcm", "label": "normal", "patient_id": f"p{seed}", "source": "phantom"})
    pl.DataFrame(rows).write_csv(tmp_path / "films.csv")
    features = tmp_path / "features.parquet"
    extract_texture(film_rows([tmp_path / "films.csv"], default_task()), features, MeasureOptions(regions=("lungs",)))
    study.sheets.ask(film, user_id=1)
    SheetMaker(study, Settings.model_validate({"service": {"texture_reference": str(features)}})).make(1, film.entry_id)
    made = study.sheets.of(film)
    assert made is not None
    assert (made.state, made.reason) == ("made", None)
    text = study.store.read(str(made.page)).decode()
    assert "12 films of 12 other patients" in text
    assert "ZZZ0016" not in text
    assert list(study.folder.glob(".sheet-*")) == []
