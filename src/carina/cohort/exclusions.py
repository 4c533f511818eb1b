"""Why a film is not in the cohort: one reason a film, the first that applies (M8)."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["EXCLUSIONS", "STAGES", "Exclusion"]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason.

    Attributes
    ----------
    code : str
        Stable identifier; programs branch on it.
    stage : str
        What the films that pass it, and all reasons before it, are: a key of `STAGES`.
    sentence : str
        For a person.
    """

    code: str
    stage: str
    sentence: str


STAGES = {
    "archive": "Films in the archive",
    "radiographs": "Chest radiographs accepted",
    "admitted": "Taken during an admission",
    "suspected": "Taken for suspected pneumonia",
    "gold": "With a gold standard",
    "cohort": "Films of the cohort",
}
"""Stages of the flow of films, in order."""

EXCLUSIONS = (
    Exclusion("not_chest_radiograph", "radiographs", "The modality is none of a chest radiograph."),
    Exclusion("lateral_view", "radiographs", "The view is lateral."),
    Exclusion("refused", "radiographs", "The quality gate or the archive keeps the film apart."),
    Exclusion("repeated_film", "radiographs", "The film is there already under the same SOP Instance UID."),
    Exclusion("no_time", "radiographs", "The film has no time of acquisition."),
    Exclusion("no_records", "admitted", "The patient has no record of an admission."),
    Exclusion("not_admitted", "admitted", "The film was taken outside every admission of the patient."),
    Exclusion("not_suspected", "suspected", "Nothing marks suspected pneumonia in the episode."),
    Exclusion("before_suspicion", "suspected", "The film was taken before pneumonia was suspected."),
    Exclusion("no_read", "gold", "The film has no radiologist's read."),
    Exclusion("equivocal_read", "gold", "The read is equivocal, and the rules skip such films."),
    Exclusion("no_codes", "gold", "The episode has no discharge code, and the rules leave such episodes out."),
    Exclusion(
        "not_first_or_last", "cohort", "The film is neither the first of its episode nor the last in its position."
    ),
)
"""Every reason, in the order in which they are tried."""


def first_reason(reasons: dict[str, pl.Expr]) -> pl.Expr:
    """Code of the first reason that holds, null where none does; an unknown condition does not hold."""
    return pl.coalesce(
        pl.when(reasons[reason.code].fill_null(value=False)).then(pl.lit(reason.code))
        for reason in EXCLUSIONS
        if reason.code in reasons
    )
