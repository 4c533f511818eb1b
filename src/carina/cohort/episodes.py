"""Episodes: contiguous admission events of one patient, and the films taken in them (M9)."""

from __future__ import annotations

import polars as pl

from carina.cohort.sections import EpisodeRules

__all__ = ["assign_episodes", "number_episodes", "summarise_episodes"]


def number_episodes(events: pl.DataFrame, rules: EpisodeRules) -> pl.DataFrame:
    """Give every admission event its episode.

    Parameters
    ----------
    events : polars.DataFrame
        `patient` (whole number or text), `event_id`, `admitted_at`, `discharged_at` (null while in hospital).
    rules : EpisodeRules

    Returns
    -------
    polars.DataFrame
        One row an event with `admitted_at`, in order of patient and time, with `episode` (from 0) and `ends_at`: its
        discharge; for an event without one, or with one before its admission, the patient's next admission, at most
        `open_event_days` after its own.

    Examples
    --------
    >>> from datetime import datetime
    >>> from carina.cohort.rules import load_rules
    >>> stay = pl.DataFrame({"patient": [1, 1], "event_id": ["a", "b"],
    ...     "admitted_at": [datetime(2020, 1, 1), datetime(2020, 1, 3, 23)],
    ...     "discharged_at": [datetime(2020, 1, 3), datetime(2020, 1, 9)]})
    >>> number_episodes(stay, load_rules().episodes)["episode"].to_list()
    [0, 0]
    """
    ordered = events.filter(pl.col("admitted_at").is_not_null()).sort("patient", "admitted_at", "event_id")
    same = pl.col("patient") == pl.col("patient").shift(1)
    following = pl.when(pl.col("patient") == pl.col("patient").shift(-1)).then(pl.col("admitted_at").shift(-1))
    longest = pl.col("admitted_at") + pl.duration(seconds=round(rules.open_event_days * 86400))
    ordered = ordered.with_columns(
        pl.when(pl.col("discharged_at") >= pl.col("admitted_at"))
        .then(pl.col("discharged_at"))
        .otherwise(pl.min_horizontal(following, longest))
        .alias("ends_at")
    ).with_columns(pl.col("ends_at").cum_max().over("patient").alias("_reached"))
    gap = pl.duration(seconds=round(rules.merge_hours * 3600))
    contiguous = same & (pl.col("admitted_at") - pl.col("_reached").shift(1) < gap)
    # Overlapping events are contiguous even where nothing is merged.
    overlapping = same & (pl.col("admitted_at") <= pl.col("_reached").shift(1))
    begins = (contiguous | overlapping).fill_null(value=False).not_()
    return ordered.with_columns((begins.cum_sum() - 1).cast(pl.Int32).alias("episode")).drop("_reached")


def summarise_episodes(numbered: pl.DataFrame) -> pl.DataFrame:
    """One row an episode.

    Returns
    -------
    polars.DataFrame
        `episode`, `patient`, `episode_id` (that of its first event), `admitted_at`, `ends_at`, `events`,
        `open` (whether an event has no usable discharge).
    """
    return (
        numbered.group_by("episode", maintain_order=True)
        .agg(
            pl.col("patient").first(),
            pl.col("event_id").first().alias("episode_id"),
            pl.col("admitted_at").first(),
            pl.col("ends_at").max(),
            pl.len().cast(pl.Int32).alias("events"),
            (pl.col("discharged_at").is_null() | (pl.col("discharged_at") < pl.col("admitted_at"))).any().alias("open"),
        )
        .sort("episode")
    )


def assign_episodes(films: pl.DataFrame, episodes: pl.DataFrame, rules: EpisodeRules) -> pl.DataFrame:
    """Give every film the episode it was taken in.

    Parameters
    ----------
    films : polars.DataFrame
        `film` (row number), `patient`, `acquired_at`.
    episodes : polars.DataFrame
        As `summarise_episodes` gives them.
    rules : EpisodeRules
        Windows before admission and after discharge.

    Returns
    -------
    polars.DataFrame
        `film`, `episode`; films outside every episode are not in it. A film within an episode belongs to it, even
        where another episode's window reaches it; between two windows the later episode, which it led to, has it.
    """
    timed = films.select("film", "patient", "acquired_at").filter(pl.col("acquired_at").is_not_null())
    timed = timed.sort("acquired_at")
    spans = episodes.select("patient", "episode", "admitted_at", "ends_at").sort("admitted_at")
    found = timed.join_asof(
        spans,
        by="patient",
        left_on="acquired_at",
        right_on="admitted_at",
        strategy="backward",
        coalesce=False,
        check_sortedness=False,
    ).join_asof(
        spans,
        by="patient",
        left_on="acquired_at",
        right_on="admitted_at",
        strategy="forward",
        coalesce=False,
        suffix="_next",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    before = pl.duration(seconds=round(rules.film_hours_before * 3600))
    after = pl.duration(seconds=round(rules.film_hours_after * 3600))
    taken = pl.col("acquired_at")
    return found.select(
        "film",
        pl.when(taken <= pl.col("ends_at"))
        .then(pl.col("episode"))
        .when(pl.col("admitted_at_next") - taken <= before)
        .then(pl.col("episode_next"))
        .when(taken - pl.col("ends_at") <= after)
        .then(pl.col("episode"))
        .alias("episode"),
    ).filter(pl.col("episode").is_not_null())
