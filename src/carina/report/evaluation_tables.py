"""Tables of a report: numbers pivoted by measure, confusion matrices, the audit's probes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from carina.evidence.numbers import Number
from carina.report.evaluation_run import EvaluationRun
from carina.report.evaluation_words import cell_words, measure_words, number_markup, value_text
from carina.report.page import words

__all__ = ["Confusion", "NumberTable", "confusions", "group_tables", "headline_table", "probe_rows"]

_FILMS = {"first_films": "first film of each patient", "all_films": "all films"}
_DENOMINATORS = {"among_pneumonia": "among pneumonia", "all_films": "among all films"}
_MOST_COLUMNS = 7
_SHADES = 9


@dataclass(frozen=True, slots=True)
class NumberTable:
    """A table of numbers.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : tuple of tuple
        Name of the row and its numbers, as markup, one a column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Markup, ...]], ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix.

    Attributes
    ----------
    title : str
    columns : tuple of str
        What was said.
    rows : tuple of tuple
        What is, the cells (count, share of the row in words, shade 0 to 9, whether right) and the row's total.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, str, int, bool], ...], int], ...]


def headline_table(run: EvaluationRun) -> list[dict[str, Any]]:
    """Rows of the table of contrasts: verdict, then AUC, sensitivity, specificity, PPV and NPV in both denominators.

    Returns
    -------
    list of dict
        `contrast`, `verdict`, `films` and `cells` (heading and markup).
    """
    found = []
    for contrast in run.contrasts:
        cells = []
        for measure in ("auc", "sensitivity", "specificity"):
            number = run.first(contrast=contrast, measure=measure, cell="all", group="contrast")
            cells.append((measure_words(measure), number_markup(number)))
        for denominator, told in _DENOMINATORS.items():
            for measure in ("ppv", "npv"):
                wanted = {"contrast": contrast, "measure": measure, "cell": "all", "group": "contrast"}
                number = run.first(denominator=denominator, **wanted)
                cells.append((f"{measure.upper()}, {told}", number_markup(number)))
        area = run.first(contrast=contrast, measure="auc", cell="all", group="contrast")
        found.append(
            {
                "contrast": words(contrast),
                "verdict": run.verdicts[contrast],
                "films": "" if area is None or area.n is None else f"{area.n:,} films",
                "scope": "" if area is None else area.sources or "",
                "cells": cells,
            }
        )
    return found


def group_tables(run: EvaluationRun, *groups: str) -> list[NumberTable]:
    """Tables of the numbers of some groups, a table a contrast and kind of films, a column a measure.

    Parameters
    ----------
    run : EvaluationRun
    *groups : str

    Returns
    -------
    list of NumberTable
        Numbers that no film could give are in it, with the reason.
    """
    parts: dict[tuple[str, str, str], list[Number]] = {}
    for number in run.numbers:
        if number.group in groups:
            key = (number.contrast or "", number.denominator or "", number.films_used)
            parts.setdefault(key, []).append(number)
    return [table for key, found in parts.items() for table in _pivot(_title(*key), found)]


def _title(contrast: str, denominator: str, films_used: str) -> str:
    parts = [
        words(contrast) if contrast else "All classes",
        _DENOMINATORS.get(denominator, words(denominator) if denominator else ""),
    ]
    parts.append(_FILMS.get(films_used, films_used))
    return ", ".join(part for part in dict.fromkeys(parts) if part)


def _pivot(title: str, numbers: Sequence[Number]) -> list[NumberTable]:
    measures = list(dict.fromkeys(number.measure for number in numbers))
    tables = []
    for start in range(0, len(measures), _MOST_COLUMNS):
        chosen = measures[start : start + _MOST_COLUMNS]
        rows: dict[str, dict[str, list[Number]]] = {}
        for number in numbers:
            if number.measure in chosen:
                rows.setdefault(cell_words(number), {}).setdefault(number.measure, []).append(number)
        body = tuple((name, tuple(_cell(held.get(measure, [])) for measure in chosen)) for name, held in rows.items())
        tables.append(NumberTable(title, tuple(measure_words(measure) for measure in chosen), body))
    return tables


def _cell(numbers: Iterable[Number]) -> Markup:
    return Markup("<br>").join(number_markup(number) for number in numbers)


def confusions(run: EvaluationRun) -> list[Confusion]:
    """Confusion matrices of a run, gold in rows, calls in columns.

    Returns
    -------
    list of Confusion
        Empty where none was stored.
    """
    stored = run.metrics.get("confusion")
    if not isinstance(stored, Mapping):
        return []
    entries = {name: entry for name, entry in stored.items() if isinstance(entry, Mapping)}
    if "matrix" in stored:
        entries = {"most_probable_class": stored, **entries}
    films = {"films_used": stored.get("films_used")}
    found = (_confusion(str(name), {**films, **entry}) for name, entry in entries.items())
    return [one for one in found if one is not None]


def _confusion(name: str, entry: Mapping[str, Any]) -> Confusion | None:
    matrix, rows, columns = entry.get("matrix"), entry.get("labels"), entry.get("classes")
    if not (isinstance(matrix, list) and isinstance(rows, list) and isinstance(columns, list)):
        return None
    if len(matrix) != len(rows) or any(len(line) != len(columns) for line in matrix):
        return None
    body = []
    for row, line in zip(rows, matrix, strict=True):
        total = sum(line)
        cells = tuple(
            (
                int(count),
                value_text(count / total, "share_of_row") if total else "",
                round(_SHADES * count / total) if total else 0,
                str(row) == str(column),
            )
            for column, count in zip(columns, line, strict=True)
        )
        body.append((words(str(row)), cells, int(total)))
    films = _FILMS.get(str(entry.get("films_used", "")), "")
    title = f"{words(name)}{', ' + films if films else ''}"
    return Confusion(title, tuple(words(str(column)) for column in columns), tuple(body))


def probe_rows(run: EvaluationRun) -> list[dict[str, Any]]:
    """Probes of the audit in the order they were made.

    Returns
    -------
    list of dict
        `id`, `name`, `contrast`, `criterion`, `describes`, `measured` (name and text), `outcome`, `sentence`.
    """
    found = []
    for probe in (run.audit or {}).get("probes", []):
        if not isinstance(probe, Mapping):
            continue
        measured: Any = probe.get("measured") or {}
        found.append(
            {
                "id": str(probe.get("id", "")),
                "name": str(probe.get("name", "")),
                "contrast": words(str(probe["contrast"])) if probe.get("contrast") else "all films",
                "criterion": str(probe.get("criterion", "")),
                "describes": str(probe.get("describes", "")),
                "measured": [(words(str(name)), _measured(value)) for name, value in dict(measured).items()],
                "outcome": str(probe.get("outcome", "not estimable")),
                "sentence": str(probe.get("sentence", "")),
            }
        )
    return found


def _measured(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _plain(value)
    text = _plain(value.get("value"))
    if isinstance(value.get("low"), int | float) and isinstance(value.get("high"), int | float):
        text += f" ({_plain(value['low'])} to {_plain(value['high'])})"
    return text if value.get("n") is None else f"{text}, n = {value['n']:,}"


def _plain(value: Any) -> str:
    if value is None:
        return "not estimable"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value_text(value, "") if isinstance(value, float) else str(value)
