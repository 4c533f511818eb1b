"""The gold standard of a film, from its read and the codes of its episode, and the sentence that explains it (M13)."""

from __future__ import annotations

import polars as pl

from carina.cohort.sections import GoldRules

__all__ = ["NONE", "PNEUMONIA", "explain_gold", "judge_films", "order_films"]

NONE = "none"
PNEUMONIA = "pneumonia"
ORDER = ("episode", "acquired_at", "series_number", "instance_number", "film")


def counted_read(rules: GoldRules) -> pl.Expr:
    """Read of a film as M13 counts it: ``"pneumonia"``, ``"none"`` or null, from its `finding`."""
    finding = pl.col("finding")
    equivocal = None if rules.equivocal == "skip" else rules.equivocal
    return (
        pl.when(finding == "equivocal")
        .then(pl.lit(equivocal, dtype=pl.String))
        .when(finding.is_in([NONE, PNEUMONIA]))
        .then(finding)
    )


def order_films(films: pl.DataFrame) -> pl.DataFrame:
    """Put films in order: episode, acquisition time, then series and instance number, then as stored (M13)."""
    return films.sort(*ORDER, nulls_last=True)


def judge_films(films: pl.DataFrame, rules: GoldRules) -> pl.DataFrame:
    """Give every film of a sequence its gold label.

    Parameters
    ----------
    films : polars.DataFrame
        One row a film that has a read and an episode, in the order of `order_films`: `episode`, `finding`, and
        `shows`, whether the codes of the episode show pneumonia.
    rules : GoldRules

    Returns
    -------
    polars.DataFrame
        The films whose read counts, with `read`, `film_order` (from 1), `film_count`, `others` (whether another film of
        the episode was read as pneumonia), `flanked`, and `gold`.

    Examples
    --------
    >>> from carina.cohort.rules import load_rules
    >>> reads = pl.DataFrame({"episode": [0, 0, 0], "finding": ["pneumonia", "none", "pneumonia"], "shows": [True] * 3})
    >>> judge_films(reads, load_rules().gold)["gold"].to_list()
    ['pneumonia', 'pneumonia', 'pneumonia']
    """
    films = films.with_columns(counted_read(rules).alias("read")).filter(pl.col("read").is_not_null())
    sick = (pl.col("read") == PNEUMONIA).cast(pl.Int32)
    first = (pl.col("episode") != pl.col("episode").shift(1)).fill_null(value=True)
    last = (pl.col("episode") != pl.col("episode").shift(-1)).fill_null(value=True)
    # Running counts over the whole table, less what they were where the episode began: no grouping, so that a million
    # films take a moment.
    films = films.with_columns(sick.alias("_sick"), first.alias("_first"), last.alias("_last")).with_columns(
        pl.col("_sick").cum_sum().alias("_seen"), pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("_row")
    )
    films = films.with_columns(
        pl.when("_first").then(pl.col("_seen") - pl.col("_sick")).forward_fill().alias("_base"),
        pl.when("_first").then(pl.col("_row") - 1).forward_fill().alias("_start"),
        pl.when("_last").then("_seen").backward_fill().alias("_total"),
        pl.when("_last").then("_row").backward_fill().alias("_end"),
    )
    before, after = _flanks(rules)
    films = films.with_columns(
        (pl.col("_row") - pl.col("_start")).alias("film_order"),
        (pl.col("_end") - pl.col("_start")).alias("film_count"),
        (pl.col("_total") - pl.col("_base") - pl.col("_sick") > 0).alias("others"),
        (before & after).fill_null(value=False).alias("flanked"),
    )
    spared = pl.col("others") & pl.col("flanked").not_()
    gold = (
        pl.when(pl.col("shows").not_())
        .then(pl.lit(NONE))
        .when(pl.col("read") == PNEUMONIA)
        .then(pl.lit(PNEUMONIA))
        .when(spared)
        .then(pl.lit(NONE))
        .otherwise(pl.lit(PNEUMONIA))
    )
    return films.with_columns(gold.alias("gold")).drop(pl.selectors.starts_with("_"))


def _flanks(rules: GoldRules) -> tuple[pl.Expr, pl.Expr]:
    """Whether the film before, and the film after, was read as pneumonia; raw reads, not gold labels."""
    if rules.flanking == "surrounded":
        earlier = pl.col("_seen") - pl.col("_sick") - pl.col("_base")
        later = pl.col("_total") - pl.col("_seen")
        return earlier > 0, later > 0
    before = pl.col("_first").not_() & (pl.col("_sick").shift(1) == 1)
    after = pl.col("_last").not_() & (pl.col("_sick").shift(-1) == 1)
    return before, after


def explain_gold(rules: GoldRules) -> pl.Expr:
    """Sentence of a judged film, from the columns of `judge_films` and `codes_said`.

    Returns
    -------
    polars.Expr
        Text such as ``"read: none; codes: J18.9; film 3 of 5 flanked by two films with pneumonia: pneumonia (M13b)"``.
    """
    read = pl.when(pl.col("finding") == "equivocal").then(pl.lit(f"equivocal, counted as {rules.equivocal}"))
    place = pl.format("film {} of {}", "film_order", "film_count")
    flanked = "flanked by" if rules.flanking == "immediate" else "surrounded by"
    reason = (
        pl.when(pl.col("shows").not_() | (pl.col("read") == PNEUMONIA))
        .then(pl.format(": {} (M13)", "gold"))
        .when("flanked")
        .then(pl.format("; {} " + flanked + " two films with pneumonia: {} (M13b)", place, "gold"))
        .when(pl.col("others").not_())
        .then(pl.format("; {}, no other film with pneumonia: {} (M13a)", place, "gold"))
        .otherwise(pl.format("; {}, another film with pneumonia, not " + flanked + " two: {} (M13)", place, "gold"))
    )
    return pl.format("read: {}; codes: {}{}", read.otherwise("read"), "codes_said", reason)
