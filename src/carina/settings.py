"""Every setting with its default, help and limit.

Settings come from one TOML file (`--settings FILE`), never from environment variables: a result must be explainable
from files that can be kept beside it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carina.errors import SettingsError

__all__ = ["IngestSettings", "Limits", "PredictSettings", "Settings", "load_settings"]

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


class Settings(_Section):
    """All settings, by section."""

    limits: Limits = Field(default_factory=Limits)
    predict: PredictSettings = Field(default_factory=PredictSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)


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
