"""What rows must hold together: within a row, and between the rows of one patient, event, read or specimen.

Every check returns the rows that break it, by `row` (their number in the frame), with column and reason.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from carina.records.contracts import RANGES, SCHEMAS

__all__ = ["PROBLEMS", "between_rows", "within_rows"]

PROBLEMS = pl.Schema({"row": pl.UInt32(), "column": pl.String(), "reason": pl.String()})

_OLDEST = 120
_POUND = 0.45359237
_BMI_AGREES = 0.06
_SLIP_AGREES = 0.08
_ADULT_KG = 35.0


def within_rows(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Check each row by itself.

    Parameters
    ----------
    table : str
    rows : polars.DataFrame
        Canonical columns and `row`.

    Returns
    -------
    polars.DataFrame
        As `PROBLEMS`.
    """
    checks: dict[str, list[tuple[str, pl.Expr, str]]] = {
        "admissions": _admission(),
        "vitals": _measurement(),
        "reads": [
            (
                "read_at",
                pl.col("read_at") < pl.col("acquired_at"),
                "a film must be taken before it is read; this one is read before it is taken",
            )
        ],
        "microbiology": [
            (
                "result",
                (pl.col("organism") == "none") & (pl.col("result") != "negative"),
                "a result without an organism must be negative",
            )
        ],
    }
    return _gathered(rows.filter(broken).select(_named(column, reason)) for column, broken, reason in checks[table])


def _admission() -> list[tuple[str, pl.Expr, str]]:
    admitted = pl.col("admitted_at").dt.date()
    birthday = pl.col("birth_date")
    age = admitted.dt.year() - birthday.dt.year()
    return [
        (
            "discharged_at",
            pl.col("discharged_at") < pl.col("admitted_at"),
            "a discharge must follow its admission; this one lies before it",
        ),
        ("birth_date", birthday > admitted, "a birth must lie before the admission; this one lies after it"),
        ("birth_date", age > _OLDEST, f"the age at admission must be at most {_OLDEST} years"),
    ]


def _measurement() -> list[tuple[str, pl.Expr, str]]:
    """BMI against height and weight: what agrees after one conversion names the slip."""
    height, weight, bmi = pl.col("height_cm"), pl.col("weight_kg"), pl.col("bmi")
    derived = weight / (height / 100.0) ** 2
    low, high = RANGES["bmi"]

    def agrees(factor: float) -> pl.Expr:
        return ((derived * factor) / bmi - 1.0).abs() <= _BMI_AGREES

    differs = bmi.is_not_null() & derived.is_not_null() & ~agrees(1.0)
    pounds, inches = agrees(_POUND), agrees(1.0 / 2.54**2)
    other_bmi = ((derived / 703.07) / bmi - 1.0).abs() <= _BMI_AGREES
    must = "the BMI must be weight over height squared"
    measures = ["height_cm", "weight_kg", "bmi", "temperature_c", "spo2_percent", "respiratory_rate"]
    return [
        ("bmi", differs & pounds, f"{must}; it is where the weight is read as pounds: suspected lb for kg"),
        (
            "bmi",
            differs & ~pounds & inches,
            f"{must}; it is where the height is read as inches: suspected in for cm",
        ),
        (
            "bmi",
            differs & ~pounds & ~inches & ~other_bmi,
            f"{must}; it is not: look for a slip of units, cm/m or lb/kg",
        ),
        ("bmi", differs & ~pounds & ~inches & other_bmi, f"{must}; it is off by the factor of pounds and inches"),
        (
            "bmi",
            bmi.is_null() & ~derived.is_between(low, high),
            f"height and weight give a BMI outside {low:g} to {high:g}: look for a slip of units, cm/m or lb/kg",
        ),
        ("", pl.all_horizontal(pl.col(measures).is_null()), "a row must hold a measurement; this one holds none"),
    ]


def between_rows(table: str, rows: pl.DataFrame, *, overlap_minutes: int = 0) -> pl.DataFrame:
    """Check rows against each other.

    Parameters
    ----------
    table : str
    rows : polars.DataFrame
        Canonical columns and `row`, of rows that passed by themselves; of several files together.
    overlap_minutes : int
        How long two admissions of one patient may overlap.

    Returns
    -------
    polars.DataFrame
        As `PROBLEMS`.
    """
    twice = _repeated(table, rows)
    rows = rows.filter(~pl.col("row").is_in(twice["row"].implode()))
    if table == "admissions":
        found = [twice, _shared_key(rows, "event_id", "an event must stand once; this one stands again, differently")]
        rows = _without(rows, found[-1])
        found.extend(_contradictions(rows, column) for column in ("sex", "birth_date"))
        rows = _without(_without(rows, found[-1]), found[-2])
        return _gathered([*found, _overlaps(rows, overlap_minutes)])
    if table == "vitals":
        return _gathered([twice, _slipped_weights(rows)])
    if table == "reads":
        shared = _two_patients(
            rows, "accession_number", "a study (accession) must belong to one patient; this one has two"
        )
        return _gathered([twice, shared, _second_reads(_without(rows, shared))])
    shared = _two_patients(rows, "specimen_id", "a specimen must belong to one patient; this one has two")
    return _gathered([twice, shared, _contradicting_results(_without(rows, shared))])


def _named(column: str, reason: str) -> list[pl.Expr]:
    return [pl.col("row").cast(pl.UInt32), pl.lit(column).alias("column"), pl.lit(reason).alias("reason")]


def _gathered(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=PROBLEMS), *parts])


def _without(rows: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    return rows.join(problems.select("row"), on="row", how="anti", maintain_order="left")


def _repeated(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that say again, cell by cell, what an earlier one said."""
    columns = list(SCHEMAS[table])
    hashes = rows.select("row", rows.select(columns).hash_rows(seed=1).alias("hash"))
    again = hashes.filter(~pl.col("hash").is_first_distinct())
    return again.select(_named("", "a row must stand once; an earlier one says the same"))


def _shared_key(rows: pl.DataFrame, key: str, reason: str) -> pl.DataFrame:
    return rows.filter(pl.col(key).is_duplicated()).select(_named(key, reason))


def _two_patients(rows: pl.DataFrame, key: str, reason: str) -> pl.DataFrame:
    return rows.filter(pl.col("nhi").n_unique().over(key) > 1).select(_named(key, reason))


def _contradictions(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Rows of one NHI that contradict what most of its rows say; all of them where no value has the majority."""
    stated = rows.filter(pl.col("sex") != "U") if column == "sex" else rows
    several = stated.filter(pl.col(column).n_unique().over("nhi") > 1)
    if several.is_empty():
        return pl.DataFrame(schema=PROBLEMS)
    counted = several.with_columns(pl.len().over("nhi").alias("all"), pl.len().over("nhi", column).alias("same"))
    word = "sex" if column == "sex" else "birth date"
    reason = f"the rows of one NHI must give one {word}; this one contradicts others"
    return counted.filter(pl.col("same") * 2 <= pl.col("all")).select(_named(column, reason))


def _overlaps(rows: pl.DataFrame, minutes: int) -> pl.DataFrame:
    """Admissions that begin while an earlier one of the patient still lasts; the later one is listed."""
    slack = pl.duration(minutes=minutes)
    ordered = rows.select("row", "nhi", "admitted_at", "discharged_at").sort("nhi", "admitted_at", "row")
    latest = pl.col("discharged_at").cum_max().forward_fill().shift(1).over("nhi")
    suspects = ordered.filter((latest - slack) > pl.col("admitted_at"))["nhi"].unique()
    if suspects.is_empty():
        return pl.DataFrame(schema=PROBLEMS)
    found, patient, end = [], None, None
    # Few patients are left: one by one, so that only admissions that stay can push out others.
    for row, nhi, admitted, discharged in ordered.filter(pl.col("nhi").is_in(suspects.implode())).iter_rows():
        if nhi != patient:
            patient, end = nhi, None
        if end is not None and (end - admitted).total_seconds() > minutes * 60:
            found.append(row)
        elif discharged is not None:
            end = discharged if end is None else max(end, discharged)
    reason = "admissions of one patient must not overlap; this one begins before an earlier one ends"
    return pl.DataFrame({"row": found}, schema={"row": pl.UInt32}).select(_named("admitted_at", reason))


def _slipped_weights(rows: pl.DataFrame) -> pl.DataFrame:
    """Weights that are 2.2 times the patient's usual weight: pounds where kilograms belong."""
    weights = rows.select("row", "nhi", "weight_kg").drop_nulls()
    usual = pl.when(pl.len() > 2).then(pl.col("weight_kg").median()).otherwise(pl.col("weight_kg").min()).over("nhi")  # noqa: PLR2004 - two have no middle
    ratio = pl.col("weight_kg") / usual * _POUND
    slipped = weights.filter((usual >= _ADULT_KG) & ((ratio - 1.0).abs() <= _SLIP_AGREES))
    reason = "a weight must fit the patient's others; this one is 2.2 times as much: suspected lb for kg"
    return slipped.select(_named("weight_kg", reason))


def _second_reads(rows: pl.DataFrame) -> pl.DataFrame:
    """Second reads of one film: the last one counts; where no time tells, none does."""
    keys = ["accession_number", "sop_instance_uid"]
    several = rows.filter(pl.struct(keys).is_duplicated())
    if several.is_empty():
        return pl.DataFrame(schema=PROBLEMS)
    last = pl.col("read_at").max().over(keys)
    timed = pl.col("read_at").is_not_null().all().over(keys) & ((pl.col("read_at") == last).sum().over(keys) == 1)
    earlier = several.filter(timed & (pl.col("read_at") < last))
    tied = several.filter(~timed)
    return _gathered(
        [
            earlier.select(_named("accession_number", "a film must have one read; a later one replaces this")),
            tied.select(
                _named("accession_number", "a film must have one read; this has several and no time tells the last")
            ),
        ]
    )


def _contradicting_results(rows: pl.DataFrame) -> pl.DataFrame:
    keys = ["specimen_id", "test", "organism"]
    several = rows.filter(pl.col("result").n_unique().over(keys) > 1)
    return several.select(
        _named("result", "one test of one specimen must have one result for an organism; these contradict each other")
    )
