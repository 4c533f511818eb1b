"""Performance within parts of the cohort, and the gaps between them (M18, M32, M35)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.cohort.rules import load_rules
from carina.evidence.contrast_films import Compared
from carina.evidence.contrast_numbers import IntervalOptions, first_film_numbers
from carina.evidence.numbers import Number, Place
from carina.sampling import FilmTable
from carina.statistics import Estimate, auc, bonferroni_level, patient_bootstrap

__all__ = ["COVARIATES", "Covariate", "covariates", "subgroup_numbers"]

COVARIATES = ("age", "sex", "bmi", "ethnicity", "view", "position", "device", "source")
_MEASURES = ("auc", "sensitivity", "specificity", "ppv", "npv")
_GAPS = ("auc", "sensitivity", "specificity")
_MOST_CELLS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Covariate:
    """What the films are parted by.

    Attributes
    ----------
    name : str
    values : ndarray of str, (N,)
        Of each film; empty text where not known.
    order : tuple of str
        Values met, in order.
    """

    name: str
    values: NDArray[Any]
    order: tuple[str, ...]


def covariates(table: FilmTable) -> tuple[list[Covariate], list[str]]:
    """Covariates that a table knows, ages and BMI in the bands of the cohort's rules (M18).

    Returns
    -------
    found : list of Covariate
    sentences : list of str
        Which are not known, and why.
    """
    rules = load_rules().covariates
    found, unknown, sentences = [], [], []
    for name in COVARIATES:
        if name == "age":
            values, order = _banded_ages(table, rules.age_bands)
        elif name not in table.frame.columns:
            unknown.append(name)
            continue
        elif name == "bmi":
            cells = table.frame[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
            values, order = _banded(cells, cells, rules.bmi_bands)
        else:
            values = np.array(
                [str(value).strip() if value is not None else "" for value in table.frame[name].to_list()]
            )
            order = tuple(sorted(set(values.tolist()) - {""}))
        if not order:
            unknown.append(name)
        elif len(order) > _MOST_CELLS:
            sentences.append(f"films are not parted by {name}: it has {len(order)} values, more than {_MOST_CELLS}")
        else:
            found.append(Covariate(name, values, order))
    if unknown:
        sentences.append(f"films cannot be parted by {', '.join(unknown)}: the table does not say it of any film")
    return found, sentences


def subgroup_numbers(
    films: Compared, parts: Sequence[Covariate], options: IntervalOptions, minimum: int = 10
) -> list[Number]:
    """Measures of a contrast within each part, first film of each patient, and parity gaps.

    Parameters
    ----------
    films : Compared
    parts : sequence of Covariate
        Values of all judged films.
    options : IntervalOptions
    minimum : int
        A cell, or a share of a cell, of fewer patients is suppressed.

    Returns
    -------
    list of Number
        Intervals of a covariate's cells hold together at 95 % (Bonferroni), measure by measure. ``gap_<measure>`` is
        the largest less the smallest value of its cells.
    """
    first = films.first()
    numbers = []
    for part in parts:
        values = part.values[first.rows]
        cells = {name: first.take(values == name) for name in part.order if (values == name).any()}
        large = {name: cell for name, cell in cells.items() if len(cell.scores) >= minimum}
        family = max(1, len(large))
        tight = replace(options, level=bonferroni_level(family, options.level))
        for name, cell in cells.items():
            place = _place(cell).at(cell=f"{part.name}={name}")
            if name not in large:
                numbers.append(_suppressed(place, "auc", minimum))
                continue
            found = [one for one in first_film_numbers(cell, place, tight) if one.measure in _MEASURES]
            numbers += [_enough(one, place, family, minimum) for one in found]
        if len(large) > 1:
            numbers += _gaps(part, large, _place(first), options, minimum)
    return numbers


def _gaps(
    part: Covariate, cells: dict[str, Compared], place: Place, options: IntervalOptions, minimum: int
) -> list[Number]:
    """Largest less smallest value of the cells, with an interval by resampled patients."""
    first, *others = cells.values()
    whole = first.joined(others)
    owner = np.repeat(np.arange(len(cells)), [len(cell.scores) for cell in cells.values()])
    place = place.at(cell=part.name, films_used="first_films", patients=len(whole.scores))
    numbers = []
    for measure in _GAPS:
        usable = [number for number, cell in enumerate(cells.values()) if _usable(cell, measure, minimum)]
        if len(usable) < 2:  # noqa: PLR2004 - a gap lies between two
            why = f"not estimable: fewer than two cells have {minimum} patients for it"
            numbers.append(place.number(f"gap_{measure}", Estimate(None, None, None, 0, 0, options.level, note=why)))
            continue
        groups = [np.flatnonzero(owner == number) for number in usable]

        def gap(weights: NDArray[np.float64], groups: Any = groups, measure: str = measure) -> float | None:
            values = [_weighted(whole, rows, weights[rows], measure) for rows in groups]
            known = [value for value in values if value is not None]
            return max(known) - min(known) if len(known) == len(values) else None

        people = np.arange(len(whole.scores))
        # the AUC of weighted films costs more than the shares
        repeats = min(options.repeats, 200) if measure == "auc" else options.repeats
        found = patient_bootstrap(gap, people, seed=options.seed, level=options.level, repeats=repeats)
        said = f"{len(usable)} cells; a largest less a smallest is above 0 by chance alone"
        numbers.append(place.number(f"gap_{measure}", replace(found, note="; ".join(filter(None, (found.note, said))))))
    return numbers


def _weighted(films: Compared, rows: NDArray[np.intp], weights: NDArray[np.float64], measure: str) -> float | None:
    if measure == "auc":
        drawn = np.repeat(rows, weights.astype(np.intp))
        return auc(films.positive[drawn].astype(np.float64), films.scores[drawn])
    wanted = films.positive[rows] if measure == "sensitivity" else ~films.positive[rows]
    right = films.calls[rows] == (1 if measure == "sensitivity" else -1)
    total = float(weights[wanted].sum())
    return float(weights[wanted & right].sum()) / total if total else None


def _usable(cell: Compared, measure: str, minimum: int) -> bool:
    up, down = int(cell.positive.sum()), int((~cell.positive).sum())
    if measure == "auc":
        return min(up, down) > 0
    return (up if measure == "sensitivity" else down) >= minimum


def _enough(number: Number, place: Place, family: int, minimum: int) -> Number:
    if number.measure != "auc" and number.n is not None and 0 < number.n < minimum:
        return _suppressed(place, number.measure, minimum)
    suffix = f", Bonferroni m={family}" if family > 1 else ""
    return replace(number, family=family if family > 1 else None, method=number.method + suffix)


def _suppressed(place: Place, measure: str, minimum: int) -> Number:
    none = Estimate(None, None, None, 0, 0, note=f"suppressed: fewer than {minimum} patients")
    found = place.at(films_used="first_films", patients=None).number(measure, none)
    return replace(found, n=None, patients=None, events=None)


def _place(films: Compared) -> Place:
    return films.place("subgroup", rule="M32", threshold=films.cut)


def _banded_ages(table: FilmTable, bands: Sequence[float]) -> tuple[NDArray[Any], tuple[str, ...]]:
    low, high = (table.frame[name].fill_null(float("nan")).to_numpy() for name in ("age_low", "age_high"))
    return _banded(low, high, bands)


def _banded(
    low: NDArray[np.float64], high: NDArray[np.float64], bands: Sequence[float]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Band of each film; a span that reaches over two bands is not known."""
    names = [f"{one:g} to <{other:g}" for one, other in itertools.pairwise(bands)]
    names += [f"{bands[-1]:g} and over"]
    places = [np.searchsorted(bands, ages, side="right") - 1 for ages in (low, high)]
    sure = (places[0] == places[1]) & ~np.isnan(low) & ~np.isnan(high) & (places[0] >= 0)
    values = np.array([names[place] if known else "" for place, known in zip(places[0], sure, strict=True)])
    return values, tuple(name for name in names if name in set(values.tolist()))
