"""Dates and times of an extract: written in the format the mapping says, or not read at all."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl

__all__ = ["ISO", "parse_date", "parse_moment"]

ISO = "ISO 8601, such as 2020-07-01T14:30"
"""What a moment without a format must be."""

_YEARS = (1900, 2100)
_EXAMPLE = dt.datetime(2021, 1, 9, 8, 5)  # noqa: DTZ001 - naive on purpose, as extracts are
_NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
# What a cell that breaks its format looks like instead; the last that matches is named.
_LOOKS = (
    (r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", "the year first"),
    (r"^[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}", "day and month in digits, the year last"),
    (r"^[0-9]{1,2}[/.-](1[3-9]|2[0-9]|3[01])[/.-][0-9]{2,4}", "the month first"),
    (r"^[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2}($|[^0-9])", "a year of two digits"),
    (r"^[0-9]{1,2}[ /.-][A-Za-z]{3,9}[ /.,-]", "the month's name"),
    (r"^[0-9]{5}(\.[0-9]+)?$", "a spreadsheet's day number"),
    (r"^[0-9]{8}([0-9]{4,6})?$", "digits without marks between them"),
)


def parse_moment(
    cells: pl.Series, formats: tuple[str, ...], time_zone: str, *, typed_dates: bool = False
) -> tuple[pl.Series, pl.Series, tuple[str, ...]]:
    """Turn cells into naive local moments.

    Parameters
    ----------
    cells : polars.Series
        Text, or already dates or moments.
    formats : tuple of str
        In chrono's notation; empty for ISO 8601, whose offset, where it has one, is turned into `time_zone`.
    time_zone : str
        IANA name.
    typed_dates : bool
        Whether a text in ISO 8601 is read whatever the format: a spreadsheet's real date.

    Returns
    -------
    values : polars.Series of Datetime("us")
    reasons : polars.Series of str
        Null, or why there is no value.
    notes : tuple of str
    """
    return _parse(cells, formats, time_zone, typed_dates=typed_dates, whole_days=False)


def parse_date(
    cells: pl.Series, formats: tuple[str, ...], time_zone: str, *, typed_dates: bool = False
) -> tuple[pl.Series, pl.Series, tuple[str, ...]]:
    """Turn cells into dates; as `parse_moment`, and a time of day other than midnight has a reason too."""
    moments, reasons, notes = _parse(cells, formats, time_zone, typed_dates=typed_dates, whole_days=True)
    late = moments.is_not_null() & (moments != moments.dt.truncate("1d"))
    reasons = pl.select(
        pl.when(late).then(pl.lit("must be a date without a time of day")).otherwise(reasons)
    ).to_series()
    return pl.select(pl.when(reasons.is_null()).then(moments.dt.date())).to_series(), reasons, notes


def _parse(
    cells: pl.Series, formats: tuple[str, ...], time_zone: str, *, typed_dates: bool, whole_days: bool
) -> tuple[pl.Series, pl.Series, tuple[str, ...]]:
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(cells))
    if cells.dtype.is_temporal():
        values = _typed(cells, time_zone)
        return values, _in_years(values, nothing), ()
    text = cells.cast(pl.String)
    values = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
    for one in formats:
        values = _coalesce(values, _with_format(text, one, time_zone))
    if not formats or typed_dates:
        values = _coalesce(values, _iso(text, time_zone))
    failed = text.is_not_null() & values.is_null()
    if not failed.any():
        return values, _in_years(values, nothing), ()
    wanted = f"must be written as {' or '.join(formats)}" if formats else f"must be written as {ISO}"
    reason = pl.lit(f"{wanted}; it is not")
    look = pl.lit(text)
    own = [_EXAMPLE.strftime(one) for one in formats or _NAIVE[1:]]
    for pattern, spoken in _LOOKS:
        if any(re.search(pattern, example) for example in own):
            told = f"{wanted}; this one is no day or time that exists"
        else:
            told = f"{wanted}; this one looks like {spoken}: formats are mixed in the column"
        reason = pl.when(look.str.contains(pattern)).then(pl.lit(told)).otherwise(reason)
    if not whole_days and formats:
        bare = _matches_without_time(text, formats)
        reason = pl.when(bare).then(pl.lit(f"{wanted}; this one has no time of day")).otherwise(reason)
    reasons = pl.select(pl.when(failed).then(reason)).to_series()
    return values, _in_years(values, reasons), _mixed(text, failed, formats)


def _typed(cells: pl.Series, time_zone: str) -> pl.Series:
    if isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone is not None:
        cells = cells.dt.convert_time_zone(time_zone).dt.replace_time_zone(None)
    return cells.cast(pl.Datetime("us"))


def _coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(pl.lit(first), pl.lit(second))).to_series()


def _with_format(text: pl.Series, one: str, time_zone: str) -> pl.Series:
    if "%z" in one or "%:z" in one or "%#z" in one:
        return _typed(text.str.to_datetime(one, strict=False, time_unit="us", time_zone="UTC"), time_zone)
    if any(mark in one for mark in ("%H", "%I", "%T", "%R", "%k", "%l")):
        return text.str.to_datetime(one, strict=False, time_unit="us")
    return text.str.to_date(one, strict=False).cast(pl.Datetime("us"))


def _iso(text: pl.Series, time_zone: str) -> pl.Series:
    shaped = text.str.replace(r"^([0-9]{4}-[0-9]{2}-[0-9]{2}) ", "${1}T")
    offset = shaped.str.extract(_OFFSET, 1)
    # The hyphens of a date are no offset.
    has = offset.is_not_null() & shaped.str.contains("T", literal=True)
    bare = pl.select(pl.when(has).then(shaped.str.replace(_OFFSET, "")).otherwise(shaped)).to_series()
    values = pl.Series([None], dtype=pl.Datetime("us")).new_from_index(0, len(text))
    for one in _NAIVE:
        values = _coalesce(values, _with_format(bare, one, time_zone))
    if not has.any():
        return values
    sign = pl.when(pl.lit(offset).str.starts_with("-")).then(-1).otherwise(1)
    hours = pl.lit(offset).str.extract(r"([0-9]{2}):?[0-9]{2}", 1).cast(pl.Int64).fill_null(0)
    minutes = pl.lit(offset).str.extract(r"[0-9]{2}:?([0-9]{2})", 1).cast(pl.Int64).fill_null(0)
    shift = pl.duration(minutes=sign * (hours * 60 + minutes))
    utc = pl.select(pl.when(has).then(pl.lit(values) - shift)).to_series().dt.replace_time_zone("UTC")
    return pl.select(pl.when(has).then(pl.lit(_typed(utc, time_zone))).otherwise(pl.lit(values))).to_series()


def _in_years(values: pl.Series, reasons: pl.Series) -> pl.Series:
    outside = values.is_not_null() & ~values.dt.year().is_between(*_YEARS)
    told = pl.lit(
        f"the year must lie within {_YEARS[0]} and {_YEARS[1]}; look for an impossible date or a year of two digits"
    )
    return pl.select(pl.when(outside).then(told).otherwise(reasons)).to_series()


def _matches_without_time(text: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    found = pl.Series([False]).new_from_index(0, len(text))
    for one in formats:
        day = one.replace("T", " ").split(" ")[0]
        if day != one and "%H" not in day:
            found = found | text.str.to_date(day, strict=False, exact=True).is_not_null()
    return found


def _mixed(text: pl.Series, failed: pl.Series, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Warn of cells that a second format of the column would read differently."""
    if not any("%d/%m" in one or "%d-%m" in one for one in formats):
        return ()
    if not text.filter(failed).str.contains(_LOOKS[2][0]).any():
        return ()
    either = (
        text.filter(~failed).str.contains(r"^(0?[1-9]|1[0-2])[/.-](0?[1-9]|1[0-2])[/.-]").fill_null(value=False).sum()
    )
    return (f"some cells have the month first; {either} others could be read either way and were read day first",)
