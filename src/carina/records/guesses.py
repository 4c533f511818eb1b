"""What the values of a column say about the guess that its header made: formats, units, separators, codes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import polars as pl

from carina.records.contracts import CHOICES, SCHEMAS
from carina.records.ethnicity import ethnic_group
from carina.records.fields import known_words
from carina.records.icd10 import normalise_icd10_expr
from carina.records.mapping import NULLS
from carina.records.nhi import nhi_problems
from carina.records.organisms import fold

__all__ = ["Guess", "Header", "guess_column"]

_DATES = ("%d/%m/%Y", "%Y-%m-%d", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%Y%m%d", "%Y/%m/%d")
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%H%M")
_ENOUGH = 0.9
_SEPARATORS = "|;,^~ "
_DISTINCT = 40
_LONGEST = 40
# A middle height below this is in metres, a middle temperature above this in degrees Fahrenheit.
_METRES = 3.0
_FAHRENHEIT = 60.0


@dataclass(frozen=True)
class Guess:
    """One proposed line of a mapping.

    Attributes
    ----------
    table, column : str
        Ours.
    sources : tuple of str
        The hospital's headers.
    confidence : float
        In [0, 1]; of the header and of what the values say.
    reason : str
        Why, in words, without a value that could name a patient.
    options : dict of str to object
        Further keys of the line: format, separator, unit, values.
    """

    table: str
    column: str
    sources: tuple[str, ...]
    confidence: float
    reason: str
    options: dict[str, object]

    def line(self) -> str:
        """Write the line of the mapping file."""
        source = _toml(self.sources[0]) if len(self.sources) == 1 else _toml(list(self.sources))
        if not self.options and len(self.sources) == 1:
            return f"{self.column} = {source}"
        key = "column" if len(self.sources) == 1 else "columns"
        parts = [f"{key} = {source}", *(f"{name} = {_toml(value)}" for name, value in self.options.items())]
        return f"{self.column} = {{ {', '.join(parts)} }}"


@dataclass(frozen=True)
class Header:
    """What a header alone says.

    Attributes
    ----------
    table, column : str
        Ours.
    names : tuple of str
        The columns that the guess rests on.
    score : float
        In [0, 1].
    why : str
        In words.
    """

    table: str
    column: str
    names: tuple[str, ...]
    score: float
    why: str

    def guess(self, said: str = "", weight: float = 1.0, options: dict[str, object] | None = None) -> Guess:
        """Make a guess of it, with what the values said."""
        reason = f"{self.why}; {said}" if said else self.why
        return Guess(self.table, self.column, self.names, min(1.0, self.score * weight), reason, options or {})

    def weighed(self, share: float, what: str, options: dict[str, object] | None = None) -> Guess:
        """Make a guess of it, weighed by the share of values that fit."""
        weight = (self.score + 0.08) / self.score if share >= _ENOUGH else share
        return self.guess(f"{share:.0%} of the values {what}", weight, options)


def guess_column(header: Header, frame: pl.DataFrame, used: set[str]) -> Guess:
    """Weigh a header's guess by its values.

    Parameters
    ----------
    header : Header
    frame : polars.DataFrame
        First rows of the extract.
    used : set of str
        Headers that serve a column; a column of times is added where dates stand apart from them.

    Returns
    -------
    Guess
    """
    if any(frame.schema[name].is_temporal() or isinstance(frame.schema[name], pl.List) for name in header.names):
        return header.guess("the file has the type")
    cells = pl.concat([_filled(frame[name]) for name in header.names])
    if cells.is_empty():
        return header.guess("no value to confirm it", 0.5)
    kind = SCHEMAS[header.table][header.column]
    if isinstance(kind, pl.Datetime | pl.Date):
        return _moment(header, frame, used, whole_days=isinstance(kind, pl.Date))
    for applies, judge in (
        (header.column == "nhi", _nhi),
        (header.column == "codes", _codes),
        (header.column == "ethnicity", _ethnicity),
        (header.column in CHOICES[header.table] or isinstance(kind, pl.Boolean), _choice),
        (isinstance(kind, pl.Float64), _number),
    ):
        if applies:
            return judge(header, cells)
    return header.guess()


def _nhi(header: Header, cells: pl.Series) -> Guess:
    problems = nhi_problems(cells.str.replace_all(r"[\s-]", "").str.to_uppercase())
    return header.weighed(_mean(problems.is_null()), "are NHIs with a right check character")


def _mean(flags: pl.Series) -> float:
    return int(flags.sum()) / max(len(flags), 1)


def _toml(value: object) -> str:
    # TOML's basic strings and arrays are JSON's; its inline tables are not.
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {_toml(of)}" for key, of in value.items()) + " }"
        )
    return json.dumps(value, ensure_ascii=False)


def _filled(cells: pl.Series) -> pl.Series:
    text = cells.cast(pl.String).str.strip_chars()
    return text.filter(text.is_not_null() & ~text.is_in(list(NULLS))).rename("cell")


def _moment(header: Header, frame: pl.DataFrame, used: set[str], *, whole_days: bool) -> Guess:
    first = header.names[0]
    cells = _filled(frame[first])
    others = [] if whole_days else [name for name in frame.columns if name not in used]
    times = next((name for name in others if _is_time_of(name, first, _filled(frame[name]))), None)
    if times is not None:
        used.add(times)
        header = replace(header, names=(first, times))
        joined = pl.concat_str(pl.col(first).str.strip_chars(), pl.col(times).str.strip_chars(), separator=" ")
        cells = _filled(frame.select(joined).to_series())
    shares = {one: _share(cells, one) for one in _formats(whole_days=whole_days)}
    best = max(shares, key=lambda one: shares[one])
    options: dict[str, object] = {"format": best}
    guess = header.weighed(shares[best], f"are written as {best}", options)
    other = best.replace("%d/%m", "%m/%d")
    if other != best and shares.get(other, 0.0) == shares[best]:
        doubt = f"{guess.reason}, and as well as {other}: say which"
        return replace(guess, confidence=guess.confidence * 0.6, reason=doubt)
    if shares[best] < 1.0:
        return replace(guess, reason=f"{guess.reason}; the rest will be rejected: formats are mixed")
    return guess


def _formats(*, whole_days: bool) -> list[str]:
    if whole_days:
        return list(_DATES)
    joined = [f"{day}{between}{time}" for day in _DATES for between in (" ", "T") for time in _TIMES]
    return [*joined, *_DATES]


def _share(cells: pl.Series, one: str) -> float:
    if any(mark in one for mark in ("%H", "%I")):
        read = cells.str.to_datetime(one, strict=False, time_unit="us")
    else:
        read = cells.str.to_date(one, strict=False).cast(pl.Datetime("us"))
    return _mean(read.dt.year().is_between(1900, 2100).fill_null(value=False))


def _is_time_of(name: str, header: str, cells: pl.Series) -> bool:
    """Whether a column holds times of day and is named like the column of dates."""
    if "time" not in fold(name) or cells.is_empty():
        return False
    stem = fold(header).replace("date", "").replace("dt", "")
    named_alike = stem in fold(name) or fold(name).replace("time", "") in fold(header)
    return named_alike and bool(cells.str.contains(r"^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?( ?[AaPp][Mm])?$").all())


def _codes(header: Header, cells: pl.Series) -> Guess:
    best, share = "", -1.0
    for separator in ("", *_SEPARATORS):
        items = cells.str.split(separator).explode() if separator else cells
        items = items.str.strip_chars()
        items = items.filter(items != "")
        found = _mean(pl.select(normalise_icd10_expr(pl.lit(items))).to_series().is_not_null())
        if found > share + 1e-9:
            best, share = separator, found
    options: dict[str, object] = {"separator": best} if best else {}
    return header.weighed(share, "have the shape of ICD-10 codes", options)


def _ethnicity(header: Header, cells: pl.Series) -> Guess:
    best, share = "", -1.0
    for separator in ("", "|", ";", ",", "^", "~"):
        items = (cells.str.split(separator).explode() if separator else cells).str.strip_chars()
        known = {item for item in items.unique().to_list() if ethnic_group(item) is not None}
        found = _mean(items.is_in(list(known)))
        if found > share + 1e-9:
            best, share = separator, found
    options: dict[str, object] = {"separator": best} if best else {}
    return header.weighed(share, "are codes or names of HISO 10001", options)


def _choice(header: Header, cells: pl.Series) -> Guess:
    words = known_words(header.column)
    distinct = cells.value_counts(sort=True)
    known = {word for word in distinct["cell"].to_list() if (fold(word) or word) in words}
    share = _mean(cells.is_in(list(known)))
    rest = [word for word in distinct["cell"].to_list() if word not in known]
    options: dict[str, object] = {}
    what = "are known codes"
    if rest:
        # Long or many different values are no codes, and could name somebody: they are counted, not written.
        short = [word for word in rest if len(word) <= _LONGEST][:_DISTINCT] if len(rest) <= _DISTINCT else []
        # A hospital's own code is left for a person to translate: an unknown word stays unknown.
        options = {"values": dict.fromkeys(short, "?")} if short else {}
        what = f"are known codes; {len(rest)} different others must be translated where a question mark stands"
    return header.weighed(share, what, options)


def _number(header: Header, cells: pl.Series) -> Guess:
    numbers = cells.cast(pl.Float64, strict=False)
    share = _mean(numbers.is_not_null())
    middle = numbers.median()
    options: dict[str, object] = {}
    what = "are numbers"
    if isinstance(middle, float):
        slips = {
            "height_cm": ("m", middle < _METRES),
            "temperature_c": ("F", middle > _FAHRENHEIT),
            "spo2_percent": ("fraction", middle <= 1.0),
        }
        unit, applies = slips.get(header.column, ("", False))
        if applies:
            options["unit"] = unit
            what = f"are numbers; their middle is that of {unit}"
    return header.weighed(share, what, options)
