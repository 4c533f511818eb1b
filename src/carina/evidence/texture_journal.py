"""Films already measured, on disk: whole records only, known again by a run that goes on after an interruption.

The folder holds ``run.json``, what the records depend on, and ``films-NNNNNN.part`` with the records one after the
other: eight bytes of lengths, a checksum, a JSON head, then the features as little-endian float64. A record that was
cut off by the end of a run is dropped by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias

import numpy as np

from carina.errors import OutputError
from carina.evidence.texture_films import FilmMeasured

__all__ = ["FileMark", "Journal", "file_mark"]

FileMark: TypeAlias = "tuple[int | None, ...]"
"""Sizes and times of change (ns) of a film's files; `None` twice for a file that is not there."""

_HEAD = struct.Struct("<III")  # length of the JSON, length of the values, checksum of both
_RUN, _LOCK = "run.json", ".lock"
_PART_BYTES = 1 << 28
_LONGEST = 1 << 28


def file_mark(*paths: str | None) -> FileMark:
    """By what a film's files are known again."""
    mark: list[int | None] = []
    for path in paths:
        try:
            found = None if path is None else Path(path).stat()
        except OSError:
            found = None
        mark += (None, None) if found is None else (found.st_size, found.st_mtime_ns)
    return tuple(mark)


class Journal:
    """Records of measured films; use it in a `with` statement.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    run : mapping
        What the records depend on; records of another run are never mixed with this one's.
    overwrite : bool
        Whether records already there are thrown away.

    Raises
    ------
    OutputError
        If the folder cannot be written, is in use, or holds the records of another run.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.folder = folder
        self._run = json.dumps(run, sort_keys=True, indent=1)
        self._places: dict[str, tuple[int, int]] = {}
        self._marks: dict[str, FileMark] = {}
        self._out: BinaryIO | None = None
        self._number = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / _LOCK).open("wb")
        except OSError as error:
            raise OutputError(f"the folder of the parts must be writable; {str(folder)!r}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise OutputError(f"one run may write to {str(folder)!r} at a time; another one does") from error
        try:
            self._begin(overwrite=overwrite)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._places)

    def has(self, image_id: str, mark: FileMark) -> bool:
        """Whether a film was measured, its file being as it is now."""
        return image_id in self._places and self._marks[image_id] == mark

    def write(self, film: FilmMeasured, mark: FileMark) -> None:
        """Add a film's record; once this returns, the end of the process does not lose it."""
        head = json.dumps({
            "image_id": film.image_id, "mark": mark, "status": film.status, "error": film.error,
            "lung_flags": film.lung_flags, "content_sha256": film.content_sha256,
        }).encode()  # fmt: skip
        body = np.ascontiguousarray(film.values, "<f8").tobytes()
        checksum = zlib.crc32(body, zlib.crc32(head))
        out = self._part()
        place = out.tell()
        try:
            out.write(_HEAD.pack(len(head), len(body), checksum) + head + body)
            out.flush()
        except OSError as error:
            raise OutputError(f"the parts of the table must be writable; {error.strerror}") from error
        self._places[film.image_id] = (self._number, place)
        self._marks[film.image_id] = mark

    def read(self, image_ids: list[str]) -> Iterator[FilmMeasured]:
        """Give the records of films, in the order asked for; a film without a record is left out."""
        files: dict[int, BinaryIO] = {}
        try:
            for image_id in image_ids:
                if image_id not in self._places:
                    continue
                number, place = self._places[image_id]
                if number not in files:
                    files[number] = self._path(number).open("rb")
                files[number].seek(place)
                record = _record(files[number])
                if record is None:
                    raise OutputError(f"the records in {str(self.folder)!r} must not change during a run; one did")
                yield record[0]
        finally:
            for file in files.values():
                file.close()

    def close(self) -> None:
        """Let another run have the folder."""
        if self._out is not None:
            self._out.close()
            self._out = None
        self._lock.close()

    def remove(self) -> None:
        """Delete the folder: its films stand in the table."""
        self.close()
        for path in (*self._parts(), self.folder / _RUN, self.folder / _LOCK):
            path.unlink(missing_ok=True)
        self.folder.rmdir()

    def _begin(self, *, overwrite: bool) -> None:
        about = self.folder / _RUN
        if overwrite:
            for path in (*self._parts(), about):
                path.unlink(missing_ok=True)
        if about.exists():
            if about.read_text(encoding="utf-8") != self._run:
                raise OutputError(
                    f"the films in {str(self.folder)!r} must have been measured in one way; they were measured with "
                    "other settings, regions, lungs or version: name another output, or overwrite it"
                )
        else:
            part = about.with_suffix(".tmp")
            part.write_text(self._run, encoding="utf-8")
            part.replace(about)
        for path in self._parts():
            self._number = int(path.stem.split("-")[1])
            self._index(path)

    def _index(self, path: Path) -> None:
        """Find the records of a part, and cut off what is not whole."""
        with path.open("r+b") as part:
            while True:
                place = part.tell()
                record = _record(part)
                if record is None:
                    break
                self._places[record[0].image_id] = (self._number, place)
                self._marks[record[0].image_id] = record[1]
            if place != path.stat().st_size:
                part.truncate(place)

    def _part(self) -> BinaryIO:
        if self._out is not None and self._out.tell() >= _PART_BYTES:
            self._out.close()
            self._out, self._number = None, self._number + 1
        if self._out is None:
            self._out = self._path(self._number).open("ab")
            self._out.seek(0, os.SEEK_END)
        return self._out

    def _path(self, number: int) -> Path:
        return self.folder / f"films-{number:06d}.part"

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("films-??????.part"))


def _record(part: BinaryIO) -> tuple[FilmMeasured, FileMark] | None:
    """Read the next record, or `None` where none is whole."""
    lengths = part.read(_HEAD.size)
    if len(lengths) < _HEAD.size:
        return None
    of_head, of_body, checksum = _HEAD.unpack(lengths)
    if of_head > _LONGEST or of_body > _LONGEST:
        return None
    head, body = part.read(of_head), part.read(of_body)
    if len(head) < of_head or len(body) < of_body or zlib.crc32(body, zlib.crc32(head)) != checksum:
        return None
    said: dict[str, Any] = json.loads(head)
    mark = said.pop("mark")
    film = FilmMeasured(values=np.frombuffer(body, "<f8").astype(np.float64), **said)
    return film, tuple(mark)
