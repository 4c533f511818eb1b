"""Records into a research study: pseudonymised, linked with the films, held to limits, then stored (M6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from carina.archive import Archive, Study
from carina.deidentify import Linkage, Policy, Pseudonymiser, Removed, load_key, pseudonymise_records
from carina.errors import ArchiveError, RecordsError
from carina.ingest.link import LinkReport, TableLoad, judge_links, link
from carina.settings import Settings

__all__ = ["load_records"]

TABLES: Final = ("admissions", "vitals", "reads", "microbiology")
_DEFAULT_SETTINGS: Final = Settings()
_FROM_EXTRACT: Final = ("source_sha256", "mapping_sha256", "source_rows")


def load_records(
    study: Study,
    extracts: Mapping[str, Any],
    *,
    provenance: Mapping[str, Mapping[str, Any]] | None = None,
    policy: Policy | None = None,
    settings: Settings = _DEFAULT_SETTINGS,
) -> LinkReport:
    """Take identified canonical tables into a research study.

    They are pseudonymised in memory, linked with the films and with the tables that are there, and held to the limits
    of ``[ingest]``; only then anything is stored. What was removed goes to the linkage beside the key. Each table
    replaces the version before it, which is kept; the same rows again change nothing.

    Parameters
    ----------
    study : Study
        Of kind research.
    extracts : mapping of str to DataFrame or extract
        By table; an extract has `rows` and `rejected` (DataFrames), and may have `source_sha256` and `mapping_sha256`.
    provenance : mapping of str to mapping, or None
        Further JSON values to keep with a table's version.
    policy : Policy or None
        Of de-identification.
    settings : Settings

    Returns
    -------
    LinkReport

    Raises
    ------
    ArchiveError
        If the study is no research study, or another command is writing to it.
    RecordsError
        If a table is unknown, or too many films stay without their records; nothing is stored then.
    RemovalError
        If the key is missing or open to others, or a row has no NHI.
    """
    if study.kind != "research":
        raise ArchiveError(
            "records are loaded into a research study, where they are pseudonymous; this is a service study"
        )
    unknown = sorted(set(extracts) - set(TABLES))
    if unknown or not extracts:
        raise RecordsError(f"records are one or more of {', '.join(TABLES)}; found {', '.join(unknown) or 'none'}")
    names = Pseudonymiser(load_key(study.keys))
    with study.lock():
        study.archive.clean_orphans()
        clean: dict[str, pl.DataFrame] = {}
        removed: list[Removed] = []
        for table in (name for name in TABLES if name in extracts):
            clean[table], gone = pseudonymise_records(table, _rows(extracts[table]), names, policy or Policy())
            removed.append(gone)
        report = link(study.archive.films(), {**_there(study.archive, set(clean)), **clean})
        refusal = judge_links(report, settings.ingest)
        report.identifiers_removed = _kinds(removed)
        if refusal is not None:
            study.archive.audit("records_refused", {"tables": sorted(clean), "unmatched": report.counts})
            raise RecordsError(
                f"films and records must belong together: {refusal}; nothing was stored. Check that extracts and films "
                "are of the same hospital and time, or raise the limit"
            )
        with Linkage(study.keys) as linkage:
            for gone in removed:
                linkage.add(gone)
        _store(study.archive, clean, extracts, provenance or {}, report)
    return report


def _store(
    archive: Archive,
    clean: Mapping[str, pl.DataFrame],
    extracts: Mapping[str, Any],
    provenance: Mapping[str, Mapping[str, Any]],
    report: LinkReport,
) -> None:
    run = archive.begin_run("records")
    for table, frame in clean.items():
        before = archive.record_set(table)
        rejected = _rejected(extracts[table])
        known = {name: getattr(extracts[table], name, None) for name in _FROM_EXTRACT}
        values = {**known, "rows": frame.height, "rejected": rejected, **provenance.get(table, {})}
        made = archive.put_records(table, frame, {name: value for name, value in values.items() if value is not None})
        report.tables[table] = TableLoad(
            rows=frame.height,
            patients=frame["patient_id"].n_unique(),
            rejected=rejected,
            version=made.version,
            changed=before is None or before.version != made.version,
        )
    if any(each.changed for each in report.tables.values()):
        archive.audit("identifiers_removed", {"tables": sorted(clean), "kinds": report.identifiers_removed})
        versions = {name: {"version": each.version, "rows": each.rows} for name, each in report.tables.items()}
        details = {"tables": versions, "films": report.films, "linked": report.linked, "unmatched": report.counts}
        archive.audit("records_loaded", details)
    archive.end_run(run)


def _rows(extract: Any) -> pl.DataFrame:
    rows = extract if isinstance(extract, pl.DataFrame) else getattr(extract, "rows", None)
    if not isinstance(rows, pl.DataFrame):
        raise RecordsError(f"an extract must be a table or hold one in `rows`; found {type(extract).__name__}")
    return rows


def _rejected(extract: Any) -> int | None:
    """Count the lines of the extract that were not read; one line can be listed for several columns."""
    counted = getattr(extract, "rejected_rows", None)
    if isinstance(counted, int):
        return counted
    rejected = getattr(extract, "rejected", None)
    if not isinstance(rejected, pl.DataFrame):
        return None
    return rejected["line"].n_unique() if "line" in rejected.columns else rejected.height


def _there(archive: Archive, new: set[str]) -> dict[str, pl.DataFrame]:
    others = [name for name in TABLES if name not in new and archive.record_set(name) is not None]
    return {name: archive.records(name).collect() for name in others}


def _kinds(removed: list[Removed]) -> dict[str, int]:
    if not removed:
        return {}
    rows = pl.concat([each.rows for each in removed]).unique()
    counts = rows.group_by("kind").len().sort("kind")
    return {str(kind): int(number) for kind, number in counts.iter_rows()}
