"""Position of a film, and the first and last film of an episode in one position (M10)."""

from __future__ import annotations

import polars as pl

from carina.cohort.sections import FilmRules
from carina.cohort.words import has_words

__all__ = ["choose_first_and_last", "find_positions"]

ERECT = "erect"
SUPINE = "supine"


def find_positions(films: pl.DataFrame, rules: FilmRules) -> pl.DataFrame:
    """Say how the patient was, and how that is known.

    Parameters
    ----------
    films : polars.DataFrame
        `record_position`, `mobile`, `request`, `series_description`, `protocol_name`, `view_position`.
    rules : FilmRules

    Returns
    -------
    polars.DataFrame
        The films with `position` (``"erect"``, ``"supine"`` or null), `position_source` (``"records"``, ``"request"``,
        ``"series"``, ``"mobile"``, ``"view"`` or null) and `position_weak`, true for the last two.
    """
    series = pl.concat_str("series_description", "protocol_name", separator=" ", ignore_nulls=True)
    recorded = pl.when(pl.col("record_position").is_in([ERECT, SUPINE])).then("record_position")
    moved = (
        pl.col("mobile").fill_null(value=False)
        | has_words("request", rules.mobile_words)
        | has_words(series, rules.mobile_words)
    )
    mobile = pl.when(moved & pl.lit(value=rules.mobile == SUPINE)).then(pl.lit(SUPINE))
    view = pl.col("view_position").str.to_uppercase()
    proxy = pl.when(pl.lit(value=rules.view_position)).then(
        pl.when(view == "PA").then(pl.lit(ERECT)).when(view == "AP").then(pl.lit(SUPINE))
    )
    ways = {
        "records": recorded,
        "request": _worded("request", rules),
        "series": _worded(series, rules),
        "mobile": mobile,
        "view": proxy,
    }
    found = films.with_columns(way.alias(f"_{name}") for name, way in ways.items())
    source = pl.coalesce(pl.when(pl.col(f"_{name}").is_not_null()).then(pl.lit(name)) for name in ways)
    return (
        found.with_columns(pl.coalesce(f"_{name}" for name in ways).alias("position"), source.alias("position_source"))
        .with_columns(pl.col("position_source").is_in(["mobile", "view"]).fill_null(value=False).alias("position_weak"))
        .drop(pl.selectors.starts_with("_"))
    )


def choose_first_and_last(films: pl.DataFrame, rules: FilmRules) -> pl.DataFrame:
    """Choose of each episode the first film and the latest before discharge in the same position.

    Parameters
    ----------
    films : polars.DataFrame
        Eligible films in order: `film`, `episode`, `acquired_at`, `ends_at`, `position`.
    rules : FilmRules

    Returns
    -------
    polars.DataFrame
        `film`, `role` (``"first"`` or ``"last"``); an episode whose later films are in other positions has no last.

    Examples
    --------
    >>> from datetime import datetime
    >>> from carina.cohort.rules import load_rules
    >>> days = [datetime(2020, 1, day) for day in (1, 2, 3)]
    >>> films = pl.DataFrame({"film": [0, 1, 2], "episode": [0, 0, 0], "acquired_at": days, "ends_at": [days[2]] * 3,
    ...                       "position": ["erect", "erect", "supine"]})
    >>> choose_first_and_last(films, load_rules().films)["film"].to_list()
    [0, 1]
    """
    numbered = films.with_row_index("_order")
    first = numbered.unique("episode", keep="first", maintain_order=True)
    known = first.select("episode", pl.col("_order").alias("_first"), pl.col("position").alias("_position"))
    later = numbered.join(known, on="episode", how="inner", maintain_order="left").filter(
        (pl.col("_order") > pl.col("_first"))
        & (pl.col("acquired_at") <= pl.col("ends_at"))
        & _matches(pl.col("position"), pl.col("_position"), rules)
    )
    last = later.unique("episode", keep="last", maintain_order=True)
    return pl.concat(
        [
            first.select("film", pl.lit("first").alias("role")),
            last.select("film", pl.lit("last").alias("role")),
        ]
    )


def _worded(text: str | pl.Expr, rules: FilmRules) -> pl.Expr:
    """Position named by words; null where both positions are named or neither."""
    erect, supine = has_words(text, rules.erect_words), has_words(text, rules.supine_words)
    return pl.when(erect & ~supine).then(pl.lit(ERECT)).when(supine & ~erect).then(pl.lit(SUPINE))


def _matches(one: pl.Expr, other: pl.Expr, rules: FilmRules) -> pl.Expr:
    unknown = {
        "matches_nothing": pl.lit(value=False),
        "matches_unknown": one.is_null() & other.is_null(),
        "matches_all": one.is_null() | other.is_null(),
    }[rules.unknown_position]
    return (one == other).fill_null(value=False) | unknown
