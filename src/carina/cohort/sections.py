"""The sections of the rules of a cohort, each telling itself in sentences (M8-M18)."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AetiologyRules",
    "CodeRules",
    "CovariateRules",
    "EligibilityRules",
    "EpisodeRules",
    "FilmRules",
    "GoldRules",
    "Section",
    "SplitRules",
]

Words = tuple[str, ...]


class Section(BaseModel):
    """Part of the rules; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EligibilityRules(Section):
    """Which films were taken for suspected pneumonia (M8)."""

    modalities: Words = Field(min_length=1)
    lateral_views: Words
    request_words: Words
    reason_words: Words
    codes: Words

    @model_validator(mode="after")
    def _marks_something(self) -> EligibilityRules:
        if not (self.request_words or self.reason_words or self.codes):
            raise ValueError("at least one of request_words, reason_words and codes must mark suspected pneumonia")
        return self

    def sentences(self) -> list[str]:
        """Say what is eligible."""
        marks = [
            f"the film's request has one of: {_listed(self.request_words)}" if self.request_words else "",
            f"the reason of an admission has one of: {_listed(self.reason_words)}" if self.reason_words else "",
            f"an ICD-10 code of the episode begins with one of: {_listed(self.codes)}" if self.codes else "",
        ]
        return [
            (
                f"A film is a chest radiograph of modality {_either(self.modalities)}; views "
                f"{_listed(self.lateral_views)} are lateral and are left out (M8)."
            ),
            (
                f"Pneumonia is suspected from the moment that {'; or '.join(mark for mark in marks if mark)}; films "
                "of the "
                "episode from then on are eligible, earlier ones are not (M8, M10)."
            ),
        ]


class EpisodeRules(Section):
    """What one stay in hospital is (M9)."""

    merge_hours: float = Field(ge=0, le=24 * 30)
    film_hours_before: float = Field(ge=0, le=24 * 30)
    film_hours_after: float = Field(ge=0, le=24 * 30)
    open_event_days: float = Field(gt=0, le=366)

    def sentences(self) -> list[str]:
        """Say how events become episodes and which films are theirs."""
        return [
            f"Admission events of one patient that are less than {self.merge_hours:g} h apart are one episode (M9).",
            (
                f"An event without discharge lasts until the patient's next event, at most {self.open_event_days:g} "
                "days (M9)."
            ),
            (
                "A film belongs to the episode it was taken in, or to one that began within "
                f"{self.film_hours_before:g} h "
                f"after it, or ended within {self.film_hours_after:g} h before it (M9)."
            ),
        ]


class CodeRules(Section):
    """Which discharge codes show pneumonia (M14)."""

    position: Literal["any", "principal"]
    covid19: Literal["with_pneumonia_code", "alone"]
    missing: Literal["none", "leave_out"]

    def sentences(self) -> list[str]:
        """Say which codes count."""
        where = "in any position" if self.position == "any" else "in the first position of an event"
        covid = (
            "U07.1 only together with a J12-J18 code of the episode"
            if self.covid19 == "with_pneumonia_code"
            else "U07.1 also alone"
        )
        missing = "counts as one whose codes show none" if self.missing == "none" else "leaves the cohort"
        return [
            f"The codes of an episode show pneumonia when one of the listed codes stands {where}; {covid} (M14).",
            f"An episode without any code {missing}, and is counted (M13).",
        ]


class GoldRules(Section):
    """How reads and codes make the gold standard (M13)."""

    equivocal: Literal["pneumonia", "none", "skip"]
    flanking: Literal["immediate", "surrounded"]
    refused_films: Literal["count_unshared", "count", "leave_out"]

    def sentences(self) -> list[str]:
        """Say how a film gets its gold label."""
        equivocal = {
            "pneumonia": "An equivocal read counts as pneumonia",
            "none": "An equivocal read counts as none",
            "skip": "A film with an equivocal read is skipped like one without a read",
        }[self.equivocal]
        flanked = (
            "the film immediately before and the film immediately after"
            if self.flanking == "immediate"
            else "any film before and any film after"
        )
        refused = {
            "count_unshared": "count, unless a film at hand has the same read or the header names another part of the "
            "body,",
            "count": "count",
            "leave_out": "do not count",
        }[self.refused_films]
        return [
            "Read pneumonia and codes pneumonia: pneumonia. Codes none: none, whatever the read (M13).",
            (
                "Read none and codes pneumonia: none, if (a) another film of the episode was read as pneumonia and (b) "
                f"this film is not flanked, that is {flanked} were not both read as pneumonia; otherwise pneumonia "
                "(M13)."
            ),
            (
                "Films are in order of acquisition, then series, then instance number; films without a read are "
                "skipped and "
                "counted (M13)."
            ),
            f"{equivocal}, and is counted (M13).",
            f"Reads of refused films {refused} for the other films of the episode (M13).",
        ]


class FilmRules(Section):
    """First and last film in one position (M10)."""

    keep: Literal["first_and_last", "all"]
    unknown_position: Literal["matches_nothing", "matches_unknown", "matches_all"]
    mobile: Literal["supine", "unknown"]
    view_position: bool
    erect_words: Words
    supine_words: Words
    mobile_words: Words

    def sentences(self) -> list[str]:
        """Say which films of an episode are taken and how positions are known."""
        unknown = {
            "matches_nothing": "nothing",
            "matches_unknown": "another unknown one",
            "matches_all": "any position",
        }[self.unknown_position]
        kept = (
            "only these two enter the cohort" if self.keep == "first_and_last" else "the films between are kept as well"
        )
        mobile = "is taken as supine, flagged" if self.mobile == "supine" else "says nothing of the position"
        proxy = (
            "then ViewPosition (AP supine, PA erect), flagged as a weak proxy"
            if self.view_position
            else "ViewPosition is not used"
        )
        return [
            (
                "Of each episode the first eligible film and the latest one before discharge in the same position are "
                "taken; "
                f"{kept} (M10)."
            ),
            "Without a later film in the position of the first the pair is dropped and the first film kept (M10).",
            (
                f"The position comes from the records, then from words of the request ({_listed(self.erect_words)}: "
                "erect; "
                f"{_listed(self.supine_words)}: supine), then from the same words of series and protocol; a mobile "
                "film "
                f"({_listed(self.mobile_words)}) {mobile}; {proxy} (M10)."
            ),
            f"An unknown position matches {unknown} (M10).",
        ]


class AetiologyRules(Section):
    """What caused an episode's confirmed pneumonia (M15)."""

    sars_cov_2: Words = Field(min_length=1)
    sars_cov_2_tests: Words = Field(min_length=1)
    sars_cov_2_days_before_admission: float = Field(ge=0, le=366)
    sars_cov_2_hours_after_film: float = Field(ge=0, le=24 * 366)
    hours_before_film: float = Field(ge=0, le=24 * 366)
    hours_after_film: float = Field(ge=0, le=24 * 366)
    start_date: dt.date
    dates: Literal["shifted", "true"]
    tests: Words = Field(min_length=1)
    sterile_sites: Words
    urine: Words
    lower_respiratory: Words
    upper_airway: Words
    upper_airway_pcr_shows: Words
    viruses: Words
    bacteria: Words
    contaminants: Words

    def sentences(self) -> list[str]:
        """Say which results count, and for what."""
        upper = (
            f"except a PCR that shows {_listed(self.upper_airway_pcr_shows)}"
            if self.upper_airway_pcr_shows
            else "whatever the test"
        )
        dates = (
            "the tables' dates are those of the hospital"
            if self.dates == "true"
            else "the tables' dates are shifted, so only the column `before_covid19` tells; without it none is before"
        )
        return [
            (
                f"SARS-CoV-2 is looked for by {_either(self.sars_cov_2_tests)} in specimens from "
                f"{self.sars_cov_2_days_before_admission:g} days before admission to "
                f"{self.sars_cov_2_hours_after_film:g} h "
                "after the first suspected film (M15)."
            ),
            (
                f"Other organisms count from {self.hours_before_film:g} h before to {self.hours_after_film:g} h after "
                "the "
                "first suspected film; later ones are hospital-acquired and kept apart (M15)."
            ),
            f"Tests that count: {_listed(self.tests)} (M15).",
            (
                f"Bacteria are shown by a sterile site ({_listed(self.sterile_sites)}), a urinary antigen, or a "
                f"lower-respiratory specimen ({_listed(self.lower_respiratory)}); not by the upper airway "
                f"({_listed(self.upper_airway)}), {upper} (M15)."
            ),
            (
                "Whether an organism is a virus, a bacterium or a contaminant, which shows nothing, is said by the "
                "packaged list"
                f"{self._more()} (M15)."
            ),
            (
                "SARS-CoV-2 positive: COVID-19, flagged as coinfection when more is found; else viruses only: viral; "
                "bacteria only: bacterial; both: mixed; else unknown (M15)."
            ),
            (
                "The COVID contrast sets COVID-19 against confirmed pneumonia with a negative SARS-CoV-2 test or "
                "before "
                f"{self.start_date.isoformat()}; untested ones leave it ({dates}) (M15)."
            ),
            (
                "The bacterial/viral contrast is left by mixed, unknown and co-infected pneumonia; COVID-19 counts as "
                "viral "
                "(M2, M15)."
            ),
        ]

    def _more(self) -> str:
        kinds = {"viruses": self.viruses, "bacteria": self.bacteria, "contaminants": self.contaminants}
        more = [f"{_listed(names)} as {kind}" for kind, names in kinds.items() if names]
        return f", but first: {'; '.join(more)}" if more else ""


class CovariateRules(Section):
    """What is kept of each film, and in which bands it is counted (M16, M18)."""

    bmi_days: float = Field(gt=0, le=3660)
    age_bands: tuple[int, ...] = Field(min_length=1)
    bmi_bands: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascends(self) -> CovariateRules:
        for name in ("age_bands", "bmi_bands"):
            bands = getattr(self, name)
            if any(low >= high for low, high in pairwise(bands)):
                raise ValueError(f"{name} must ascend")
        return self

    def sentences(self) -> list[str]:
        """Say what is kept and how it is banded."""
        ages = ", ".join(str(band) for band in self.age_bands)
        bmis = ", ".join(f"{band:g}" for band in self.bmi_bands)
        return [
            f"BMI is the one measured nearest to the film, at most {self.bmi_days:g} days away (M16).",
            f"Coverage counts ages from {ages} years, and BMI from {bmis} kg/m2, by class (M18).",
        ]


class SplitRules(Section):
    """How patients are dealt to the splits (M11, M25)."""

    mode: Literal["fractions", "paper"]
    train: float = Field(ge=0, le=1)
    tune: float = Field(ge=0, le=1)
    calibrate: float = Field(ge=0, le=1)
    test: float = Field(ge=0, le=1)
    near_duplicate_bits: int = Field(ge=0, le=127)

    @model_validator(mode="after")
    def _sums_to_one(self) -> SplitRules:
        if not math.isclose(sum(self.fractions().values()), 1.0, abs_tol=1e-9):
            raise ValueError("train, tune, calibrate and test must sum to 1")
        return self

    def fractions(self) -> dict[str, float]:
        """Shares of the patients by split."""
        return {"train": self.train, "tune": self.tune, "calibrate": self.calibrate, "test": self.test}

    def sentences(self) -> list[str]:
        """Say how patients are dealt."""
        shares = ", ".join(f"{name} {share:g}" for name, share in self.fractions().items())
        dealt = (
            f"Patients are dealt at random to {shares} (M11)."
            if self.mode == "fractions"
            else "Patients are drawn at random until train holds 400 normal, 400 bacterial, 400 viral and 200 COVID-19 "
            "films and tune and calibrate together about 100, half of them COVID-19; all others are test (M11, M25)."
        )
        return [
            dealt,
            (
                "Patients who share a near-duplicate film (perceptual hashes at most "
                f"{self.near_duplicate_bits} bits apart) stay together; disjointness is proved (M11)."
            ),
        ]


def _listed(words: Words) -> str:
    return ", ".join(words) if words else "none"


def _either(words: Words) -> str:
    return " or ".join(words)
