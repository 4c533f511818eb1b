"""One engine for SQLite and PostgreSQL, and the way from one schema to the next.

SQLite runs in WAL mode with ``synchronous=FULL``: a committed film survives a power cut. Writers take the write lock
when they begin, so that what they read is what they change.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from carina.errors import ArchiveError, MissingExtraError

__all__ = ["downgrade", "newest_revision", "open_engine", "reading", "revision", "upgrade", "writing"]

_WRITES = "carina_writes"
_BUSY_SECONDS = 60.0
_UPGRADES = 0x0CA217A
"""Number of PostgreSQL's advisory lock that upgrades of the schema take."""


def open_engine(url: str, folder: Path) -> Engine:
    """Open the database of a study.

    Parameters
    ----------
    url : str
        SQLAlchemy URL; ``sqlite:///archive.sqlite`` lies in the study folder, ``postgresql://...`` uses psycopg 3.
    folder : Path
        The study folder.

    Returns
    -------
    Engine

    Raises
    ------
    ArchiveError
        If the URL names neither SQLite nor PostgreSQL.
    MissingExtraError
        If PostgreSQL is wanted and psycopg is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ArchiveError("the archive must be named by a URL such as 'sqlite:///archive.sqlite'") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed, folder)
    if backend == "postgresql":
        if find_spec("psycopg") is None:
            raise MissingExtraError("init", "postgres")
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    raise ArchiveError(f"the archive must be SQLite or PostgreSQL; found the database {backend!r}")


def _sqlite(url: URL, folder: Path) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ArchiveError("the archive must be a file or a server; a database in memory is lost with the process")
    path = folder / url.database
    # made before SQLite makes it, so that nobody else can ever read it; -wal and -shm take its permissions over
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        url.set(database=str(path)), connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver's guess
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read in one transaction; what the database itself refuses becomes an `ArchiveError`."""
    with _spoken(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Write in one transaction: all of it is durable when the block ends, or nothing of it is there."""
    with _spoken(), engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


@contextmanager
def _spoken() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # the statement and its parameters stay out of the sentence: they are patients' values
        raise ArchiveError(
            f"the archive's database must answer, and did not ({type(error.orig).__name__}); "
            "check that it is running, has space and is not locked by another program, then run the command again"
        ) from error


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "carina.archive:migrations")
    config.attributes["connection"] = connection
    return config


def revision(engine: Engine) -> str | None:
    """Tell the schema revision of a database; None where it has none yet."""
    with reading(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """Tell the schema revision that this version of Carina works with."""
    config = Config()
    config.set_main_option("script_location", "carina.archive:migrations")
    head = ScriptDirectory.from_config(config).get_current_head()
    if head is None:  # pragma: no cover - the package always has migrations
        raise ArchiveError("the package must hold its migrations; install carina-cxr again")
    return head


def upgrade(engine: Engine, target: str = "head") -> None:
    """Bring the schema to a revision, in one transaction; of several programs that start together one does it.

    Raises
    ------
    ArchiveError
        If the database was made by a newer Carina, or refuses.
    """
    known = _known()
    for found in (revision(engine), None if target == "head" else target):
        if found is not None and found not in known:
            raise ArchiveError(
                f"the archive has schema {found!r}, made by a newer Carina; install that version or later"
            )
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":  # the others wait here, and find it done
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADES})
        command.upgrade(_config(connection), target)


def downgrade(engine: Engine, target: str) -> None:
    """Take the schema back to a revision; ``base`` removes every table with its content."""
    with writing(engine) as connection:
        command.downgrade(_config(connection), target)


def _known() -> frozenset[str]:
    config = Config()
    config.set_main_option("script_location", "carina.archive:migrations")
    return frozenset(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


def lock_audit(connection: Connection) -> None:
    """Keep other writers from the audit chain until this transaction ends; SQLite's writers are alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
