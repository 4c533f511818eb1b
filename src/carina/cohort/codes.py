"""What the discharge codes of an episode say of pneumonia (M14)."""

from __future__ import annotations

import polars as pl

from carina.cohort.sections import CodeRules
from carina.records import CodeRule, pneumonia_codes_expr

__all__ = ["episode_codes"]


def episode_codes(numbered: pl.DataFrame, rules: CodeRules) -> pl.DataFrame:
    """Say of every episode whether its codes show pneumonia.

    Parameters
    ----------
    numbered : polars.DataFrame
        Events in order, with `episode` and `codes`, a list in order of position.
    rules : CodeRules

    Returns
    -------
    polars.DataFrame
        `episode`, `shows`, `coded` (whether it has any code), `codes_said`: the code that shows pneumonia, or why none
        does.
    """
    listed = numbered.select("episode", pl.col("codes").fill_null(pl.lit([], dtype=pl.List(pl.String))))
    episodes = listed.group_by("episode", maintain_order=True).agg(
        pl.col("codes").list.head(1).explode(empty_as_null=False).alias("_principals"),
        pl.col("codes").explode(empty_as_null=False),
    )
    rule = CodeRule(principal_only=rules.position == "principal", covid19_alone=rules.covid19 == "alone")
    call = pneumonia_codes_expr("codes", rule, principals="_principals")
    judged = episodes.with_columns(call.alias("_call")).unnest("_call")
    said = (
        pl.when("pneumonia")
        .then("code")
        .when(pl.col("reason") == "covid19_without_pneumonia")
        .then(pl.format("{} without J12-J18", "code"))
        .when(pl.col("codes").list.len() == 0)
        .then(pl.lit("none recorded"))
        .otherwise(pl.lit("none of pneumonia"))
    )
    return judged.select(
        "episode",
        pl.col("pneumonia").alias("shows"),
        (pl.col("codes").list.len() > 0).alias("coded"),
        said.alias("codes_said"),
    ).sort("episode")
