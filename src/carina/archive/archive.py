"""The archive of one study: films, records, labels, ledger and audit log behind one object."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, MetaData, func, insert, inspect, select, update

from carina.archive.audit import START, AuditEntry, canonical, seal, verify_chain
from carina.archive.database import lock_audit, reading, writing
from carina.archive.exchange import Exchange
from carina.archive.films import FilmRecord, LedgerEntry, admit, film_table, note_source
from carina.archive.labels import LabelCounts, change_table, label_table, write_labels
from carina.archive.store import Store
from carina.archive.tables import AuditRow, FilmRow, LedgerRow, RecordSetRow, RunRow
from carina.errors import ArchiveError

__all__ = ["Archive", "RecordSet", "append_audit"]

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BATCH = 1_000
_SOURCES = pl.Schema(
    {
        "source_key": pl.String(),
        "outcome": pl.String(),
        "code": pl.String(),
        "reason": pl.String(),
        "film_id": pl.String(),
        "at": pl.String(),
    }
)


@dataclass(frozen=True, slots=True)
class RecordSet:
    """One version of a table of records.

    Attributes
    ----------
    table : str
        Such as ``"admissions"``.
    version : int
        1, 2, 3; the highest is the current one.
    path : str
        Of the Parquet file, relative to the store.
    sha256 : str
        Of that file.
    rows : int
    provenance : dict
        Where it came from: hash of the source file and of the mapping, rows and rejected rows.
    loaded_at : str
        UTC, ISO 8601.
    """

    table: str
    version: int
    path: str
    sha256: str
    rows: int
    provenance: dict[str, Any]
    loaded_at: str


class Archive:
    """Database and files of a study; get it from `open_study`.

    Parameters
    ----------
    engine : Engine
        With the newest schema.
    store : Store
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = self._engine = engine
        self._store = store

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    @property
    def exchange(self) -> Exchange:
        """What peers stored here, and what they are owed."""
        return Exchange(self._engine)

    # -- films -----------------------------------------------------------------------------------------------------

    def films(self) -> pl.DataFrame:
        """Every stored film, a row each, refused ones included: the columns of `FILM_SCHEMA`.

        Returns
        -------
        DataFrame
            In the order of patient, acquisition time, series, instance, id. ``accepted`` is False, with ``refusal``
            saying why, for films that the quality gate refused, changed films under a known UID, and films that
            repeat another.
        """
        with reading(self._engine) as connection:
            return film_table(connection)

    def admit(self, film: FilmRecord, entry: LedgerEntry, run_id: int) -> LedgerEntry:
        """Take a film whose file is durable into the archive, with its source, in one transaction.

        Returns
        -------
        LedgerEntry
            As noted: the outcome says whether the film is new, a duplicate, changed under its UID, or known.
        """
        with writing(self._engine) as connection:
            return admit(connection, film, entry, run_id)

    def note_source(self, entry: LedgerEntry, run_id: int) -> None:
        """Note a source that gave no film."""
        with writing(self._engine) as connection:
            note_source(connection, entry, run_id)

    def source(self, source_key: str) -> LedgerEntry | None:
        """Tell what became of a source file, by its key; None where it was never seen."""
        columns = (LedgerRow.outcome, LedgerRow.code, LedgerRow.reason, LedgerRow.film_id)
        with reading(self._engine) as connection:
            row = connection.execute(select(*columns).where(LedgerRow.source_key == source_key)).first()
        return None if row is None else LedgerEntry(source_key, *row)  # type: ignore[arg-type]  # the column holds outcomes alone

    def sources(self) -> pl.DataFrame:
        """Return the ingest ledger: ``source_key``, ``outcome``, ``code``, ``reason``, ``film_id``, ``at``."""
        columns = [getattr(LedgerRow, name) for name in _SOURCES]
        with reading(self._engine) as connection:
            found = connection.execute(select(*columns).order_by(LedgerRow.at, LedgerRow.source_key)).fetchall()
        return pl.DataFrame([tuple(row) for row in found], schema=_SOURCES, orient="row")

    def refusals(self) -> pl.DataFrame:
        """Return the sources that gave no accepted film of their own, with code and reason: rows of `sources`."""
        return self.sources().filter(pl.col("code").is_not_null())

    # -- runs ------------------------------------------------------------------------------------------------------

    def begin_run(self, verb: str) -> int:
        """Note that a writing verb starts; its number is noted with everything it writes."""
        with writing(self._engine) as connection:
            made = connection.execute(insert(RunRow).values(verb=verb, started_at=_now()).returning(RunRow.run_id))
            return int(made.scalar_one())

    def end_run(self, run_id: int) -> None:
        """Note that a run came to its end."""
        with writing(self._engine) as connection:
            connection.execute(update(RunRow).where(RunRow.run_id == run_id).values(ended_at=_now()))

    def clean_orphans(self) -> int:
        """Remove files that a killed run left in the store without a row, and close that run.

        Nothing is looked through unless a run did not end. The caller holds the study's lock.

        Returns
        -------
        int
            Files removed.
        """
        with reading(self._engine) as connection:
            if connection.execute(select(RunRow.run_id).where(RunRow.ended_at.is_(None))).first() is None:
                return 0
            known = {row.path for row in connection.execute(select(FilmRow.path))}
            known |= {row.path for row in connection.execute(select(RecordSetRow.path))}
        orphans = [path for folder in ("films", "records") for path in self._store.list(folder) if path not in known]
        for path in orphans:
            self._store.delete(path)
        with writing(self._engine) as connection:
            connection.execute(update(RunRow).where(RunRow.ended_at.is_(None)).values(ended_at=_now()))
        self.audit("orphans_removed", {"files": len(orphans)})
        return len(orphans)

    # -- records ---------------------------------------------------------------------------------------------------

    def put_records(self, table: str, frame: pl.DataFrame, provenance: Mapping[str, Any]) -> RecordSet:
        """Store a table as its current version; the same rows again are the version that is there.

        Rows are sorted first: an extract in the order of its patients' names must not keep that order here.

        Parameters
        ----------
        table : str
        frame : DataFrame
            Pseudonymous.
        provenance : mapping
            JSON values: hashes of source and mapping, counts of rows and rejected rows.

        Returns
        -------
        RecordSet
            The current version.

        Raises
        ------
        ArchiveError
            If the table's name is not a plain word.
        """
        if not _TABLE.fullmatch(table):
            raise ArchiveError(f"a table of records must have a plain lower-case name; found {table!r}")
        keys = [name for name, kind in frame.schema.items() if not kind.is_nested()]
        file = io.BytesIO()
        frame.sort(keys, nulls_last=True, maintain_order=True).write_parquet(file, compression="zstd")
        stored = self._store.put(file.getvalue(), folder=f"records/{table}", suffix=".parquet")
        with writing(self._engine) as connection:
            current = _current(connection, table)
            if current is not None and current.sha256 == stored.sha256:
                return current
            made = RecordSet(
                table=table,
                version=1 if current is None else current.version + 1,
                path=stored.path,
                sha256=stored.sha256,
                rows=frame.height,
                provenance=dict(provenance),
                loaded_at=_now(),
            )
            values = asdict(made)
            connection.execute(insert(RecordSetRow).values(table_name=values.pop("table"), **values))
        return made

    def records(self, table: str) -> pl.LazyFrame:
        """Return the current version of a table of records.

        Raises
        ------
        ArchiveError
            If none was loaded.
        """
        current = self.record_set(table)
        if current is None:
            raise ArchiveError(f"the study must hold {table}, and no such records were loaded; use `carina records`")
        if self._store.folder is not None:
            return pl.scan_parquet(self._store.path(current.path))
        return pl.read_parquet(io.BytesIO(self._store.read(current.path))).lazy()

    def record_set(self, table: str) -> RecordSet | None:
        """Return the current version's description; None where none was loaded."""
        with reading(self._engine) as connection:
            return _current(connection, table)

    def record_sets(self) -> list[RecordSet]:
        """Every version of every table, oldest first."""
        with reading(self._engine) as connection:
            found = connection.execute(select(*_RECORD_COLUMNS).order_by(RecordSetRow.record_set_id)).fetchall()
        return [RecordSet(*row) for row in found]

    # -- labels ----------------------------------------------------------------------------------------------------

    def put_labels(self, frame: pl.DataFrame, *, reason: str | None = None) -> LabelCounts:
        """Make a frame the current labels, and log what differs from those before.

        Parameters
        ----------
        frame : DataFrame
            ``film_id``, once each; all further columns together are the label.
        reason : str or None
            Why labels may differ; by default the versions of the records that stand behind them.

        Returns
        -------
        LabelCounts

        Raises
        ------
        ArchiveError
            If a film has no id or two labels.
        """
        why = reason or "; ".join(f"{name} version {number}" for name, number in self._versions().items()) or "labelled"
        with writing(self._engine) as connection:
            counts = write_labels(connection, frame, why)
            if counts.added or counts.changed or counts.removed:
                append_audit(connection, "labelled", {**asdict(counts), "reason": why})
        return counts

    def labels(self) -> pl.DataFrame:
        """Return the current labels: ``film_id``, ``label`` (canonical JSON), ``labelled_at`` (UTC)."""
        with reading(self._engine) as connection:
            return label_table(connection)

    def label_changes(self) -> pl.DataFrame:
        """Return every change: ``film_id``, ``old``, ``new`` (JSON or null), ``reason``, ``changed_at`` (UTC)."""
        with reading(self._engine) as connection:
            return change_table(connection)

    def _versions(self) -> dict[str, int]:
        return {each.table: each.version for each in self.record_sets()}

    # -- audit -----------------------------------------------------------------------------------------------------

    def audit(self, event: str, details: Mapping[str, Any] | None = None) -> AuditEntry:
        """Append to the audit log.

        Parameters
        ----------
        event : str
            What happened, such as ``"identifiers_removed"``.
        details : mapping or None
            JSON values; counts, hashes and pseudonyms, never an identifier.
        """
        with writing(self._engine) as connection:
            return append_audit(connection, event, details or {})

    def audit_log(self) -> list[AuditEntry]:
        """Every entry, oldest first."""
        with reading(self._engine) as connection:
            found = connection.execute(select(*_AUDIT_COLUMNS).order_by(AuditRow.sequence)).fetchall()
        return [AuditEntry(*row) for row in found]

    def audit_head(self) -> str:
        """Hash of the last entry; noted elsewhere, it proves later that nothing before it was cut off."""
        log = self.audit_log()
        return log[-1].hash if log else START

    def verify_audit(self, head: str | None = None) -> list[str]:
        """Check the log: a sentence for every changed, missing or inserted entry; empty when it is whole."""
        return verify_chain(self.audit_log(), head)

    # -- everything ------------------------------------------------------------------------------------------------

    def dump_rows(self) -> Iterator[tuple[str, bytes]]:
        """Every text and blob of every table, for the search for identifiers.

        Yields
        ------
        tuple of (str, bytes)
            Where it stands, such as ``films[3].series_description`` (third row read), and its bytes (UTF-8 for text).
        """
        metadata = MetaData()
        with reading(self._engine) as connection:
            metadata.reflect(connection)
            for name in sorted(inspect(connection).get_table_names()):
                table = metadata.tables[name]
                found = connection.execution_options(yield_per=_BATCH).execute(select(table))
                for number, row in enumerate(found.mappings(), start=1):
                    for column, value in row.items():
                        if value is not None:
                            data = value if isinstance(value, bytes) else _as_text(value).encode("utf-8", "replace")
                            yield f"{name}[{number}].{column}", data

    def counts(self) -> dict[str, int]:
        """Rows of films, sources, labels and audit log."""
        with reading(self._engine) as connection:
            return {
                table.__tablename__: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (FilmRow, LedgerRow, RecordSetRow, AuditRow)
            }


_RECORD_COLUMNS = (
    RecordSetRow.table_name,
    RecordSetRow.version,
    RecordSetRow.path,
    RecordSetRow.sha256,
    RecordSetRow.rows,
    RecordSetRow.provenance,
    RecordSetRow.loaded_at,
)
_AUDIT_COLUMNS = (
    AuditRow.sequence,
    AuditRow.at,
    AuditRow.event,
    AuditRow.details,
    AuditRow.previous,
    AuditRow.hash,
)


def _current(connection: Connection, table: str) -> RecordSet | None:
    statement = select(*_RECORD_COLUMNS).where(RecordSetRow.table_name == table).order_by(RecordSetRow.version.desc())
    row = connection.execute(statement.limit(1)).first()
    return None if row is None else RecordSet(*row)


def append_audit(connection: Connection, event: str, details: Mapping[str, Any]) -> AuditEntry:
    """Append to the audit log in a transaction that writes."""
    lock_audit(connection)
    last = connection.execute(
        select(AuditRow.sequence, AuditRow.hash).order_by(AuditRow.sequence.desc()).limit(1)
    ).first()
    sequence, previous = (1, START) if last is None else (last.sequence + 1, last.hash)
    at, text = _now(), canonical(details)
    entry = AuditEntry(sequence, at, event, text, previous, seal(sequence, at, event, text, previous))
    connection.execute(insert(AuditRow).values(**asdict(entry)))
    return entry


def _as_text(value: object) -> str:
    return canonical(value) if isinstance(value, dict) else str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
