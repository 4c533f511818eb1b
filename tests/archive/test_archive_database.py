"""Films, records and labels in the archive, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from carina.archive import FILM_SCHEMA, FilmRecord, LedgerEntry, Study, open_study
from carina.archive.database import downgrade, open_engine, revision, upgrade
from carina.archive.tables import Base, FilmRow
from carina.errors import ArchiveError

Make = Callable[..., FilmRecord]


def _admit(study: Study, film: FilmRecord, source: str) -> LedgerEntry:
    return study.archive.admit(film, LedgerEntry(source * 64, "accepted", film_id=film.film_id), 1)


def test_migrations_go_up_and_down_and_arrive_at_the_tables(tmp_path: Path, archive_url: str | None) -> None:
    engine = open_engine(archive_url or "sqlite:///archive.sqlite", tmp_path)
    for _ in range(2):
        upgrade(engine)
        assert revision(engine) == "0009"
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        downgrade(engine, "0001")
        assert revision(engine) == "0001"
        downgrade(engine, "base")
        assert set(sa.inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(study: Study) -> None:
    with study.archive._engine.connect() as connection, connection.begin():
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ArchiveError, match="made by a newer Carina"):
        open_study(study.folder)


def test_the_film_table_has_the_columns_of_the_contract(study: Study, make_record: Make) -> None:
    taken = dt.datetime(2020, 4, 1, 8, 30)  # noqa: DTZ001 - local, as in hospitals
    _admit(study, make_record("a", acquired_at=taken, age_years=1.5, series_number=7), "0")
    films = study.archive.films()
    assert films.schema == FILM_SCHEMA
    (row,) = films.to_dicts()
    assert row["acquired_at"] == taken
    assert (row["age_years"], row["series_number"], row["accepted"], row["rows"]) == (1.5, 7, True, 4)


def test_record_and_table_of_films_hold_the_same_fields() -> None:
    record = {field.name for field in fields(FilmRecord)}
    assert record | {"stored_at"} == set(FilmRow.__table__.columns.keys())
    assert set(FILM_SCHEMA) < record


def test_the_same_source_twice_is_known(study: Study, make_record: Make) -> None:
    assert _admit(study, make_record("a"), "0").outcome == "accepted"
    assert _admit(study, make_record("a"), "0").outcome == "known"
    assert study.archive.films().height == 1


def test_the_same_film_from_another_source_is_a_duplicate(study: Study, make_record: Make) -> None:
    _admit(study, make_record("a"), "0")
    again = _admit(study, make_record("b", sop_instance_uid="2.25.97", pixels_sha256="a" * 64), "1")
    assert (again.outcome, again.film_id) == ("duplicate", "a" * 64)
    assert study.archive.films()["film_id"].to_list() == ["a" * 64]


@pytest.mark.parametrize("change", [{"pixels_sha256": "f" * 64}, {"patient_id": "P2"}, {"view_position": "AP"}])
def test_a_changed_film_under_a_known_uid_is_kept_apart(
    study: Study, make_record: Make, change: dict[str, str]
) -> None:
    _admit(study, make_record("a"), "0")
    changed = {"sop_instance_uid": "2.25.97", "pixels_sha256": "a" * 64, **change}
    noted = _admit(study, make_record("b", **changed), "1")
    assert (noted.outcome, noted.code, noted.film_id) == ("changed", "changed_film", "b" * 64)
    kept = dict(study.archive.films().select("film_id", "accepted").iter_rows())
    assert kept == {"a" * 64: True, "b" * 64: False}
    assert study.archive.refusals()["code"].to_list() == ["changed_film"]


def test_the_same_picture_under_another_uid_is_a_duplicate(study: Study, make_record: Make) -> None:
    _admit(study, make_record("a"), "0")
    noted = _admit(study, make_record("b", pixels_sha256="a" * 64), "1")
    assert (noted.outcome, noted.code) == ("duplicate", "duplicate_picture")


def test_the_same_picture_of_another_patient_is_a_conflict(study: Study, make_record: Make) -> None:
    _admit(study, make_record("a"), "0")
    noted = _admit(study, make_record("b", pixels_sha256="a" * 64, patient_id="P2"), "1")
    assert (noted.outcome, noted.code) == ("conflict", "same_picture_other_patient")
    assert study.archive.films().filter("accepted")["film_id"].to_list() == ["a" * 64]


def test_nothing_is_half_written_when_the_ledger_row_fails(study: Study, make_record: Make) -> None:
    bad = LedgerEntry("0" * 64, None, film_id="a" * 64)  # type: ignore[arg-type]  # breaks the row on purpose
    with pytest.raises(ArchiveError, match="database must answer"):
        study.archive.admit(make_record("a"), bad, 1)
    assert study.archive.films().height == 0


def test_the_same_rows_in_another_order_change_nothing(study: Study) -> None:
    rows = pl.DataFrame({"patient_id": ["P2", "P1"], "codes": [["J18.9"], ["I10"]]})
    first = study.archive.put_records("admissions", rows, {"source_sha256": "0" * 64})
    assert study.archive.put_records("admissions", rows.reverse(), {"source_sha256": "1" * 64}) == first
    assert study.archive.records("admissions").collect()["patient_id"].to_list() == ["P1", "P2"]


def test_a_corrected_extract_makes_a_new_version_and_keeps_the_old(study: Study) -> None:
    for code in ("J18.9", "J15.1"):
        study.archive.put_records("admissions", pl.DataFrame({"patient_id": ["P1"], "code": [code]}), {"rejected": 0})
    assert [each.version for each in study.archive.record_sets()] == [1, 2]
    assert study.archive.records("admissions").collect()["code"].to_list() == ["J15.1"]
    old = study.archive.record_sets()[0]
    assert pl.read_parquet(study.store.path(old.path))["code"].to_list() == ["J18.9"]
    assert old.provenance == {"rejected": 0}


def test_records_that_were_not_loaded_are_missed_in_a_sentence(study: Study) -> None:
    with pytest.raises(ArchiveError, match="hold reads, and no such records were loaded"):
        study.archive.records("reads")


def test_a_changed_label_is_logged_with_old_new_reason_and_time(study: Study) -> None:
    first = pl.DataFrame(
        {"film_id": ["a", "b", "c"], "gold": ["none", "none", None], "share": [0.5, float("nan"), 1.0]}
    )
    assert study.archive.put_labels(first).added == 3
    second = pl.DataFrame({"film_id": ["a", "b"], "gold": ["pneumonia", "none"], "share": [0.5, None]})
    counts = study.archive.put_labels(second, reason="read corrected")
    assert (counts.added, counts.changed, counts.removed, counts.unchanged) == (0, 1, 1, 1)
    changes = study.archive.label_changes().to_dicts()
    assert [(each["film_id"], each["reason"]) for each in changes] == [("a", "read corrected"), ("c", "read corrected")]
    assert json.loads(changes[0]["old"])["gold"] == "none"
    assert json.loads(changes[0]["new"])["gold"] == "pneumonia"
    assert changes[1]["new"] is None
    assert dt.datetime.fromisoformat(changes[0]["changed_at"]).tzinfo is dt.UTC
    assert study.archive.labels()["film_id"].to_list() == ["a", "b"]


def test_a_film_with_two_labels_is_refused_and_none_is_written(study: Study) -> None:
    with pytest.raises(ArchiveError, match="each film once"):
        study.archive.put_labels(pl.DataFrame({"film_id": ["a", "a"], "gold": ["none", "pneumonia"]}))
    assert study.archive.labels().height == 0


def test_a_changed_audit_row_is_found(study: Study) -> None:
    for number in range(3):
        study.archive.audit("tested", {"number": number})
    head = study.archive.audit_head()
    assert study.archive.verify_audit(head) == []
    downgrade(study.archive._engine, "0001")  # takes the triggers away, as an intruder would
    with study.archive._engine.connect() as connection, connection.begin():
        connection.execute(sa.text("UPDATE audit SET details = '[7]' WHERE sequence = 3"))
    assert study.archive.verify_audit() == ["audit entry 3 was changed after it was written"]


def test_a_cut_audit_log_is_found_by_a_noted_head(study: Study) -> None:
    study.archive.audit("tested")
    head = study.archive.audit_head()
    downgrade(study.archive._engine, "0001")
    with study.archive._engine.connect() as connection, connection.begin():
        connection.execute(sa.text("DELETE FROM audit WHERE sequence = 2"))
    assert study.archive.verify_audit() == []
    (problem,) = study.archive.verify_audit(head)
    assert "no longer in the log" in problem


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET event = 'x'", "DELETE FROM audit", "DELETE FROM label_changes"]
)
def test_the_database_refuses_to_change_the_logs(study: Study, statement: str) -> None:
    study.archive.put_labels(pl.DataFrame({"film_id": ["a"], "gold": ["none"]}))
    study.archive.put_labels(pl.DataFrame({"film_id": ["a"], "gold": ["pneumonia"]}))
    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        study.archive._engine.connect() as connection,
        connection.begin(),
    ):
        connection.execute(sa.text(statement))


def test_every_text_in_the_database_is_dumped(study: Study, make_record: Make) -> None:
    _admit(study, make_record("a", series_description="PLANTED-IN-FILM"), "0")
    study.archive.audit("tested", {"word": "PLANTED-IN-AUDIT"})
    study.archive.put_records("vitals", pl.DataFrame({"patient_id": ["P1"]}), {"note": "PLANTED-IN-RECORDS"})
    study.archive.put_labels(pl.DataFrame({"film_id": ["a"], "sentence": ["PLANTED-IN-LABEL"]}))
    dumped = list(study.archive.dump_rows())
    for word, table in (("FILM", "films"), ("AUDIT", "audit"), ("RECORDS", "record_sets"), ("LABEL", "labels")):
        assert any(f"PLANTED-IN-{word}".encode() in data and name.startswith(f"{table}[") for name, data in dumped)


def test_a_killed_run_leaves_orphans_that_the_next_cleans(study: Study, make_record: Make) -> None:
    kept = study.store.put(b"kept")
    orphan = study.store.put(b"orphan")
    _admit(study, make_record("a", path=kept.path), "0")
    assert study.archive.clean_orphans() == 0  # no run was killed: nothing is looked through
    study.archive.begin_run("ingest")
    assert study.archive.clean_orphans() == 1
    assert study.store.exists(kept.path)
    assert not study.store.exists(orphan.path)
    assert study.archive.clean_orphans() == 0
