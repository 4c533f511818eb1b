"""Films with their episode, request and read, and the gold standard of each (M8, M9, M13, M14)."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from carina.cohort.codes import episode_codes
from carina.cohort.episodes import assign_episodes, number_episodes, summarise_episodes
from carina.cohort.gold import explain_gold, judge_films, order_films
from carina.cohort.rules import Rules
from carina.cohort.sections import EligibilityRules
from carina.cohort.tables import CohortTables
from carina.cohort.words import has_words
from carina.imaging.quality import NOT_A_CHEST_FILM

__all__ = ["GoldStandard", "gold_standard"]

_FILM_COLUMNS = (
    "patient_id",
    "sop_instance_uid",
    "accession_number",
    "acquired_at",
    "series_number",
    "instance_number",
    "view_position",
    "modality",
    "accepted",
    "refusal",
)


@dataclass(frozen=True)
class GoldStandard:
    """Films with their gold standard.

    Attributes
    ----------
    films : polars.DataFrame
        One row a film of the archive: `film` (row number in the table of films, from 0), `patient` (number),
        `acquired_at`, `episode` (number or null), `finding`, `request`, `record_position`, `mobile`, the flags
        `chest`, `lateral`, `accepted`, `repeated`, `recorded` (whether the patient has an admission), and, for films
        of the sequence, `read`, `film_order`, `film_count`, `gold`, `sentence`.
    episodes : polars.DataFrame
        One row an episode of these patients: `episode`, `patient`, `episode_id`, `admitted_at`, `ends_at`, `events`,
        `open`, `shows`, `coded`, `codes_said`, `suspected_at` (null where nothing marks suspicion),
        `first_suspected_at` (first film from then on).
    patients : polars.DataFrame
        `patient`, `patient_id`.
    counts : dict of str to int
        What was met on the way, such as reads given twice.
    """

    films: pl.DataFrame
    episodes: pl.DataFrame
    patients: pl.DataFrame
    counts: dict[str, int]


def gold_standard(tables: CohortTables, rules: Rules) -> GoldStandard:
    """Give every film of the archive its episode, read and gold standard.

    Parameters
    ----------
    tables : CohortTables
        Checked (`CohortTables.checked`).
    rules : Rules

    Returns
    -------
    GoldStandard
    """
    films = tables.films.select(_FILM_COLUMNS).with_row_index("film").collect()
    patients = films.select("patient_id").unique(maintain_order=True).with_row_index("patient")
    films = films.join(patients, on="patient_id", how="left", maintain_order="left").drop("patient_id")
    events = _events(tables, patients)
    numbered = number_episodes(events, rules.episodes)
    episodes = summarise_episodes(numbered).join(episode_codes(numbered, rules.codes), on="episode", how="left")
    films = films.join(assign_episodes(films, episodes, rules.episodes), on="film", how="left", maintain_order="left")
    films, counts = _with_reads(films, tables, patients)
    films = films.with_columns(
        pl.col("modality").is_in(rules.eligibility.modalities).fill_null(value=False).alias("chest"),
        pl.col("view_position")
        .str.to_uppercase()
        .is_in(rules.eligibility.lateral_views)
        .fill_null(value=False)
        .alias("lateral"),
        pl.col("accepted").fill_null(value=False),
        pl.col("patient").is_in(events["patient"].unique().implode()).alias("recorded"),
    )
    films = films.with_columns(_alone().alias("alone")).drop("modality", "view_position", "accession_number", "refusal")
    standing = pl.col("chest") & ~pl.col("lateral") & pl.col("accepted") & pl.col("sop_instance_uid").is_not_null()
    films = films.with_columns(
        (standing & pl.struct("sop_instance_uid", standing).is_first_distinct().not_()).alias("repeated")
    ).drop("sop_instance_uid")
    episodes = _with_suspicion(episodes, numbered, films, rules)
    counts |= {
        "episodes": episodes.height,
        "episodes_without_discharge": int(episodes["open"].sum()),
        "episodes_without_codes": episodes.height - int(episodes["coded"].sum()),
        "events_without_admission_time": events["admitted_at"].null_count(),
    }
    return GoldStandard(_judged(films, episodes, rules), episodes, patients, counts)


def _alone() -> pl.Expr:
    """Whether a refused film is the only one that its read speaks of: no film at hand has it, nor an earlier copy."""
    study = ["patient", "accession_number"]
    chest = ~pl.col("refusal").str.starts_with(NOT_A_CHEST_FILM).fill_null(value=False)
    refused = pl.col("chest") & ~pl.col("lateral") & ~pl.col("accepted") & chest
    shared = (pl.col("chest") & ~pl.col("lateral") & pl.col("accepted")).any().over(study)
    return refused & ~shared & pl.col("accession_number").is_not_null() & (refused.cum_sum().over(study) == 1)


def _events(tables: CohortTables, patients: pl.DataFrame) -> pl.DataFrame:
    """Admission events of the patients who have films, each once."""
    columns = ("event_id", "admitted_at", "discharged_at", "codes", "reason", "before_covid19")
    return (
        tables.admissions.select("patient_id", *columns)
        .join(patients.lazy(), on="patient_id", how="inner")
        .drop("patient_id")
        .unique(["patient", "event_id", "admitted_at"], keep="last", maintain_order=True)
        .collect()
    )


def _with_reads(
    films: pl.DataFrame, tables: CohortTables, patients: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Join reads by patient and accession number, or to the one film that a read names; the latest report holds."""
    given = ["finding", "request", "position", "mobile"]
    reads = (
        tables.reads.select("patient_id", "accession_number", "sop_instance_uid", "read_at", "finding_source", *given)
        .filter(pl.col("accession_number").is_not_null())
        .join(patients.lazy(), on="patient_id", how="inner")
        .drop("patient_id")
        .collect()
    )
    key = ["patient", "accession_number", "sop_instance_uid"]
    total = reads.height
    if reads.select(pl.struct(key).is_duplicated().any()).item():
        coded = pl.col("finding_source").eq_missing("coded")
        reads = reads.sort(pl.col("finding").is_not_null(), "read_at", coded, nulls_last=False, maintain_order=True)
        reads = reads.unique(key, keep="last", maintain_order=True)
    reads = reads.select(*key, *given)
    named = reads.filter(pl.col("sop_instance_uid").is_not_null())
    studies = reads.filter(pl.col("sop_instance_uid").is_null()).drop("sop_instance_uid")
    films = films.join(studies, on=["patient", "accession_number"], how="left", maintain_order="left")
    if named.height:
        films = films.join(named, on=key, how="left", suffix="_named", maintain_order="left")
        films = films.with_columns(pl.coalesce(f"{name}_named", name).alias(name) for name in given)
        films = films.drop(f"{name}_named" for name in given)
    used = reads.select("patient", "accession_number").join(
        films.select("patient", "accession_number"), on=["patient", "accession_number"], how="semi"
    )
    counts = {"reads_given_twice": total - reads.height, "reads_without_film": reads.height - used.height}
    return films.rename({"position": "record_position"}), counts


def _with_suspicion(episodes: pl.DataFrame, numbered: pl.DataFrame, films: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Moment from which pneumonia was suspected, and the first film from then on (M8, M10)."""
    start = pl.col("admitted_at") - pl.duration(seconds=round(rules.episodes.film_hours_before * 3600))
    marked = _marked_events(numbered, rules.eligibility)
    # A referral that names pneumonia was written before the patient came: the films on the way in count.
    by_record = marked.group_by("episode").agg(
        pl.when(pl.col("admitted_at") == pl.col("_began")).then(start).otherwise("admitted_at").min().alias("_recorded")
    )
    asked = films.filter(pl.col("episode").is_not_null() & has_words("request", rules.eligibility.request_words))
    by_request = asked.group_by("episode").agg(pl.col("acquired_at").min().alias("_asked"))
    episodes = episodes.join(by_record, on="episode", how="left").join(by_request, on="episode", how="left")
    episodes = episodes.with_columns(pl.min_horizontal("_recorded", "_asked").alias("suspected_at"))
    moments = episodes.select("episode", "suspected_at").filter(pl.col("suspected_at").is_not_null())
    first = (
        films.filter("chest")
        .join(moments, on="episode", how="inner")
        .filter(pl.col("acquired_at") >= pl.col("suspected_at"))
        .group_by("episode")
        .agg(pl.col("acquired_at").min().alias("first_suspected_at"))
    )
    flags = numbered.group_by("episode").agg(pl.col("before_covid19").max())
    return (
        episodes.join(first, on="episode", how="left")
        .join(flags, on="episode", how="left")
        .drop("_recorded", "_asked")
        .sort("episode")
    )


def _marked_events(numbered: pl.DataFrame, rules: EligibilityRules) -> pl.DataFrame:
    marked = has_words("reason", rules.reason_words)
    if rules.codes:
        starts = "^(?:" + "|".join(code.replace(".", r"\.") for code in rules.codes) + ")"
        marked |= pl.col("codes").list.eval(pl.element().str.contains(starts)).list.any().fill_null(value=False)
    began = numbered.with_columns(pl.col("admitted_at").min().over("episode").alias("_began"))
    return began.filter(marked)


def _judged(films: pl.DataFrame, episodes: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    in_sequence = pl.col("episode").is_not_null() & pl.col("chest") & ~pl.col("lateral") & ~pl.col("repeated")
    if rules.gold.refused_films == "leave_out":
        in_sequence &= pl.col("accepted")
    elif rules.gold.refused_films == "count_unshared":
        in_sequence &= pl.col("accepted") | pl.col("alone")
    if rules.codes.missing == "leave_out":
        coded = episodes.filter("coded")["episode"].implode()
        in_sequence &= pl.col("episode").is_in(coded)
    columns = ["film", "episode", "acquired_at", "series_number", "instance_number", "finding"]
    sequence = order_films(films.filter(in_sequence).select(columns))
    sequence = sequence.join(
        episodes.select("episode", "shows", "codes_said"), on="episode", how="left", maintain_order="left"
    )
    judged = judge_films(sequence, rules.gold).with_columns(explain_gold(rules.gold).alias("sentence"))
    kept = ["film", "read", "film_order", "film_count", "gold", "sentence"]
    return films.join(judged.select(kept), on="film", how="left", maintain_order="left")
