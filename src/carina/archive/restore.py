"""Bringing a study back from a backup: into an absent or empty folder, whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import Engine

from carina.archive.archive import Archive
from carina.archive.backup_folder import Backup, BackupFolder, Progress, home_of
from carina.archive.database import downgrade, open_engine, revision, upgrade
from carina.archive.dump import load_tables
from carina.archive.store import Store, sync_folder
from carina.archive.study import StudyFile, write_study_file
from carina.errors import ArchiveError

__all__ = ["Restored", "restore_backup"]

_NAMED: Final = 5
"""Damaged files named in a sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A study that came back.

    Attributes
    ----------
    backup : Backup
    rows : dict of str to int
        By table.
    files : int
    missing : list of str
        Files that rows name and the backup could not give.
    audit : list of str
        A sentence for each broken link of the audit log; it came back as it was backed up.
    """

    backup: Backup
    rows: dict[str, int]
    files: int
    missing: list[str]
    audit: list[str]


def restore_backup(
    source: BackupFolder,
    backup: Backup,
    folder: Path,
    *,
    archive: str | None = None,
    store: str | None = None,
    keys: Path | None = None,
    despite_damage: bool = False,
    step: Progress | None = None,
) -> Restored:
    """Bring a study back.

    Parameters
    ----------
    source : BackupFolder
    backup : Backup
    folder : Path
        Absent or empty.
    archive : str or None
        URL of an empty PostgreSQL database; by default SQLite in the folder, whatever it was before.
    store : str or None
        fsspec URL; by default the folder ``store`` in the study folder.
    keys : Path or None
        Of a research study: where its keys lie, or will; by default ``<folder>.keys``. No backup holds them.
    despite_damage : bool
        Bring back what is whole, where files of the backup are missing or damaged.
    step : callable or None
        Called with the number of files done, and of all.

    Returns
    -------
    Restored

    Raises
    ------
    ArchiveError
        If the folder or the database holds something, the backup was made by a newer Carina, or it is damaged.
        Nothing is left behind then.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - as typed, without following a link
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArchiveError(f"a study is brought back into an absent or empty folder; {str(folder)!r} is not")
    _refuse_without_room(folder, backup, store)
    file = _file(backup, folder, archive, store, keys)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder.with_name(f".{folder.name}.restoring-{secrets.token_hex(4)}")
    with ExitStack() as undo:
        place.mkdir(mode=0o700)
        undo.callback(shutil.rmtree, place)
        engine = open_engine(file.archive, place)
        undo.callback(engine.dispose)
        if revision(engine) is not None:
            raise ArchiveError("a study is brought back into an empty database; this one holds a study")
        undo.callback(_empty, engine)
        upgrade(engine, backup.revision)
        rows = load_tables(engine, {name: _parts(source, table.parts) for name, table in backup.tables.items()})
        _refuse_other_counts(backup, rows)
        upgrade(engine)
        kept = Store(file.store if "://" in file.store else place / file.store)
        missing = _bring(source, backup, kept, despite_damage=despite_damage, step=step)
        opened = Archive(engine, kept)
        problems = opened.verify_audit(backup.audit_head)
        opened.audit("restored", {"backup": backup.sha256, "made_at": backup.made_at, "missing": len(missing)})
        engine.dispose()
        write_study_file(place / "study.toml", file)
        place.replace(folder)
        undo.pop_all()
    sync_folder(folder.parent)
    return Restored(backup, rows, backup.files.count - len(missing), [*backup.files.missing, *missing], problems)


def _file(backup: Backup, folder: Path, archive: str | None, store: str | None, keys: Path | None) -> StudyFile:
    if backup.kind == "service" and keys is not None:
        raise ArchiveError("a service study stays identified and needs no keys; leave the keys out")
    apart = None
    if backup.kind == "research":
        apart = os.path.relpath(keys if keys is not None else folder.with_name(f"{folder.name}.keys"), folder)
    return StudyFile(
        kind=backup.kind,
        study_id=backup.study_id,
        created=backup.created,
        archive=archive or "sqlite:///archive.sqlite",
        store=store or "store",
        keys=apart,
        blind_first=backup.blind_first,
    )


def _refuse_without_room(folder: Path, backup: Backup, store: str | None) -> None:
    """Refuse before anything is written where the files cannot fit."""
    home = folder
    while not home.exists():
        home = home.parent
    free = shutil.disk_usage(home).free
    if (store is None or "://" not in store) and free < backup.files.bytes:
        raise ArchiveError(
            f"the disk must have room for {backup.files.bytes / 1e9:.1f} GB of files; it has {free / 1e9:.1f} GB"
        )


def _empty(engine: Engine) -> None:
    """Take back what was written to a server's database; a file goes with its folder."""
    if engine.dialect.name == "postgresql" and revision(engine) is not None:
        downgrade(engine, "base")


def _parts(source: BackupFolder, parts: Iterable[str]) -> Callable[[], Iterable[bytes]]:
    return lambda: map(source.part, parts)


def _refuse_other_counts(backup: Backup, rows: dict[str, int]) -> None:
    for name, table in backup.tables.items():
        if rows[name] != table.rows:
            raise ArchiveError(f"the backup must hold {table.rows} rows of {name}; it holds {rows[name]}")


def _bring(
    source: BackupFolder, backup: Backup, store: Store, *, despite_damage: bool, step: Progress | None
) -> list[str]:
    """Copy the files, and return those that the backup cannot give."""
    missing = []
    for done, (path, _) in enumerate(source.listed(backup), start=1):
        content = source.file(path)
        if content is None:
            missing.append(path)
        else:
            store.put(content, folder=home_of(path), suffix=PurePosixPath(path).suffix)
        if step is not None:
            step(done, backup.files.count)
    if missing and not despite_damage:
        named = ", ".join(f"files/{path}" for path in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ArchiveError(
            f"every file of a backup must be whole; {len(missing)} missing or damaged: {named}{more}. "
            "Take another copy, or bring back the rest with --despite-damage"
        )
    return missing
