"""Result objects of readings that the desk keeps: whose they are, and what the log says of them."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from carina.archive import Study, create_study
from carina.archive.objects import ObjectQuery, ObjectScope
from carina.pacs.making import ResultMaker
from carina.service import FilmWorker, JobQueue, receive_film
from carina.settings import Settings

NAME = "ZZZTESTCASE"  # of one part: highdicom warns of such a name, and quotes it


def _bytes(film: FileDataset) -> bytes:
    file = io.BytesIO()
    film.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture
def made(tmp_path: Path, tiny_bundle: Path) -> Iterator[Callable[..., tuple[Study, ResultMaker]]]:
    """A study that has read films, and what makes their results."""
    studies = []

    def make(*films: FileDataset) -> tuple[Study, ResultMaker]:
        settings = Settings.model_validate({"service": {"model": str(tiny_bundle)}})
        study = create_study(tmp_path / "service", "service")
        studies.append(study)
        study.accounts.add_organisation("ZZZ District")
        with FilmWorker(study, settings) as worker:
            queue = JobQueue(study, settings, worker.read)
            for film in films:
                receive_film(study, _bytes(film), organisation_id=1, source="upload", settings=settings, queue=queue)
                assert queue.run_one()
        return study, ResultMaker(study, settings)

    yield make
    for each in studies:
        each.close()


def test_no_name_goes_into_warnings_or_the_log(
    made: Callable[..., tuple[Study, ResultMaker]],
    phantoms: list[Path],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = dcmread(phantoms[0])
    film.PatientName = NAME
    _, maker = made(film, dcmread(phantoms[1]))
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert maker.step()

        def broken(*_: object) -> None:
            raise ValueError(f"cannot write {NAME}")

        monkeypatch.setattr("carina.pacs.making.build_results", broken)
        assert maker.step()
    said = [str(each.message) for each in told] + [each.getMessage() for each in caplog.records]
    assert any("ValueError at test_result_making.py" in each for each in said)
    assert NAME not in "".join(said) + caplog.text


def test_two_films_under_one_uid_get_results_of_their_own(
    made: Callable[..., tuple[Study, ResultMaker]], phantoms: list[Path]
) -> None:
    first, second = (dcmread(path) for path in phantoms[:2])
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    second.StudyInstanceUID = first.StudyInstanceUID
    study, maker = made(first, second)
    while maker.step():
        pass
    found = study.objects.find(ObjectQuery(), ObjectScope(1, None))
    assert len({each.entry_id for each in found}) == 2
    assert len({each.sop_instance_uid for each in found}) == len({each.path for each in found}) == len(found) >= 8
