"""A sample of films measured again after small changes, and how far each feature then agrees with itself (M27)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import CarinaError, InputError
from carina.evidence.texture_changes import CHANGES, FAMILIES, changed
from carina.evidence.texture_films import FilmJob, FilmMeasurer, MeasureOptions
from carina.evidence.texture_rows import FilmRows
from carina.imaging import read_film
from carina.inference.cluster import Cluster
from carina.inference.spreading import Alone, Processes, Spread
from carina.statistics.agreement import intraclass_correlation
from carina.texture import film_features
from carina.types import Film

__all__ = ["LEAST_FILMS", "Repeated", "agreement_columns", "measure_again", "sample_films"]

LEAST_FILMS = 10
"""With fewer films a feature's repeatability is not estimated."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Repeated:
    """Films measured as they are and after every change.

    Attributes
    ----------
    rows : FilmRows
        Films measured, in order.
    values : ndarray of float64, (N, 1 + C, F)
        The film itself, then `CHANGES`.
    refused : dict of str to str
        Films left out, and why.
    """

    rows: FilmRows
    values: _Floats
    refused: dict[str, str]

    @property
    def sources(self) -> NDArray[np.str_]:
        """Source of each film; empty text where unknown."""
        return np.array([value or "" for value in self.rows.frame["source"].to_list()], dtype=np.str_)


class _Repeater:
    """Measures one film in every version; gives a sentence where it cannot."""

    def __init__(self, options: MeasureOptions, seed: int) -> None:
        self._options, self._seed = options, seed
        self._measurer = FilmMeasurer(options)
        self._columns = len(options.columns)

    def __call__(self, job: FilmJob) -> _Floats | str:
        try:
            film = read_film(Path(job.path), self._options.limits)
            fields = self._measurer.fields(film, job.mask)
            if fields.flags and not self._options.doubtful:
                return f"the lung fields are not plausible: {'; '.join(fields.flags)}"
            seed = int(hashlib.sha256(f"{self._seed} {job.image_id}".encode()).hexdigest()[:8], 16)
            found = [self._values(film, fields)]
            for change in CHANGES:
                pixels, moved = changed(film.pixels, fields, change, seed)
                other = Film(pixels, film.header, film.sha256)
                if self._options.lungs == "found" and change.family != "mask":
                    moved = self._measurer.fields(other, None)  # as in use, where nobody knows what was changed
                found.append(self._values(other, moved))
        except (CarinaError, OSError) as error:
            return " ".join(str(error).split())
        return np.stack(found)

    def _values(self, film: Film, fields: Any) -> _Floats:
        found = film_features(film, fields, self._options.regions, self._options.settings)
        return np.fromiter(found.values.values(), np.float64, self._columns)


def sample_films(rows: FilmRows, films: int, seed: int) -> FilmRows:
    """Draw films, one a patient, as evenly over the sources as they allow.

    Parameters
    ----------
    rows : FilmRows
    films : int
        At most.
    seed : int

    Returns
    -------
    FilmRows
        In the order of the table.

    Raises
    ------
    InputError
        If fewer than ten patients are there.
    """
    frame = rows.frame.with_row_index("\x01at")
    person = pl.coalesce("patient_id", "image_id")
    frame = frame.sample(fraction=1.0, shuffle=True, seed=seed).unique(person, keep="first", maintain_order=True)
    turn = pl.int_range(pl.len()).over("source").alias("\x01turn")
    chosen = frame.with_columns(turn).sort("\x01turn", maintain_order=True).head(films).sort("\x01at")
    if chosen.height < LEAST_FILMS:
        raise InputError(f"stability needs films of {LEAST_FILMS} patients or more; found {chosen.height}")
    return FilmRows(chosen.drop("\x01at", "\x01turn"), rows.folder, rows.sha256, rows.notes)


def measure_again(
    rows: FilmRows,
    options: MeasureOptions,
    *,
    seed: int,
    workers: int = 1,
    ray: str | None = None,
    on_film: Callable[[int], None] | None = None,
) -> Repeated:
    """Measure films as they are and after every change.

    Where lungs are found, they are found again on each changed film; given masks move along with it.

    Parameters
    ----------
    rows : FilmRows
        Of one sample: 11 versions of each film stay in memory, 0.8 MB a film with the default settings.
    options : MeasureOptions
    seed : int
        Of the noise.
    workers : int
    ray : str or None
    on_film : callable or None

    Returns
    -------
    Repeated

    Raises
    ------
    InputError
        If fewer than ten films could be measured.
    """
    start = partial(_Repeater, options, seed)
    spread: Spread[FilmJob, _Floats | str]
    if ray is not None:
        spread = Cluster(start, ray, workers=workers if workers > 1 else None)
    else:
        spread = Alone(start) if workers == 1 else Processes(start, workers)
    found: dict[str, _Floats] = {}
    refused: dict[str, str] = {}
    try:
        for number, (job, answer) in enumerate(spread.map(rows.jobs()), 1):
            if isinstance(answer, np.ndarray):
                found[job.image_id] = answer
            else:
                refused[job.image_id] = answer or "measuring this film ended its process"
            if on_film is not None:
                on_film(number)
    finally:
        spread.stop()
    if len(found) < LEAST_FILMS:
        why = next(iter(refused.values()), "")
        raise InputError(f"stability needs {LEAST_FILMS} films or more that can be measured; found {len(found)}: {why}")
    kept = rows.frame.filter(pl.col("image_id").is_in(list(found)))
    return Repeated(FilmRows(kept, rows.folder, rows.sha256, rows.notes), np.stack(list(found.values())), refused)


def agreement_columns(repeated: Repeated, level: float = 0.95) -> dict[str, _Floats]:
    """Agreement of every feature within each family of changes, films compared within their source.

    Parameters
    ----------
    repeated : Repeated
    level : float
        Of the intervals.

    Returns
    -------
    dict of str to ndarray of float64, (F,)
        ``icc_FAMILY``, ``_low``, ``_high`` (absolute agreement, ICC(2,1)) and ``icc_FAMILY_consistency`` (ICC(3,1));
        ``films``, how many had the feature in every version. NaN where fewer than ten had, or it does not vary.
    """
    values, sources = repeated.values, repeated.sources
    features = values.shape[2]
    columns: dict[str, _Floats] = {"films": np.zeros(features)}
    for family in FAMILIES:
        for end in ("", "_low", "_high", "_consistency"):
            columns[f"icc_{family}{end}"] = np.full(features, np.nan)
    for films, which in patterns(np.asarray(np.isfinite(values).all(axis=1), np.bool_)):
        columns["films"][which] = films.sum()
        if films.sum() < LEAST_FILMS or films.sum() - len(np.unique(sources[films])) < 2:  # noqa: PLR2004 - to estimate
            continue
        for family in FAMILIES:
            ways = [0, *(place for place, change in enumerate(CHANGES, 1) if change.family == family)]
            part = values[np.ix_(films, np.array(ways), which)]
            found = intraclass_correlation(part, sources[films], level=level)
            columns[f"icc_{family}"][which] = found.agreement
            columns[f"icc_{family}_low"][which] = found.agreement_low
            columns[f"icc_{family}_high"][which] = found.agreement_high
            columns[f"icc_{family}_consistency"][which] = found.consistency
    return columns


def patterns(there: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
    """Features (columns) that are there for the same films (rows): those films, and the features' numbers."""
    packed = np.packbits(there, axis=0).T
    _, first, member = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    for number, place in enumerate(first):
        yield there[:, place], np.flatnonzero(np.reshape(member, -1) == number)
