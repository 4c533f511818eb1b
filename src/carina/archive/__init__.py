"""The durable store: tables, migrations, content-addressed files, audit log."""

from carina.archive.accounts import ROLES, Accounts, Organisation, Role, Session, Stage, User
from carina.archive.administration import AccountRequest, Administration, OpenSession, PeerTraffic
from carina.archive.approvals import APPROVAL_KINDS, Approval, Approvals, NewApproval
from carina.archive.archive import Archive, RecordSet
from carina.archive.audit import AuditEntry, verify_chain
from carina.archive.audit_pages import AuditChain, AuditPage, AuditPages, AuditQuery, ReadEntry
from carina.archive.backup import make_backup
from carina.archive.backup_folder import Backup, BackupFolder
from carina.archive.blind import BlindReading, KeptCall
from carina.archive.desk import Desk, DeskFilm, DeskRead, DeskResult, NewFilm, Page
from carina.archive.equity import EQUITY_SCHEMA, equity_films, first_receipt
from carina.archive.exchange import Exchange, OwedItem
from carina.archive.films import FILM_SCHEMA, FilmRecord, LedgerEntry, Outcome
from carina.archive.glass import LEAST_GLASS_REASON, Glass, GlassBreak
from carina.archive.jobs import JobState, StudyJob, StudyJobs
from carina.archive.labels import LabelCounts
from carina.archive.objects import FoundSeries, FoundStudy, ObjectQuery, ObjectScope, ResultObjects, StoredObject
from carina.archive.programmes import Covered, NewProgramme, Person, Programme, Programmes, age_on
from carina.archive.reading_models import LEAST_REASON, Activation, NewModel, ReadingModels
from carina.archive.restore import Restored, restore_backup
from carina.archive.sheets import Sheet, Sheets, SheetState
from carina.archive.store import Store, StoredFile
from carina.archive.study import Kind, Study, StudyFile, create_study, open_study, upgrade_study
from carina.archive.tokens import SCOPES, Scope, Token, Tokens
from carina.archive.worklist import Order, State, WorklistQuery

__all__ = [
    "APPROVAL_KINDS",
    "EQUITY_SCHEMA",
    "FILM_SCHEMA",
    "LEAST_GLASS_REASON",
    "LEAST_REASON",
    "ROLES",
    "SCOPES",
    "AccountRequest",
    "Accounts",
    "Activation",
    "Administration",
    "Approval",
    "Approvals",
    "Archive",
    "AuditChain",
    "AuditEntry",
    "AuditPage",
    "AuditPages",
    "AuditQuery",
    "Backup",
    "BackupFolder",
    "BlindReading",
    "Covered",
    "Desk",
    "DeskFilm",
    "DeskRead",
    "DeskResult",
    "Exchange",
    "FilmRecord",
    "FoundSeries",
    "FoundStudy",
    "Glass",
    "GlassBreak",
    "JobState",
    "KeptCall",
    "Kind",
    "LabelCounts",
    "LedgerEntry",
    "NewApproval",
    "NewFilm",
    "NewModel",
    "NewProgramme",
    "ObjectQuery",
    "ObjectScope",
    "OpenSession",
    "Order",
    "Organisation",
    "Outcome",
    "OwedItem",
    "Page",
    "PeerTraffic",
    "Person",
    "Programme",
    "Programmes",
    "ReadEntry",
    "ReadingModels",
    "RecordSet",
    "Restored",
    "ResultObjects",
    "Role",
    "Scope",
    "Session",
    "Sheet",
    "SheetState",
    "Sheets",
    "Stage",
    "State",
    "Store",
    "StoredFile",
    "StoredObject",
    "Study",
    "StudyFile",
    "StudyJob",
    "StudyJobs",
    "Token",
    "Tokens",
    "User",
    "WorklistQuery",
    "age_on",
    "create_study",
    "equity_films",
    "first_receipt",
    "make_backup",
    "open_study",
    "restore_backup",
    "upgrade_study",
    "verify_chain",
]
