"""What the JSON of the API says, field by field; the OpenAPI document is made of these."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from carina.archive import DeskFilm, Order, State
from carina.service import Health, ModelFacts, Received

__all__ = [
    "FilmResult",
    "HealthSummary",
    "ListedFilm",
    "Problem",
    "Sent",
    "SentFilm",
    "WorklistPage",
    "WorklistSearch",
    "contrasts_of",
]

_Plain = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(_Said):
    """What is wrong."""

    error: str = Field(description="one sentence: what must hold, what was found, what to do")


class WorklistSearch(_Said):
    """What a page of the worklist shows."""

    order: Order | None = Field(
        None, description="due: by priority; waiting: longest waiting first; received: newest first"
    )
    open_only: bool = Field(True, description="leave out what a doctor has reported")
    state: State | None = Field(None, description="films of one state alone")
    decision: _Plain | None = Field(None, description="films of one decision of the model alone")
    search: _Plain = Field(
        "", description="beginnings of words: patient's id, accession number, parts of the name; all must fit"
    )
    after: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})? [0-9a-f]{32}$")] | None = Field(
        None, description="`following` of the page before"
    )
    rows: int = Field(50, ge=1, le=500, description="films on the page")

    @property
    def place(self) -> tuple[float, str] | None:
        """Where the page begins."""
        if self.after is None:
            return None
        place, _, entry = self.after.partition(" ")
        return float(place), entry


class ListedFilm(_Said):
    """A film at the desk."""

    id: str = Field(description="names the film in addresses and says nothing about it")
    state: State
    received_at: datetime
    acquired_at: str | None = Field(description="as in the file, local time")
    source: str = Field(description="upload, or pacs: and the peer's AE title")
    patient_id: str | None
    patient_name: str | None = Field(description="components joined by carets")
    accession_number: str | None
    study_uid: str | None
    series_uid: str | None
    sop_instance_uid: str | None
    code: str | None = Field(description="why it was refused or failed")
    reason: str | None = Field(description="the same in a sentence")
    decision: str | None = Field(description="of the model; null where its output is not open to the token")
    urgency: float | None = Field(description="of the model, in [0, 1]; null as `decision`")
    due_at: datetime | None = Field(
        description="place in the worklist by priority; null as `decision`, and of what does not wait"
    )

    @classmethod
    def of(cls, film: DeskFilm, *, output: bool) -> Self:
        """Say what may be said of a film."""
        placed = output and film.urgency is not None and film.state not in ("reported", "prior")
        return cls(
            id=film.entry_id,
            state=film.state,
            received_at=_moment(film.received_at),
            acquired_at=film.acquired_at,
            source=film.source,
            patient_id=film.patient_id,
            patient_name=film.patient_name,
            accession_number=film.accession_number,
            study_uid=film.study_uid,
            series_uid=film.series_uid,
            sop_instance_uid=film.sop_instance_uid,
            code=film.code,
            reason=film.reason,
            decision=film.decision if output else None,
            urgency=film.urgency if output else None,
            due_at=_moment(film.due_at) if placed else None,
        )


class WorklistPage(_Said):
    """One page of the worklist."""

    films: list[ListedFilm]
    following: str | None = Field(description="send it as `after` for the next page; null on the last one")


class Contrast(_Said):
    """One question that the model was asked, and how far its answer is to be trusted."""

    name: str
    probability: float | None
    low: float | None = Field(description="below it no")
    high: float | None = Field(description="from it on yes; in between indeterminate")
    sensitivity: float | None = Field(description="where the threshold was chosen")
    specificity: float | None = Field(description="where the threshold was chosen")
    audit: str = Field(description="verdict of the model's shortcut audit")


class FilmResult(_Said):
    """A film and what the model says of it; research use only."""

    film: ListedFilm
    output: Literal["open", "blind", "none"] = Field(
        description="blind: the token's user must first keep a call of their own; none: the model has not read it"
    )
    notice: str
    reading: dict[str, Any] | None = Field(description="as a line of `carina predict`")
    contrasts: list[Contrast]
    layers: list[str] = Field(description="pictures that lie over the film, by name")


def contrasts_of(facts: ModelFacts | None, reading: dict[str, Any]) -> list[Contrast]:
    """Thresholds and verdicts of the model that read a film, beside what it said."""
    if facts is None:
        return []
    shares = reading.get("contrasts") or {}
    found = []
    for name in dict.fromkeys((*facts.thresholds, *facts.verdicts)):
        each = facts.thresholds.get(name)
        found.append(
            Contrast(
                name=name,
                probability=shares.get(name),
                low=None if each is None else each.low,
                high=None if each is None else each.high,
                sensitivity=None if each is None else each.sensitivity,
                specificity=None if each is None else each.specificity,
                audit=facts.verdict(name),
            )
        )
    return found


class SentFilm(_Said):
    """What became of one file of an upload."""

    name: str = Field(description="as the sender called it")
    id: str | None = Field(description="of the film; null where it was refused")
    new: bool = Field(description="false for a film that was there already")
    code: str | None = Field(description="why it was refused; not_stored where that was no fault of the film")
    reason: str | None


class Sent(_Said):
    """What became of the files of an upload, zips opened."""

    films: list[SentFilm]

    @classmethod
    def of(cls, done: list[Received]) -> Self:
        """Say what became of each."""
        return cls(
            films=[
                SentFilm(
                    name=each.name,
                    id=None if each.film is None else each.film.entry_id,
                    new=each.new,
                    code=each.code,
                    reason=each.reason,
                )
                for each in done
            ]
        )


class HealthCheck(_Said):
    """One link."""

    name: str
    well: bool
    found: str
    mend: str = Field(description="what to do where it is not well")
    seconds: float


class HealthSummary(_Said):
    """Every link of the service."""

    well: bool = Field(description="whether every link is")
    checks: list[HealthCheck]

    @classmethod
    def of(cls, found: list[Health]) -> Self:
        """Say what was found."""
        checks = [
            HealthCheck(name=each.name, well=each.well, found=each.found, mend=each.mend, seconds=each.seconds)
            for each in found
        ]
        return cls(well=all(each.well for each in checks), checks=checks)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
