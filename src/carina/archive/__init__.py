"""The durable store: tables, migrations, content-addressed files, audit log."""

from carina.archive.archive import Archive, RecordSet
from carina.archive.audit import AuditEntry, verify_chain
from carina.archive.films import FILM_SCHEMA, FilmRecord, LedgerEntry, Outcome
from carina.archive.labels import LabelCounts
from carina.archive.store import Store, StoredFile
from carina.archive.study import Kind, Study, StudyFile, create_study, open_study

__all__ = [
    "FILM_SCHEMA",
    "Archive",
    "AuditEntry",
    "FilmRecord",
    "Kind",
    "LabelCounts",
    "LedgerEntry",
    "Outcome",
    "RecordSet",
    "Store",
    "StoredFile",
    "Study",
    "StudyFile",
    "create_study",
    "open_study",
    "verify_chain",
]
