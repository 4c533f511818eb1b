"""Making a backup while the study is at work: its rows as of one moment, then the files that they name."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import Connection, select

from carina import __version__
from carina.archive.audit import START
from carina.archive.backup_folder import (
    UNFINISHED,
    Backup,
    BackupFolder,
    FileList,
    Progress,
    TableRows,
    home_of,
    intact,
)
from carina.archive.database import newest_revision
from carina.archive.dump import Part, dump_table, snapshot, table_names
from carina.archive.store import Store, write_whole
from carina.archive.study import Study
from carina.archive.tables import AuditRow
from carina.errors import ArchiveError

__all__ = ["make_backup"]

_SHARDS: Final = "0123456789abcdef"
_OWN: Final = frozenset({"backup.lock", "rows", "files"})


def make_backup(
    study: Study, folder: Path, *, keep: int | None = None, step: Progress | None = None
) -> tuple[Backup, str]:
    """Back a study up while it is at work.

    Parameters
    ----------
    study : Study
    folder : Path
        Absent, empty, or with earlier backups of the same study.
    keep : int or None
        How many backups stay, this one among them; by default all.
    step : callable or None
        Called with the number of files done, and of all.

    Returns
    -------
    tuple of (Backup, str)
        The manifest, and the name of its file.

    Raises
    ------
    ArchiveError
        If the folder holds something else or lies in the study's own.
    """
    folder = _prepared(study, folder)
    target = BackupFolder(folder)
    with target.lock():
        _refuse_another(study, target)
        _clear_unfinished(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as spool:
            with snapshot(study.archive.engine) as connection:
                entries, head = _audit_end(connection)
                # meanwhile others write: what they write belongs to the next backup
                tables = {
                    name: _dump(connection, name, target, Path(spool)) for name in sorted(table_names(connection))
                }
            files = _copy(study.store, target, Path(spool), step)
        made = Backup(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            carina=__version__,
            kind=study.kind,
            study_id=study.file.study_id,
            created=study.file.created,
            blind_first=study.file.blind_first,
            revision=newest_revision(),
            audit_entries=entries,
            audit_head=head,
            tables=tables,
            files=files,
        ).sealed()
        name = _write_manifest(folder, made)
        if keep is not None and not files.missing:  # what is missing here may lie in an older one
            target.keep(keep)
    details = {"backup": made.sha256, "files": files.count, "missing": len(files.missing)}
    study.archive.audit("backed_up", details)
    return made, name


def _prepared(study: Study, folder: Path) -> Path:
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - as typed, without following a link
    inside, home = folder.resolve(), study.folder.resolve()
    if inside.is_relative_to(home) or home.is_relative_to(inside):
        raise ArchiveError("backups must lie outside the study's folder, on another disk at best")
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    return folder


def _refuse_another(study: Study, target: BackupFolder) -> None:
    names = target.names()
    if not names:
        strange = {path.name for path in target.folder.iterdir()} - _OWN
        if any(not name.startswith(UNFINISHED) for name in strange):
            raise ArchiveError("a first backup must have an absent or empty folder; this one holds something else")
        return
    found = target.read(names[-1])
    if found.study_id != study.file.study_id:
        raise ArchiveError(f"a folder of backups must be of one study; this one is of study {found.study_id}")


def _clear_unfinished(folder: Path) -> None:
    """Remove the lists of a backup that was killed; what it copied is taken up by this one."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _audit_end(connection: Connection) -> tuple[int, str]:
    last = select(AuditRow.sequence, AuditRow.hash).order_by(AuditRow.sequence.desc()).limit(1)
    found = connection.execute(last).first()
    return (0, START) if found is None else (int(found.sequence), str(found.hash))


def _dump(connection: Connection, name: str, target: BackupFolder, spool: Path) -> TableRows:
    """Write the rows of a table, and note the files that they name, spread over lists by their hash."""
    rows, parts = 0, []
    for part in dump_table(connection, name):
        parts.append(target.rows.put(part.content, folder="rows", suffix=".gz").sha256)
        rows += part.rows
        _note(part, spool)
    return TableRows(rows=rows, parts=tuple(parts))


def _note(part: Part, spool: Path) -> None:
    with ExitStack() as opened:
        lists = {each: opened.enter_context((spool / each).open("a", encoding="utf-8")) for each in _SHARDS}
        for path in part.paths:
            shard = PurePosixPath(path).name[:1]
            lists[shard if shard in lists else _SHARDS[0]].write(f"{path}\n")


def _copy(store: Store, target: BackupFolder, spool: Path, step: Progress | None) -> FileList:
    """Copy what is not there yet, list by list: what is in memory is a sixteenth of the names."""
    wanted = {each: _named(spool / each) for each in _SHARDS}
    total = sum(len(_lines(each)) for each in wanted.values())
    done, size, parts, missing = 0, 0, [], []
    for each in wanted.values():
        held = []
        for path in _lines(each):
            found = _kept(store, target.files, path)
            if found is None:
                missing.append(path)
            else:
                held.append(f"{path}\t{found}")
                size += found
            done += 1
            if step is not None:
                step(done, total)
        if held:
            packed = gzip.compress("\n".join(held).encode("utf-8"), 6, mtime=0)
            parts.append(target.rows.put(packed, folder="rows", suffix=".gz").sha256)
    return FileList(count=total - len(missing), bytes=size, parts=tuple(parts), missing=tuple(missing))


def _named(path: Path) -> Path:
    """Write each name once, in their order."""
    path.write_text("".join(f"{name}\n" for name in sorted(set(_lines(path)))), "utf-8")
    return path


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _kept(store: Store, files: Store, path: str) -> int | None:
    """Size of a file that is in the backup when it returns; None where the study's store cannot give it."""
    place = files.path(path)
    if not place.is_file():
        content = intact(store, path)
        if content is None:
            return None
        files.put(content, folder=home_of(path), suffix=PurePosixPath(path).suffix)
    return place.stat().st_size


def _write_manifest(folder: Path, made: Backup) -> str:
    """Write it under a name that no other has, all of it or none."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    name = f"backup-{stamp}.json"
    write_whole(folder / name, json.dumps(made.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n")
    return name
