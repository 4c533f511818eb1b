"""A study: one folder of a kind, its settings file, its archive, its store and, apart from it, its keys.

A *research* study holds no identifier: films and records are pseudonymised before anything touches the folder. A
*service* study is identified and access-controlled. Each verb refuses the wrong kind.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import stat
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Engine, insert, select

from carina.archive.archive import Archive
from carina.archive.blind import BlindReading
from carina.archive.database import newest_revision, open_engine, reading, revision, upgrade, writing
from carina.archive.rooms import ServiceRooms
from carina.archive.store import Store, write_whole
from carina.archive.tables import MetaRow
from carina.errors import ArchiveError

__all__ = ["Kind", "Study", "StudyFile", "create_study", "open_study", "upgrade_study"]

Kind: TypeAlias = Literal["research", "service"]

_FILE = "study.toml"
_LOCK = "study.lock"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MADE_FOR = {
    "research": "pseudonymous films and records, made by `carina init FOLDER --kind research`",
    "service": "identified films, made by `carina init FOLDER --kind service`",
}


class StudyFile(BaseModel):
    """Content of ``study.toml``; an unknown key is refused.

    Attributes
    ----------
    format : int
        1.
    kind : {"research", "service"}
    study_id : str
        12 hex digits, drawn once; the database holds the same.
    created : str
        UTC, ISO 8601.
    archive : str
        SQLAlchemy URL; SQLite relative to the study folder, or PostgreSQL.
    store : str
        Folder relative to the study folder, or an fsspec URL.
    keys : str or None
        Folder of the keys, relative to the study folder and outside it; None in a service study.
    blind_first : bool
        In a service study: whether doctors say what they see before the model's output is shown to them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    kind: Kind
    study_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    created: str = Field(max_length=40)
    archive: str = Field("sqlite:///archive.sqlite", min_length=1)
    store: str = Field("store", min_length=1)
    keys: str | None = None
    blind_first: bool = False


@dataclass(frozen=True, slots=True)
class Study(ServiceRooms):
    """An open study; use it in a ``with`` block, or close it.

    Attributes
    ----------
    folder : Path
    file : StudyFile
    archive : Archive
    store : Store
    """

    folder: Path
    file: StudyFile
    archive: Archive
    store: Store

    @property
    def kind(self) -> Kind:
        """``"research"`` or ``"service"``."""
        return self.file.kind

    @property
    def keys(self) -> Path:
        """Folder of the study's keys.

        Raises
        ------
        ArchiveError
            In a service study, which has none.
        """
        if self.file.keys is None:
            raise ArchiveError("a service study has no keys: its films stay identified")
        return (self.folder / self.file.keys).resolve()

    @property
    def blind(self) -> BlindReading:
        """Blind calls of a service study, and to whom the model's output is open."""
        return BlindReading(self._service_engine(), wanted=self.file.blind_first)

    def _service_engine(self) -> Engine:
        if self.kind != "service":
            raise ArchiveError(f"this needs a service study ({_MADE_FOR['service']}); this is a research study")
        return self.archive.engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the database go."""
        self.archive.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one that writes films and records; the system lets go of it when the process ends or is killed.

        Raises
        ------
        ArchiveError
            If another process of this machine holds it.
        """
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArchiveError(
                    "only one command may write to a study at a time, and another is at it; wait for its end"
                ) from error
            yield
        finally:
            os.close(descriptor)


def create_study(
    folder: Path,
    kind: Kind,
    *,
    archive: str | None = None,
    store: str | None = None,
    keys: Path | None = None,
    blind_first: bool = False,
) -> Study:
    """Make a new study: folder and files for their owner alone, database, store and, for research, keys.

    Parameters
    ----------
    folder : Path
        Absent or empty.
    kind : {"research", "service"}
    archive : str or None
        SQLAlchemy URL of an empty PostgreSQL database; by default SQLite in the folder.
    store : str or None
        fsspec URL; by default the folder ``store`` in the study folder.
    keys : Path or None
        Folder of the keys, outside the study folder; by default ``<folder>.keys`` beside it.
    blind_first : bool
        As in `StudyFile`; for a service study.

    Returns
    -------
    Study

    Raises
    ------
    ArchiveError
        If the folder is not empty, the keys would lie in it, or the database belongs to another study. Nothing is
        left behind then.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - as typed, without following a link
    if (folder / _FILE).exists():
        raise ArchiveError(f"a new study must have a folder of its own; {str(folder)!r} is a study already")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArchiveError(f"a new study must have an absent or empty folder; {str(folder)!r} is not")
    if blind_first and kind != "service":
        raise ArchiveError("doctors read in a service study alone; leave blind reading out of a research study")
    key_folder = _key_folder(folder, kind, keys)
    file = StudyFile(
        kind=kind,
        study_id=secrets.token_hex(6),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        archive=archive or "sqlite:///archive.sqlite",
        store=store or "store",
        keys=None if key_folder is None else os.path.relpath(key_folder, folder),
        blind_first=blind_first,
    )
    made = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with ExitStack() as undo:
        undo.callback(_clear, folder, remove=made)
        if key_folder is not None:
            from carina.deidentify import create_keys  # noqa: PLC0415 - only research studies need its libraries

            create_keys(key_folder)  # refuses a folder that holds anything, so that what is undone is ours
            undo.callback(shutil.rmtree, key_folder)
        study = _open(folder, file, new=True)
        undo.callback(study.close)
        study.archive.audit("study_created", {"kind": kind, "study_id": file.study_id})
        write_study_file(folder / _FILE, file)
        undo.pop_all()
    return study


def open_study(folder: Path, kind: Kind | None = None) -> Study:
    """Open a study.

    Parameters
    ----------
    folder : Path
    kind : {"research", "service"} or None
        The kind that the caller can work with; None for either.

    Returns
    -------
    Study
        Its database brought to the newest schema.

    Raises
    ------
    ArchiveError
        If there is no study, others may read it, its file is wrong, its database is another study's, or its kind is
        not the one wanted.
    """
    folder = Path(folder)
    file = _read_file(folder)
    if kind is not None and file.kind != kind:
        raise ArchiveError(f"this needs a {kind} study ({_MADE_FOR[kind]}); {str(folder)!r} is a {file.kind} study")
    if folder.stat().st_mode & _OTHERS:
        raise ArchiveError(
            f"only its owner may enter a study's folder; take the rights of others away: chmod 700 {folder}"
        )
    return _open(folder.resolve(), file, new=False)


def upgrade_study(folder: Path) -> tuple[str | None, str]:
    """Bring a study's database to the newest schema, as `open_study` does; returns the schema before, and after."""
    engine = open_engine(_read_file(folder).archive, Path(folder))
    try:
        found = revision(engine)
    finally:
        engine.dispose()
    open_study(folder).close()
    return found, newest_revision()


def _open(folder: Path, file: StudyFile, *, new: bool) -> Study:
    engine = open_engine(file.archive, folder)
    try:
        _prepare(engine, file, new=new)
        store = Store(file.store if "://" in file.store else folder / file.store)
    except BaseException:
        engine.dispose()
        raise
    return Study(folder, file, Archive(engine, store), store)


def _prepare(engine: Engine, file: StudyFile, *, new: bool) -> None:
    """Bring the database to the newest schema, and check that it is this study's."""
    found = revision(engine)
    if new and found is not None:
        raise ArchiveError("a new study must have an empty database; this one holds another study")
    if not new and found is None:
        raise ArchiveError("the study's database must hold its tables; it is empty: bring it back from a backup")
    if found != newest_revision():
        upgrade(engine)
    if new:
        with writing(engine) as connection:
            values = [{"key": "study_id", "value": file.study_id}, {"key": "kind", "value": file.kind}]
            connection.execute(insert(MetaRow), values)
        return
    with reading(engine) as connection:
        owner = {row.key: row.value for row in connection.execute(select(MetaRow.key, MetaRow.value))}
    if owner.get("study_id") != file.study_id or owner.get("kind") != file.kind:
        raise ArchiveError("the database named in study.toml must be this study's; it belongs to another")


def _key_folder(folder: Path, kind: Kind, keys: Path | None) -> Path | None:
    if kind == "service":
        if keys is not None:
            raise ArchiveError("a service study stays identified and needs no keys; leave the keys out")
        return None
    place = Path(os.path.abspath(keys)) if keys is not None else folder.with_name(f"{folder.name}.keys")  # noqa: PTH100 - as above
    if place.resolve().is_relative_to(folder.resolve()):
        raise ArchiveError("keys must lie outside the study's folder, so that whoever holds the one lacks the other")
    return place


def _read_file(folder: Path) -> StudyFile:
    path = folder / _FILE
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArchiveError(
            f"a study's folder must hold study.toml; {str(folder)!r} does not: use `carina init`"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArchiveError(f"{str(path)!r} must be readable TOML, and is not: {error}") from error
    try:
        return StudyFile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ArchiveError(f"{name!r} in {str(path)!r} is wrong: {first['msg']}") from error


def write_study_file(path: Path, file: StudyFile) -> None:
    """Write ``study.toml``, all of it or none."""
    kept = file.model_dump(exclude_none=True, exclude=None if file.kind == "service" else {"blind_first"})
    lines = [f"{name} = {json.dumps(value)}" for name, value in kept.items()]
    write_whole(path, "\n".join(lines) + "\n")


def _clear(folder: Path, *, remove: bool) -> None:
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    if remove:
        folder.rmdir()
