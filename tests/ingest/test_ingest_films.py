"""Films into a study: what is stored, what is refused, and that nothing is taken twice."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from carina.archive import Study, create_study
from carina.deidentify import Pseudonymiser, load_key
from carina.errors import ArchiveError, InputError, RemovalError
from carina.ingest import ingest_films
from carina.settings import Limits, Settings

Make = Callable[..., bytes]


def _write(folder: Path, **files: bytes) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.dcm").write_bytes(data)
    return folder


def test_a_service_study_keeps_films_as_they_are(service: Study, export: Path) -> None:
    summary = ingest_films(service, [export], gate=False)
    assert (summary.sources, summary.accepted, summary.ignored, summary.exit_status) == (4, 4, 1, 0)
    original = (export / "film1.dcm").read_bytes()
    (row,) = service.archive.films().filter(sop_instance_uid="1.2.3.1").to_dicts()
    assert row["film_id"] == hashlib.sha256(original).hexdigest()
    assert service.store.read(row["path"]) == original
    expected = {
        "patient_id": "ZZZ00AX",
        "study_uid": "1.2.4.1",
        "series_uid": "1.2.5.1",
        "accession_number": "ACC00001",
        "acquired_at": dt.datetime(2020, 4, 1, 8, 45, 12, 500_000),  # noqa: DTZ001 - local, as in hospitals
        "series_number": 1,
        "instance_number": 1,
        "view_position": "PA",
        "sex": "F",
        "modality": "DX",
        "rows": 96,
        "columns": 80,
        "accepted": True,
        "refusal": None,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["age_years"] == pytest.approx(69.8, abs=0.05)
    assert len(row["perceptual_hash"]) == 64


def test_the_same_command_again_takes_nothing_twice(service: Study, export: Path) -> None:
    ingest_films(service, [export], gate=False)
    before = service.archive.films()
    again = ingest_films(service, [export], gate=False)
    assert (again.accepted, again.known, again.duplicates, again.exit_status) == (0, 4, 0, 0)
    assert service.archive.films().equals(before)
    assert len(list(service.store.list("films"))) == 4


def test_several_processes_find_the_same_as_one(service: Study, export: Path, tmp_path: Path) -> None:
    ingest_films(service, [export], gate=False)
    with create_study(tmp_path / "other", "service") as other:
        summary = ingest_films(other, [export], gate=False, workers=2)
        assert summary.accepted == 4
        assert other.archive.films().equals(service.archive.films())


def test_copies_in_one_batch_are_one_film(service: Study, tmp_path: Path, make_dicom: Make) -> None:
    data = make_dicom(1)
    folder = _write(tmp_path / "in", a=data, b=data)
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        archive.writestr("x.dcm", data)
    summary = ingest_films(service, [folder], gate=False)
    assert (summary.sources, summary.accepted, summary.duplicates, summary.known) == (3, 1, 2, 0)


def test_two_films_with_one_uid_in_one_batch_are_kept_apart(service: Study, tmp_path: Path, make_dicom: Make) -> None:
    folder = _write(tmp_path / "in", a=make_dicom(1), b=make_dicom(2, SOPInstanceUID="1.2.3.1"))
    summary = ingest_films(service, [folder], gate=False)
    assert (summary.accepted, summary.changed, summary.exit_status) == (1, 1, 3)
    (listed,) = summary.listed
    assert (Path(listed.place).name, listed.code) == ("b.dcm", "changed_film")
    films = service.archive.films()
    assert films["sop_instance_uid"].to_list() == ["1.2.3.1"] * 2
    assert sorted(films["accepted"].to_list()) == [False, True]
    assert all(service.store.exists(path) for path in films["path"])


def test_a_film_sent_again_with_another_creation_time_is_a_duplicate(
    service: Study, tmp_path: Path, make_dicom: Make
) -> None:
    folder = _write(tmp_path / "in", a=make_dicom(1), b=make_dicom(1, InstanceCreationTime="120000"))
    summary = ingest_films(service, [folder], gate=False)
    assert (summary.accepted, summary.duplicates, summary.exit_status) == (1, 1, 0)
    assert len(list(service.store.list("films"))) == 1


def test_a_film_that_the_rules_refuse_is_kept_with_its_reason(service: Study, tmp_path: Path, make_dicom: Make) -> None:
    folder = _write(tmp_path / "in", a=make_dicom(1, Modality="CT"))
    summary = ingest_films(service, [folder], gate=False)
    assert (summary.accepted, summary.refused, summary.reasons) == (0, 1, {"quality": 1})
    (row,) = service.archive.films().to_dicts()
    assert not row["accepted"]
    assert "Modality is 'CT'" in row["refusal"]
    assert service.store.exists(row["path"])


def test_the_learned_gate_refuses_noise(service: Study, tmp_path: Path, make_dicom: Make) -> None:
    summary = ingest_films(service, [_write(tmp_path / "in", a=make_dicom(1))])
    assert (summary.accepted, summary.refused) == (0, 1)
    assert "does not look like a frontal chest film" in summary.listed[0].reason


def test_files_that_are_no_films_are_listed_and_the_rest_goes_on(
    service: Study, tmp_path: Path, make_dicom: Make
) -> None:
    folder = _write(tmp_path / "in", a=b"", b=make_dicom(2)[:-100], c=make_dicom(3), d=b"text")
    summary = ingest_films(service, [folder], gate=False)
    assert (summary.accepted, summary.unreadable, summary.exit_status) == (1, 3, 3)
    assert summary.reasons == {"empty": 1, "truncated": 1, "not_a_picture": 1}
    assert service.archive.films().height == 1
    again = ingest_films(service, [folder], gate=False)
    assert (again.known, again.known_refused, again.exit_status) == (4, 3, 3)


def test_a_file_over_a_limit_is_tried_again_under_a_higher_one(
    service: Study, tmp_path: Path, make_dicom: Make
) -> None:
    folder = _write(tmp_path / "in", a=make_dicom(1))
    tight = Settings(limits=Limits(samples=1024))
    assert ingest_films(service, [folder], gate=False, settings=tight).reasons == {"too_many_samples": 1}
    assert ingest_films(service, [folder], gate=False).accepted == 1
    assert service.archive.refusals().height == 0


def test_a_research_study_holds_films_without_their_identifiers(
    research: Study, tmp_path: Path, make_dicom: Make
) -> None:
    data = make_dicom(1)
    folder = _write(tmp_path / "in", a=data)
    summary = ingest_films(research, [folder], gate=False)
    assert (summary.accepted, summary.exit_status) == (1, 0)
    key = load_key(research.keys)
    (row,) = research.archive.films().to_dicts()
    names = Pseudonymiser(key)
    assert row["patient_id"] == names.patient("ZZZ00AX")
    assert row["accession_number"] == names.accession("ACC00001")
    assert row["sop_instance_uid"] == names.uid("1.2.3.1")
    taken = dt.datetime(2020, 4, 1, 8, 45, 12, 500_000)  # noqa: DTZ001 - local, as in hospitals
    assert row["acquired_at"] == taken + names.shift("ZZZ00AX")
    for path in research.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [
                word for word in (b"TESTCASE", b"ZZZ00AX", b"ACC00001", b"1.2.3.1", b"20200401") if word in content
            ]
    # the ledger's key is no plain hash: who holds the film cannot find it in the study
    (source,) = research.archive.sources()["source_key"]
    digest = hashlib.sha256(data).digest()
    assert source != digest.hex()
    assert source == hmac.new(key, b"carina/1/source\0" + digest, hashlib.sha256).hexdigest()


def test_a_film_without_a_patient_is_refused_from_a_research_study(
    research: Study, tmp_path: Path, make_dicom: Make
) -> None:
    summary = ingest_films(research, [_write(tmp_path / "in", a=make_dicom(1, PatientID=""))], gate=False)
    assert (summary.unreadable, summary.exit_status) == (1, 3)
    assert list(research.store.list()) == []


def test_a_picture_says_not_whose_it_is_and_stays_out_of_a_research_study(
    research: Study, service: Study, tmp_path: Path, make_film: Callable[..., Path]
) -> None:
    picture = make_film(tmp_path / "in" / "a.png", seed=1, shape=(96, 80))
    assert ingest_films(research, [picture], gate=False).reasons == {"no_patient": 1}
    assert ingest_films(service, [picture], gate=False).accepted == 1
    assert service.archive.films()["patient_id"].to_list() == [None]


def test_films_pass_from_a_service_study_into_a_research_study(
    service: Study, research: Study, tmp_path: Path, make_dicom: Make
) -> None:
    ingest_films(service, [_write(tmp_path / "in", a=make_dicom(1))], gate=False)
    assert ingest_films(research, service=service.folder, gate=False).accepted == 1
    assert research.archive.films()["patient_id"].to_list()[0].startswith("P")
    assert ingest_films(research, service=service.folder, gate=False).known == 1


def test_films_do_not_pass_out_of_a_research_study(service: Study, research: Study) -> None:
    with pytest.raises(ArchiveError, match="into a research study alone"):
        ingest_films(service, service=research.folder)
    with pytest.raises(ArchiveError, match="needs a service study"):
        ingest_films(research, service=research.folder)


def test_a_key_that_others_can_read_is_refused_before_anything_is_stored(
    research: Study, tmp_path: Path, make_dicom: Make
) -> None:
    (research.keys / "study.key").chmod(0o640)
    with pytest.raises(RemovalError, match="chmod 600"):
        ingest_films(research, [_write(tmp_path / "in", a=make_dicom(1))], gate=False)
    assert list(research.store.list()) == []


def test_a_source_that_is_not_there_ends_the_command_before_it_begins(service: Study, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ingest_films(service, [tmp_path / "none"])
    assert service.archive.clean_orphans() == 0


def test_the_audit_log_counts_and_names_nobody(research: Study, tmp_path: Path, make_dicom: Make) -> None:
    ingest_films(research, [_write(tmp_path / "ZZZ00AX", a=make_dicom(1), b=b"")], gate=False)
    entry = research.archive.audit_log()[-1]
    details = json.loads(entry.details)
    assert entry.event == "films_ingested"
    assert (details["accepted"], details["reasons"]) == (1, {"empty": 1})
    assert details["identifiers_removed"] > 0
    assert "ZZZ00AX" not in entry.details
    assert research.archive.verify_audit() == []


def test_progress_is_told_for_every_source(service: Study, export: Path) -> None:
    told: list[tuple[int, int]] = []
    ingest_films(service, [export], gate=False, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
