"""An ingest that is killed loses nothing and repeats nothing."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carina.archive import Study, create_study, open_study
from carina.ingest import ingest_films

_FILMS = 120
_CODE = """
import sys
from pathlib import Path
from carina.archive import open_study
from carina.ingest import ingest_films
with open_study(Path(sys.argv[1])) as study:
    ingest_films(
        study,
        [Path(sys.argv[2])],
        gate=False,
        workers=int(sys.argv[3]),
        progress=lambda done, total: print(done, flush=True),
    )
"""


@pytest.fixture
def many(tmp_path: Path, make_dicom: Callable[..., bytes]) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(1, _FILMS + 1):
        (folder / f"{seed:02d}.dcm").write_bytes(make_dicom(seed))
    return folder


def _killed_after(study: Path, films: Path, workers: int, done: int, pause: float) -> None:
    """Start an ingest and kill it once it has told of `done` sources and `pause` seconds have passed."""
    command = [sys.executable, "-c", _CODE, str(study), str(films), str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own interpreter
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= done:
            break
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def _check(study: Study) -> None:
    """What must hold at every moment: each row has its whole file, and each film stands once."""
    films = study.archive.films()
    for row in films.iter_rows(named=True):
        assert hashlib.sha256(study.store.read(row["path"])).hexdigest() == row["film_id"]
    assert films["sop_instance_uid"].is_unique().all()
    assert films.height == study.archive.sources().height


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_it_ends_as_if_never_killed(tmp_path: Path, many: Path, workers: int) -> None:
    folder = tmp_path / "study"
    create_study(folder, "service").close()
    moments = random.Random(workers)  # noqa: S311 - moments, no secret
    done = 0
    for _ in range(3):
        done += moments.randint(1, 9)
        _killed_after(folder, many, workers, done, moments.uniform(0.0, 0.05))
        with open_study(folder) as study:
            _check(study)
            assert study.archive.films().height >= done
    with open_study(folder) as study:
        summary = ingest_films(study, [many], gate=False)
        assert summary.accepted + summary.known == _FILMS
        _check(study)
        assert study.archive.films().height == _FILMS
        assert sorted(study.store.list()) == sorted(study.archive.films()["path"])
        assert study.archive.verify_audit() == []


@pytest.mark.parametrize("step", ["write", "rename", "commit"])
def test_killed_between_file_and_row_it_goes_on(
    tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The three moments that matter, one by one; a killed process is played by an error that nothing catches."""
    from carina.archive import store as store_module  # noqa: PLC0415 - its inside is what is broken here
    from carina.archive.archive import Archive  # noqa: PLC0415 - as above

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with create_study(tmp_path / "study", "service") as study:
        with monkeypatch.context() as broken:
            if step == "write":
                broken.setattr(store_module.os, "fsync", die)
            elif step == "rename":
                broken.setattr(Path, "replace", die)
            else:
                broken.setattr(Archive, "admit", die)
            with pytest.raises(Killed):
                ingest_films(study, [export], gate=False)
        assert study.archive.films().height == 0
        summary = ingest_films(study, [export], gate=False)
        assert summary.accepted == 4
        assert summary.orphans_removed == (1 if step == "commit" else 0)
        assert len(list(study.store.list())) == 4
