"""The linkage file: which identifiers stood behind which pseudonym, beside the key and never in the study (M6)."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from carina.deidentify.removed import REMOVED_SCHEMA, Removed
from carina.errors import RemovalError

__all__ = ["LINKAGE_FILE", "Linkage"]

LINKAGE_FILE: Final = "linkage.sqlite"
"""Name of the linkage file in the keys folder."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS removed (
    kind TEXT NOT NULL, value TEXT NOT NULL, patient_id TEXT NOT NULL,
    PRIMARY KEY (kind, value, patient_id)
) WITHOUT ROWID
"""


class Linkage:
    """What was removed from films and records, by pseudonym; adding the same twice changes nothing.

    Parameters
    ----------
    folder : Path
        Keys folder; ``linkage.sqlite`` in it is made at need, readable by its owner alone.

    Raises
    ------
    RemovalError
        If the folder is missing, the file is open to group or others, or is not a linkage file.

    Examples
    --------
    >>> import tempfile
    >>> with Linkage(Path(tempfile.mkdtemp())) as linkage:
    ...     linkage.add(Removed.of("PAAA", [("nhi", "ZZZ0016")]))
    ...     linkage.add(Removed.of("PAAA", [("nhi", "ZZZ0016")]))
    ...     list(linkage), linkage.of_patient("PAAA")
    ([('PAAA', 'nhi', 'ZZZ0016')], [('nhi', 'ZZZ0016')])
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LINKAGE_FILE
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            os.close(descriptor)
        except OSError as error:
            raise RemovalError(
                f"the linkage file {str(self.path)!r} must be readable and writable: {error.strerror}; name the keys "
                "folder of this study"
            ) from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RemovalError(
                f"only its owner may read the linkage file {str(self.path)!r}, for it names patients; its mode is "
                f"{mode:04o}: run `chmod 600` on it"
            )
        try:
            self._database = sqlite3.connect(self.path, timeout=60.0)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_TABLE)
            self._database.execute("CREATE INDEX IF NOT EXISTS by_patient ON removed (patient_id)")
            self._database.commit()
        except sqlite3.Error as error:
            raise RemovalError(
                f"{str(self.path)!r} must be a linkage file, and cannot be read as one; restore it from its copy"
            ) from error

    def add(self, removed: Removed) -> None:
        """Add identifiers; those already known are left as they are."""
        rows = removed.rows.select("kind", "value", "patient_id").iter_rows()
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO removed VALUES (?, ?, ?)", rows)

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        """Every identifier as pseudonym, kind, value."""
        with closing(self._database.execute("SELECT patient_id, kind, value FROM removed")) as cursor:
            yield from cursor

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM removed").fetchone()[0])

    def removed(self) -> Removed:
        """Everything, as one frame."""
        import polars as pl  # noqa: PLC0415 - the frame alone needs it

        return Removed(pl.DataFrame(list(self), schema=REMOVED_SCHEMA, orient="row"))

    def of_patient(self, patient_id: str) -> list[tuple[str, str]]:
        """Kind and value of all that was removed for one pseudonym, sorted."""
        query = "SELECT kind, value FROM removed WHERE patient_id = ? ORDER BY kind, value"
        return [(str(kind), str(value)) for kind, value in self._database.execute(query, (patient_id,))]

    def patients_of(self, kind: str, value: str) -> list[str]:
        """Pseudonyms behind which an identifier stood, sorted."""
        query = "SELECT patient_id FROM removed WHERE kind = ? AND value = ? ORDER BY patient_id"
        return [str(row[0]) for row in self._database.execute(query, (kind, value))]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
