"""A hospital's column names and codes to ours: the mapping file.

A mapping is a TOML file with a table for each extract. What it does not say is not guessed: moments without a format
must be ISO 8601, codes without a translation must be ours or one of the spellings the lists know.
"""

from __future__ import annotations

import hashlib
import tomllib
import zoneinfo
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from carina.errors import RecordsError
from carina.records.contracts import REQUIRED, SCHEMAS, TABLES

__all__ = ["ColumnMap", "Mapping", "TableMap", "load_mapping", "our_mapping"]

NULLS = ("", "NULL", "N/A", "\\N")
"""Cells that hold nothing, unless the mapping names others."""

UNITS: dict[str, tuple[str, ...]] = {
    "height_cm": ("cm", "m", "in"),
    "weight_kg": ("kg", "g", "lb"),
    "temperature_c": ("C", "F"),
    "spo2_percent": ("%", "fraction"),
}
"""Units a measurement may come in; the first is ours."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnMap(_Part):
    """Where one of our columns comes from.

    Attributes
    ----------
    columns : tuple of str
        The hospital's columns. Several are joined: moments with a space (a date and a time column), lists one after the
        other, text with a space.
    format : tuple of str
        How moments are written, in chrono's notation (``%d/%m/%Y %H:%M``); none means ISO 8601.
    values : dict of str to str
        The hospital's code to ours, compared without case; an empty text means "nothing".
    unit : str or None
        Of a measurement, where it is not ours: m or in, g or lb, F, fraction.
    separator : str or None
        Between the items of a list within one cell.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    format: tuple[str, ...] = ()
    values: dict[str, str] = Field(default_factory=dict)
    unit: str | None = None
    separator: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """Let a text stand for its column, and one item for a list of one."""
        if isinstance(given, str):
            return {"columns": (given,)}
        if not isinstance(given, dict):
            return given
        full = dict(given)
        if "column" in full and "columns" not in full:
            full["columns"] = (full.pop("column"),)
        if isinstance(full.get("format"), str):
            full["format"] = (full["format"],)
        return full


class TableMap(_Part):
    """One extract.

    Attributes
    ----------
    columns : dict of str to ColumnMap
        Our column to the hospital's.
    encoding : str or None
        Of a CSV file: utf-8, utf-8-sig or cp1252; found out when None.
    delimiter : str or None
        Of a CSV file; found out from the header when None.
    sheet : str or None
        Of an Excel file; the first when None.
    nulls : tuple of str
        Cells that hold nothing.
    overlap_minutes : int
        How long two admissions of one patient may overlap before the later is rejected; a transfer is often entered on
        the next ward before the last one has let the patient go.
    """

    columns: dict[str, ColumnMap]
    encoding: Literal["utf-8", "utf-8-sig", "cp1252"] | None = None
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    sheet: str | None = None
    nulls: tuple[str, ...] = NULLS
    overlap_minutes: int = Field(0, ge=0, le=24 * 60)


class Mapping(_Part):
    """All extracts of a hospital.

    Attributes
    ----------
    format : int
        Of the mapping file; 1.
    name : str
        For the record.
    time_zone : str
        In which moments are local; moments that carry an offset are turned into it.
    admissions, vitals, reads, microbiology : TableMap or None
        The extracts.
    sha256 : str or None
        Of the file it was read from, lower-case hex; never written in one.
    """

    format: Literal[1] = 1
    name: str = ""
    time_zone: str = "Pacific/Auckland"
    admissions: TableMap | None = None
    vitals: TableMap | None = None
    reads: TableMap | None = None
    microbiology: TableMap | None = None
    sha256: str | None = Field(None, exclude=True)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a name of the IANA list, such as Pacific/Auckland") from None
        return name

    @model_validator(mode="after")
    def _ours(self) -> Mapping:
        for name in TABLES:
            table = getattr(self, name)
            if table is not None:
                _check_table(name, table)
        return self

    def table(self, name: str) -> TableMap:
        """Return the mapping of one table.

        Raises
        ------
        RecordsError
            If the file has none.
        """
        found = getattr(self, name, None) if name in TABLES else None
        if not isinstance(found, TableMap):
            raise RecordsError(
                f"the mapping must have a table [{name}.columns]; it has none; "
                f"`carina records suggest-mapping` proposes one"
            )
        return found


def _check_table(name: str, table: TableMap) -> None:
    known = [column for column in SCHEMAS[name] if column != "finding_source"]
    if strange := sorted(set(table.columns) - set(known)):
        raise ValueError(f"[{name}.columns] must name our columns ({', '.join(known)}); found {strange[0]!r}")
    missing = [column for column in REQUIRED[name] if column not in table.columns]
    # Codes and ethnicity may be missing from a hospital's extract as columns no more than the rest.
    if missing:
        raise ValueError(f"[{name}.columns] must map {', '.join(REQUIRED[name])}; {missing[0]!r} is missing")
    for column, spec in table.columns.items():
        if spec.unit is not None and spec.unit not in UNITS.get(column, ()):
            allowed = ", ".join(UNITS.get(column, ())) or "none"
            raise ValueError(f"[{name}.columns] {column}: the unit must be one of {allowed}; found {spec.unit!r}")
        day_first = any("%d/%m" in one or "%d-%m" in one for one in spec.format)
        month_first = any("%m/%d" in one or one.startswith("%m-%d") for one in spec.format)
        if day_first and month_first:
            raise ValueError(
                f"[{name}.columns] {column}: formats with the day first and the month first cannot be told apart"
            )


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Parameters
    ----------
    path : Path
        TOML.

    Returns
    -------
    Mapping

    Raises
    ------
    RecordsError
        If it cannot be read, is not TOML, or names columns, units or zones that do not exist.
    """
    try:
        text = path.read_bytes()
        data = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise RecordsError(f"the mapping must be a readable file; {str(path)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordsError(f"the mapping must be TOML in UTF-8; {str(path)!r}: {error}") from None
    try:
        mapping = Mapping.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordsError(
            f"the mapping {str(path)!r} must describe extracts; at {place or 'its tables'}: {first['msg']}"
        ) from None
    return mapping.model_copy(update={"sha256": hashlib.sha256(text).hexdigest()})


def our_mapping() -> Mapping:
    """Return the mapping of extracts that already use our names, our codes and ISO 8601."""
    tables: dict[str, Any] = {}
    for table, schema in SCHEMAS.items():
        columns: dict[str, Any] = {column: column for column in schema if column != "finding_source"}
        for name in ("codes", "ethnicity"):
            if name in columns:
                columns[name] = {"columns": (name,), "separator": ";"}
        tables[table] = {"columns": columns}
    return Mapping.model_validate({"name": "canonical", **tables})
