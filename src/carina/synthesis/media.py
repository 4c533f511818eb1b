"""Where the films lie: folders, zips, a DICOMDIR medium, and files that are no films, or films again."""

from __future__ import annotations

import multiprocessing
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.fileset import FileSet
from pydicom.uid import UID

from carina.synthesis.compose import Composer
from carina.synthesis.dicom import film_bytes
from carina.synthesis.plans import FilmPlan

__all__ = ["Copy", "FilmFile", "extras", "place_films", "write_media"]

_ZIP_FILMS = 400
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # zip entries need a time; this is the earliest, and the same in every run


@dataclass(frozen=True, slots=True)
class Copy:
    """A file beside the planned films: a film again, or no film.

    Attributes
    ----------
    kind : str
        ``duplicate`` (the same bytes), ``changed`` (other pixels under the same UID), ``text`` or ``empty``.
    film : FilmPlan or None
        Which film.
    """

    kind: str
    film: FilmPlan | None = None


@dataclass(frozen=True, slots=True)
class FilmFile:
    """One file to write.

    Attributes
    ----------
    path : str
        Below the hospital's folder; for a zip or a medium, where the bytes wait until they are put in.
    place : str
        Where a person finds it: the path, or ``zip#entry``.
    film : FilmPlan or None
        What it holds.
    expected : {"accepted", "refused", "duplicate", "changed"}
        What an ingest makes of it.
    why : str
        Of anything but accepted.
    """

    path: str
    place: str
    film: FilmPlan | None
    expected: str = "accepted"
    why: str = ""


def extras(composer: Composer, times: int, rng: np.random.Generator) -> list[Copy]:
    """Add films that are to be refused to the plan, and say which films appear twice.

    Parameters
    ----------
    composer : Composer
        Of the hospital; its plan grows.
    times : int
        How often each kind.
    rng : numpy.random.Generator
        Luck.
    """
    films = [film for film in composer.plan.films if film.medium == "folder" and not film.damage]
    found: list[Copy] = []
    for _ in range(times):
        kinds = ("duplicate", "duplicate", "changed")
        found += [Copy(kind, films.pop(int(rng.integers(len(films)))) if films else None) for kind in kinds]
        found.extend([Copy("text"), Copy("empty")])
        for number in range(4):
            person = films[int(rng.integers(len(films)))].person if films else composer.plan.people[0]
            composer.studies.write_outside(person, composer.start("since"), sign="N", read=False, why="refused")
            last = replace(composer.plan.films.pop(), medium="folder", plants=frozenset())
            spoilt, why = list(_spoilt(last))[number]
            composer.plan.films.append(replace(spoilt, truth=last.truth | {"refusal": why}))
    return [copy for copy in found if copy.film is not None or copy.kind in {"text", "empty"}]


def _spoilt(film: FilmPlan) -> Iterator[tuple[FilmPlan, str]]:
    """Films as ingest must refuse them, and why."""
    yield replace(film, body_part="HAND", series_description="Hand PA"), "body_part"
    yield replace(film, view_position="LL", series_description="Chest lateral"), "view"
    yield replace(film, damage="blank", syntax="explicit"), "contrast"
    yield replace(film, damage="truncated", syntax="explicit"), "truncated"


def place_films(films: Iterable[FilmPlan], copies: Iterable[Copy]) -> Iterator[FilmFile]:
    """Give every film and copy its file."""
    numbers = {"zip": 0, "dicomdir": 0}
    for film in films:
        refused = "refused" if film.truth.get("exclusion_expected") == "refused" else "accepted"
        why = film.truth.get("refusal", "")
        name = f"{film.accession}/{film.series_number}-{film.instance_number}-{film.film}"
        if film.medium == "folder":
            # A third of the folders name the patient, as exports made by hand do.
            owner = f"{film.person.nhi}_{film.person.surname}/" if film.person.number % 3 == 0 else ""
            path = f"films/pacs/{owner}{name}.dcm"
            yield FilmFile(path, path, film, refused, why)
            continue
        numbers[film.medium] += 1
        number = numbers[film.medium]
        waiting = f"films/.waiting/{film.medium}/{number:06d}.dcm"
        if film.medium == "zip":
            entry = f"{film.person.surname}_{film.person.given}/{name}.dcm"
            yield FilmFile(waiting, f"films/archive-{(number - 1) // _ZIP_FILMS + 1:02d}.zip#{entry}", film)
        else:
            yield FilmFile(waiting, "films/medium/DICOMDIR", film)
    for number, copy in enumerate(copies, start=1):
        path = f"films/zz-again/{number:03d}-{copy.kind}.dcm"
        if copy.film is None:
            yield FilmFile(path, path, None, "refused", "empty" if copy.kind == "empty" else "not_a_picture")
        elif copy.kind == "changed":
            yield FilmFile(path, path, replace(copy.film, film=copy.film.film + 1000), "changed", copy.kind)
        else:
            yield FilmFile(path, path, copy.film, "duplicate", copy.kind)


_Job = tuple[Path, FilmFile, int]


def _write(job: _Job) -> None:
    folder, file, size = job
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.film is None:
        path.write_bytes(b"" if file.why == "empty" else b"This is a letter, not a film.\n" * 20)
        return
    path.write_bytes(film_bytes(file.film, size))


def write_media(
    folder: Path, files: list[FilmFile], *, size: int, workers: int, done: Callable[[int], None] | None, uid: str
) -> None:
    """Make all films, then fill the zips and the medium.

    Parameters
    ----------
    folder : Path
        The hospital's.
    files : list of FilmFile
        What to write.
    size : int
        Side of a film, pixels.
    workers : int
        Processes.
    done : callable or None
        Called with the number of files written.
    uid : str
        Of the medium.
    """
    jobs = [(folder, file, size) for file in files]
    for number, _ in enumerate(_written(jobs, workers), start=1):
        if done is not None:
            done(number)
    _zips(folder, files)
    _medium(folder, files, uid)
    waiting = folder / "films/.waiting"
    for path in sorted(waiting.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if waiting.is_dir():
        waiting.rmdir()


def _written(jobs: list[_Job], workers: int) -> Iterator[None]:
    if workers <= 1:
        yield from map(_write, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_write, jobs, chunksize=8)


def _zips(folder: Path, files: list[FilmFile]) -> None:
    by_zip: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        name, mark, entry = file.place.partition("#")
        if mark:
            by_zip.setdefault(name, []).append((file.path, entry))
    for name, entries in by_zip.items():
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path, entry in entries:
                archive.writestr(zipfile.ZipInfo(entry, _LONG_AGO), (folder / path).read_bytes(), zipfile.ZIP_DEFLATED)


def _medium(folder: Path, files: list[FilmFile], uid: str) -> None:
    """Write the DICOMDIR and its files (PS3.10 clause 8, PS3.3 F)."""
    listed = [file for file in files if file.place.endswith("DICOMDIR")]
    if not listed:
        return
    medium = FileSet()
    medium.ID = "SYNTHETIC"
    medium.UID = UID(uid)
    for file in listed:
        medium.add(folder / file.path)
    medium.write(folder / "films/medium")
    # Left to the garbage collector, pydicom's staging folder goes with a warning.
    medium._stage["t"].cleanup()  # noqa: SLF001 - no public way to end it
