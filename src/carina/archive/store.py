"""Files named by their content: written once, whole and durable, or not at all.

A local store writes to a temporary file, fsyncs it, renames it and fsyncs the folder, so that a name in the store
always stands for the whole content, whatever is killed when. Any other fsspec URL, such as ``s3://bucket/prefix``,
relies on the service's own atomic PUT.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec

from carina.errors import ArchiveError, MissingExtraError

__all__ = ["Store", "StoredFile"]

_TEMPORARY = ".part-"
_SPREAD = frozenset({"films", "received", "results"})
"""Folders that may hold a million files."""
_NAME = re.compile(r"[a-z_]+(/[a-z_]+)*")
_MANY = ("films", "received", "results")
"""Folders of so many files that they are spread over folders by their hash."""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies durably in the store.

    Attributes
    ----------
    sha256 : str
        Of its content, lower-case hex.
    path : str
        Relative to the store, such as ``films/ab/cd/<sha256>.dcm``.
    size : int
        Bytes.
    new : bool
        False where the same content lay there already.
    """

    sha256: str
    path: str
    size: int
    new: bool


class Store:
    """Content-addressed files on a local folder or any fsspec URL.

    Parameters
    ----------
    location : Path or str
        A local folder, or an fsspec URL such as ``s3://bucket/study``.
    options : dict or None
        Passed to fsspec, such as an endpoint; never read from the environment by Carina itself.

    Raises
    ------
    MissingExtraError
        If the URL needs a file system that is not installed.
    ArchiveError
        If fsspec does not know the URL.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = Store(Path(folder.name))
    >>> stored = store.put(b"a film", folder="films", suffix=".dcm")
    >>> stored.path == f"films/{stored.sha256[:2]}/{stored.sha256[2:4]}/{stored.sha256}.dcm"
    True
    >>> store.read(stored.path)
    b'a film'
    >>> folder.cleanup()
    """

    def __init__(self, location: Path | str, options: dict[str, Any] | None = None) -> None:
        self._local = location if isinstance(location, Path) else _local_folder(location)
        self.location = str(location)
        self._system: Any = None
        self._root = ""
        if self._local is None:
            self._system, self._root = _open_system(self.location, options)

    @property
    def folder(self) -> Path | None:
        """The local folder, or None for a remote store."""
        return self._local

    def put(self, data: bytes, *, folder: str = "films", suffix: str = ".dcm") -> StoredFile:
        """Store bytes under their sha-256; when it returns, they survive a crash of the machine.

        Parameters
        ----------
        data : bytes
        folder : str
            Lower-case words joined by ``/``.
        suffix : str
            With its dot.

        Returns
        -------
        StoredFile

        Raises
        ------
        ValueError
            If folder or suffix could be anything but plain names.
        """
        if not _NAME.fullmatch(folder) or not _SUFFIX.fullmatch(suffix):
            raise ValueError(f"folder and suffix must be plain lower-case names; found {folder!r}, {suffix!r}")
        digest = hashlib.sha256(data).hexdigest()
        between = f"{digest[:2]}/{digest[2:4]}/" if folder in _SPREAD else ""
        path = f"{folder}/{between}{digest}{suffix}"
        new = self._put_local(path, data) if self._local is not None else self._put_remote(path, data)
        return StoredFile(digest, path, len(data), new)

    def read(self, path: str) -> bytes:
        """Content of a stored file.

        Raises
        ------
        ArchiveError
            If there is no such file.
        """
        with self.open(path) as file:
            return file.read()

    def open(self, path: str) -> BinaryIO:
        """Open a stored file for reading bytes.

        Raises
        ------
        ArchiveError
            If there is no such file.
        """
        try:
            if self._local is not None:
                return self.path(path).open("rb")
            return cast("BinaryIO", self._system.open(self._full(path), "rb"))
        except FileNotFoundError as error:
            raise ArchiveError(
                f"the store must hold {path!r}, and does not; bring it back from a backup, `carina ingest` again"
            ) from error

    def path(self, path: str) -> Path:
        """Local path of a stored file.

        Raises
        ------
        ArchiveError
            If the store is not local, or the path leads out of it.
        """
        if self._local is None:
            raise ArchiveError(f"a store at {self.location!r} has no local files; read them through the archive")
        full = self._local / path
        if ".." in Path(path).parts or Path(path).is_absolute():
            raise ArchiveError("a path in the store must lead to a file below it")
        return full

    def exists(self, path: str) -> bool:
        """Whether a file lies in the store."""
        if self._local is not None:
            return self.path(path).is_file()
        return bool(self._system.exists(self._full(path)))

    def list(self, folder: str = "") -> Iterator[str]:
        """Relative paths of all stored files below a folder, temporary leftovers included."""
        if self._local is not None:
            top = self._local / folder
            for home, _, names in os.walk(top):
                for name in sorted(names):
                    yield (Path(home) / name).relative_to(self._local).as_posix()
            return
        self._system.invalidate_cache()
        where = self._full(folder).rstrip("/")
        if self._system.exists(where):
            for found in sorted(self._system.find(where)):
                yield str(found)[len(self._root) :].lstrip("/")

    def delete(self, path: str) -> None:
        """Remove a stored file; without complaint where there is none."""
        if self._local is not None:
            self.path(path).unlink(missing_ok=True)
        elif self._system.exists(self._full(path)):
            self._system.rm_file(self._full(path))

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _put_remote(self, path: str, data: bytes) -> bool:
        full = self._full(path)
        if self._system.exists(full) and self._system.size(full) == len(data):
            return False
        self._system.pipe_file(full, data)
        return True

    def _put_local(self, path: str, data: bytes) -> bool:
        target = self.path(path)
        if target.is_file() and target.stat().st_size == len(data):
            sync_folder(target.parent)  # another process may have renamed it a moment ago
            return False
        _make_folders(target.parent)
        temporary = target.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            _write_durably(temporary, data)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(target.parent)
        return True


def _local_folder(location: str) -> Path | None:
    if location.startswith("file://"):
        return Path(location.removeprefix("file://"))
    return None if "://" in location else Path(location)


def _open_system(url: str, options: dict[str, Any] | None) -> tuple[Any, str]:
    protocol = url.partition("://")[0]
    if protocol == "s3" and find_spec("s3fs") is None:
        raise MissingExtraError("ingest", "s3")
    try:
        system, root = fsspec.core.url_to_fs(url, **(options or {}))
    except (ValueError, ImportError) as error:
        raise ArchiveError(
            f"a store must be a folder or an fsspec URL such as 's3://bucket/study'; {protocol!r} cannot be opened"
        ) from error
    return system, str(root).rstrip("/")


def _write_durably(path: Path, data: bytes) -> None:
    with io.FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _make_folders(folder: Path) -> None:
    """Create missing folders, 0700, each made durable in its parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Write a file for its owner alone, all of it or none, in the place of one that may be there."""
    temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
    try:
        _write_durably(temporary, text.encode("utf-8"))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
