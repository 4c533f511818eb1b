"""Counts of the flow of films into the cohort: what is left after each stage, and why the others are not (M8)."""

from __future__ import annotations

import polars as pl

from carina.cohort.exclusions import EXCLUSIONS, STAGES

__all__ = ["flow_table"]

_UNIT = "label"
_SAID = ("kind", "stage", "code", "sentence")


def flow_table(labels: pl.DataFrame) -> pl.DataFrame:
    """Count films, episodes and patients at each stage, exclusion, class and split.

    Parameters
    ----------
    labels : polars.DataFrame
        One row a film of the archive: `patient_id`, `episode_id`, `exclusion` (null in the cohort), `label`, `split`.

    Returns
    -------
    polars.DataFrame
        `kind` (``"stage"``, ``"exclusion"``, ``"class"``, ``"split"``), `stage`, `code`, `sentence`, `films`,
        `patients`, `episodes`; in the order of the flow. Every reason has a row, also where it excludes none.
    """
    rows = [_row(labels, pl.lit(value=True), "stage", "archive", "archive", STAGES["archive"])]
    stages = list(STAGES)[1:]
    for number, stage in enumerate(stages):
        here = [reason for reason in EXCLUSIONS if reason.stage == stage]
        rows += [
            _row(labels, pl.col("exclusion") == reason.code, "exclusion", stage, reason.code, reason.sentence)
            for reason in here
        ]
        later = [reason.code for reason in EXCLUSIONS if reason.stage in stages[number + 1 :]]
        left = pl.col("exclusion").is_null() | pl.col("exclusion").is_in(later)
        rows.append(_row(labels, left, "stage", stage, stage, STAGES[stage]))
    cohort = labels.filter(pl.col("exclusion").is_null())
    for kind in ("label", "split"):
        for value in cohort[kind].drop_nulls().unique().sort().to_list():
            said = "class" if kind == _UNIT else kind
            rows.append(_row(cohort, pl.col(kind) == value, said, "cohort", value, f"{said} {value}"))
    return pl.concat(rows)


def _row(labels: pl.DataFrame, chosen: pl.Expr, *said: str) -> pl.DataFrame:
    return (
        labels.lazy()
        .filter(chosen)
        .select(
            *(pl.lit(text).alias(name) for name, text in zip(_SAID, said, strict=True)),
            pl.len().cast(pl.Int64).alias("films"),
            pl.col("patient_id").drop_nulls().n_unique().cast(pl.Int64).alias("patients"),
            pl.col("episode_id").drop_nulls().n_unique().cast(pl.Int64).alias("episodes"),
        )
        .collect()
    )
