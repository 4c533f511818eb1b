"""First and last films, and matched pairs: the same patient with and without pneumonia (M10)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.evidence.contrast_films import Compared
from carina.evidence.contrast_numbers import IntervalOptions, first_film_numbers
from carina.evidence.evaluation_films import film_order
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number, Place
from carina.sampling import FilmTable, matched_pairs
from carina.statistics import Estimate, korn_graubard, patient_mean

__all__ = ["end_films", "pair_numbers"]

_PAIRED = 2


def with_episodes(table: FilmTable) -> tuple[FilmTable, str | None]:
    """Return the table with `episode_id`: its own, else the patient where the order of the films is known.

    Returns
    -------
    table : FilmTable
    said : str or None
        What was taken for an episode.
    """
    if "episode_id" in table.frame.columns and table.frame["episode_id"].null_count() < len(table):
        return table, None
    order = film_order(table)
    known = pl.Series("known", ~np.isnan(order))
    frame = table.frame.with_columns(
        pl.when(known).then(pl.col("patient_id")).otherwise(None).alias("episode_id"),
        pl.Series("film_order", order).fill_nan(None),
    )
    return table.with_frame(frame), "the table has no episode_id: all films of a patient in order stand for one episode"


def end_films(table: FilmTable) -> dict[str, NDArray[np.intp]]:
    """Rows of the first and of the last film of each episode of at least two films.

    Returns
    -------
    dict
        ``"first"`` and ``"last"``.
    """
    frame = with_episodes(table)[0].frame
    order = film_order(table)
    ends: dict[str, list[tuple[float, int]]] = {}
    for row, episode in enumerate(frame["episode_id"].to_list()):
        if episode is not None and not np.isnan(order[row]):
            ends.setdefault(str(episode), []).append((float(order[row]), row))
    several = [sorted(rows) for rows in ends.values() if len(rows) >= _PAIRED]
    return {
        "first": np.array([rows[0][1] for rows in several], dtype=np.intp),
        "last": np.array([rows[-1][1] for rows in several], dtype=np.intp),
    }


def pair_numbers(judged: JudgedFilms, films: Compared, options: IntervalOptions) -> tuple[list[Number], list[str]]:
    """Numbers of first films, last films and matched pairs of the task's first decision.

    Parameters
    ----------
    judged : JudgedFilms
    films : Compared
        Of the contrast that is decided first.
    options : IntervalOptions

    Returns
    -------
    numbers : list of Number
        ``change`` is the probability on the film with disease less that on the film without, ``ordered`` the share of
        pairs in which it is larger.
    sentences : list of str
    """
    table, said = with_episodes(judged.table)
    ends = end_films(judged.table)
    place = Place(
        group="pairs",
        contrast=films.contrast,
        denominator=films.denominator,
        rule="M10",
        threshold=None if films.threshold is None else films.threshold.high,
    )
    if not ends["first"].size:
        return [], ["first and last films are not compared: no episode with the order of at least two films is known"]
    numbers = []
    for name, rows in ends.items():
        here = films.take(np.isin(films.rows, rows))
        found = first_film_numbers(here.first(), place.at(cell=f"film={name}", sources=here.scope), options)
        numbers += [one for one in found if one.measure in {"auc", "sensitivity", "specificity"}]
    pairs = _pairs_of(table, judged, films)
    sick, well = _scores(films, pairs[:, 0]), _scores(films, pairs[:, 1])
    patients = np.array(judged.table.patients)[pairs[:, 0]]
    place = place.at(cell="matched_pairs", patients=len(set(patients.tolist())))
    if not len(pairs):
        none = Estimate(None, None, None, 0, 0, note="not estimable: no episode's first and last film differ in label")
        return [*numbers, place.number("change", none)], [said] if said else []
    change = patient_mean(sick - well, patients, seed=options.seed, repeats=options.repeats)
    ordered = korn_graubard((sick > well).astype(float), np.ones(len(pairs)), patients, options.level)
    numbers += [place.number("change", change), place.number("ordered", ordered)]
    return numbers, [said] if said else []


def _pairs_of(table: FilmTable, judged: JudgedFilms, films: Compared) -> NDArray[np.intp]:
    """Rows of the positive and the negative film of each matched pair of the contrast."""
    side = dict(zip(films.rows.tolist(), films.positive.tolist(), strict=True))
    found = []
    for first, last in matched_pairs(table, judged.task).tolist():
        if side.get(first) is not None and side.get(last) is not None and side[first] != side[last]:
            found.append((first, last) if side[first] else (last, first))
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def _scores(films: Compared, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    place = {row: number for number, row in enumerate(films.rows.tolist())}
    return films.scores[[place[row] for row in rows.tolist()]] if len(rows) else np.zeros(0)
