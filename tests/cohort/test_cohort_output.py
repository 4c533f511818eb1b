"""Files of a cohort."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from carina.cohort import CohortTables, add_public_films, build_cohort, load_rules, require_films, write_cohort
from carina.errors import CohortError
from carina.sampling import read_film_table
from carina.tasks import default_task


def _cohort(hospital: Any) -> Any:
    for number in range(4):
        hospital.admit(f"P{number}")
        hospital.film(f"P{number}", 1)
        hospital.film(f"P{number}", 90, finding="none")
    return build_cohort(hospital.tables(), load_rules(), seed=5)


def test_the_film_table_points_into_the_store(hospital: Any, tmp_path: Path) -> None:
    cohort = _cohort(hospital)
    for row in hospital.rows["films"]:
        film = tmp_path / "study" / "store" / row["path"]
        film.parent.mkdir(parents=True, exist_ok=True)
        film.write_bytes(b"film")
    write_cohort(cohort, tmp_path / "out", store=tmp_path / "study" / "store")
    for name in ("film_table.parquet", "film_table.csv"):
        table = read_film_table(tmp_path / "out" / name, default_task(), strict=True)
        assert (len(table), table.missing_files()) == (8, [])


def test_the_record_names_rules_hashes_counts_and_seed(hospital: Any, tmp_path: Path) -> None:
    cohort = _cohort(hospital)
    record = json.loads(write_cohort(cohort, tmp_path, store="s3://bucket/study", inputs={"films": "abc"}).read_text())
    assert (record["seed"], record["films"], record["patients"]) == (5, 8, 4)
    assert record["labels"] == {"normal": 4, "pneumonia": 4}
    assert record["rules_sha256"] == load_rules().sha256
    assert record["inputs"] == {"films": "abc"}
    assert record["disjoint"]["shared_patients"] == 0
    assert set(record["exclusions"].values()) == {0}
    assert pl.read_csv(tmp_path / "film_table.csv")["path"][0].startswith("s3://bucket/study/films/")


def test_exclusions_list_every_film_left_out(hospital: Any, tmp_path: Path) -> None:
    hospital.admit("P9")
    left_out = hospital.film("P9", 1, accepted=False)
    write_cohort(_cohort(hospital), tmp_path, store=tmp_path)
    rows = pl.read_csv(tmp_path / "exclusions.csv", infer_schema=False).rows()
    assert rows == [(left_out, "P9", "refused")]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_cohort_without_films_is_refused_with_the_reasons(hospital: Any, tmp_path: Path) -> None:
    hospital.film("P1", 1)
    cohort = build_cohort(hospital.tables(), load_rules())
    with pytest.raises(
        CohortError, match=r"no film of 1 is in the cohort: 1: The patient has no record of an admission"
    ):
        write_cohort(cohort, tmp_path / "out", store=tmp_path)
    assert not (tmp_path / "out").exists()


def test_an_empty_archive_is_refused() -> None:
    with pytest.raises(CohortError, match="the archive has none; run `carina ingest` first"):
        require_films(build_cohort(CohortTables.empty(), load_rules()))


def test_public_films_train_only_and_are_flagged(hospital: Any, tmp_path: Path) -> None:
    public = pl.DataFrame(
        {"path": ["a.png", "b.png"], "label": ["covid19", "normal"], "patient_id": ["1", "2"], "source": ["web", "web"]}
    )
    write_cohort(add_public_films(_cohort(hospital), public, tmp_path / "web"), tmp_path / "out", store=tmp_path)
    table = pl.read_parquet(tmp_path / "out" / "film_table.parquet").filter("public")
    assert table.select("path", "label", "patient_id", "source", "split").rows() == [
        ("../web/a.png", "covid19", "public-1", "web", "train")
    ]


@pytest.mark.parametrize(
    ("films", "said"),
    [
        (pl.DataFrame({"path": ["a"], "label": ["covid19"]}), "it lacks patient_id"),
        (pl.DataFrame({"path": ["a"], "label": ["normal"], "patient_id": ["1"]}), "labelled 'covid19'; it has none"),
    ],
)
def test_a_public_table_of_nothing_useful_is_refused(hospital: Any, films: pl.DataFrame, said: str) -> None:
    with pytest.raises(CohortError, match=said):
        add_public_films(_cohort(hospital), films, Path())


def test_the_span_of_shifted_days_is_said_to_be_that(hospital: Any) -> None:
    cohort = _cohort(hospital)
    days = [row["acquired_at"].date().isoformat() for row in hospital.rows["films"]]
    assert (cohort.dates["first"], cohort.dates["last"]) == (min(days), max(days))
    assert cohort.dates["told"] == "shifted"
    assert "the calendar does not" in str(cohort.dates["sentence"])
    assert build_cohort(CohortTables.empty(), load_rules()).dates["told"] == "not told"
