"""What caused the confirmed pneumonia of an episode, after its microbiology (M15)."""

from __future__ import annotations

import polars as pl

from carina.cohort.sections import AetiologyRules
from carina.cohort.words import is_named
from carina.records import organism_kind

__all__ = ["COLUMNS", "find_aetiology"]

COLUMNS = ("sars_cov_2", "viruses", "bacteria", "hospital_acquired", "aetiology", "coinfection")


def find_aetiology(
    episodes: pl.DataFrame, microbiology: pl.LazyFrame | pl.DataFrame, rules: AetiologyRules
) -> pl.DataFrame:
    """Say what caused the pneumonia of each episode.

    Parameters
    ----------
    episodes : polars.DataFrame
        Episodes with confirmed pneumonia: `episode`, `patient_id`, `admitted_at`, `first_suspected_at`,
        `before_covid19` (true, false or null).
    microbiology : polars.LazyFrame or polars.DataFrame
        Canonical results.
    rules : AetiologyRules

    Returns
    -------
    polars.DataFrame
        One row an episode: `sars_cov_2` (``"positive"``, ``"negative"`` or null where untested), `viruses`, `bacteria`,
        `hospital_acquired` (lists of text), `aetiology` (``"covid19"``, ``"viral"``, ``"bacterial"``, ``"mixed"``,
        ``"unknown"``), `coinfection`, `covid_contrast` (``"positive"``, ``"negative"`` or null),
        `bacterial_viral_contrast` (``"bacterial"``, ``"viral"`` or null), `aetiology_sentence`.
    """
    results = _in_windows(episodes, microbiology.lazy(), rules)
    gathered = (
        results.group_by("episode")
        .agg(
            _result("positive").any().alias("_positive"),
            _result("negative").any().alias("_negative"),
            _names((pl.col("kind") == "virus") & pl.col("in_time")).alias("viruses"),
            _names((pl.col("kind") == "bacterium") & pl.col("in_time")).alias("bacteria"),
            _names(_found() & pl.col("late")).alias("hospital_acquired"),
            _names((pl.col("kind") == "contaminant") & pl.col("in_time")).alias("_contaminants"),
            _names((pl.col("kind") == "not_shown") & pl.col("in_time")).alias("_not_shown"),
        )
        .sort("episode")
    )
    lists = ("viruses", "bacteria", "hospital_acquired", "_contaminants", "_not_shown")
    empty = pl.lit([], dtype=pl.List(pl.String))
    found = episodes.select("episode", "before_covid19").join(gathered, on="episode", how="left", maintain_order="left")
    found = found.with_columns(
        *(pl.col(name).fill_null(empty) for name in lists),
        pl.when(pl.col("_positive"))
        .then(pl.lit("positive"))
        .when(pl.col("_negative"))
        .then(pl.lit("negative"))
        .alias("sars_cov_2"),
    )
    return _judged(found, rules).drop(pl.selectors.starts_with("_"))


def _judged(found: pl.DataFrame, rules: AetiologyRules) -> pl.DataFrame:
    virus, bacterium = pl.col("viruses").list.len() > 0, pl.col("bacteria").list.len() > 0
    positive = pl.col("sars_cov_2").eq_missing("positive")
    found = found.with_columns(
        pl.when(positive)
        .then(pl.lit("covid19"))
        .when(virus & bacterium)
        .then(pl.lit("mixed"))
        .when(virus)
        .then(pl.lit("viral"))
        .when(bacterium)
        .then(pl.lit("bacterial"))
        .otherwise(pl.lit("unknown"))
        .alias("aetiology"),
        (positive & (virus | bacterium)).alias("coinfection"),
    )
    sure = pl.col("before_covid19").fill_null(value=False)
    covid = (
        pl.when(positive)
        .then(pl.lit("positive"))
        .when(pl.col("sars_cov_2").eq_missing("negative") | sure)
        .then(pl.lit("negative"))
    )
    viral = (pl.col("aetiology") == "viral") | ((pl.col("aetiology") == "covid19") & ~pl.col("coinfection"))
    sides = pl.when(pl.col("aetiology") == "bacterial").then(pl.lit("bacterial")).when(viral).then(pl.lit("viral"))
    return found.with_columns(covid.alias("covid_contrast"), sides.alias("bacterial_viral_contrast")).with_columns(
        _sentence(rules).alias("aetiology_sentence")
    )


def _sentence(rules: AetiologyRules) -> pl.Expr:
    """Such as ``"SARS-CoV-2: negative; viruses: none; bacteria: Moraxella catarrhalis (sputum): bacterial (M15)"``."""
    tested = (
        pl.when(pl.col("sars_cov_2").is_not_null())
        .then("sars_cov_2")
        .when(pl.col("before_covid19").fill_null(value=False))
        .then(pl.lit(f"not tested, before {rules.start_date.isoformat()}"))
        .otherwise(pl.lit("not tested"))
    )
    more = [
        pl.when(pl.col(name).list.len() > 0)
        .then(pl.format("; " + words + ": {}", pl.col(name).list.join(", ")))
        .otherwise(pl.lit(""))
        for name, words in (
            ("_contaminants", "contaminants"),
            ("_not_shown", "no evidence from this specimen or test"),
            ("hospital_acquired", "later, hospital-acquired"),
        )
    ]
    verdict = pl.when("coinfection").then(pl.lit("covid19 with coinfection")).otherwise("aetiology")
    return pl.format(
        "SARS-CoV-2: {}; viruses: {}; bacteria: {}{}{}{}: {} (M15)",
        tested,
        _or_none("viruses"),
        _or_none("bacteria"),
        *more,
        verdict,
    )


def _in_windows(episodes: pl.DataFrame, microbiology: pl.LazyFrame, rules: AetiologyRules) -> pl.DataFrame:
    """Results of each episode with `kind`, `in_time` and `late`."""
    columns = ["collected_at", "specimen", "test", "organism", "result"]
    rows = microbiology.select("patient_id", *columns).filter(pl.col("collected_at").is_not_null())
    spans = episodes.lazy().select("episode", "patient_id", "admitted_at", "first_suspected_at")
    joined = rows.join(spans, on="patient_id", how="inner").collect()
    kinds = _organism_kinds(joined["organism"], rules)
    joined = joined.join(kinds, on="organism", how="left")
    taken, film = pl.col("collected_at"), pl.col("first_suspected_at")
    sars_from = pl.col("admitted_at") - _hours(rules.sars_cov_2_days_before_admission * 24)
    sars_to = film + _hours(rules.sars_cov_2_hours_after_film)
    others = taken.is_between(film - _hours(rules.hours_before_film), film + _hours(rules.hours_after_film))
    is_sars = pl.col("_organism_kind").eq_missing("sars_cov_2") & pl.col("test").is_in(rules.sars_cov_2_tests)
    joined = joined.with_columns(
        _kind(rules, is_sars).alias("kind"),
        pl.when(is_sars).then(taken.is_between(sars_from, sars_to)).otherwise(others).alias("in_time"),
        (taken > film + _hours(rules.hours_after_film)).alias("late"),
    )
    # What came after this stay belongs to no pneumonia of it.
    ends = episodes.select("episode", "ends_at")
    joined = joined.join(ends, on="episode", how="left")
    return joined.with_columns(pl.col("late") & (taken <= pl.col("ends_at")))


def _organism_kinds(organisms: pl.Series, rules: AetiologyRules) -> pl.DataFrame:
    """Each distinct organism: what it is after the rules, else after the packaged list."""
    kinds = organisms.drop_nulls().unique(maintain_order=True).to_frame("organism")
    listed = pl.Series([organism_kind(name) for name in kinds["organism"].to_list()], dtype=pl.String)
    return kinds.with_columns(
        pl.when(is_named("organism", rules.sars_cov_2))
        .then(pl.lit("sars_cov_2"))
        .when(is_named("organism", rules.contaminants))
        .then(pl.lit("contaminant"))
        .when(is_named("organism", rules.viruses))
        .then(pl.lit("virus"))
        .when(is_named("organism", rules.bacteria))
        .then(pl.lit("bacterium"))
        .otherwise(listed)
        .alias("_organism_kind"),
        is_named("organism", rules.upper_airway_pcr_shows).alias("_by_upper_pcr"),
    )


def _kind(rules: AetiologyRules, is_sars: pl.Expr) -> pl.Expr:
    """Say what a result is evidence of; null where of nothing."""
    test, specimen = pl.col("test"), pl.col("specimen")
    lung = specimen.is_in([*rules.sterile_sites, *rules.lower_respiratory])
    urinary = specimen.is_in(rules.urine) & (test == "antigen")
    upper = specimen.is_in(rules.upper_airway) & (test == "pcr") & pl.col("_by_upper_pcr")
    positive = pl.col("result") == "positive"
    counts = test.is_in(rules.tests)
    kind = pl.col("_organism_kind")
    airways = specimen.is_in([*rules.upper_airway, *rules.lower_respiratory, *rules.sterile_sites])
    return (
        pl.when(is_sars)
        .then(pl.lit("sars_cov_2"))
        .when(~positive | kind.is_null() | (kind == "sars_cov_2"))
        .then(None)
        .when(kind == "contaminant")
        .then(pl.lit("contaminant"))
        .when((kind == "virus") & counts & airways)
        .then(pl.lit("virus"))
        .when((kind == "bacterium") & counts & (lung | urinary | upper))
        .then(pl.lit("bacterium"))
        .otherwise(pl.lit("not_shown"))
    )


def _result(which: str) -> pl.Expr:
    return (pl.col("kind") == "sars_cov_2") & pl.col("in_time") & (pl.col("result") == which)


def _found() -> pl.Expr:
    caught = (pl.col("kind") == "sars_cov_2") & (pl.col("result") == "positive")
    return pl.col("kind").is_in(["virus", "bacterium"]) | caught


def _names(chosen: pl.Expr) -> pl.Expr:
    """Organisms with their specimen, each once, in order of name."""
    return pl.format("{} ({})", "organism", pl.col("specimen").str.replace_all("_", " ")).filter(chosen).unique().sort()


def _or_none(column: str) -> pl.Expr:
    return pl.when(pl.col(column).list.len() > 0).then(pl.col(column).list.join(", ")).otherwise(pl.lit("none"))


def _hours(hours: float) -> pl.Expr:
    return pl.duration(seconds=round(hours * 3600))
