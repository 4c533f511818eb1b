"""What is kept of each film beside its label: age, sex, ethnicity, BMI, device (M16, M17)."""

from __future__ import annotations

import polars as pl

from carina.cohort.sections import CovariateRules
from carina.cohort.tables import CohortTables

__all__ = ["completed_years", "film_covariates"]

_RANKS = {"Maori": 0, "Pacific": 1, "Asian": 2, "MELAA": 3, "Other": 4, "European": 5, "Unknown": 6}
_OLDEST = 90  # stands for 90 or more


def film_covariates(films: pl.DataFrame, tables: CohortTables, rules: CovariateRules) -> pl.DataFrame:
    """Age, sex, ethnicity and BMI of each film's patient.

    Parameters
    ----------
    films : polars.DataFrame
        `film`, `patient_id`, `acquired_at`, `age_years`, `film_sex`.
    tables : CohortTables
        Checked.
    rules : CovariateRules

    Returns
    -------
    polars.DataFrame
        `film`, `age` (completed years), `sex`, `ethnicity`, `bmi` (kg/m2).
    """
    chosen = films.select("patient_id").unique().lazy()
    people = (
        tables.admissions.select("patient_id", "admitted_at", "birth_date", "sex", "ethnicity")
        .join(chosen, on="patient_id", how="semi")
        .sort("patient_id", "admitted_at", nulls_last=True)
        .group_by("patient_id", maintain_order=True)
        .agg(
            pl.col("birth_date").drop_nulls().last(),
            pl.col("sex").filter(pl.col("sex").is_in(["F", "M", "X"])).last(),
            pl.col("ethnicity").sort_by(pl.col("ethnicity").replace_strict(_RANKS, default=len(_RANKS))).first(),
        )
        .collect()
    )
    found = films.join(people, on="patient_id", how="left", maintain_order="left")
    age = pl.coalesce(completed_years("birth_date", "acquired_at"), pl.col("age_years").floor().cast(pl.Int64))
    found = _over_89(found, tables).select(
        "film",
        "patient_id",
        "acquired_at",
        pl.when("over_89").then(_OLDEST).when(age >= 0).then(age).alias("age"),
        pl.coalesce("sex", "film_sex").alias("sex"),
        "ethnicity",
    )
    return _with_bmi(found, tables, rules).drop("patient_id", "acquired_at")


def _over_89(films: pl.DataFrame, tables: CohortTables) -> pl.DataFrame:
    """Whether the patient was 90 or older at the admission nearest to the film, of which no exact age is kept."""
    flags = tables.admissions.select("patient_id", "admitted_at", "over_89").drop_nulls().sort("admitted_at").collect()
    timed = films.filter(pl.col("acquired_at").is_not_null()).sort("acquired_at")
    nearest = timed.select("film", "patient_id", "acquired_at").join_asof(
        flags,
        left_on="acquired_at",
        right_on="admitted_at",
        by="patient_id",
        strategy="nearest",
        check_sortedness=False,
    )
    return films.join(nearest.select("film", "over_89"), on="film", how="left", maintain_order="left")


def completed_years(birth: str, at: str) -> pl.Expr:
    """Completed years from a date of birth to a time.

    Examples
    --------
    >>> from datetime import date, datetime
    >>> frame = pl.DataFrame({"b": [date(2000, 3, 2)] * 2, "a": [datetime(2020, 3, 1), datetime(2020, 3, 2)]})
    >>> frame.select(years=completed_years("b", "a"))["years"].to_list()
    [19, 20]
    """
    born, taken = pl.col(birth).dt, pl.col(at).dt
    early = (taken.month().cast(pl.Int32) * 100 + taken.day()) < (born.month().cast(pl.Int32) * 100 + born.day())
    return (taken.year() - born.year() - early.cast(pl.Int32)).cast(pl.Int64)


def _with_bmi(films: pl.DataFrame, tables: CohortTables, rules: CovariateRules) -> pl.DataFrame:
    computed = pl.col("weight_kg") / (pl.col("height_cm") / 100.0) ** 2
    measured = (
        tables.vitals.select("patient_id", "measured_at", pl.coalesce("bmi", computed).alias("bmi"))
        .filter(pl.col("bmi").is_finite() & pl.col("measured_at").is_not_null())
        .join(films.lazy().select("patient_id").unique(), on="patient_id", how="semi")
        .sort("measured_at")
        .collect()
    )
    timed = films.filter(pl.col("acquired_at").is_not_null()).sort("acquired_at")
    nearest = timed.select("film", "patient_id", "acquired_at").join_asof(
        measured,
        left_on="acquired_at",
        right_on="measured_at",
        by="patient_id",
        strategy="nearest",
        tolerance=f"{round(rules.bmi_days * 86400)}s",
        check_sortedness=False,
    )
    return films.join(nearest.select("film", "bmi"), on="film", how="left", maintain_order="left")
