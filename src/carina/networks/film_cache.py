"""Standardised films in memory, decoded once (M24 augments from here).

The cache is one uint8 array beside a JSON line that says what it was made of; made again when the films, the
standardisation or the reader's version differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from carina import __version__
from carina.errors import FilmRejectedError, TrainingError
from carina.imaging import Standardisation, read_film, standardise
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
    """

    films: Bytes
    hashes: list[str]
    refused: dict[int, str]


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
            refused = {int(row): reason for row, reason in note["refused"].items()}
            return CachedFilms(np.load(array_file, mmap_mode="r"), note["hashes"], refused)
    note_file.unlink(missing_ok=True)
    shape = (len(table), spec.size, spec.size)
    films = np.lib.format.open_memmap(array_file, mode="w+", dtype=np.uint8, shape=shape)
    hashes: list[str] = []
    refused = {}
    for row, result in enumerate(_read_all(table.paths, spec, workers)):
        if isinstance(result, str):
            refused[row] = result
            hashes.append("")
        else:
            films[row], found = result
            hashes.append(found)
        if progress is not None:
            progress(row + 1, len(table))
    if len(refused) == len(table):
        raise TrainingError(f"no film of the table can be read; the first: {refused[0]}")
    films.flush()
    note_file.write_text(json.dumps({"made_of": made_of, "hashes": hashes, "refused": refused}), "utf-8")
    return CachedFilms(np.load(array_file, mmap_mode="r"), hashes, refused)


def _fingerprint(table: FilmTable, spec: Standardisation) -> str:
    parts = [__version__, spec.model_dump_json()]
    for path in table.paths:
        status = path.stat() if path.exists() else None
        parts.append(f"{path}|{status.st_size}|{status.st_mtime_ns}" if status else f"{path}|absent")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read_all(paths: list[Path], spec: Standardisation, workers: int) -> Iterator[tuple[Bytes, str] | str]:
    read = partial(_read_one, spec=spec)
    if workers <= 1:
        yield from map(read, paths)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(read, paths, chunksize=32)


def _read_one(path: Path, spec: Standardisation) -> tuple[Bytes, str] | str:
    try:
        film = read_film(path)
    except FilmRejectedError as error:
        return error.message
    return standardise(film.pixels, spec), perceptual_hash(film.pixels)
