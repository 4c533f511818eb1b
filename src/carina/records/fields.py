"""Cells to canonical values, a column at a time; a cell that is not what it must be gets a reason, never a guess.

Every parser takes a column of cells and returns its values and, for each cell, null or the reason why it has no value.
Reasons never hold the cell: it may identify a patient.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import polars as pl

from carina.records.contracts import CHOICES, RANGES, REQUIRED, SCHEMAS
from carina.records.ethnicity import GROUPS, ethnicity_ranks, prioritise_expr
from carina.records.icd10 import normalise_icd10_expr
from carina.records.mapping import UNITS, ColumnMap
from carina.records.moments import parse_date, parse_moment
from carina.records.nhi import nhi_problems
from carina.records.organisms import fold, organism_synonyms

__all__ = ["Parsed", "Setting", "known_words", "parse_column"]


@dataclass(frozen=True)
class Parsed:
    """A column's values and its reasons, row by row.

    Attributes
    ----------
    values : polars.Series
        Of the canonical type; null where there is a reason, or nothing.
    reasons : polars.Series of str
        Null where there is nothing wrong.
    notes : tuple of str
        What holds for the column as a whole.
    """

    values: pl.Series
    reasons: pl.Series
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a parser knows besides the cells.

    Attributes
    ----------
    table, column : str
        Ours.
    spec : ColumnMap
        The hospital's.
    time_zone : str
        In which moments are local.
    nulls : tuple of str
        Cells that hold nothing.
    typed_dates : bool
        Whether text may be a spreadsheet's real date, which is written in ISO 8601 whatever the format.
    """

    table: str
    column: str
    spec: ColumnMap
    time_zone: str
    nulls: tuple[str, ...]
    typed_dates: bool = False


def parse_column(frame: pl.DataFrame, setting: Setting) -> Parsed:
    """Parse one canonical column of an uninterpreted frame.

    Parameters
    ----------
    frame : polars.DataFrame
        Holds the columns that ``setting.spec`` names.
    setting : Setting

    Returns
    -------
    Parsed
        Missing values of required columns have a reason too.
    """
    kind = SCHEMAS[setting.table][setting.column]
    if setting.column in ("codes", "ethnicity"):
        parsed = (_codes if setting.column == "codes" else _ethnicity)(_lists(frame, setting), setting)
    else:
        parser = _parser(kind, setting)
        parsed = parser(_cells(frame, setting), setting)
    if setting.column in REQUIRED[setting.table]:
        missing = parsed.values.is_null() & parsed.reasons.is_null()
        reason = "must not be empty" if setting.column != "collected_at" else "a result must have its specimen's time"
        parsed = Parsed(parsed.values, _where(missing, reason, parsed.reasons), parsed.notes)
    return parsed


def _parser(kind: pl.DataType, setting: Setting) -> Callable[[pl.Series, Setting], Parsed]:
    if setting.column == "nhi":
        return _nhi
    if setting.column in CHOICES[setting.table]:
        return _choice
    parsers: dict[type[pl.DataType], Callable[[pl.Series, Setting], Parsed]] = {
        pl.Datetime: _moment,
        pl.Date: _date,
        pl.Float64: _number,
        pl.Boolean: _boolean,
    }
    return parsers.get(type(kind), _text)


def _where(at: pl.Series, reason: str, otherwise: pl.Series) -> pl.Series:
    return pl.select(pl.when(at).then(pl.lit(reason)).otherwise(otherwise)).to_series()


def _none(values: pl.Series) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, len(values))


def _blanked(column: pl.Expr, nulls: tuple[str, ...]) -> pl.Expr:
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(~text.is_in(list({*nulls, ""}))).then(text)


def _cells(frame: pl.DataFrame, setting: Setting) -> pl.Series:
    """Return one cell a row: typed as the file has it where it is one column, else text joined with spaces."""
    names = setting.spec.columns
    if len(names) == 1 and (frame.schema[names[0]].is_temporal() or frame.schema[names[0]].is_numeric()):
        return frame[names[0]]
    parts = [_blanked(pl.col(name), setting.nulls) for name in names]
    if len(parts) == 1:
        return frame.select(parts[0]).to_series()
    joined = pl.concat_str(parts, separator=" ", ignore_nulls=True)
    return frame.select(pl.when(joined != "").then(joined)).to_series()


def _lists(frame: pl.DataFrame, setting: Setting) -> pl.Series:
    """Return a list of items a row, blank ones left out."""
    parts = []
    for name in setting.spec.columns:
        column = pl.col(name)
        if isinstance(frame.schema[name], pl.List):
            parts.append(column.cast(pl.List(pl.String)))
            continue
        text = _blanked(column, setting.nulls)
        if setting.spec.separator:
            parts.append(text.str.split(setting.spec.separator))
        else:
            parts.append(pl.concat_list(text))
    lists = pl.concat_list([part.fill_null(pl.lit([], dtype=pl.List(pl.String))) for part in parts])
    blank = pl.element().str.strip_chars()
    return frame.select(lists.list.eval(blank.filter(~blank.is_in(list({*setting.nulls, ""}))))).to_series()


def _text(cells: pl.Series, setting: Setting) -> Parsed:
    del setting
    return Parsed(cells.cast(pl.String), _none(cells))


def _nhi(cells: pl.Series, setting: Setting) -> Parsed:
    del setting
    values = cells.cast(pl.String).str.replace_all(r"[\s-]", "").str.to_uppercase()
    problems = nhi_problems(values)
    reasons = problems.replace_strict(
        {
            "shape": "must be an NHI: three letters without I and O, then four digits, or two digits and two letters",
            "check": "the NHI's check character is wrong: a digit or letter is mistyped",
        },
        default=None,
        return_dtype=pl.String,
    )
    return Parsed(pl.select(pl.when(reasons.is_null()).then(values)).to_series(), reasons)


def _moment(cells: pl.Series, setting: Setting) -> Parsed:
    return Parsed(*parse_moment(cells, setting.spec.format, setting.time_zone, typed_dates=setting.typed_dates))


def _date(cells: pl.Series, setting: Setting) -> Parsed:
    return Parsed(*parse_date(cells, setting.spec.format, setting.time_zone, typed_dates=setting.typed_dates))


@cache
def known_words(column: str) -> dict[str, str]:
    """Return every known spelling of a column's codes, folded, to the code."""
    if column == "organism":
        return organism_synonyms()
    data = tomllib.loads(files("carina.records").joinpath("choices.toml").read_text("utf-8"))
    codes = {code: (code, *others) for code, others in data[column].items()}
    return {fold(word) or word: code for code, words in codes.items() for word in words}


def _translated(cells: pl.Series, setting: Setting) -> tuple[pl.Series, dict[str, str]]:
    """Return cells as text, and our code of each distinct one that has one."""
    text = cells.cast(pl.String)
    own = {key.strip().casefold(): value.strip() for key, value in setting.spec.values.items()}
    words = known_words(setting.column)
    found = {}
    for cell in text.unique().drop_nulls().to_list():
        word = own.get(cell.strip().casefold(), cell)
        code = "" if word == "" else words.get(fold(word) or word)
        if code is not None:
            found[cell] = code
    return text, found


def _choice(cells: pl.Series, setting: Setting) -> Parsed:
    text, found = _translated(cells, setting)
    # A translation to nothing is a null with no reason; sex that nobody stated is U.
    code = text.replace_strict(found, default=None, return_dtype=pl.String)
    allowed = CHOICES[setting.table][setting.column]
    listed = f"one of {', '.join(allowed)}" if setting.column != "organism" else "on the list of organisms"
    reason = f"must be {listed}, or be translated in the mapping; found a code that is neither"
    reasons = _where(text.is_not_null() & code.is_null(), reason, _none(text))
    values = pl.select(pl.when(code != "").then(code)).to_series()
    if setting.column == "sex":
        values = pl.select(
            pl.when(values.is_null() & reasons.is_null()).then(pl.lit("U")).otherwise(values)
        ).to_series()
    return Parsed(values, reasons)


def _boolean(cells: pl.Series, setting: Setting) -> Parsed:
    text, found = _translated(cells, setting)
    code = text.replace_strict(found, default=None, return_dtype=pl.String)
    reasons = _where(
        text.is_not_null() & code.is_null(), "must be true or false, or be translated in the mapping", _none(text)
    )
    return Parsed(code.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean), reasons)


def _codes(lists: pl.Series, setting: Setting) -> Parsed:
    del setting
    values = pl.select(lists.list.eval(normalise_icd10_expr(pl.element()))).to_series()
    bad = values.list.eval(pl.element().is_null()).list.any()
    reasons = _where(
        bad,
        "every diagnosis must be an ICD-10 code: a letter, two digits and up to three more; one of these is not",
        _none(lists),
    )
    kept = values.list.unique(maintain_order=True)
    return Parsed(pl.select(pl.when(reasons.is_null()).then(kept)).to_series(), reasons)


def _ethnicity(lists: pl.Series, setting: Setting) -> Parsed:
    distinct = lists.explode().unique().drop_nulls().to_list()
    own = {key.strip().casefold(): value.strip() for key, value in setting.spec.values.items()}
    translated = {answer: own.get(answer.casefold(), answer) for answer in distinct}
    known = ethnicity_ranks(translated.values())
    ranks = {answer: known[word] for answer, word in translated.items() if word in known}
    ranks.update({answer: GROUPS.index("Unknown") for answer, word in translated.items() if word == ""})
    strange = lists.list.eval(~pl.element().is_in(list(ranks))).list.any()
    reasons = _where(
        strange, "every ethnicity must be a code or name of HISO 10001, or be translated in the mapping", _none(lists)
    )
    values = pl.select(prioritise_expr(pl.lit(lists), ranks)).to_series()
    return Parsed(pl.select(pl.when(reasons.is_null()).then(values)).to_series(), reasons)


def _number(cells: pl.Series, setting: Setting) -> Parsed:
    """Turn cells into a measurement in our unit; what lies outside the limits names the slip that it looks like."""
    if cells.dtype.is_numeric():
        number, unreadable = cells.cast(pl.Float64), cells.is_null() & False
    else:
        plain = cells.str.contains(r"^[+-]?[0-9]+(\.[0-9]+)?$")
        number = pl.select(pl.when(plain).then(cells)).to_series().cast(pl.Float64)
        unreadable = cells.is_not_null() & ~plain
    comma = cells.str.contains(r"^[0-9]+,[0-9]+$") if cells.dtype == pl.String else unreadable & False
    reasons = _where(unreadable, "must be a number without a unit", _none(cells))
    reasons = _where(comma, "must be a number with a decimal point; found a decimal comma", reasons)
    unit = setting.spec.unit or next(iter(UNITS.get(setting.column, ("",))))
    value = _converted(number, setting.column, unit)
    low, high = RANGES[setting.column]
    outside = value.is_not_null() & ~value.is_between(low, high)
    ours = UNITS.get(setting.column, ("",))[0]
    limits = f"must lie within {low:g} and {high:g} {ours}".strip()
    reasons = _where(outside, limits, reasons)
    for other in UNITS.get(setting.column, ()):
        if other != unit:
            slipped = outside & _converted(number, setting.column, other).is_between(*_LIKELY[setting.column])
            reasons = _where(slipped, f"{limits}; it looks like {_SPOKEN[other]} where {_SPOKEN[unit]} belong", reasons)
    return Parsed(pl.select(pl.when(reasons.is_null()).then(value)).to_series(), reasons)


_SPOKEN = {
    "cm": "centimetres",
    "m": "metres",
    "in": "inches",
    "kg": "kilograms",
    "g": "grams",
    "lb": "pounds",
    "C": "degrees Celsius",
    "F": "degrees Fahrenheit",
    "%": "percent",
    "fraction": "fractions",
}
# Where a value must lie in our unit for another unit to be the likely slip.
_LIKELY = {
    "height_cm": (40.0, 220.0),
    "weight_kg": (1.0, 300.0),
    "temperature_c": (30.0, 43.0),
    "spo2_percent": (40.0, 100.0),
}


def _converted(number: pl.Series, column: str, unit: str) -> pl.Series:
    factor = {"m": 100.0, "in": 2.54, "g": 0.001, "lb": 0.45359237, "fraction": 100.0}.get(unit, 1.0)
    if column == "temperature_c" and unit == "F":
        return (number - 32.0) * (5.0 / 9.0)
    return number * factor
