"""Standardised films in memory, decoded once (M24 augments from here).

The cache is one uint8 array beside a JSON line that says what it was made of; made again when the films, the
standardisation or the reader's version differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from carina import __version__
from carina.errors import FilmRejectedError, TrainingError
from carina.imaging import Standardisation, read_film, standardise
from carina.imaging.framing import frame_film
from carina.imaging.lung_cover import lung_cover, lungs_black
from carina.imaging.lung_fields import LungFields
from carina.inference.lungs import LungFinder
from carina.sampling import FilmTable, perceptual_hash
from carina.types import Array, Bytes

__all__ = ["CachedFilms", "cache_films"]

_FILMS, _LUNGLESS = "films.npy", "lungless.npy"
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class CachedFilms:
    """Standardised films of a table, in its order.

    Attributes
    ----------
    films : ndarray of uint8, (N, S, S)
        Memory-mapped.
    hashes : list of str
        Perceptual hash of each film.
    refused : dict of int to str
        Row and reason of the films that could not be read; their array is zeros.
    unframed : list of int
        Rows whose lung fields were implausible, so that a framing that rests on lungs shows the whole film.
    lungless : ndarray of uint8, (N, 2, S, S), or None
        Where asked for: each film with its lungs blacked out, framed as before, and the cover that blacked them (1
        there). Without plausible lungs the cover is all zeros. Memory-mapped.
    """

    films: Bytes
    hashes: list[str]
    refused: dict[int, str]
    unframed: list[int] = field(default_factory=list)
    lungless: Bytes | None = None


def cache_films(
    table: FilmTable,
    spec: Standardisation,
    folder: Path,
    *,
    lungless: bool = False,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CachedFilms:
    """Read and standardise every film of a table, or take it from an earlier run's cache.

    Parameters
    ----------
    table : FilmTable
    spec : Standardisation
    folder : Path
        Holds ``films.npy``, ``films.json`` and where wanted ``lungless.npy``; made when absent.
    lungless : bool
        Whether each film is also wanted with its lungs blacked out.
    workers : int
        Processes that read films.
    progress : callable, optional
        Called with (films done, films in all).

    Returns
    -------
    CachedFilms

    Raises
    ------
    TrainingError
        If no film could be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    array_file, note_file = folder / _FILMS, folder / "films.json"
    made_of = _fingerprint(table, spec, lungless=lungless)
    if note_file.is_file() and array_file.is_file():
        note = json.loads(note_file.read_text("utf-8"))
        if note["made_of"] == made_of:
            return _opened(folder, note)
    note_file.unlink(missing_ok=True)
    shape = (len(table), spec.size, spec.size)
    films = np.lib.format.open_memmap(array_file, mode="w+", dtype=np.uint8, shape=shape)
    without = _without_lungs(folder, shape, wanted=lungless)
    note = {"made_of": made_of, "hashes": [], "refused": {}, "unframed": []}
    for row, result in enumerate(_read_all(table.paths, spec, workers, lungless=lungless)):
        if isinstance(result, str):
            note["refused"][str(row)] = result
            note["hashes"].append("")
        else:
            films[row] = result.film
            if without is not None and result.lungless is not None:
                without[row] = result.lungless
            note["hashes"].append(result.hash)
            if not result.framed:
                note["unframed"].append(row)
        if progress is not None:
            progress(row + 1, len(table))
    if len(note["refused"]) == len(table):
        raise TrainingError(f"no film of the table can be read; the first: {note['refused']['0']}")
    films.flush()
    if without is not None:
        without.flush()
    note_file.write_text(json.dumps(note), "utf-8")
    return _opened(folder, note)


def _without_lungs(
    folder: Path, shape: tuple[int, int, int], *, wanted: bool
) -> np.memmap[Any, np.dtype[np.uint8]] | None:
    file = folder / _LUNGLESS
    file.unlink(missing_ok=True)
    if not wanted:
        return None
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(shape[0], 2, *shape[1:]))


def _opened(folder: Path, note: dict[str, Any]) -> CachedFilms:
    refused = {int(row): reason for row, reason in note["refused"].items()}
    films = np.load(folder / _FILMS, mmap_mode="r")
    without = np.load(folder / _LUNGLESS, mmap_mode="r") if (folder / _LUNGLESS).is_file() else None
    return CachedFilms(films, note["hashes"], refused, note["unframed"], without)


def _fingerprint(table: FilmTable, spec: Standardisation, *, lungless: bool) -> str:
    parts = [__version__, spec.model_dump_json()]
    if lungless:
        parts.append("lungless")
    if spec.needs_lungs or lungless:
        parts.append(_finder().identity["sha256"])
    for path in table.paths:
        status = path.stat() if path.exists() else None
        parts.append(f"{path}|{status.st_size}|{status.st_mtime_ns}" if status else f"{path}|absent")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Read:
    film: Bytes
    hash: str
    framed: bool
    lungless: Bytes | None


def _read_all(paths: list[Path], spec: Standardisation, workers: int, *, lungless: bool) -> Iterator[_Read | str]:
    read = partial(_read_one, spec=spec, lungless=lungless)
    if workers <= 1:
        yield from map(read, paths)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(read, paths, chunksize=32)


def _read_one(path: Path, spec: Standardisation, *, lungless: bool) -> _Read | str:
    try:
        film = read_film(path)
    except FilmRejectedError as error:
        return error.message
    fields = _finder().find(film) if spec.needs_lungs or lungless else None
    framed = fields is None or fields.plausible
    without = _black(film.pixels, spec, fields) if lungless and fields is not None and fields.plausible else None
    return _Read(standardise(film.pixels, spec, fields), perceptual_hash(film.pixels), framed, without)


def _black(pixels: Array, spec: Standardisation, fields: LungFields) -> Bytes:
    """Film with its lungs blacked out, and the cover, both framed as the film is, (2, S, S)."""
    frame = frame_film((pixels.shape[0], pixels.shape[1]), spec.size, fields if spec.needs_lungs else None)
    cover = frame.crop(lung_cover(fields)).astype(np.float32)
    covered = cv2.resize(cover, (spec.size, spec.size), interpolation=cv2.INTER_AREA) > _HALF
    return np.stack([standardise(lungs_black(pixels, fields), spec, fields), covered.astype(np.uint8)])


@cache
def _finder() -> LungFinder:
    """One a process."""
    return LungFinder.load()
