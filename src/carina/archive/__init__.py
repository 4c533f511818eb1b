"""The durable store: tables, migrations, content-addressed files, audit log."""

from carina.archive.accounts import ROLES, Accounts, Organisation, Role, Session, Stage, User
from carina.archive.archive import Archive, RecordSet
from carina.archive.audit import AuditEntry, verify_chain
from carina.archive.desk import Desk, DeskFilm, DeskRead, DeskResult, NewFilm, Page
from carina.archive.exchange import Exchange, OwedItem, ReceivedObject
from carina.archive.films import FILM_SCHEMA, FilmRecord, LedgerEntry, Outcome
from carina.archive.labels import LabelCounts
from carina.archive.store import Store, StoredFile
from carina.archive.study import Kind, Study, StudyFile, create_study, open_study
from carina.archive.worklist import Order, State, WorklistQuery

__all__ = [
    "FILM_SCHEMA",
    "ROLES",
    "Accounts",
    "Archive",
    "AuditEntry",
    "Desk",
    "DeskFilm",
    "DeskRead",
    "DeskResult",
    "Exchange",
    "FilmRecord",
    "Kind",
    "LabelCounts",
    "LedgerEntry",
    "NewFilm",
    "Order",
    "Organisation",
    "Outcome",
    "OwedItem",
    "Page",
    "ReceivedObject",
    "RecordSet",
    "Role",
    "Session",
    "Stage",
    "State",
    "Store",
    "StoredFile",
    "Study",
    "StudyFile",
    "User",
    "WorklistQuery",
    "create_study",
    "open_study",
    "verify_chain",
]
