"""Forest plot of subgroups: AUC, sensitivity and specificity by group, each with its interval and its films."""

from __future__ import annotations

from typing import Any

from carina.evidence.numbers import Number
from carina.report.evaluation_run import EvaluationRun
from carina.report.evaluation_words import cell_words, factor_words, number_text, origin, value_text
from carina.report.page import words
from carina.report.svg_figures import CHANCE, INK, OWN, SOFT, draw_svg, grid

__all__ = ["forest_figure", "forest_rows", "not_estimable"]

_MEASURES = {"auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity"}
_ROW_INCHES = 0.245
_MOST_ROWS = 60


def forest_rows(run: EvaluationRun, contrast: str) -> list[tuple[str, str, dict[str, Number]]]:
    """Rows of the forest plot.

    Parameters
    ----------
    run : EvaluationRun
    contrast : str

    Returns
    -------
    list of tuple
        Factor, cell and its numbers by measure; all films first. Of several numbers of one cell and measure, that on
        the first film of each patient is taken.
    """
    rows: dict[str, dict[str, Number]] = {}
    for number in run.numbers:
        if number.contrast != contrast or number.measure not in _MEASURES:
            continue
        if number.group != ("contrast" if number.cell == "all" else "subgroup"):
            continue
        held = rows.setdefault(number.cell, {})
        if number.measure not in held or (
            number.films_used == "first_films" and held[number.measure].films_used != "first_films"
        ):
            held[number.measure] = number
    ordered = sorted(rows, key=lambda cell: cell != "all")
    return [(cell.partition("=")[0] if "=" in cell else "all", cell, rows[cell]) for cell in ordered][:_MOST_ROWS]


def forest_figure(run: EvaluationRun, contrast: str) -> str | None:
    """Draw the forest plot of a contrast; `None` where no subgroup was judged.

    Parameters
    ----------
    run : EvaluationRun
    contrast : str

    Returns
    -------
    str or None
        SVG.
    """
    rows = [row for row in forest_rows(run, contrast) if _valued(row)]
    if not any(cell != "all" for _, cell, _ in rows):
        return None
    shown = [
        name for name in _MEASURES if any(name in numbers and numbers[name].value is not None for _, _, numbers in rows)
    ]
    places, height = _places([factor for factor, _, _ in rows])

    def paint(figure: Any) -> None:
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axis, measure in zip(axes, shown, strict=True):
            _column(axis, measure, rows, places, height)
        _names(axes[0], rows, places)

    titles = {number.id: origin(number) for _, _, numbers in rows for number in numbers.values()}
    label = f"Subgroups, {words(contrast)}: " + "; ".join(
        f"{cell_words(number)} {number_text(number)}" for _, _, numbers in rows for number in list(numbers.values())[:1]
    )
    size = (2.9 + 2.35 * len(shown), 0.95 + _ROW_INCHES * height)
    return draw_svg(f"forest-{contrast}", size, paint, label=label, titles=titles)


def not_estimable(run: EvaluationRun, contrast: str) -> list[str]:
    """Name the groups of a contrast that have no number, with the reason of the first.

    Parameters
    ----------
    run : EvaluationRun
    contrast : str

    Returns
    -------
    list of str
    """
    reasons: dict[str, list[str]] = {}
    for row in forest_rows(run, contrast):
        if row[1] != "all" and not _valued(row):
            number = next(iter(row[2].values()))
            reasons.setdefault(number_text(number), []).append(cell_words(number))
    return [f"{', '.join(cells)} ({reason})" for reason, cells in reasons.items()]


def _valued(row: tuple[str, str, dict[str, Number]]) -> bool:
    return any(number.value is not None for number in row[2].values())


def _places(factors: list[str]) -> tuple[list[float], float]:
    """Height of each row, with a heading's room before each new factor."""
    places, at, last = [], 0.0, None
    for factor in factors:
        if factor != last:
            at += 0.0 if last is None else (0.5 if last == "all" else 0.35)
            at += 0.0 if factor == "all" else 1.0
        places.append(at)
        at, last = at + 1.0, factor
    return places, at


def _column(
    axis: Any, measure: str, rows: list[tuple[str, str, dict[str, Number]]], places: list[float], height: float
) -> None:
    overall = rows[0][2].get(measure) if rows[0][1] == "all" else None
    if overall is not None and overall.value is not None:
        axis.axvline(overall.value, color=CHANCE, linewidth=1, linestyle=(0, (4, 3)))
    low = 1.0
    for (_, cell, numbers), place in zip(rows, places, strict=True):
        number = numbers.get(measure)
        if number is None or number.value is None:
            axis.text(1.04, place, "\u2013", fontsize=8, color=SOFT, va="center", transform=axis.get_yaxis_transform())
            continue
        if number.low is not None and number.high is not None:
            axis.plot((number.low, number.high), (place, place), color=OWN, linewidth=1.8, solid_capstyle="butt")
        low = min(low, number.value if number.low is None else number.low)
        marker = {"marker": "D", "markersize": 6.5} if cell == "all" else {"marker": "s", "markersize": 4.6}
        axis.plot(number.value, place, color=OWN, gid=f"id:{number.id}", linestyle="none", **marker)
        axis.text(
            1.04,
            place,
            value_text(number.value, measure),
            fontsize=8.5,
            color=INK,
            va="center",
            fontweight="bold" if cell == "all" else "normal",
            transform=axis.get_yaxis_transform(),
        )
    axis.set_xlim(min(0.5, max(0.0, low - 0.03)), 1.02)
    axis.set_ylim(height - 0.4, -0.7)
    axis.set_title(_MEASURES[measure])
    axis.set_xlabel(_total(overall, measure))
    axis.locator_params(axis="x", nbins=4)
    axis.spines["left"].set_visible(False)
    grid(axis, "x")


def _total(number: Number | None, measure: str) -> str:
    if number is None or number.n is None:
        return _MEASURES[measure]
    kind = {"sensitivity": " with", "specificity": " without"}.get(measure, " films")
    return f"{_MEASURES[measure]} (n = {number.n:,}{kind})"


def _names(axis: Any, rows: list[tuple[str, str, dict[str, Number]]], places: list[float]) -> None:
    axis.set_yticks(places, [_row_name(numbers) for _, _, numbers in rows])
    axis.tick_params(axis="y", labelsize=9)
    last = None
    for (factor, _, _), place, label in zip(rows, places, axis.get_yticklabels(), strict=True):
        if factor == "all":
            label.set_fontweight("bold")
        elif factor != last:
            axis.annotate(
                factor_words(factor),
                (0, place - 1),
                xycoords=("axes fraction", "data"),
                xytext=(-6, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=9,
                fontweight="bold",
                annotation_clip=False,
            )
        last = factor


def _row_name(numbers: dict[str, Number]) -> str:
    one = next(iter(numbers.values()))
    films = next(
        (number.n for name in ("auc", *numbers) if (number := numbers.get(name)) and number.n is not None), None
    )
    name = cell_words(one).rpartition(": ")[2]
    return f"{name}  (n = {films:,})" if films is not None else name
