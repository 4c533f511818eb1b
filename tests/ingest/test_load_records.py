"""Records into a research study: linked, held to limits, pseudonymous."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from carina.archive import Study
from carina.deidentify import Linkage, Pseudonymiser, load_key
from carina.errors import ArchiveError, RecordsError
from carina.ingest import ingest_films, load_records
from carina.records import SCHEMAS
from carina.settings import IngestSettings, Settings

_DAY = dt.datetime(2020, 4, 1, 8, 0)  # noqa: DTZ001 - local, as in hospitals


def _admissions(*nhis: str, code: str = "J18.9") -> pl.DataFrame:
    rows = [
        {
            "nhi": nhi,
            "event_id": f"EV-{nhi}",
            "admitted_at": _DAY,
            "discharged_at": _DAY + dt.timedelta(days=3),
            "sex": "F",
            "birth_date": dt.date(1950, 6, 15),
            "ethnicity": "Other",
            "codes": [code],
            "surname": f"Synthetica{nhi[-2:]}",
        }
        for nhi in nhis
    ]
    return pl.DataFrame(rows, schema=SCHEMAS["admissions"])


def _reads(**by_accession: str) -> pl.DataFrame:
    rows = [
        {"nhi": nhi, "accession_number": accession, "finding": "pneumonia", "report": "Consolidation. Dr Synthetica"}
        for accession, nhi in by_accession.items()
    ]
    return pl.DataFrame(rows, schema=SCHEMAS["reads"])


@pytest.fixture
def filled(research: Study, tmp_path: Path, make_dicom: Callable[..., bytes]) -> Study:
    """A research study with two films of two patients."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(make_dicom(1))
    (folder / "b.dcm").write_bytes(make_dicom(2, PatientID="ZZZ00BZ", PatientName="OTHERCASE^SYNTHETIC"))
    assert ingest_films(research, [folder], gate=False).accepted == 2
    return research


def test_films_and_records_are_linked_and_who_stays_alone_is_listed(filled: Study) -> None:
    names = Pseudonymiser(load_key(filled.keys))
    report = load_records(
        filled,
        {
            "admissions": _admissions("ZZZ00AX", "ZZZ00CW"),
            "reads": _reads(ACC00001="ZZZ00AX", ACC00009="ZZZ00AX"),
        },
    )
    other = filled.archive.films().filter(patient_id=names.patient("ZZZ00BZ"))["film_id"].to_list()
    assert (report.films, report.linked) == (2, 1)
    assert report.unmatched == {
        "films_without_admission": other,
        "patients_without_film": [names.patient("ZZZ00CW")],
        "films_without_read": other,
        "reads_without_film": [names.accession("ACC00009")],
    }
    assert len(report.warnings) == 2
    assert "1 of 2 films are linked with their records" in report.sentences()


def test_stored_records_hold_no_identifier_and_the_linkage_does(filled: Study) -> None:
    load_records(filled, {"admissions": _admissions("ZZZ00AX", "ZZZ00BZ"), "reads": _reads(ACC00001="ZZZ00AX")})
    stored = filled.archive.records("admissions").collect()
    names = Pseudonymiser(load_key(filled.keys))
    assert set(stored["patient_id"]) == {names.patient("ZZZ00AX"), names.patient("ZZZ00BZ")}
    assert not {"nhi", "surname", "given_names", "address"} & set(stored.columns)
    assert "report" not in filled.archive.records("reads").collect_schema()
    everything = b"".join(data for _, data in filled.archive.dump_rows())
    everything += b"".join(path.read_bytes() for path in filled.folder.rglob("*") if path.is_file())
    for word in (b"ZZZ00AX", b"ZZZ00BZ", b"Synthetica", b"ACC00001", b"EV-ZZZ"):
        assert word not in everything
    with Linkage(filled.keys) as linkage:
        kept = {value for _, _, value in linkage}
    assert {"ZZZ00AX", "ZZZ00BZ", "ACC00001", "EV-ZZZ00AX", "SyntheticaAX"} <= kept


def test_the_removal_is_in_the_audit_log_by_counts(filled: Study) -> None:
    load_records(filled, {"admissions": _admissions("ZZZ00AX", "ZZZ00BZ")})
    entries = {each.event: json.loads(each.details) for each in filled.archive.audit_log()}
    kinds = entries["identifiers_removed"]["kinds"]
    assert (kinds["nhi"], kinds["event"], kinds["name"]) == (2, 2, 2)
    assert entries["records_loaded"]["tables"] == {"admissions": {"rows": 2, "version": 1}}
    assert filled.archive.verify_audit() == []


def test_the_same_extract_again_changes_nothing(filled: Study) -> None:
    rows = _admissions("ZZZ00AX", "ZZZ00BZ")
    first = load_records(filled, {"admissions": rows})
    head = filled.archive.audit_head()
    files = sorted(filled.store.list())
    again = load_records(filled, {"admissions": rows.reverse()})
    assert (first.tables["admissions"].changed, again.tables["admissions"].changed) == (True, False)
    assert again.tables["admissions"].version == 1
    assert filled.archive.audit_head() == head
    assert sorted(filled.store.list()) == files


def test_a_corrected_extract_makes_a_new_version_under_the_same_pseudonyms(filled: Study) -> None:
    load_records(filled, {"admissions": _admissions("ZZZ00AX", "ZZZ00BZ")})
    report = load_records(filled, {"admissions": _admissions("ZZZ00AX", "ZZZ00BZ", code="J15.1")})
    assert (report.tables["admissions"].version, report.linked) == (2, 2)
    assert filled.archive.records("admissions").collect()["codes"].to_list() == [["J15.1"]] * 2


def test_a_later_table_is_linked_with_those_loaded_before(filled: Study) -> None:
    load_records(filled, {"admissions": _admissions("ZZZ00AX", "ZZZ00BZ")})
    report = load_records(filled, {"reads": _reads(ACC00001="ZZZ00AX", ACC00002="ZZZ00BZ")})
    assert report.linked == 2
    assert report.counts["films_without_admission"] == 0


def test_records_of_another_hospital_are_refused_and_nothing_is_stored(filled: Study) -> None:
    before = sorted(filled.store.list())
    with pytest.raises(RecordsError, match=r"2 of 2 films whose patient has no admission \(100%\)"):
        load_records(filled, {"admissions": _admissions("ZZZ00CW")})
    assert filled.archive.record_set("admissions") is None
    assert sorted(filled.store.list()) == before
    with Linkage(filled.keys) as linkage:
        assert linkage.patients_of("nhi", "ZZZ00CW") == []
    assert filled.archive.audit_log()[-1].event == "records_refused"


def test_the_limit_of_unlinked_films_is_a_setting(filled: Study) -> None:
    strict = Settings(ingest=IngestSettings(unlinked_refuse=0.4))
    with pytest.raises(RecordsError, match="limit unlinked_refuse of 40%"):
        load_records(filled, {"admissions": _admissions("ZZZ00AX")}, settings=strict)
    assert load_records(filled, {"admissions": _admissions("ZZZ00AX")}).tables["admissions"].version == 1


def test_records_may_come_before_any_film(research: Study) -> None:
    report = load_records(research, {"admissions": _admissions("ZZZ00AX")})
    assert (report.films, len(report.unmatched["patients_without_film"])) == (0, 1)


def test_a_service_study_takes_no_records(service: Study) -> None:
    with pytest.raises(ArchiveError, match="into a research study"):
        load_records(service, {"admissions": _admissions("ZZZ00AX")})


@pytest.mark.parametrize("extracts", [{}, {"films": pl.DataFrame({"nhi": ["ZZZ00AX"]})}])
def test_an_unknown_table_is_refused(research: Study, extracts: dict[str, pl.DataFrame]) -> None:
    with pytest.raises(RecordsError, match="admissions, vitals, reads, microbiology"):
        load_records(research, extracts)
