"""Compare a study made from a synthetic hospital with that hospital's truth, film by film.

Run: python scripts/check_hospital.py HOSPITAL STUDY [--cohort FOLDER] [--out differences.csv]

The study's key joins the two: it turns the original identifiers of ``truth/`` into the study's pseudonyms. Exits with 1
when a label, an aetiology, a contrast, a pair or the membership of the cohort differs from what the method gives.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import polars as pl

from carina.archive import open_study
from carina.deidentify import Pseudonymiser, load_key

# Column of the truth, column of the study's labels or film table, and whether it holds for films of the cohort alone.
COMPARED = (
    ("gold_expected", "gold", False),
    ("aetiology_expected", "aetiology", True),
    ("coinfection_expected", "coinfection", True),
    ("covid_contrast_expected", "covid_contrast", True),
    ("bacterial_viral_expected", "bacterial_viral_contrast", True),
    ("position", "position", True),
    ("role_expected", "first_or_last", True),
    ("matched_expected", "matched_pair", True),
    ("age_expected", "age", True),
    ("sex", "sex", True),
    ("ethnicity_expected", "ethnicity", True),
    ("bmi_expected", "bmi", True),
)
# What the study may say instead: no side of a contrast is an empty cell, nor is an unknown sex; without any admission
# there are no records.
SAME = {("out", ""), ("not_admitted", "no_records"), ("U", "")}


_BIRTHDAYS = 0.005
"""Largest share of films."""


def truth_rows(hospital: Path, names: Pseudonymiser) -> pl.DataFrame:
    """Read the truth with the study's film identifiers beside it, refused films left out."""
    truth = pl.read_csv(hospital / "truth/films.csv", infer_schema=False).fill_null("")
    uids = [names.uid(uid) for uid in truth["sop_instance_uid"].to_list()]
    confirmed = (pl.col("gold_expected") == "pneumonia").any().over("episode")
    return truth.with_columns(
        pl.Series("uid", uids),
        # M16 keeps first or last of confirmed pneumonia only: of whole episodes, or pairs would lose their last.
        role_expected=pl.when(confirmed).then("first_last_expected").otherwise(pl.lit("")),
        matched_expected=pl.when(pl.col("pair_expected") == "matched").then(pl.lit("yes")).otherwise(pl.lit("no")),
    ).filter(pl.col("exclusion_expected") != "refused")


def study_rows(folder: Path, cohort: Path) -> tuple[pl.DataFrame, Pseudonymiser]:
    """Read one row a film of the study: what was decided about it."""
    with open_study(folder, "research") as study:
        names = Pseudonymiser(load_key(study.keys))
        films = study.archive.films().sort("accepted", descending=True, maintain_order=True)
        films = films.unique("sop_instance_uid", keep="first", maintain_order=True)
        films = films.select("film_id", "accepted", uid="sop_instance_uid")
    labels = pl.read_parquet(cohort / "labels.parquet")
    table = pl.read_parquet(cohort / "film_table.parquet")
    return joined_rows(films, labels, table), names


def joined_rows(films: pl.DataFrame, labels: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Join what a cohort says of each film, as text; nothing is an empty text."""
    more = [name for _, name, _ in COMPARED if name in table.columns and name not in labels.columns]
    rows = table.rename({"image_id": "film_id"}).select("film_id", *more)
    films = films if "accepted" in films.columns else films.with_columns(accepted=pl.lit(value=True))
    films = films.select("film_id", "uid", refused=~pl.col("accepted"))
    joined = films.join(labels, on="film_id", how="left").join(rows, on="film_id", how="left")
    yes_no = {True: "yes", False: "no"}
    return joined.select(
        (pl.col(name).replace_strict(yes_no) if kind == pl.Boolean else pl.col(name).cast(pl.String)).fill_null("")
        for name, kind in joined.schema.items()
    )


def differences(truth: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Every cell that differs: film, column, what was expected and what was found.

    Where the gate refused a film that the truth has (a phantom is no patient's film), the first and last film of its
    episode are others than the truth's, rightly; of those episodes the gold standard alone is compared.
    """
    both = truth.join(found, on="uid", how="left", suffix="_found")
    episode = pl.when(pl.col("episode") == "").then("uid").otherwise("episode")
    whole = both.filter((pl.col("refused") != "yes").fill_null(value=True).all().over(episode))
    parts = []
    for expected, column, members in COMPARED:
        name = f"{column}_found" if f"{column}_found" in both.columns else column
        rows = (
            whole.filter(pl.col("in_cohort_expected") == "yes")
            if members
            else both.filter(pl.col("gold_expected") != "")
        )
        parts.append(_differing(rows, column, pl.col(expected), pl.col(name).fill_null("missing")))
    kept = pl.when(pl.col("exclusion").is_null()).then(pl.lit("missing")).otherwise("exclusion")
    parts.append(_differing(whole, "exclusion", pl.col("exclusion_expected"), kept))
    return pl.concat(parts)


def _differing(rows: pl.DataFrame, column: str, expected: pl.Expr, found: pl.Expr) -> pl.DataFrame:
    cells = rows.select(
        "uid", "nhi", "place", "reading", "aetiology_case", "suspicion", "stay",
        column=pl.lit(column), expected=expected, found=found,
    )  # fmt: skip
    same = [(pl.col("expected") == expected) & (pl.col("found") == found) for expected, found in SAME]
    return cells.filter((pl.col("expected") != pl.col("found")) & ~pl.any_horizontal(same))


def main() -> None:
    """Compare, print the counts of differences, and exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hospital", type=Path)
    parser.add_argument("study", type=Path)
    parser.add_argument("--cohort", type=Path, help="folder of the cohort; STUDY/cohort if left out")
    parser.add_argument("--out", type=Path, help="CSV of every difference (it holds NHIs: of synthetic patients)")
    given = parser.parse_args()
    found, names = study_rows(given.study, given.cohort or given.study / "cohort")
    truth = truth_rows(given.hospital, names)
    wrong = differences(truth, found)
    # Dates are shifted by whole weeks, which may move a leap day in or out: a birthday then falls beside the film.
    birthdays = wrong.filter(
        (pl.col("column") == "age")
        & ((pl.col("expected").cast(pl.Int64, strict=False) - pl.col("found").cast(pl.Int64, strict=False)).abs() == 1)
    )
    if len(birthdays) <= _BIRTHDAYS * len(truth):
        wrong = wrong.join(birthdays, on=("uid", "column"), how="anti")
    if given.out is not None:
        wrong.write_csv(given.out)
    labelled = truth.filter(pl.col("gold_expected") != "")
    print(f"{len(truth)} films, {len(labelled)} with a label, {len(found)} in the study")
    gold = wrong.filter(pl.col("column") == "gold")
    print(f"gold labels equal: {len(labelled) - len(gold)} of {len(labelled)}")
    if len(birthdays):
        print(f"ages one year beside the truth's for the shifted dates: {len(birthdays)} films")
    refused = truth.join(found.filter(pl.col("refused") == "yes"), on="uid", how="semi")
    if len(refused):
        print(f"refused by the gate though the hospital has them: {len(refused)} films of {len(found)}")
    found = found.filter(pl.col("refused") != "yes")
    strange = set(found["uid"].to_list()) - set(truth["uid"].to_list())
    if strange:
        print(f"films in the study that the hospital does not know: {len(strange)}")
    for (column, expected, got), count in sorted(
        Counter(wrong.select("column", "expected", "found").iter_rows()).items()
    ):
        print(f"  {column}: expected {expected or 'nothing'!r}, found {got or 'nothing'!r}: {count} films")
    sys.exit(1 if len(wrong) or strange else 0)


if __name__ == "__main__":
    main()
