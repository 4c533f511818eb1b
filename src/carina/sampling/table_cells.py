"""Cells of a film table: text, ages, and labels from the column that a task names (M37)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from carina.errors import TableError
from carina.tasks import LabelColumn
from carina.tasks.age_cells import parse_age, parse_age_group

__all__ = ["clean_text", "labelled", "with_ages"]

_TABLE_LABEL = "label_of_table"


def clean_text(name: str) -> pl.Expr:
    """Text of a column without blanks around it; null where nothing is left."""
    stripped = pl.col(name).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped).alias(name)


def labelled(frame: pl.DataFrame, labels: LabelColumn | None, path: Path) -> tuple[pl.DataFrame, int]:
    """Give each film the label that the task reads from another column.

    Parameters
    ----------
    frame : polars.DataFrame
        As read, columns named without blanks around them.
    labels : LabelColumn or None
        `None` leaves the frame as it is.
    path : Path
        Of the table, for messages.

    Returns
    -------
    frame : polars.DataFrame
        Rows of the task, with `label`; the table's own labels, if any, in `label_of_table`.
    outside : int
        Rows left out by ``[labels.where]``.

    Raises
    ------
    TableError
        If a column is missing, or no row is left.
    """
    if labels is None:
        return frame, 0
    if missing := [name for name in (labels.column, *labels.where) if name not in frame.columns]:
        raise TableError(
            f"the task takes its labels from the column {labels.column!r}, of rows chosen by "
            f"{', '.join(labels.where) or 'nothing'}; {str(path)!r} lacks {', '.join(missing)}"
        )
    kept = frame
    for name, values in labels.where.items():
        kept = kept.filter(clean_text(name).is_in(list(values)))
    if kept.height == 0:
        raise TableError(f"no row of {str(path)!r} meets the task's [labels.where] {dict(labels.where)!r}")
    if "label" in kept.columns:
        kept = kept.with_columns(pl.col("label").alias(_TABLE_LABEL))
    cells = kept[labels.column].cast(pl.String).to_list()
    found = pl.Series("label", [labels.label(cell) for cell in cells], dtype=pl.String)
    return kept.with_columns(found), frame.height - kept.height


def with_ages(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Fill `age`, `age_low` and `age_high`; also how many ages are no number within 0 to 120 years."""
    cells = _cells(frame, "age")
    ages = [parse_age(cell) for cell in cells]
    unusable = sum(cell is not None and age is None for cell, age in zip(cells, ages, strict=True))
    groups = [parse_age_group(cell) for cell in _cells(frame, "age_group")]
    low = [age if age is not None else group[0] if group else None for age, group in zip(ages, groups, strict=True)]
    high = [age if age is not None else group[1] if group else None for age, group in zip(ages, groups, strict=True)]
    columns = {"age": ages, "age_low": low, "age_high": high}
    return frame.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items()), unusable


def _cells(frame: pl.DataFrame, column: str) -> Sequence[str | None]:
    if column not in frame.columns:
        return [None] * frame.height
    return frame.select(clean_text(column))[column].to_list()
