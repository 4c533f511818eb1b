"""Whether performance goes with age, sex, BMI or ethnicity: logistic regression in two forms (M32)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.evidence.contrast_films import Compared
from carina.evidence.contrast_numbers import IntervalOptions
from carina.evidence.numbers import Number
from carina.sampling import FilmTable
from carina.statistics import (
    Association,
    Estimate,
    bounded_logit,
    cluster_robust_wald,
    correctness_regression,
    holm,
    interaction_test,
)

__all__ = ["ASSOCIATED", "association_numbers"]

ASSOCIATED = {"age": 10.0, "sex": 1.0, "bmi": 5.0, "ethnicity": 1.0}
"""Covariates asked about, with the unit of a number: ages in decades, BMI in steps of 5 kg/m2."""

_NUMERIC = ("age", "bmi")
_FEWEST = 2
_NO_EQUALITY = "a large p value shows no equality: the intervals of the terms say what is left possible"


@dataclass(frozen=True, slots=True)
class _Asked:
    measure: str
    films_used: str
    found: Association


def association_numbers(films: Compared, table: FilmTable, options: IntervalOptions) -> tuple[list[Number], list[str]]:
    """Associations of a contrast's performance with each covariate, Holm's correction over the covariates.

    First form: gold standard by output, covariate and their product, the output the log odds of the calibrated
    contrast; likelihood-ratio test on first films, cluster-robust Wald test on all. Second form: right calls by
    covariate, among positives (of sensitivity) and among negatives (of specificity).

    Parameters
    ----------
    films : Compared
    table : FilmTable
        Of all judged films.
    options : IntervalOptions

    Returns
    -------
    numbers : list of Number
        ``<test>_p`` with ``<test>_p_holm``, and for each term of the test ``<test>``, a difference of log odds with its
        interval, where test is ``interaction``, ``right_among_positives`` or ``right_among_negatives``.
    sentences : list of str
    """
    if not films.two_sided:
        return [], []
    columns = {name: values for name in ASSOCIATED if (values := _column(table, name)) is not None}
    known = {name: values for name, values in columns.items() if len(_values(values[films.rows])) >= _FEWEST}
    told = []
    if unknown := [name for name in ASSOCIATED if name not in columns]:
        told.append(f"whether performance goes with {', '.join(unknown)} is not estimable: the table does not say it")
    if still := [name for name in columns if name not in known]:
        why = "not known of these films, or it does not vary"
        told.append(f"{films.contrast}: whether performance goes with {', '.join(still)} is not estimable: {why}")
    asked: list[_Asked] = []
    for name, values in known.items():
        asked += _ask(films, values, name, options.level)
    numbers = []
    for measure in dict.fromkeys((one.measure, one.films_used) for one in asked):
        family = [one for one in asked if (one.measure, one.films_used) == measure]
        adjusted = holm([one.found.p_value for one in family])
        for one, value in zip(family, adjusted.tolist(), strict=True):
            numbers += _numbers(films, one, None if np.isnan(value) else value, len(family))
    return numbers, told


def _ask(films: Compared, column: NDArray[Any], name: str, level: float) -> list[_Asked]:
    unit, first = ASSOCIATED[name], films.first()
    setting: dict[str, Any] = {"name": name, "unit": unit, "level": level}
    truth, output, here = first.positive.astype(np.float64), bounded_logit(first.scores), column[first.rows]
    asked = [_Asked("interaction", "first_films", interaction_test(truth, output, here, **setting))]
    called = first.calls == 1
    determinate = first.calls != 0
    right = correctness_regression(truth[determinate], called[determinate], here[determinate], **setting)
    asked += [_Asked(f"right_among_{side}s", "first_films", found) for side, found in right.items()]
    robust = cluster_robust_wald(
        films.positive.astype(np.float64), bounded_logit(films.scores), column[films.rows], films.patients, **setting
    )
    return [*asked, _Asked("interaction", "all_films", robust)]


def _numbers(films: Compared, asked: _Asked, adjusted: float | None, tests: int) -> list[Number]:
    found = asked.found
    place = films.place(
        "association",
        cell=f"covariate={found.covariate}",
        films_used=asked.films_used,
        rule="M32",
        patients=found.n if found.patients is None else found.patients,
    )
    left = "; ".join(f"{count} films left out: {why}" for why, count in found.left_out.items())
    said = None if found.p_value is None else _NO_EQUALITY
    note = "; ".join(filter(None, (found.note, left, said))) or None

    def value(number: float | None, method: str) -> Estimate:
        return Estimate(number, None, None, found.n, found.patients, found.level, method, None, note)

    numbers = [
        place.number(f"{asked.measure}_p", value(found.p_value, f"{found.method}, {found.degrees} df"), level=None),
        place.number(
            f"{asked.measure}_p_holm",
            value(adjusted, f"{found.method}, Holm over {tests}"),
            level=None,
            family=tests,
        ),
    ]
    rest = (found.n, found.patients, found.level, _interval(found), None, found.note)
    for term in found.terms:
        one = Estimate(term.estimate, term.low, term.high, *rest)
        cell = f"{place.cell}, {term.name}"
        numbers.append(place.at(cell=cell).number(asked.measure, one))
    return numbers


def _interval(found: Association) -> str:
    return "cluster-robust" if found.method.startswith("cluster") else "profile likelihood"


def _column(table: FilmTable, name: str) -> NDArray[Any] | None:
    if name not in table.frame.columns:
        return None
    cells = table.frame[name]
    if name in _NUMERIC:
        return np.asarray(cells.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    return np.array([str(value).strip() if value is not None else "" for value in cells.to_list()], dtype=object)


def _values(column: NDArray[Any]) -> Sequence[Any]:
    return list({value for value in column.tolist() if value == value and value != ""})  # noqa: PLR0124 - NaN is not equal to itself
