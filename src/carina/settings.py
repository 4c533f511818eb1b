"""Every setting with its default, help and limit.

Settings come from one TOML file (`--settings FILE`), never from environment variables: a result must be explainable
from files that can be kept beside it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from carina.errors import SettingsError

__all__ = [
    "IngestSettings",
    "Limits",
    "PacsPeer",
    "PacsSettings",
    "PredictSettings",
    "ResearchSettings",
    "ResearchStudy",
    "ServiceSettings",
    "Settings",
    "WebSettings",
    "load_settings",
]

_MIB = 1024 * 1024


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Section):
    """What a file may cost before it is refused; each is checked before anything is decoded."""

    file_bytes: int = Field(256 * _MIB, ge=1024, le=4096 * _MIB, description="largest file read, bytes")
    inflated_bytes: int = Field(
        512 * _MIB, ge=1024, le=4096 * _MIB, description="largest deflated DICOM once inflated, bytes"
    )
    samples: int = Field(
        100_000_000,
        ge=1024,
        le=1_000_000_000,
        description="most samples of one picture: rows x columns x frames x samples per pixel",
    )
    sequence_depth: int = Field(16, ge=1, le=64, description="deepest nesting of DICOM sequences")
    decode_seconds: float = Field(
        30.0, gt=0, le=600, description="longest time to decode one compressed picture, seconds"
    )
    decode_bytes: int = Field(
        2048 * _MIB,
        ge=64 * _MIB,
        le=16384 * _MIB,
        description="address space a decoding process may use beyond its start, bytes",
    )


class PredictSettings(_Section):
    """How `carina predict` runs."""

    threads: int = Field(1, ge=1, le=256, description="threads of one inference session")
    overlay_opacity: float = Field(0.45, ge=0.0, le=1.0, description="strongest opacity of the heatmap over the film")


class IngestSettings(_Section):
    """What `carina ingest` and `carina records` take in, and when films and records do not fit together."""

    archive_entries: int = Field(100_000, ge=1, le=10_000_000, description="most files in one zip")
    archive_bytes: int = Field(64 * 1024 * _MIB, ge=1024, description="most bytes of one zip once unpacked")
    archive_ratio: float = Field(
        200.0, ge=1.0, le=1100.0, description="largest ratio of a zip's unpacked to its packed bytes"
    )
    unlinked_warn: float = Field(
        0.05, ge=0.0, le=1.0, description="share of films without an admission, or without a read, that is pointed out"
    )
    unlinked_refuse: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="share of films without an admission, or without a read, above which records are refused",
    )


class ServiceSettings(_Section):
    """How a service study reads its films."""

    queue: str = Field(
        "sqlite:///queue.sqlite",
        pattern=r"^(sqlite:///[^/].*|rediss?://.+)$",
        description="jobs: a file in the study's folder, or redis://host:6379/0 for several machines",
    )
    model: str = Field("pneumonia", min_length=1, description="bundle that reads: its folder or zip, or a shipped one")
    longest_wait_hours: float = Field(
        24.0, gt=0, le=8760, description="time after which no later film comes before a waiting one, hours"
    )
    lease_seconds: float = Field(
        120.0, ge=5, le=3600, description="time after which a film that a worker began is tried again, seconds"
    )
    attempts: int = Field(3, ge=1, le=20, description="times a film is tried before it is given up")
    texture_reference: Path | None = Field(
        None, description="features of other films, of `carina texture`, that a film's texture sheet is held against"
    )


class WebSettings(_Section):
    """How `carina serve` answers."""

    idle_minutes: float = Field(20.0, gt=0, le=1440, description="a session ends when it was not used for so long")
    session_hours: float = Field(10.0, gt=0, le=168, description="a session ends after so long whatever happens")
    upload_bytes: int = Field(1024 * _MIB, ge=1024, le=65536 * _MIB, description="largest upload, bytes")
    uploads_bytes: int = Field(
        4096 * _MIB, ge=1024, description="most bytes of all uploads under way at one time; what is beyond is refused"
    )
    unpacked_bytes: int = Field(4096 * _MIB, ge=1024, description="most bytes of one uploaded zip once unpacked")
    reserve_bytes: int = Field(
        1024 * _MIB, ge=0, description="room on the study's disk below which no upload is taken, bytes"
    )
    upload_files: int = Field(200, ge=1, le=10_000, description="most files of one upload")
    rows: int = Field(50, ge=5, le=500, description="films on one page of the worklist, and entries on one of the log")
    token_days: int = Field(365, ge=1, le=3650, description="longest life of an API token, days")
    glass_minutes: float = Field(
        60.0, ge=0, le=1440, description="how long films opened by break-glass stay open, minutes; 0 switches it off"
    )


class PacsPeer(_Section):
    """A machine that the node of `carina pacs` knows."""

    ae_title: str = Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$", description="its AE title")
    host: str = Field(min_length=1, description="its host name or address")
    port: int = Field(ge=1, le=65535, description="its port")
    results: bool = Field(False, description="whether results are sent to it")
    priors: bool = Field(False, description="whether it is asked for earlier films of a patient")
    retrieve: Literal["get", "move"] = Field(
        "get", description="how they are fetched: C-GET, or C-MOVE, for which it must know the node's address"
    )
    organisation: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="whose films it sends, and gets results of; by default the node's",
    )
    tls: bool = Field(False, description="whether it is called over TLS")
    addresses: tuple[str, ...] = Field(
        (), description="addresses it may call from; empty for any, which trusts the network"
    )


class PacsSettings(_Section):
    """The node of `carina pacs`."""

    ae_title: str = Field(
        "CARINA", pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$", description="AE title of the node"
    )
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 for every one")
    port: int = Field(11112, ge=0, le=65535, description="port to listen on; 0 for a free one")
    peers: tuple[PacsPeer, ...] = Field((), description="machines that may send films, and where results go")
    organisation: str | None = Field(
        None, min_length=1, max_length=128, description="whose worklist films come to; by default the only one there is"
    )
    send_uploads: bool = Field(False, description="whether results of films uploaded at the desk are sent to peers too")
    prior_films: int = Field(2, ge=1, le=20, description="most earlier films fetched for one film from one peer")
    prior_years: float = Field(10.0, gt=0, le=120, description="how far back they are looked for, years")
    certificate: Path | None = Field(
        None, description="PEM file of the node's certificate chain; with it the node listens over TLS alone"
    )
    key: Path | None = Field(None, description="PEM file of the certificate's key")
    authorities: Path | None = Field(
        None, description="PEM file of the authorities whose certificates peers must show; by default the system's"
    )
    pdu_bytes: int = Field(131072, ge=16384, le=1048576, description="largest PDU taken, bytes")
    object_bytes: int = Field(
        128 * _MIB, ge=1024, le=4096 * _MIB, description="largest object taken over the network, bytes"
    )
    associations: int = Field(32, ge=1, le=1024, description="most associations at a time")
    associations_per_address: int = Field(8, ge=1, le=1024, description="most connections at a time from one address")
    acse_seconds: float = Field(
        5.0, gt=0, le=60, description="longest time for a new connection to ask for an association, seconds"
    )
    idle_seconds: float = Field(
        60.0, gt=0, le=3600, description="longest silence in an association, and longest time for one PDU, seconds"
    )
    retry_seconds: float = Field(5.0, gt=0, le=3600, description="first wait before something is sent again, seconds")
    retry_longest_seconds: float = Field(900.0, gt=0, le=86400, description="longest such wait, seconds")


class ResearchStudy(_Section):
    """A research study that a service study shows on its pages, and where its jobs write."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="its name, as it stands in addresses")
    title: str = Field("", max_length=128, description="its name in words")
    folder: Path = Field(description="research study, made by `carina init`")
    runs: Path = Field(description="folder of its runs; jobs read and write nowhere else")
    organisations: tuple[str, ...] = Field(min_length=1, description="organisations whose researchers see it")


class ResearchSettings(_Section):
    """Study pages, the change of the reading model, and the equity page."""

    studies: tuple[ResearchStudy, ...] = Field((), description="research studies shown")
    models_of: str | None = Field(
        None, max_length=128, description="organisation whose administrators change the reading model; by default any's"
    )
    workers: int = Field(1, ge=1, le=256, description="processes that one job may use")
    lease_seconds: float = Field(
        60.0, ge=5, le=3600, description="silence after which a job's worker is believed to be gone, seconds"
    )
    cancel_seconds: float = Field(
        15.0, ge=0, le=600, description="time that a cancelled job has to end by itself, seconds"
    )
    period: Literal["month", "quarter", "year"] = Field(
        "quarter", description="length of the periods of the equity page, each shown once it is over"
    )

    @field_validator("studies")
    @classmethod
    def _names_differ(cls, studies: tuple[ResearchStudy, ...]) -> tuple[ResearchStudy, ...]:
        if len({each.name for each in studies}) < len(studies):
            raise ValueError("each study must have a name of its own")
        return studies


class Settings(_Section):
    """All settings, by section."""

    limits: Limits = Field(default_factory=Limits)
    predict: PredictSettings = Field(default_factory=PredictSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    pacs: PacsSettings = Field(default_factory=PacsSettings)
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    research: ResearchSettings = Field(default_factory=ResearchSettings)


def load_settings(path: Path | None = None) -> Settings:
    """Read settings from a TOML file; without one, the defaults.

    Parameters
    ----------
    path : Path or None
        TOML file with tables named as the sections of `Settings`.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        If the file cannot be read, is not TOML, or holds an unknown or out-of-range setting.

    Examples
    --------
    >>> load_settings().predict.threads
    1
    """
    if path is None:
        return Settings()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"a settings file must be readable TOML; {str(path)!r} is not: {error}") from error
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"setting {name!r} in {str(path)!r} is wrong: {first['msg']}; found {first.get('input')!r}"
        ) from error
