"""FHIR R4 bundles and NDJSON exports to the same four canonical tables, under the same checks.

Patient, Encounter and Condition make admissions; Observation (with Specimen) vitals and microbiology; DiagnosticReport
and ImagingStudy reads. Patients are known by the identifier of the NHI's system.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from carina.errors import RecordsError
from carina.records.contracts import SCHEMAS
from carina.records.extract import Extract, canonical_rows
from carina.records.fhir_rows import Found, Place, Resources, rows_of
from carina.records.mapping import Mapping, our_mapping
from carina.records.raw import REJECTED, Raw

__all__ = ["read_fhir", "read_fhir_files"]

_LINES = {".ndjson", ".jsonl"}
_LARGEST = 4 * 1024**3


def read_fhir(path: Path, *, time_zone: str = "Pacific/Auckland") -> dict[str, Extract]:
    """Read one file of FHIR R4 resources.

    Parameters
    ----------
    path : Path
        JSON (a Bundle or one resource) or NDJSON (a resource or Bundle a line).
    time_zone : str
        In which moments are local; FHIR's carry offsets.

    Returns
    -------
    dict of str to Extract
        By table, of those that have rows or rejected rows. A line is the entry of a bundle, from 1, or the line of an
        NDJSON file.

    Raises
    ------
    RecordsError
        If the file cannot be read, or holds no FHIR resource.

    References
    ----------
    HL7 FHIR R4 (4.0.1); New Zealand Base Implementation Guide (identifiers, ethnicity).
    """
    return read_fhir_files([path], time_zone=time_zone)


def read_fhir_files(paths: Iterable[Path], *, time_zone: str = "Pacific/Auckland") -> dict[str, Extract]:
    """Read several files of FHIR R4 resources that may refer to each other; as `read_fhir`."""
    resources, bad, hashes = Resources(), [], {}
    for path in paths:
        data = _bytes(path)
        if path.name in hashes:
            raise RecordsError(f"the files must have different names, by which rows are listed; two are {path.name!r}")
        hashes[path.name] = hashlib.sha256(data).hexdigest()
        before = len(resources.listed)
        bad.extend(_add(resources, path.name, data, lines=path.suffix.lower() in _LINES))
        if len(resources.listed) == before:
            raise RecordsError(
                f"a FHIR file must hold R4 resources as JSON, or one a line as NDJSON; {path.name!r} holds none"
            )
    found = rows_of(resources)
    for place in bad:
        found.rejected["admissions"].append((place, "", "a line must be one FHIR resource; this one is none"))
    mapping = our_mapping().model_copy(update={"time_zone": time_zone})
    return {
        table: _extract(table, found, hashes, mapping)
        for table in SCHEMAS
        if found.rows[table] or found.rejected[table]
    }


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise RecordsError(f"a FHIR file must be at most {_LARGEST // 1024**3} GiB; {path.name!r} is larger")
        return path.read_bytes()
    except OSError as error:
        raise RecordsError(f"a FHIR file must be readable; {str(path)!r}: {error.strerror}") from None


def _add(resources: Resources, name: str, data: bytes, *, lines: bool) -> list[Place]:
    """Add the resources of a file; return the lines that hold none."""
    bad = []
    if lines:
        for number, line in enumerate(data.splitlines(), start=1):
            if line.strip() and not _add_one(resources, _parsed(line), name, number):
                bad.append((name, number))
        return bad
    whole = _parsed(data)
    entries = whole.get("entry") if isinstance(whole, dict) and whole.get("resourceType") == "Bundle" else None
    if entries is None:
        _add_one(resources, whole, name, 1)
        return bad
    for number, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        given = entry if isinstance(entry, dict) else {}
        if not _add_one(resources, given.get("resource"), name, number, given.get("fullUrl")):
            bad.append((name, number))
    return bad


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _add_one(resources: Resources, resource: Any, name: str, line: int, full_url: str | None = None) -> bool:
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return False
    if resource["resourceType"] == "Bundle":
        entries = [entry for entry in resource.get("entry") or [] if isinstance(entry, dict)]
        added = [_add_one(resources, entry.get("resource"), name, line, entry.get("fullUrl")) for entry in entries]
        return bool(added) and all(added)
    resources.add((name, line), resource, full_url)
    return True


def _extract(table: str, found: Found, hashes: dict[str, str], mapping: Mapping) -> Extract:
    """Turn the rows of a table into cells, and those through the checks of every extract."""
    # A resource with a cell that is no scalar breaks FHIR's own types; it is listed like a cell of the wrong kind.
    raws = []
    for name, sha256 in hashes.items():
        rows = [(place, row) for place, row in found.rows[table] if place[0] == name]
        rejected = [(*place, column, reason) for place, column, reason in found.rejected[table] if place[0] == name]
        cells = {
            column: pl.Series(column, [_cell(row.get(column), kind) for _, row in rows], dtype=_cell_type(kind))
            for column, kind in _columns(table).items()
        }
        raws.append(
            Raw(
                pl.DataFrame(cells),
                pl.Series("line", [line for (_, line), _ in rows], dtype=pl.Int64),
                name,
                sha256,
                pl.DataFrame(rejected, schema=REJECTED, orient="row"),
                tuple(f"{count} x {sentence}" for sentence, count in sorted(found.aside.items())),
            )
        )
    return canonical_rows(table, raws, mapping, strict=False)


def _columns(table: str) -> dict[str, pl.DataType]:
    kinds = {column: kind for column, kind in SCHEMAS[table].items() if column != "finding_source"}
    if table == "admissions":
        kinds["ethnicity"] = pl.List(pl.String())
    return kinds


def _cell_type(kind: pl.DataType) -> pl.DataType:
    return kind if isinstance(kind, pl.List | pl.Float64) else pl.String()


def _cell(value: Any, kind: pl.DataType) -> Any:
    if value is None or isinstance(kind, pl.Float64):
        return value
    if isinstance(kind, pl.List):
        return [str(item) for item in value]
    return str(value)
