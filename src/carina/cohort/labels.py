"""From gold standard and aetiology to a label of the film table."""

from __future__ import annotations

import polars as pl

from carina.cohort.gold import NONE, PNEUMONIA

__all__ = ["film_label"]


def film_label() -> pl.Expr:
    """Class or label set of a film, from `gold`, `aetiology`, `sars_cov_2` and `before_covid19`.

    ``normal`` without pneumonia; ``covid19``, ``viral`` or ``bacterial`` after the aetiology; where that is mixed or
    unknown ``pneumonia_non_covid19`` if SARS-CoV-2 was looked for and not found, or did not exist yet, else
    ``pneumonia``.

    Examples
    --------
    >>> film = {"gold": "pneumonia", "aetiology": "unknown", "sars_cov_2": "negative", "before_covid19": None}
    >>> pl.DataFrame([film]).select(film_label()).item()
    'pneumonia_non_covid19'
    """
    aetiology = pl.col("aetiology")
    without = pl.col("sars_cov_2").eq_missing("negative") | pl.col("before_covid19").fill_null(value=False)
    return (
        pl.when(pl.col("gold") == NONE)
        .then(pl.lit("normal"))
        .when(pl.col("gold") != PNEUMONIA)
        .then(None)
        .when(aetiology.is_in(["covid19", "viral", "bacterial"]))
        .then(aetiology)
        .when(without)
        .then(pl.lit("pneumonia_non_covid19"))
        .otherwise(pl.lit("pneumonia"))
        .alias("label")
    )
