"""Where films come from: files, folders at any depth, zips, DICOMDIRs and service studies, in a fixed order.

Nothing is unpacked to disk. The names inside a zip are never used as paths, and a DICOMDIR is only followed to files
below its own folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from carina.errors import FilmRejectedError, InputError
from carina.imaging.dicom import looks_like_dicom
from carina.imaging.pictures import picture_format
from carina.ingest.dicomdir import references
from carina.ingest.zips import zip_entries
from carina.settings import Settings

__all__ = ["Problem", "Source", "find_sources"]

_SUFFIXES: Final = frozenset({".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD: Final = 136
_DICOMDIR: Final = "DICOMDIR"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a source cannot even be tried.

    Attributes
    ----------
    code : str
        Stable lower-case identifier.
    message : str
        One sentence, without a name out of the file.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Source:
    """One file that may be a film.

    Attributes
    ----------
    path : str
        The file, the zip that holds it, or its path in the store of `service`.
    entry : int or None
        Position in the zip's list of contents.
    service : str or None
        Folder of the service study it lies in.
    problem : Problem or None
        Why it is refused unread.
    ignored : bool
        A file that does not look like a film, met while walking a folder: counted, not refused.
    """

    path: str
    entry: int | None = None
    service: str | None = None
    problem: Problem | None = None
    ignored: bool = False

    @property
    def place(self) -> str:
        """How the source is named to the person who named its folder or zip."""
        return self.path if self.entry is None else f"{self.path}#{self.entry}"


def find_sources(inputs: Sequence[Path], settings: Settings) -> Iterator[Source]:
    """Walk files, folders, zips and DICOMDIRs, in the order given.

    A file named is always tried. In a folder, at any depth, a file is tried if its suffix says film or its content
    begins as DICOM or a picture does; a ``.zip`` in it is opened; a ``DICOMDIR`` in it is checked for references that
    lead nowhere or out of its folder. Hidden files and folders are passed over, and a folder is walked once.

    Parameters
    ----------
    inputs : sequence of Path
    settings : Settings

    Yields
    ------
    Source

    Raises
    ------
    InputError
        If a path named does not exist.
    """
    walked: set[tuple[int, int]] = set()
    for path in inputs:
        try:
            is_folder = path.is_dir()
            path.stat()
        except OSError as error:
            raise InputError(
                f"films are named by existing files or folders; {str(path)!r}: {error.strerror}"
            ) from error
        if is_folder:
            yield from _folder(path, settings, walked)
        elif path.name.upper() == _DICOMDIR:
            yield from _dicomdir(path, settings, follow=True)
        elif _head(path).startswith(_ZIP_MAGIC):
            yield from _zip(path, settings)
        else:
            yield Source(str(path))


def _folder(top: Path, settings: Settings, walked: set[tuple[int, int]]) -> Iterator[Source]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in walked:
                continue
            walked.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Source(str(folder), problem=Problem("unreadable", f"the folder cannot be read: {error.strerror}"))
            continue
        waiting.extend(
            Path(entry.path) for entry in reversed(entries) if not entry.name.startswith(".") and _is_folder(entry)
        )
        for entry in entries:
            if not _is_folder(entry):
                yield from _found(Path(entry.path), settings)


def _found(path: Path, settings: Settings) -> Iterator[Source]:
    """One file met in a folder."""
    if path.name.startswith(".") or not (path.is_symlink() or path.is_file()):
        yield Source(str(path), ignored=True)
    elif path.name.upper() == _DICOMDIR:
        yield from _dicomdir(path, settings, follow=False)
    elif path.suffix.lower() in _SUFFIXES:
        yield Source(str(path))
    elif path.suffix.lower() == ".zip":
        yield from _zip(path, settings)
    else:
        head = _head(path)
        yield Source(str(path), ignored=not (looks_like_dicom(head) or picture_format(head)))


def _zip(path: Path, settings: Settings) -> Iterator[Source]:
    try:
        entries = zip_entries(path, settings)
    except FilmRejectedError as error:
        yield Source(str(path), problem=Problem(error.code, error.message))
        return
    for entry in entries:
        problem = None if entry.problem is None else Problem(*entry.problem)
        yield Source(str(path), entry=entry.number, problem=problem, ignored=entry.ignored)


def _dicomdir(path: Path, settings: Settings, *, follow: bool) -> Iterator[Source]:
    """Films a DICOMDIR names; in a folder that is walked anyway only its bad references."""
    try:
        found = references(path, settings.limits)
    except FilmRejectedError as error:
        yield Source(str(path), problem=Problem(error.code, error.message))
        return
    for number, reference in enumerate(found, start=1):
        if reference.file is None:
            yield Source(f"{path}#{number}", problem=Problem(reference.code, reference.message))
        elif follow:
            yield Source(str(reference.file))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links: reported as a file that cannot be read
        return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""
