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

import numpy as np

from carina import __version__
from carina.errors import FilmRejectedError, TrainingError
from carina.imaging import Standardisation, read_film, standardise
from carina.inference.lungs import LungFinder
from carina.sampling import FilmTable, perceptual_hash
from carina.types import Bytes

__all__ = ["CachedFilms", "cache_films"]


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
    """

    films: Bytes
    hashes: list[str]
    refused: dict[int, str]
    unframed: list[int] = field(default_factory=list)


def cache_films(
    table: FilmTable,
    spec: Standardisation,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CachedFilms:
    """Read and standardise every film of a table, or take it from an earlier run's cache.

    Parameters
    ----------
    table : FilmTable
    spec : Standardisation
    folder : Path
        Holds ``films.npy`` and ``films.json``; made when absent.
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
    array_file, note_file = folder / "films.npy", folder / "films.json"
    made_of = _fingerprint(table, spec)
    if note_file.is_file() and array_file.is_file():
        note = json.loads(note_file.read_text("utf-8"))
        if note["made_of"] == made_of:
            return _opened(array_file, note)
    note_file.unlink(missing_ok=True)
    shape = (len(table), spec.size, spec.size)
    films = np.lib.format.open_memmap(array_file, mode="w+", dtype=np.uint8, shape=shape)
    note = {"made_of": made_of, "hashes": [], "refused": {}, "unframed": []}
    for row, result in enumerate(_read_all(table.paths, spec, workers)):
        if isinstance(result, str):
            note["refused"][str(row)] = result
            note["hashes"].append("")
        else:
            films[row] = result.film
            note["hashes"].append(result.hash)
            if not result.framed:
                note["unframed"].append(row)
        if progress is not None:
            progress(row + 1, len(table))
    if len(note["refused"]) == len(table):
        raise TrainingError(f"no film of the table can be read; the first: {note['refused']['0']}")
    films.flush()
    note_file.write_text(json.dumps(note), "utf-8")
    return _opened(array_file, note)


def _opened(array_file: Path, note: dict[str, Any]) -> CachedFilms:
    refused = {int(row): reason for row, reason in note["refused"].items()}
    return CachedFilms(np.load(array_file, mmap_mode="r"), note["hashes"], refused, note["unframed"])


def _fingerprint(table: FilmTable, spec: Standardisation) -> str:
    parts = [__version__, spec.model_dump_json()]
    if spec.needs_lungs:
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


def _read_all(paths: list[Path], spec: Standardisation, workers: int) -> Iterator[_Read | str]:
    read = partial(_read_one, spec=spec)
    if workers <= 1:
        yield from map(read, paths)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(read, paths, chunksize=32)


def _read_one(path: Path, spec: Standardisation) -> _Read | str:
    try:
        film = read_film(path)
    except FilmRejectedError as error:
        return error.message
    fields = _finder().find(film) if spec.needs_lungs else None
    framed = fields is None or fields.plausible
    return _Read(standardise(film.pixels, spec, fields), perceptual_hash(film.pixels), framed)


@cache
def _finder() -> LungFinder:
    """One a process."""
    return LungFinder.load()
