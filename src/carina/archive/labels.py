"""Labels of films, and every change of one: old, new, reason, when (M13)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
import polars.selectors as cs
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from carina.archive.audit import canonical
from carina.archive.tables import LabelChangeRow, LabelRow
from carina.errors import ArchiveError

__all__ = ["LabelCounts", "change_table", "label_table", "write_labels"]

_TOGETHER = 5_000
_CHANGES = pl.Schema(
    {"film_id": pl.String(), "old": pl.String(), "new": pl.String(), "reason": pl.String(), "changed_at": pl.String()}
)
_LABELS = pl.Schema({"film_id": pl.String(), "label": pl.String(), "labelled_at": pl.String()})


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What a new set of labels changed.

    Attributes
    ----------
    added, changed, removed, unchanged : int
        Films labelled for the first time, otherwise than before, no longer, and as before.
    """

    added: int
    changed: int
    removed: int
    unchanged: int


def write_labels(connection: Connection, frame: pl.DataFrame, reason: str) -> LabelCounts:
    """Make a frame the current labels; log what differs from those before.

    Parameters
    ----------
    connection : Connection
        In a writing transaction.
    frame : DataFrame
        ``film_id``, once each, and any further columns, which together are the label.
    reason : str

    Returns
    -------
    LabelCounts

    Raises
    ------
    ArchiveError
        If a film has no id, or two labels.
    """
    new = dict(_as_json(frame))
    if len(new) != frame.height or None in new:
        raise ArchiveError(
            f"labels must name each film once in 'film_id'; found {len(new)} films in {frame.height} rows"
        )
    old = {row.film_id: row.label for row in connection.execute(select(LabelRow.film_id, LabelRow.label))}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    added = sorted(new.keys() - old.keys())
    removed = sorted(old.keys() - new.keys())
    changed = sorted(film for film in new.keys() & old.keys() if new[film] != old[film])
    _many(connection, insert(LabelRow), [{"film_id": f, "label": new[f], "labelled_at": now} for f in added])
    _many(
        connection,
        update(LabelRow).where(LabelRow.film_id == bindparam("film")).values(label=bindparam("l"), labelled_at=now),
        [{"film": film, "l": new[film]} for film in changed],
    )
    _many(connection, delete(LabelRow).where(LabelRow.film_id == bindparam("film")), [{"film": f} for f in removed])
    _many(
        connection,
        insert(LabelChangeRow),
        [
            {"film_id": film, "old": old[film], "new": new.get(film), "reason": reason, "changed_at": now}
            for film in (*changed, *removed)
        ],
    )
    return LabelCounts(len(added), len(changed), len(removed), len(new) - len(added) - len(changed))


def label_table(connection: Connection) -> pl.DataFrame:
    """Return the current labels: ``film_id``, ``label`` (canonical JSON), ``labelled_at`` (UTC)."""
    found = connection.execute(
        select(LabelRow.film_id, LabelRow.label, LabelRow.labelled_at).order_by(LabelRow.film_id)
    )
    return pl.DataFrame([tuple(row) for row in found], schema=_LABELS, orient="row")


def change_table(connection: Connection) -> pl.DataFrame:
    """Return every change so far; ``old`` and ``new`` are canonical JSON or null."""
    columns = [getattr(LabelChangeRow, name) for name in _CHANGES]
    found = connection.execute(select(*columns).order_by(LabelChangeRow.change_id))
    return pl.DataFrame([tuple(row) for row in found], schema=_CHANGES, orient="row")


def _as_json(frame: pl.DataFrame) -> Iterator[tuple[str, str]]:
    if "film_id" not in frame.columns:
        raise ArchiveError(f"labels must have a column 'film_id'; found {sorted(frame.columns)}")
    plain = frame.with_columns(cs.float().fill_nan(None))
    place = plain.columns.index("film_id")
    names = [name for name in plain.columns if name != "film_id"]
    for row in plain.iter_rows():
        values = [value for at, value in enumerate(row) if at != place]
        yield row[place], canonical(dict(zip(names, values, strict=True)))


def _many(connection: Connection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _TOGETHER):
        connection.execute(statement, rows[start : start + _TOGETHER])
