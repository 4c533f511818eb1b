"""Canonical tables without identifiers."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from carina.deidentify import Policy, Pseudonymiser, pseudonymise_records
from carina.errors import RemovalError

NAMES = Pseudonymiser(bytes(range(32)))
SHIFT = NAMES.shift("ZZZ0016")


def moment(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    """Hospital tables carry local times without a zone."""
    return dt.datetime(year, month, day, hour, minute)  # noqa: DTZ001 - as said


def admissions(**changes: object) -> pl.DataFrame:
    row: dict[str, object] = {
        "nhi": "ZZZ0016",
        "event_id": "EV-1",
        "admitted_at": moment(2020, 3, 2, 8, 30),
        "discharged_at": moment(2020, 3, 9, 15, 0),
        "sex": "F",
        "birth_date": dt.date(1950, 1, 31),
        "ethnicity": "Maori",
        "codes": ["J18.9"],
        "reason": "?pneumonia, Ann Testcase of Papatoetoe",
        "surname": "Testcase",
        "given_names": "Ann Mary",
        "address": "12 Example Street",
        **changes,
    }
    return pl.DataFrame([row])


def only(frame: pl.DataFrame, column: str) -> object:
    return frame[column].item()


def test_no_identifier_is_left_in_admissions() -> None:
    clean, _ = pseudonymise_records("admissions", admissions(), NAMES, Policy())
    text = str(clean.to_dicts()).lower()
    assert [
        word for word in ("zzz0016", "ev-1", "testcase", "ann", "papatoetoe", "example", "1950") if word in text
    ] == []
    assert clean.columns[0] == "patient_id"
    assert only(clean, "patient_id") == NAMES.patient("ZZZ0016")


def test_dates_of_a_patient_move_together() -> None:
    clean, _ = pseudonymise_records("admissions", admissions(), NAMES, Policy())
    assert only(clean, "admitted_at") == moment(2020, 3, 2, 8, 30) + SHIFT
    assert only(clean, "discharged_at") == moment(2020, 3, 9, 15, 0) + SHIFT
    assert only(clean, "birth_date") == dt.date(1950, 1, 31) + SHIFT


def test_the_same_patient_moves_alike_in_every_table() -> None:
    vitals = pl.DataFrame({"nhi": ["ZZZ0016"], "measured_at": [moment(2020, 3, 2, 9, 0)], "bmi": [24.5]})
    clean, _ = pseudonymise_records("vitals", vitals, NAMES, Policy())
    admitted, _ = pseudonymise_records("admissions", admissions(), NAMES, Policy())
    assert only(clean, "measured_at") - only(admitted, "admitted_at") == dt.timedelta(minutes=30)  # type: ignore[operator]  # both are datetimes
    assert only(clean, "patient_id") == only(admitted, "patient_id")
    assert only(clean, "bmi") == 24.5


def test_what_was_removed_is_named_by_kind() -> None:
    _, removed = pseudonymise_records("admissions", admissions(), NAMES, Policy())
    assert sorted(removed.rows.select("kind", "value").rows()) == [
        ("address", "12 Example Street"),
        ("birth_date", "19500131"),
        ("event", "EV-1"),
        ("name", "Testcase^Ann Mary"),
        ("nhi", "ZZZ0016"),
    ]


def test_reads_lose_their_words_and_keep_their_finding() -> None:
    reads = pl.DataFrame(
        {
            "nhi": ["ZZZ0016"],
            "accession_number": ["RAD-1"],
            "acquired_at": [moment(2020, 3, 2, 10, 0)],
            "request": ["CXR erect, cough, ph 0215550123"],
            "finding": ["pneumonia"],
            "report": ["Ann Testcase has pneumonia"],
            "sop_instance_uid": ["1.2.3.4"],
        }
    )
    clean, removed = pseudonymise_records("reads", reads, NAMES, Policy())
    assert clean.to_dicts() == [
        {
            "patient_id": NAMES.patient("ZZZ0016"),
            "accession_number": NAMES.accession("RAD-1"),
            "acquired_at": moment(2020, 3, 2, 10, 0) + SHIFT,
            "request": "CXR erect, cough",
            "finding": "pneumonia",
            "sop_instance_uid": NAMES.uid("1.2.3.4"),
        }
    ]
    assert ("accession", "RAD-1") in removed.rows.select("kind", "value").rows()


def test_nulls_stay_null_and_rows_keep_their_order() -> None:
    rows = pl.DataFrame(
        {
            "nhi": [f"ZZZ{number:04d}" for number in (3, 1, 2, 1)],
            "specimen_id": ["S1", None, "S2", "S3"],
            "collected_at": [None, moment(2020, 1, 1), None, moment(2020, 1, 2)],
        },
        schema_overrides={"collected_at": pl.Datetime("us")},
    )
    clean, _ = pseudonymise_records("microbiology", rows, NAMES, Policy())
    assert clean["patient_id"].to_list() == [NAMES.patient(nhi) for nhi in rows["nhi"]]
    assert clean["specimen_id"].is_null().to_list() == [False, True, False, False]
    assert clean["collected_at"].is_null().to_list() == [True, False, True, False]
    assert clean.schema["collected_at"] == pl.Datetime("us")


def test_no_age_above_90_follows_from_any_row_of_a_patient() -> None:
    early = admissions(birth_date=dt.date(1925, 6, 1), admitted_at=moment(2012, 1, 1), discharged_at=None)
    late = admissions(birth_date=dt.date(1925, 6, 1), admitted_at=moment(2020, 3, 2), event_id="EV-2")
    clean, _ = pseudonymise_records("admissions", pl.concat([early, late], how="vertical_relaxed"), NAMES, Policy())
    assert clean["birth_date"].n_unique() == 1
    latest = dt.date(2020, 3, 9) + SHIFT
    assert clean["birth_date"][0] == latest.replace(year=latest.year - 90)


def test_at_89_the_birth_date_keeps_the_age_exact() -> None:
    clean, _ = pseudonymise_records("admissions", admissions(birth_date=dt.date(1930, 4, 1)), NAMES, Policy())
    assert only(clean, "birth_date") == dt.date(1930, 4, 1) + SHIFT


def test_a_column_that_the_contract_does_not_name_is_dropped() -> None:
    clean, _ = pseudonymise_records("admissions", admissions(next_of_kin="Bob"), NAMES, Policy())
    assert "next_of_kin" not in clean.columns


def test_a_word_of_the_vocabulary_that_is_the_patients_name_goes() -> None:
    rows = admissions(surname="Chest", reason="Chest pain, Mrs Chest")
    clean, _ = pseudonymise_records("admissions", rows, NAMES, Policy())
    assert only(clean, "reason") == "pain"


def test_free_text_goes_altogether_where_the_policy_says_so() -> None:
    clean, _ = pseudonymise_records("admissions", admissions(), NAMES, Policy(descriptors="remove"))
    assert only(clean, "reason") is None


def test_rows_without_an_nhi_and_unknown_tables_are_refused() -> None:
    with pytest.raises(RemovalError, match="must have an NHI"):
        pseudonymise_records("admissions", admissions(nhi=None), NAMES, Policy())
    with pytest.raises(RemovalError, match="one of admissions"):
        pseudonymise_records("films", admissions(), NAMES, Policy())


def test_an_empty_table_stays_an_empty_table() -> None:
    clean, removed = pseudonymise_records("admissions", admissions().clear(), NAMES, Policy())
    assert clean.height == 0
    assert len(removed) == 0
