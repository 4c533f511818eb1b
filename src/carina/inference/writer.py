"""Predictions on disk: whole lines only, known again by a re-run, whatever ended the last one."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from carina.errors import OutputError
from carina.inference.reader import film_id
from carina.inference.reading import Outcome, Reading, columns, flatten, outcome_of
from carina.inference.sources import LAYERS, PREDICTIONS
from carina.tasks import Task

__all__ = ["PredictionWriter"]

_ROWS = "predictions.csv"
_RUN = "run.json"
# Errors of the moment: such films are tried again by the next run.
_PASSING = frozenset(
    {"missing", "no_permission", "symlink_loop", "unreadable", "decoder_timeout", "decoder_unavailable"}
    | {"internal", "worker_died"}
)


@dataclass(frozen=True, slots=True)
class _Mark:
    outcome: Outcome
    bytes: int | None
    modified_ns: int | None


class PredictionWriter:
    """Writes ``predictions.jsonl`` and ``predictions.csv``; use it in a `with` statement.

    Parameters
    ----------
    folder : Path
        Output folder; made, for its owner alone, where it is missing.
    task : Task
    run : mapping
        ``run.json``: what the predictions depend on. Predictions of another run are not mixed with this one's.
    overwrite : bool
        Whether predictions already there are thrown away.

    Raises
    ------
    OutputError
        If the folder cannot be written, holds predictions made by another model or with other settings, or is in use by
        another run.
    """

    def __init__(self, folder: Path, task: Task, run: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.folder = folder
        self._columns = columns(task)
        self._run = dict(run)
        self._overwrite = overwrite
        self._finished: dict[str, _Mark] = {}
        self._lock: int | None = None
        self._lines: BinaryIO | None = None
        self._rows: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self._close()
            raise OutputError(f"the output folder {str(self.folder)!r} must be writable: {error.strerror}") from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def finished(self, identity: str, path: str) -> Outcome | None:
        """Tell whether an earlier run finished the film and its file has not changed since.

        Parameters
        ----------
        identity : str
            `Reading.id`.
        path : str

        Returns
        -------
        {"judged", "refused", "unread"} or None
            `None` where it is not finished.
        """
        mark = self._finished.get(identity)
        if mark is None:
            return None
        try:
            status = os.stat(path)  # noqa: PTH116 - paths are plain str here
        except OSError:
            return None
        same = (status.st_size, status.st_mtime_ns) == (mark.bytes, mark.modified_ns)
        return mark.outcome if same else None

    def write(self, reading: Reading) -> None:
        """Append one film, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written; the files then end with the last whole line.
        """
        if self._lines is None or self._rows is None:
            raise ValueError("a PredictionWriter is used in a `with` statement")
        line = reading.to_dict()
        self._append(self._lines, _line(line))
        self._append(self._rows, _row(flatten(line, self._columns)))

    def _append(self, file: BinaryIO, content: bytes) -> None:
        end = file.tell()
        try:
            # Unbuffered, one call: what is on disk after a kill is whole lines but for the very last.
            _write_whole(file, content)
        except OSError as error:
            with suppress(OSError):
                file.truncate(end)
                file.seek(end)
            raise OutputError(
                f"{Path(file.name).name} in {str(self.folder)!r} cannot be written: {error.strerror}; finished films "
                "are kept, make room and run the same command again"
            ) from error

    def _open(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True, mode=0o700)
        self._lock = _locked(self.folder)
        self._refuse_other_run()
        for layer in LAYERS:
            (self.folder / layer).mkdir(exist_ok=True)
        if self._overwrite:
            self._throw_away()
        run = json.dumps(self._run, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        scratch = self.folder / f".{_RUN}"
        scratch.write_text(run, encoding="utf-8")
        scratch.replace(self.folder / _RUN)
        self._carry_over()
        self._lines = (self.folder / PREDICTIONS).open("ab", buffering=0)
        self._rows = (self.folder / _ROWS).open("ab", buffering=0)

    def _throw_away(self) -> None:
        for line in _parsed(self.folder / PREDICTIONS):
            shows = line.get("heatmap_shows")
            maps = shows.get("maps") if isinstance(shows, dict) else None
            for name in (line.get("heatmap"), maps, line.get("lungs"), line.get("opacity")):
                # The last two parts alone: a line edited to name another folder must not delete there.
                if isinstance(name, str) and (layer := Path(name).parent.name) in LAYERS:
                    (self.folder / layer / Path(name).name).unlink(missing_ok=True)
        (self.folder / PREDICTIONS).unlink(missing_ok=True)

    def _carry_over(self) -> None:
        """Write what is finished into fresh files.

        Left behind are half a last line, films to be tried again, films whose file has changed, and all but the last
        line of a film. The old files stay until the new ones are whole.
        """
        lines, rows = self.folder / PREDICTIONS, self.folder / _ROWS
        last: dict[str, int] = {}
        for number, line in enumerate(_parsed(lines)):
            mark = _mark(line)
            if mark is not None:
                last[line["id"]] = number
                self._finished[line["id"]] = mark
        fresh = [path.with_name(f".{path.name}") for path in (lines, rows)]
        with fresh[0].open("wb") as new_lines, fresh[1].open("wb") as new_rows:
            new_rows.write(_row(list(self._columns)))
            for number, line in enumerate(_parsed(lines)):
                if last.get(str(line.get("id"))) == number:
                    new_lines.write(_line(line))
                    new_rows.write(_row(flatten(line, self._columns)))
        fresh[0].replace(lines)
        fresh[1].replace(rows)

    def _refuse_other_run(self) -> None:
        path = self.folder / _RUN
        if self._overwrite or not path.exists():
            return
        try:
            found = json.loads(path.read_bytes())
            before, now = found["depends_on"], json.loads(json.dumps(self._run["depends_on"]))
            model = found["model"]["name"]
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{_RUN} in {str(self.folder)!r} is not of a prediction run; choose another folder or --overwrite"
            ) from error
        if differing := sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key)):
            raise OutputError(
                f"{str(self.folder)!r} holds predictions of model {model!r} made with another "
                f"{', '.join(differing)}; choose another folder or --overwrite"
            )

    def _close(self) -> None:
        for file in (self._lines, self._rows):
            if file is not None:
                file.close()
        self._lines = self._rows = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _write_whole(file: BinaryIO, content: bytes) -> None:
    if file.write(content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _line(values: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
    except UnicodeEncodeError:
        # A file name that is not UTF-8 on disk; escaped, the line still is.
        return (json.dumps(values, allow_nan=False) + "\n").encode("ascii")


def _row(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _parsed(path: Path) -> Iterator[dict[str, Any]]:
    """Whole lines of an earlier run; a kill can leave half a last one."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text) if text.endswith("\n") else None
            except ValueError:
                line = None
            if isinstance(line, dict):
                yield line


def _mark(line: Mapping[str, Any]) -> _Mark | None:
    """Name what a re-run knows a finished film by; `None` where it is to be judged again."""
    try:
        film, path = line["film"], line["file"]
        if line["error"] is not None and line["error"]["code"] in _PASSING:
            return None
        outcome = outcome_of(error=line["error"], probabilities=line["probabilities"])
        mark = _Mark(outcome, film["bytes"], film["modified_ns"])
        # From another working directory a relative path means another file.
        if film_id(path) == line["id"]:
            with suppress(OSError):
                status = os.stat(path)  # noqa: PTH116 - paths are plain str here
                if (status.st_size, status.st_mtime_ns) != (mark.bytes, mark.modified_ns):
                    return None
    except (KeyError, TypeError):
        return None
    return mark


def _locked(folder: Path) -> int | None:
    """Hold the folder for this process; two runs would interleave their lines."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, where no lock is held
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise OutputError(f"{str(folder)!r} is in use by another run; wait for it or choose another folder") from error
    return handle
