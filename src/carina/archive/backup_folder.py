"""Backups of a study: one moment of its database as rows, and every file that they name.

A folder of backups holds any number of them, of one study; what did not change between two is there once::

    backup-20260101T020000Z.json    the manifest, written last: without it there is no backup
    rows/<sha256>.gz                rows of the tables, and lists of files
    files/films/ab/cd/<sha256>.dcm  files as they lie in the study's store

Everything is named by the SHA-256 of its content, the manifest names everything, and holds its own SHA-256: whoever
notes that one hash elsewhere can tell later that nothing of the backup was changed.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carina.archive.audit import canonical
from carina.archive.store import Store
from carina.archive.study import Kind
from carina.errors import ArchiveError

__all__ = ["UNFINISHED", "Backup", "BackupFolder", "FileList", "Progress", "TableRows", "home_of", "intact"]

UNFINISHED: Final = ".part-"
"""Begins the names of what a backup under way, or killed, leaves; the store's own beginning too."""

_HASH: Final = r"^[0-9a-f]{64}$"
_NAMES: Final = "backup-*.json"
_LOCK: Final = "backup.lock"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of files done and the number of all."""


class _Piece(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableRows(_Piece):
    """Rows of a table.

    Attributes
    ----------
    rows : int
    parts : tuple of str
        SHA-256 of each part under ``rows``, in their order.
    """

    rows: int = Field(ge=0)
    parts: tuple[str, ...]


class FileList(_Piece):
    """Files of the store.

    Attributes
    ----------
    count, bytes : int
    parts : tuple of str
        SHA-256 of each list under ``rows``: a line a file, path and size with a tab between.
    missing : tuple of str
        Files that rows name, and that the study's own store lacks or holds damaged.
    """

    count: int = Field(ge=0)
    bytes: int = Field(ge=0)
    parts: tuple[str, ...]
    missing: tuple[str, ...] = ()


class Backup(_Piece):
    """Manifest of one backup.

    Attributes
    ----------
    format : int
        1.
    made_at : str
        UTC, ISO 8601.
    carina : str
        Version that made it.
    kind : {"research", "service"}
    study_id : str
    created : str
        When the study was made.
    blind_first : bool
    revision : str
        Schema of the rows.
    audit_entries : int
    audit_head : str
        Hash of the audit log's last entry.
    tables : dict of str to TableRows
    files : FileList
    sha256 : str
        Of all the above, as canonical JSON.
    """

    format: Literal[1] = 1
    made_at: str = Field(max_length=40)
    carina: str = Field(max_length=40)
    kind: Kind
    study_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    created: str = Field(max_length=40)
    blind_first: bool
    revision: str = Field(max_length=32)
    audit_entries: int = Field(ge=0)
    audit_head: str = Field(pattern=_HASH)
    tables: dict[str, TableRows]
    files: FileList
    sha256: str = ""

    def sealed(self) -> Self:
        """Return it with its own hash."""
        return self.model_copy(update={"sha256": self._digest()})

    def is_whole(self) -> bool:
        """Whether the hash is that of the content."""
        return self.sha256 == self._digest()

    def _digest(self) -> str:
        text = canonical(self.model_dump(mode="json", exclude={"sha256"}))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


class BackupFolder:
    """A folder of backups of one study.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ArchiveError
        If it is no folder, or others than its owner may enter it: a backup holds all that the study holds.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ArchiveError(f"a backup must be a folder that `carina backup` wrote; {str(folder)!r} is none")
        if folder.stat().st_mode & _OTHERS:
            raise ArchiveError(f"only its owner may enter a folder of backups: chmod 700 {folder}")
        self.folder = folder
        self.rows = Store(folder)
        self.files = Store(folder / "files")

    def names(self) -> list[str]:
        """Names of the backups, oldest first."""
        return sorted(path.name for path in self.folder.glob(_NAMES))

    def read(self, name: str | None = None, *, sha256: str | None = None) -> Backup:
        """Read a manifest.

        Parameters
        ----------
        name : str or None
            File name; by default of the newest.
        sha256 : str or None
            Hash that was printed when it was made, where it was noted.

        Raises
        ------
        ArchiveError
            If there is no such backup, it is not whole, or not the one that was noted.
        """
        names = self.names()
        if not names or (name is not None and name not in names):
            raise ArchiveError(
                f"{str(self.folder)!r} must hold {name or 'a finished backup'}, and does not; "
                f"it holds {', '.join(names) or 'none, or one that was broken off'}"
            )
        path = self.folder / (name or names[-1])
        try:
            found = Backup.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ArchiveError(f"{path.name} must be a whole manifest, and is damaged; take an older backup") from error
        if not found.is_whole():
            raise ArchiveError(f"{path.name} was changed after it was written; take an older backup, or another copy")
        if sha256 is not None and found.sha256 != sha256:
            raise ArchiveError(f"{path.name} must have the hash that was noted; it has {found.sha256}")
        return found

    def part(self, sha256: str) -> bytes:
        """Read a part under ``rows``, checked.

        Raises
        ------
        ArchiveError
            If it is missing or damaged.
        """
        path = f"rows/{sha256}.gz"
        try:
            content = self.rows.read(path)
        except (ArchiveError, OSError) as error:
            raise ArchiveError(f"the backup must hold {path}, and it cannot be read") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ArchiveError(f"{path} of the backup is damaged: its content is not the one that was written")
        return content

    def listed(self, backup: Backup) -> Iterator[tuple[str, int]]:
        """Path and size of each file."""
        for sha256 in backup.files.parts:
            for line in gzip.decompress(self.part(sha256)).decode("utf-8").splitlines():
                path, _, size = line.partition("\t")
                yield path, int(size)

    def file(self, path: str) -> bytes | None:
        """Read a file; None where it is missing or damaged."""
        return intact(self.files, path)

    def problems(self, backup: Backup, step: Progress | None = None) -> list[str]:
        """Read everything that a backup names: a sentence for each thing that is missing or damaged."""
        found = []
        for sha256 in (*(part for table in backup.tables.values() for part in table.parts), *backup.files.parts):
            try:
                self.part(sha256)
            except ArchiveError as error:
                found.append(str(error))
        if found:
            return found
        for done, (path, _) in enumerate(self.listed(backup), start=1):
            if self.file(path) is None:
                found.append(f"files/{path} of the backup is missing or damaged")
            if step is not None:
                step(done, backup.files.count)
        return found

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one that writes here.

        Raises
        ------
        ArchiveError
            If another backup is being written.
        """
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArchiveError("another backup is being written to this folder; wait for its end") from error
            yield
        finally:
            os.close(descriptor)

    def keep(self, most: int) -> tuple[int, int]:
        """Remove all but the newest backups, and what none of those names.

        Parameters
        ----------
        most : int
            1 or more.

        Returns
        -------
        tuple of (int, int)
            Backups and files removed.
        """
        names = self.names()
        kept, gone = names[-most:], names[:-most]
        named = set()
        for each in map(self.read, kept):
            named |= {f"rows/{part}.gz" for table in each.tables.values() for part in table.parts}
            named |= {f"rows/{part}.gz" for part in each.files.parts}
            named |= {f"files/{path}" for path, _ in self.listed(each)}
        for name in gone:
            (self.folder / name).unlink()
        stale = [path for top in ("rows", "files") for path in self.rows.list(top) if path not in named]
        for path in stale:
            self.rows.delete(path)
        return len(gone), len(stale)


def home_of(path: str) -> str:
    """Folder of a stored file as `Store.put` takes it, without those that its hash spreads it over."""
    parts = PurePosixPath(path).parts[:-1]
    digest = PurePosixPath(path).stem
    spread = (digest[:2], digest[2:4])
    return "/".join(parts[:-2] if parts[-2:] == spread else parts)


def intact(store: Store, path: str) -> bytes | None:
    """Read a file; None where it is missing, unreadable or not what its name says. A store that is away is an error."""
    try:
        content = store.read(path)
    except ArchiveError:
        return None
    except OSError as error:
        if error.errno == errno.EIO:  # a bad block of the disk is damage to one file
            return None
        raise
    return content if hashlib.sha256(content).hexdigest() == PurePosixPath(path).stem else None
