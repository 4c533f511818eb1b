"""Two evaluations side by side as one page: two districts with one model, or two models (M35)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from carina.evidence.numbers import Number
from carina.evidence.sharing_compare import Compared, Comparison, Side
from carina.report.evaluation_words import cell_words, measure_words, number_markup, value_text
from carina.report.html import page_parts, page_templates, write_whole
from carina.report.page import words, words_inside

__all__ = ["Sheet", "comparison_sheets", "write_comparison"]

_HEADLINE = ("auc", "sensitivity", "specificity", "ppv", "npv")
_DENOMINATORS = {"among_pneumonia": "among pneumonia", "all_films": "among all films"}
_ORIGIN = {"denominator": None, "films_used": "all_films", "value": None, "group": "", "cell": "all", "contrast": None}


@dataclass(frozen=True, slots=True)
class Sheet:
    """Numbers of one contrast on both sides.

    Attributes
    ----------
    title : str
    verdicts : tuple of str
        Of the audit, first and second.
    heads, parts, rest : tuple of dict
        Headline measures of all films; of subgroups; every other number. Each has `name`, `note` (what it is a share
        of), `sides` (two markups), `films` (two texts), `marks` (two bars or `None`) and `difference`.
    """

    title: str
    verdicts: tuple[str, str]
    heads: tuple[dict[str, Any], ...]
    parts: tuple[dict[str, Any], ...]
    rest: tuple[dict[str, Any], ...]


def comparison_sheets(comparison: Comparison) -> list[Sheet]:
    """Part the numbers of a comparison by contrast.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of Sheet
        In the order that contrasts come in the first evaluation; numbers of no contrast are last.
    """
    rows: dict[str, list[Compared]] = {}
    for row in comparison.rows:
        rows.setdefault(row.contrast, []).append(row)
    ordered = sorted(rows, key=lambda name: not name)
    return [
        Sheet(
            words(name) if name else "All classes",
            (_verdict(comparison.sides[0], name), _verdict(comparison.sides[1], name)),
            tuple(_row(row) for row in _sorted(rows[name]) if _is_head(row)),
            tuple(_row(row) for row in _sorted(rows[name]) if _is_part(row)),
            tuple(_row(row) for row in rows[name] if not (_is_head(row) or _is_part(row))),
        )
        for name in ordered
    ]


def write_comparison(
    comparison: Comparison, out: Path, *, names: tuple[str, str] = ("First", "Second"), now: datetime | None = None
) -> Path:
    """Write a comparison as one page that needs no other file.

    Parameters
    ----------
    comparison : Comparison
    out : Path
        HTML file; replaced whole or not at all.
    names : tuple of str
        What the two are called on the page.
    now : datetime or None
        Date printed; the present when left out.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    contrasts = {row.contrast for row in comparison.rows if row.contrast != words(row.contrast).lower()}
    text = (
        page_templates()
        .get_template("comparison.html.j2")
        .render(
            **page_parts(("page.css", "explain.css", "evaluation.css", "comparison.css"), None, now),
            names=names,
            sides=comparison.sides,
            sentences=[words_inside(said, contrasts) for said in comparison.sentences],
            sheets=comparison_sheets(comparison),
        )
    )
    write_whole(out, text.encode("utf-8", "replace"), "the comparison")
    return out


def _verdict(side: Side, contrast: str) -> str:
    return side.verdicts.get(contrast, "not audited")


def _is_head(row: Compared) -> bool:
    return bool(row.contrast) and row.measure in _HEADLINE and row.cell in {"", "all"} and row.films_used != "all_films"


def _is_part(row: Compared) -> bool:
    return bool(row.contrast) and row.measure in _HEADLINE and "=" in row.cell and _group(row) == "subgroup"


def _group(row: Compared) -> str:
    return str(row.first.get("group") or row.second.get("group") or "")


def _sorted(rows: Iterable[Compared]) -> list[Compared]:
    """AUC first, own denominator before all films, groups together."""
    held = list(rows)
    cells = list(dict.fromkeys(row.cell for row in held))
    return sorted(
        held,
        key=lambda row: (
            cells.index(row.cell),
            row.denominator == "all_films",
            _HEADLINE.index(row.measure) if row.measure in _HEADLINE else len(_HEADLINE),
        ),
    )


def _row(row: Compared) -> dict[str, Any]:
    numbers = [_number(row, side) for side in (row.first, row.second)]
    known = next((number for number in numbers if number is not None), None)
    cell = "" if row.cell in {"", "all"} or known is None else cell_words(known)
    told = [_DENOMINATORS.get(row.denominator, ""), "" if row.films_used != "all_films" else "all films"]
    return {
        "name": measure_words(row.measure),
        "cell": cell,
        "note": ", ".join(part for part in dict.fromkeys(told) if part),
        "sides": [_shown(number) for number in numbers],
        "films": ["" if n is None or n.n is None or n.value is None else f"n = {n.n:,}" for n in numbers],
        "marks": [_mark(number) for number in numbers],
        "difference": _difference(row),
    }


def _number(row: Compared, side: Mapping[str, Any]) -> Number | None:
    if not side:
        return None
    own = {name: value for name, value in side.items() if value is not None}
    place = {
        "measure": row.measure,
        "contrast": row.contrast or None,
        "cell": row.cell or "all",
        "denominator": row.denominator or None,
        "films_used": row.films_used or "all_films",
    }
    return Number.from_dict({**_ORIGIN, "id": "without id", **own, **place})


def _shown(number: Number | None) -> Markup:
    if number is None:
        return Markup('<span class="none">not there</span>')
    return number_markup(number, link=False)


def _mark(number: Number | None) -> tuple[float, float, float] | None:
    """Value and interval on a scale from 0 to 100; `None` where the measure has another."""
    if number is None or number.value is None or not 0 <= number.value <= 1:
        return None
    low = number.value if number.low is None else max(0.0, number.low)
    high = number.value if number.high is None else min(1.0, number.high)
    return 100 * number.value, 100 * low, 100 * high


def _difference(row: Compared) -> Markup:
    if row.difference is None:
        return Markup('<span class="none">\u2013</span>')
    percent = value_text(0.5, row.measure).endswith("%")
    value, low, high = (_signed(one, percent=percent) for one in row.difference)
    return Markup(
        '<span class="num" title="{}"><data value="{}" data-part="value">{}</data> '
        '<span class="ci">{} to {}{}</span></span>'
    ).format(
        f"second less first \u00b7 {row.second.get('id')} \u00b7 Zou and Donner 2008, of two independent intervals",
        repr(row.difference[0]),
        value,
        low,
        high,
        " points" if percent else "",
    )


def _signed(value: float, *, percent: bool) -> str:
    text = f"{100 * value:+.1f}" if percent else f"{value:+.3f}"
    return text.lstrip("+-") if not float(text) else text.replace("-", "\u2212")
