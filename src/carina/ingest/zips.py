"""Zips under limits: nothing is unpacked to disk, and no name inside one is ever used as a path.

The attacks kept out are the bomb (much out of little), the flood of entries, the zip within a zip, the overlap of
entries that share their bytes, and the path that climbs out of its folder.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from carina.errors import FilmRejectedError
from carina.settings import Settings

__all__ = ["ZipEntry", "ZipReader", "zip_entries"]

_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_END64_LOCATOR: Final = b"PK\x06\x07"
_LOCATOR_BYTES: Final = 20
_LONGEST_COMMENT: Final = 65_535
_IN_END64: Final = 0xFFFFFFFF
_ENTRY_BYTES: Final = 1024
"""Room for one entry in the list of contents: its fields, and a name and extra fields of usual length."""
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_LISTS: Final = frozenset({".zip", ".txt", ".csv", ".xml", ".json", ".htm", ".html", ".pdf", ".exe", ".inf", ".ini"})


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file in a zip.

    Attributes
    ----------
    number : int
        Position in the list of contents.
    problem : tuple of (str, str) or None
        Code and sentence, where it is refused unread.
    ignored : bool
        Whether its name says that it is no film.
    """

    number: int
    problem: tuple[str, str] | None = None
    ignored: bool = False


def zip_entries(path: Path, settings: Settings) -> list[ZipEntry]:
    """List the files of a zip after checking it against the limits.

    Parameters
    ----------
    path : Path
    settings : Settings

    Returns
    -------
    list of ZipEntry
        Folders left out.

    Raises
    ------
    FilmRejectedError
        If the whole zip is refused: damaged, or over a limit.
    """
    limits = settings.ingest
    listed = _contents_bytes(path)
    if listed > limits.archive_entries * _ENTRY_BYTES:
        raise FilmRejectedError(
            "too_many_entries", f"the zip lists its contents in {listed} bytes; raise the limit archive_entries"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, UnicodeDecodeError) as error:
        raise FilmRejectedError("damaged_zip", "the zip cannot be read; copy it again from its source") from error
    if len(infos) > limits.archive_entries:
        raise FilmRejectedError(
            "too_many_entries",
            f"the zip holds {len(infos)} files, more than {limits.archive_entries}; raise the limit archive_entries",
        )
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limits.archive_bytes:
        raise FilmRejectedError(
            "zip_too_large",
            f"the zip unpacks to {unpacked} bytes, more than {limits.archive_bytes}; raise the limit archive_bytes",
        )
    # against the size of the zip itself, not the sum of its entries: those may share their bytes
    packed = max(1, path.stat().st_size)
    if unpacked / packed > limits.archive_ratio:
        raise FilmRejectedError(
            "zip_bomb",
            f"the zip unpacks to {unpacked / packed:.0f} times its size, more than {limits.archive_ratio:.0f}; "
            "raise the limit archive_ratio if its films are that empty",
        )
    return [_entry(number, info, settings) for number, info in enumerate(infos) if not info.is_dir()]


def _entry(number: int, info: zipfile.ZipInfo, settings: Settings) -> ZipEntry:
    name = PurePosixPath(info.filename)
    problem = None
    if name.suffix.lower() == ".zip":
        problem = ("nested_zip", "a zip within a zip is not opened; unpack the outer one")
    elif info.flag_bits & _ENCRYPTED:
        problem = ("encrypted", "the file in the zip is encrypted; unpack it with its password")
    elif info.compress_type not in _METHODS:
        problem = ("unsupported_zip", "the file in the zip is packed in a way other than deflate; pack it again")
    elif info.file_size > settings.limits.file_bytes:
        problem = (
            "file_too_large",
            f"the file in the zip has {info.file_size} bytes; raise the limit file_bytes if it is a film",
        )
    hidden = name.name.startswith(".") or name.parts[:1] == ("__MACOSX",)
    ignored = hidden or name.name.upper() == "DICOMDIR" or (problem is None and name.suffix.lower() in _LISTS)
    return ZipEntry(number, problem, ignored)


class ZipReader:
    """Reads entries, keeping the last zip open; films of one zip come one after the other."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._zip: zipfile.ZipFile | None = None

    def read(self, path: str, number: int, limit: int) -> bytes:
        """Content of one entry, at most `limit` bytes.

        Raises
        ------
        FilmRejectedError
            If it is damaged or larger than it said.
        """
        try:
            if self._path != path or self._zip is None:
                self.close()
                self._zip, self._path = zipfile.ZipFile(path), path
            info = self._zip.infolist()[number]
            with self._zip.open(info) as file:
                data = file.read(limit + 1)
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            ValueError,
            NotImplementedError,
            IndexError,
            EOFError,
        ) as error:
            raise FilmRejectedError("damaged_zip", "the file in the zip cannot be read; copy the zip again") from error
        except RuntimeError as error:  # zipfile asks for a password in this way
            raise FilmRejectedError(
                "encrypted", "the file in the zip is encrypted; unpack it with its password"
            ) from error
        if len(data) > limit:
            raise FilmRejectedError("file_too_large", f"the file in the zip has more than {limit} bytes")
        return data

    def close(self) -> None:
        """Let the last zip go."""
        if self._zip is not None:
            self._zip.close()
        self._path = self._zip = None


def _contents_bytes(path: Path) -> int:
    """Size of a zip's list of contents, as its end says (APPNOTE 4.3.16); read before anything is listed."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            start = max(0, size - _LONGEST_COMMENT - _END_BYTES - _LOCATOR_BYTES)
            file.seek(start)
            tail = file.read()
            at = tail.rfind(_END)
            if at < 0 or at + _END_BYTES > len(tail):
                raise FilmRejectedError("damaged_zip", "the zip has no end; copy it again from its source")
            listed = int(struct.unpack_from("<L", tail, at + 12)[0])
            if listed != _IN_END64:
                return listed
            locator = at - _LOCATOR_BYTES
            if locator < 0 or tail[locator : locator + 4] != _END64_LOCATOR:
                raise FilmRejectedError("damaged_zip", "the zip's end contradicts itself; copy it again")
            file.seek(struct.unpack_from("<Q", tail, locator + 8)[0])
            return int(struct.unpack_from("<Q", file.read(56), 40)[0])
    except (OSError, struct.error) as error:
        raise FilmRejectedError("damaged_zip", "the zip cannot be read; copy it again from its source") from error
