"""From pseudonymous tables to a cohort: the film table, a label with its sentence for every film, and the flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from carina.cohort.aetiology import find_aetiology
from carina.cohort.covariates import film_covariates
from carina.cohort.coverage import coverage_table
from carina.cohort.exclusions import first_reason
from carina.cohort.flow import flow_table
from carina.cohort.gold import PNEUMONIA
from carina.cohort.labels import film_label
from carina.cohort.positions import choose_first_and_last, find_positions
from carina.cohort.rules import Rules
from carina.cohort.sequence import GoldStandard, gold_standard
from carina.cohort.splits import deal_patients
from carina.cohort.tables import CohortTables

__all__ = ["Cohort", "build_cohort"]

_NO_DATES = {"told": "not told", "first": None, "last": None, "sentence": "The films' days are not told."}
_AETIOLOGY = (
    "sars_cov_2",
    "viruses",
    "bacteria",
    "hospital_acquired",
    "aetiology",
    "coinfection",
    "covid_contrast",
    "bacterial_viral_contrast",
    "aetiology_sentence",
)


@dataclass(frozen=True)
class Cohort:
    """A labelled cohort.

    Attributes
    ----------
    film_table : polars.DataFrame
        One row a film of the cohort, after the film table contract; `path` is relative to the store of films.
    labels : polars.DataFrame
        One row a film of the archive: `film_id`, `patient_id`, `episode_id`, `exclusion` (null in the cohort), `read`,
        `gold`, `sentence`, `aetiology`, `aetiology_sentence`, `label`, `first_or_last`, `split`.
    flow : polars.DataFrame
        As `flow_table` gives it.
    coverage : polars.DataFrame
        As `coverage_table` gives it.
    rules : Rules
    seed : int
    counts : dict of str to int
        What was met on the way: reads given twice, films without a read, untested pneumonias and so on.
    disjoint : dict
        Proof that the splits share no patient and no near-duplicate film; empty for a cohort without films.
    dates : dict
        `told` (``"true"``, ``"shifted"`` or ``"not told"``), `first` and `last` day of the cohort's films, `sentence`.
    """

    film_table: pl.DataFrame
    labels: pl.DataFrame
    flow: pl.DataFrame
    coverage: pl.DataFrame
    rules: Rules
    seed: int
    counts: dict[str, int]
    disjoint: dict[str, Any]
    dates: dict[str, str | None] = field(default_factory=lambda: dict(_NO_DATES))


def build_cohort(tables: CohortTables, rules: Rules, *, seed: int = 1, source: str = "hospital") -> Cohort:
    """Make the cohort.

    Parameters
    ----------
    tables : CohortTables
        Pseudonymous canonical tables.
    rules : Rules
    seed : int
        Of the split.
    source : str
        Name of the hospital or study, the film table's `source`.

    Returns
    -------
    Cohort
        The same for the same tables, rules and seed; the order of rows matters only between films alike in time, series
        and instance number.

    Raises
    ------
    CohortError
        If a table lacks a column or a column is of another kind.

    Examples
    --------
    >>> from carina.cohort.rules import load_rules
    >>> build_cohort(CohortTables.empty(), load_rules()).film_table.height
    0
    """
    tables = tables.checked()
    gold = gold_standard(tables, rules)
    films = _with_records(gold, tables)
    films = films.with_columns(_exclusion(rules).alias("exclusion"))
    films, counts = _with_roles(films, rules)
    films = _with_aetiology(films, gold, tables, rules)
    films = films.with_columns(pl.when(pl.col("gold").is_not_null()).then(film_label()).alias("label"))
    table = _film_table(films, tables, rules, source)
    proof: dict[str, Any] = {}
    if table.height:
        table, disjoint = deal_patients(table, rules.split, seed)
        proof = disjoint.to_dict()
    else:
        table = table.with_columns(pl.lit(None, pl.String).alias("split"), pl.lit(None, pl.Boolean).alias("study_draw"))
    labels = _labels(films, table)
    return Cohort(
        film_table=table.drop("perceptual_hash"),
        labels=labels,
        flow=flow_table(labels),
        coverage=coverage_table(table, rules.covariates),
        rules=rules,
        seed=seed,
        counts=gold.counts | counts | _counts(films),
        disjoint=proof,
        dates=_dates(films, rules),
    )


def _dates(films: pl.DataFrame, rules: Rules) -> dict[str, str | None]:
    """First and last day of the cohort's films, and whether the calendar is the hospital's."""
    days = films.filter(pl.col("exclusion").is_null())["acquired_at"].drop_nulls().dt.date()
    if not len(days):
        return dict(_NO_DATES)
    first, last = (day.strftime("%Y-%m-%d") for day in (days.min(), days.max()) if isinstance(day, date))
    if rules.aetiology.dates == "true":
        sentence = f"Films from {first} to {last}."
    else:
        sentence = (
            f"Films from {first} to {last} by dates that were shifted: days between two films of one patient hold, the "
            "calendar does not, and when the films were taken is not told by them."
        )
    return {"told": rules.aetiology.dates, "first": first, "last": last, "sentence": sentence}


def _with_records(gold: GoldStandard, tables: CohortTables) -> pl.DataFrame:
    """Films with their episode's moments and what is said of them, in order of patient, time, series and instance."""
    columns = (
        *("film_id", "path", "patient_id", "view_position", "series_description", "protocol_name", "manufacturer"),
        *("model_name", "age_years", pl.col("sex").alias("film_sex"), "perceptual_hash"),
        pl.col("before_covid19").alias("film_before_covid19"),
    )
    described = tables.films.select(*columns).with_row_index("film").collect()
    moments = gold.episodes.select(
        *("episode", "episode_id", "admitted_at", "ends_at", "suspected_at", "first_suspected_at", "coded"),
        *("codes_said", "before_covid19"),
    )
    return (
        gold.films.join(described, on="film", how="left", maintain_order="left")
        .join(moments, on="episode", how="left", maintain_order="left")
        .sort("patient_id", "acquired_at", "series_number", "instance_number", "film_id", nulls_last=True)
    )


def _exclusion(rules: Rules) -> pl.Expr:
    reasons = {
        "not_chest_radiograph": ~pl.col("chest"),
        "lateral_view": pl.col("lateral"),
        "refused": ~pl.col("accepted"),
        "repeated_film": pl.col("repeated"),
        "no_time": pl.col("acquired_at").is_null(),
        "no_records": ~pl.col("recorded"),
        "not_admitted": pl.col("episode").is_null(),
        "not_suspected": pl.col("suspected_at").is_null(),
        "before_suspicion": pl.col("acquired_at") < pl.col("suspected_at"),
        "no_read": ~pl.col("finding").is_in(["none", "pneumonia", "equivocal"]).fill_null(value=False),
        "equivocal_read": (pl.col("finding") == "equivocal") & (rules.gold.equivocal == "skip"),
        "no_codes": ~pl.col("coded") & (rules.codes.missing == "leave_out"),
    }
    return first_reason(reasons)


def _with_roles(films: pl.DataFrame, rules: Rules) -> tuple[pl.DataFrame, dict[str, int]]:
    """Positions, first and last film, matched pairs, and the exclusion of the films between."""
    films = find_positions(films, rules.films)
    eligible = films.filter(pl.col("exclusion").is_null())
    films = films.join(choose_first_and_last(eligible, rules.films), on="film", how="left", maintain_order="left")
    if rules.films.keep == "first_and_last":
        neither = pl.col("exclusion").is_null() & pl.col("role").is_null()
        films = films.with_columns(
            pl.when(neither).then(pl.lit("not_first_or_last")).otherwise("exclusion").alias("exclusion")
        )
    chosen = films.filter(pl.col("role").is_not_null())
    pairs = chosen.group_by("episode").agg(
        (pl.len() > 1).alias("_pair"), (pl.col("gold").n_unique() > 1).alias("_differs")
    )
    films = films.join(pairs, on="episode", how="left", maintain_order="left")
    paired = pl.col("role").is_not_null() & pl.col("_pair")
    films = films.with_columns(
        pl.when(paired).then("episode_id").alias("pair_id"),
        (paired & pl.col("_differs")).fill_null(value=False).alias("matched_pair"),
    )
    several = eligible.group_by("episode").len().filter(pl.col("len") > 1).height
    paired_episodes = pairs.filter("_pair").height
    counts = {
        "episodes_in_cohort": pairs.height,
        "pairs": paired_episodes,
        "matched_pairs": pairs.filter("_pair", "_differs").height,
        "pairs_dropped_for_position": several - paired_episodes,
        "positions_weak": chosen.filter("position_weak").height,
        "positions_unknown": chosen["position"].null_count(),
    }
    return films.drop("_pair", "_differs"), counts


def _with_aetiology(films: pl.DataFrame, gold: GoldStandard, tables: CohortTables, rules: Rules) -> pl.DataFrame:
    """Aetiology of each confirmed episode, inherited by its films with gold pneumonia (M15)."""
    marks = films.group_by("episode").agg(
        (pl.col("gold") == PNEUMONIA).any().alias("confirmed"), pl.col("film_before_covid19").max()
    )
    episodes = (
        gold.episodes.join(marks, on="episode", how="inner")
        .filter(pl.col("first_suspected_at").is_not_null())
        .join(gold.patients, on="patient", how="left")
    )
    era = pl.coalesce("before_covid19", "film_before_covid19")
    if rules.aetiology.dates == "true":
        era = pl.coalesce(era, pl.col("first_suspected_at").dt.date() < rules.aetiology.start_date)
    episodes = episodes.filter(pl.col("confirmed").fill_null(value=False)).with_columns(era.alias("before_covid19"))
    found = find_aetiology(episodes, tables.microbiology, rules.aetiology)
    microbiology = pl.concat_list("viruses", "bacteria")
    found = found.with_columns(
        pl.when(pl.col("sars_cov_2") == "positive")
        .then(pl.concat_list(pl.lit(["SARS-CoV-2"]), microbiology))
        .otherwise(microbiology)
        .list.join("; ")
        .alias("microbiology"),
        pl.lit(value=True).alias("confirmed"),
    )
    films = films.drop("before_covid19").join(found, on="episode", how="left", maintain_order="left")
    ill = pl.col("gold").eq_missing(PNEUMONIA)
    return films.with_columns(
        *(pl.when(ill).then(pl.col(name)).alias(name) for name in _AETIOLOGY),
        pl.col("confirmed").fill_null(value=False),
        pl.when(pl.col("confirmed")).then(pl.col("role")).alias("first_or_last"),
    )


def _film_table(films: pl.DataFrame, tables: CohortTables, rules: Rules, source: str) -> pl.DataFrame:
    cohort = films.filter(pl.col("exclusion").is_null())
    kept = film_covariates(cohort, tables, rules.covariates)
    device = pl.concat_str("manufacturer", "model_name", separator=" ", ignore_nulls=True)
    return cohort.join(kept, on="film", how="left", maintain_order="left").select(
        *("path", "label", "patient_id", pl.col("film_id").alias("image_id"), pl.lit(source).alias("source")),
        *("sex", "age", pl.col("bmi").round(1), "ethnicity", pl.col("view_position").alias("view"), "position"),
        *("position_source", "position_weak", "episode_id", "film_order", "gold", "sentence", "read"),
        *("aetiology", "coinfection", "sars_cov_2", "microbiology", "aetiology_sentence"),
        *("covid_contrast", "bacterial_viral_contrast", "first_or_last", "pair_id", "matched_pair"),
        pl.when(device != "").then(device).alias("device"),
        pl.lit(value=False).alias("public"),
        "perceptual_hash",
    )


def _labels(films: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    splits = table.select(pl.col("image_id").alias("film_id"), "split")
    return films.join(splits, on="film_id", how="left", maintain_order="left").select(
        *("film_id", "patient_id", "episode_id", "exclusion", "read", "gold", "sentence", "aetiology"),
        *("aetiology_sentence", "covid_contrast", "bacterial_viral_contrast", "label", "position", "first_or_last"),
        *("pair_id", "split"),
    )


def _counts(films: pl.DataFrame) -> dict[str, int]:
    ill = films.filter(pl.col("exclusion").is_null() & (pl.col("gold") == PNEUMONIA))
    admitted = films.filter(pl.col("episode").is_not_null() & pl.col("chest") & ~pl.col("lateral") & pl.col("accepted"))
    return {
        "films_without_read_skipped": admitted["finding"].null_count(),
        "equivocal_reads": admitted.filter(pl.col("finding") == "equivocal").height,
        "films_in_cohort": films["exclusion"].null_count(),
        "pneumonia_films": ill.height,
        "covid_contrast_left_untested": ill["covid_contrast"].null_count(),
        "bacterial_viral_contrast_left": ill["bacterial_viral_contrast"].null_count(),
        "coinfections": ill.filter(pl.col("coinfection").fill_null(value=False)).height,
    }
