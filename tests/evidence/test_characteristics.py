"""Who the patients of each part are, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from carina.evidence.characteristics import table_characteristics
from carina.sampling import FilmTable


def _table(rows: list[dict[str, Any]]) -> FilmTable:
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.format("f{}", pl.int_range(pl.len())).alias("image_id"),
        pl.lit("a.png").alias("path"),
        *(pl.col("age").cast(pl.Float64, strict=False).alias(name) for name in ("age", "age_low", "age_high")),
    )
    return FilmTable(frame=frame, folder=Path(), sha256="0" * 64)


def _rows(count: int, first: int = 0, **columns: Any) -> list[dict[str, Any]]:
    return [
        {"patient_id": f"p{first + place}", "source": "here", "film_order": "1", "age": "40", **columns}
        for place in range(count)
    ]


def _one(found: dict[str, Any], part: str, label: str = "all") -> dict[str, Any]:
    return next(one for one in found["parts"] if (one["part"], one["label"]) == (part, label))


def test_patients_are_counted_once_though_they_have_several_films() -> None:
    rows = _rows(12, label="normal", sex="F") + _rows(12, label="normal", sex="F", film_order="2")
    one = _one(table_characteristics(_table(rows)), "judged")
    assert (one["films"], one["patients"]) == (24, 12)
    assert one["levels"]["sex"] == {"F": 12}
    assert one["age"] == {"known": 12, "median": 40.0, "quartiles": [40.0, 40.0]}


def test_parts_and_classes_stand_apart() -> None:
    rows = _rows(20, label="normal", sex="F", split="train") + _rows(15, 50, label="viral", sex="M", split="test")
    table = _table(rows)
    found = table_characteristics(table.part("test"), table)
    assert [(one["part"], one["label"]) for one in found["parts"]] == [
        *(("judged", "all"), ("judged", "viral")),
        *(("train", "all"), ("train", "normal"), ("test", "all"), ("test", "viral")),
    ]
    assert _one(found, "train")["levels"]["sex"] == {"F": 20}
    assert _one(found, "judged")["levels"]["sex"] == {"M": 15}


def test_a_small_level_is_suppressed_and_so_is_the_one_that_would_give_it_away() -> None:
    rows = _rows(30, label="normal", sex="F") + _rows(20, 40, label="normal", sex="M")
    rows += _rows(3, 70, label="normal", sex="")
    found = table_characteristics(_table(rows))
    assert _one(found, "judged")["levels"]["sex"] == {"F": 30, "M": None, "not told": None}
    assert any("suppressed" in sentence for sentence in found["sentences"])


def test_ages_of_few_are_not_told() -> None:
    rows = _rows(9, label="normal", sex="F") + _rows(9, 20, label="normal", sex="M", age="")
    assert _one(table_characteristics(_table(rows)), "judged")["age"] is None
