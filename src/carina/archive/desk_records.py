"""What the desk hands over: films, results, what doctors said, pages of the worklist."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from carina.archive.desk_tables import DeskFilmRow
from carina.archive.worklist import State

__all__ = ["COLUMNS", "NAMES", "OPEN", "DeskFilm", "DeskRead", "DeskResult", "NewFilm", "Page"]

OPEN: Final = ("received", "queued")
"""States of a film that the model has yet to read."""


@dataclass(frozen=True, slots=True)
class NewFilm:
    """A film whose file is durable in the store.

    Attributes
    ----------
    film_id : str
        SHA-256 of the file.
    path : str
        Relative to the store.
    source : str
        Where it came from: ``"upload"``, or ``"pacs:"`` or ``"prior:"`` and the peer's AE title.
    referrer_id : int or None
        The user whose request it is.
    patient_id, patient_name, accession_number, study_uid, series_uid, sop_instance_uid : str or None
        As in the file.
    acquired_at : str or None
        Local time, ISO 8601.
    """

    film_id: str
    path: str
    source: str
    referrer_id: int | None = None
    patient_id: str | None = None
    patient_name: str | None = None
    accession_number: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop_instance_uid: str | None = None
    acquired_at: str | None = None


@dataclass(frozen=True, slots=True)
class DeskFilm:
    """A film at the desk: what `NewFilm` says, and what became of it.

    Attributes
    ----------
    entry_id : str
        32 hex digits, drawn at random: it names the film in addresses and says nothing about it.
    organisation_id : int
    received_at, due_at : float
        Seconds since 1970.
    urgency : float or None
        In [0, 1], of the model.
    state : {"received", "queued", "read", "refused", "failed", "reported", "prior"}
    decision : str or None
        Of the model.
    code, reason : str or None
        Why it was refused or failed.
    attempts : int
        How often a worker began to read it.
    """

    entry_id: str
    organisation_id: int
    film_id: str
    path: str
    source: str
    referrer_id: int | None
    patient_id: str | None
    patient_name: str | None
    accession_number: str | None
    study_uid: str | None
    series_uid: str | None
    sop_instance_uid: str | None
    acquired_at: str | None
    received_at: float
    due_at: float
    urgency: float | None
    state: State
    decision: str | None
    code: str | None
    reason: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class DeskResult:
    """What a model said of a film.

    Attributes
    ----------
    model_sha256 : str
    reading : dict
        As `carina.inference.Reading.to_dict` gives it.
    files : dict of str to str
        Layers by name, with their place in the store.
    seconds : float
    made_at : float
        Seconds since 1970.
    """

    model_sha256: str
    reading: dict[str, Any]
    files: dict[str, str]
    seconds: float
    made_at: float


@dataclass(frozen=True, slots=True)
class DeskRead:
    """What a doctor said of a film.

    Attributes
    ----------
    user : str
        Name of the user.
    blind : bool
        Whether it was said before the model's output was shown.
    call : str or None
        The doctor's own decision.
    agrees : bool or None
        With the model.
    comment : str or None
    at : float
        Seconds since 1970.
    user_id : int
    confidence : float or None
        That the call is right, in [0, 1].
    """

    user: str
    blind: bool
    call: str | None
    agrees: bool | None
    comment: str | None
    at: float
    user_id: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the worklist.

    Attributes
    ----------
    films : tuple of DeskFilm
    following : tuple of (float, str) or None
        Where the next page begins; None on the last one.
    """

    films: tuple[DeskFilm, ...]
    following: tuple[float, str] | None


NAMES: Final = [each.name for each in fields(DeskFilm)]
COLUMNS: Final = [getattr(DeskFilmRow, name) for name in NAMES]
