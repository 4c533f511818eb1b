"""Tables of a report: numbers pivoted by measure, confusion matrices, the audit's probes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from carina.evidence.numbers import Number
from carina.report.evaluation_run import EvaluationRun, level_of
from carina.report.evaluation_words import anchor, cell_words, factor_words, measure_words, number_markup, value_text
from carina.report.page import words

__all__ = [
    "Association",
    "Confusion",
    "NumberTable",
    "association_tables",
    "confusions",
    "group_tables",
    "headline_table",
    "probe_rows",
]

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
    note : str or None
        Why no number of it has a value, in place of its rows.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Markup, ...]], ...]
    note: str | None = None


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
        for own, told in ((True, "among its classes"), (False, "among all films")):
            cells.extend(
                (f"{measure.upper()}, {told}", number_markup(_predictive(run, contrast, measure, own=own)))
                for measure in ("ppv", "npv")
            )
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


def _predictive(run: EvaluationRun, contrast: str, measure: str, *, own: bool) -> Number | None:
    """PPV or NPV among the contrast's own classes, or among all films (M30)."""
    found = [
        number
        for number in run.find(contrast=contrast, measure=measure, cell="all", group="contrast")
        if (number.denominator != "all_films") == own
    ]
    found.sort(key=lambda number: number.films_used != "first_films")
    return found[0] if found else None


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
    reasons = {number.note for number in numbers}
    if len(reasons) == 1 and all(number.value is None for number in numbers):
        return [NumberTable(title, (), (), reasons.pop() or "not estimable")]
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


@dataclass(frozen=True, slots=True)
class Association:
    """Whether performance goes with a covariate, in one form of the question (M32).

    Attributes
    ----------
    covariate, question, films : str
    effects : tuple of tuple
        What is compared, and the effect as markup.
    p, p_holm : Markup
        Empty where the films could not tell; `note` says why.
    note : str
    """

    covariate: str
    question: str
    films: str
    effects: tuple[tuple[str, Markup], ...]
    p: Markup
    p_holm: Markup
    note: str


def association_tables(run: EvaluationRun) -> list[tuple[str, list[Association], str]]:
    """List the tests of M32 by contrast.

    Returns
    -------
    list of tuple
        Contrast in words, its rows, and the reason where none of its numbers has a value.
    """
    found: list[tuple[str, list[Association], str]] = []
    for contrast in run.contrasts:
        numbers = list(run.find(group="association", contrast=contrast))
        if not numbers:
            continue
        if all(number.value is None for number in numbers):
            reasons = dict.fromkeys(number.note or "not estimable" for number in numbers)
            found.append((words(contrast), [], next(iter(reasons)) if len(reasons) == 1 else "not estimable"))
            continue
        rows: dict[tuple[str, str, str], dict[str, list[Number]]] = {}
        for number in numbers:
            form = number.measure.removesuffix("_holm").removesuffix("_p")
            part = number.measure.removeprefix(form).lstrip("_") or "effect"
            covariate = level_of(number).partition(",")[0]
            rows.setdefault((covariate, form, number.films_used), {}).setdefault(part, []).append(number)
        found.append((words(contrast), [_association(*key, parts) for key, parts in rows.items()], ""))
    return found


def _association(covariate: str, form: str, films: str, parts: Mapping[str, Sequence[Number]]) -> Association:
    effects = [
        (level_of(number).partition(",")[2].strip(), number_markup(number))
        for number in parts.get("effect", ())
        if number.value is not None
    ]
    tests = {name: next((n for n in parts.get(name, ()) if n.value is not None), None) for name in ("p", "p_holm")}
    valued = bool(effects) or any(tests.values())
    notes = [number.note for held in parts.values() for number in held if number.note]
    return Association(
        factor_words(covariate),
        measure_words(form).partition(" (")[0],
        _FILMS.get(films, films),
        tuple(effects),
        number_markup(tests["p"]) if tests["p"] else Markup(),
        number_markup(tests["p_holm"]) if tests["p_holm"] else Markup(),
        "" if valued or not notes else notes[0],
    )


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
    order = [str(name) for name in stored.get("classes") or []]
    entries = {name: entry for name, entry in stored.items() if isinstance(entry, Mapping)}
    if "matrix" in stored:
        entries = {"most_probable_class": stored, **entries}
    films = {"films_used": stored.get("films_used")}
    found = (_confusion(str(name), {**films, **entry}, order) for name, entry in entries.items())
    return [one for one in found if one is not None]


def _confusion(name: str, entry: Mapping[str, Any], order: Sequence[str]) -> Confusion | None:
    matrix, rows, columns = entry.get("matrix"), entry.get("labels"), entry.get("classes")
    if not (isinstance(matrix, list) and isinstance(rows, list) and isinstance(columns, list)):
        return None
    if len(matrix) != len(rows) or any(len(line) != len(columns) for line in matrix):
        return None
    said = [str(column) for column in columns]
    places = sorted(range(len(said)), key=lambda at: order.index(said[at]) if said[at] in order else len(order))
    columns = [said[at] for at in places]
    body = []
    for row, counts in zip(rows, matrix, strict=True):
        line = [counts[at] for at in places]
        total = sum(line)
        cells = tuple(
            (
                int(count),
                value_text(count / total, "row_share") if total else "",
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
                "anchor": anchor(f"probe-{probe.get('id', '')}"),
                "name": str(probe.get("name", "")),
                "contrast": words(str(probe["contrast"])) if probe.get("contrast") else "all films",
                "criterion": str(probe.get("criterion", "")),
                "describes": str(probe.get("describes", "")),
                "measured": [
                    (words(str(name).replace(".", ", ")), _measured(value)) for name, value in dict(measured).items()
                ],
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
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        return f"{value:,.0f}"
    return value_text(value, "") if isinstance(value, float) else str(value)
