"""FHIR R4 resources become the same rows as extracts, under the same checks."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.errors import RecordsError
from carina.records import Extract, check_contract, read_fhir, read_fhir_files

NHI = "https://standards.digital.health.nz/ns/nhi-id"
ETHNICITY = "http://hl7.org.nz/fhir/StructureDefinition/nz-ethnicity"
at = dt.datetime.fromisoformat
ICD = "http://hl7.org/fhir/sid/icd-10"


def patient(**changes: Any) -> dict[str, Any]:
    ethnic = [{"url": ETHNICITY, "valueCodeableConcept": {"coding": [{"code": code}]}} for code in ("11111", "21111")]
    return {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": "urn:other", "value": "7"}, {"system": NHI, "value": "ZZZ0016"}],
        "gender": "female",
        "birthDate": "1950-04-03",
        "name": [{"use": "nickname", "family": "No"}, {"use": "official", "family": "Testcase", "given": ["Ada", "B"]}],
        "address": [{"line": ["1 Test Street"], "city": "Testville"}],
        "extension": ethnic,
        **changes,
    }


def encounter(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p"},
        "period": {"start": "2020-03-01T10:00:00+13:00", "end": "2020-03-05T00:00:00Z"},
        "diagnosis": [
            {"condition": {"reference": "Condition/c2"}, "rank": 2},
            {"condition": {"reference": "Condition/c1"}, "rank": 1},
        ],
        "reasonCode": [{"text": "?pneumonia"}],
        **changes,
    }


def condition(name: str, code: str, **changes: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": name, "code": {"coding": [{"system": ICD, "code": code}]}, **changes}


def observation(name: str, code: str, value: float, unit: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2020-03-01T11:00:00+13:00",
        "valueQuantity": {"value": value, "code": unit},
        **changes,
    }


def result(code: str, **changes: Any) -> dict[str, Any]:
    made = observation("r", code, 0, "")
    made.pop("valueQuantity")
    made.pop("effectiveDateTime")
    return {
        **made,
        "category": [{"coding": [{"code": "laboratory"}]}],
        "specimen": {"reference": "Specimen/s"},
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "260373001"}]},
        **changes,
    }


SPECIMEN = {
    "resourceType": "Specimen",
    "id": "s",
    "accessionIdentifier": {"value": "L1"},
    "type": {"text": "Nasopharyngeal swab"},
    "collection": {"collectedDateTime": "2020-03-01T12:00:00+13:00"},
}
STUDY = {
    "resourceType": "ImagingStudy",
    "id": "i",
    "status": "available",
    "identifier": [{"value": "x"}, {"type": {"coding": [{"code": "ACSN"}]}, "value": "A1"}],
    "subject": {"reference": "Patient/p"},
    "started": "2020-03-01T12:00:00+13:00",
    "modality": [{"code": "DX"}],
}
REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "d",
    "status": "final",
    "category": [{"coding": [{"code": "RAD"}]}],
    "subject": {"reference": "Patient/p"},
    "imagingStudy": [{"reference": "ImagingStudy/i"}],
    "issued": "2020-03-01T15:00:00+13:00",
    "conclusion": "Right lower lobe consolidation.",
}


def read(tmp_path: Path, *resources: Any) -> dict[str, Extract]:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}))
    return read_fhir(file)


def listed(extract: Extract) -> list[tuple[int, str]]:
    return extract.rejected.select("line", "column").rows()


def test_patient_encounter_and_conditions_make_an_admission(tmp_path: Path) -> None:
    found = read(tmp_path, patient(), encounter(), condition("c1", "J18.9"), condition("c2", "I50.0"))
    row = found["admissions"].rows.row(0, named=True)
    assert row == {
        "nhi": "ZZZ0016",
        "event_id": "e",
        "admitted_at": at("2020-03-01T10:00:00"),
        "discharged_at": at("2020-03-05T13:00:00"),
        "sex": "F",
        "birth_date": dt.date(1950, 4, 3),
        "ethnicity": "Maori",
        "codes": ["J18.9", "I50.0"],
        "reason": "?pneumonia",
        "surname": "Testcase",
        "given_names": "Ada B",
        "address": "1 Test Street, Testville",
    }


def test_a_diagnosis_that_cannot_be_read_rejects_its_admission(tmp_path: Path) -> None:
    snomed = {"resourceType": "Condition", "id": "c1", "code": {"coding": [{"system": "sct", "code": "233604007"}]}}
    found = read(tmp_path, patient(), encounter(), snomed, condition("c2", "I50.0"))
    assert listed(found["admissions"]) == [(2, "codes")]


def test_refuted_conditions_and_problem_lists_are_no_diagnoses(tmp_path: Path) -> None:
    refuted = condition(
        "c3", "J12.8", verificationStatus={"coding": [{"code": "refuted"}]}, encounter={"reference": "Encounter/e"}
    )
    problem = condition(
        "c4", "J45.9", category=[{"coding": [{"code": "problem-list-item"}]}], encounter={"reference": "Encounter/e"}
    )
    other = condition("c5", "E11.9", encounter={"reference": "Encounter/e"})
    found = read(tmp_path, patient(), encounter(diagnosis=[]), refuted, problem, other)
    assert found["admissions"].rows["codes"].to_list() == [["E11.9"]]


def test_a_patient_without_an_nhi_is_listed(tmp_path: Path) -> None:
    found = read(tmp_path, patient(identifier=[{"system": "urn:other", "value": "ZZZ0016"}]), encounter(diagnosis=[]))
    assert listed(found["admissions"]) == [(1, "nhi"), (2, "nhi")]


def test_outpatient_encounters_are_counted_not_read(tmp_path: Path) -> None:
    found = read(tmp_path, patient(), encounter(diagnosis=[]), encounter(id="o", **{"class": {"code": "AMB"}}))
    assert found["admissions"].rows.height == 1
    assert found["admissions"].notes == ("1 x Encounter: not an admission by its class",)


def test_observations_of_one_moment_make_one_row_in_our_units(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        patient(),
        observation("w", "29463-7", 176.37, "[lb_av]"),
        observation("h", "8302-2", 1.72, "m"),
        observation("t", "8310-5", 98.6, "[degF]"),
        observation("later", "9279-1", 18, "/min", effectiveDateTime="2020-03-02T11:00:00+13:00"),
    )
    first, second = found["vitals"].rows.rows(named=True)
    assert first["weight_kg"] == pytest.approx(80.0, abs=0.01)
    assert first["height_cm"] == 172.0
    assert first["temperature_c"] == pytest.approx(37.0)
    assert (second["respiratory_rate"], second["height_cm"]) == (18.0, None)


def test_an_unknown_unit_and_a_missing_number_are_listed(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        patient(),
        observation("w", "29463-7", 12, "stone"),
        observation("h", "8302-2", 1, "m", valueQuantity={}),
    )
    assert listed(found["vitals"]) == [(2, "weight_kg"), (3, "height_cm")]


def test_a_result_takes_time_and_kind_from_its_specimen(tmp_path: Path) -> None:
    found = read(tmp_path, patient(), result("94500-6"), SPECIMEN)
    assert found["microbiology"].rows.row(0) == (
        "ZZZ0016",
        "L1",
        at("2020-03-01T12:00:00"),
        "nasopharyngeal_swab",
        "pcr",
        "SARS-CoV-2",
        "positive",
    )


def test_a_result_without_any_time_is_rejected(tmp_path: Path) -> None:
    found = read(tmp_path, patient(), result("94500-6"), {**SPECIMEN, "collection": {}})
    assert listed(found["microbiology"]) == [(2, "collected_at")]


def test_the_value_of_a_culture_is_what_grew(tmp_path: Path) -> None:
    grew = result("600-7", id="g", valueCodeableConcept={"text": "Streptococcus pneumoniae"})
    nothing = result(
        "600-7", id="n", valueCodeableConcept={"coding": [{"code": "264868006"}]}, specimen={"reference": "Specimen/t"}
    )
    blood = {**SPECIMEN, "type": {"text": "Blood"}}
    found = read(
        tmp_path, patient(), grew, nothing, blood, {**blood, "id": "t", "accessionIdentifier": {"value": "L2"}}
    )
    assert found["microbiology"].rows.select("organism", "result").rows() == [
        ("Streptococcus pneumoniae", "positive"),
        ("none", "negative"),
    ]


def test_a_report_and_its_study_make_a_read(tmp_path: Path) -> None:
    row = read(tmp_path, patient(), STUDY, REPORT)["reads"].rows.row(0, named=True)
    assert row["accession_number"] == "A1"
    assert (row["acquired_at"], row["read_at"]) == (at("2020-03-01T12:00:00"), at("2020-03-01T15:00:00"))
    assert (row["finding"], row["finding_source"]) == ("pneumonia", "text")


def test_a_coded_conclusion_comes_before_the_text(tmp_path: Path) -> None:
    coded = {**REPORT, "conclusionCode": [{"coding": [{"code": "168734001"}]}]}
    row = read(tmp_path, patient(), STUDY, coded)["reads"].rows.row(0, named=True)
    assert (row["finding"], row["finding_source"]) == ("none", "coded")


def test_a_report_may_be_presented_as_text(tmp_path: Path) -> None:
    form = {"contentType": "text/plain", "data": base64.b64encode(b"No consolidation.").decode()}
    report = {key: value for key, value in REPORT.items() if key != "conclusion"} | {"presentedForm": [form]}
    assert read(tmp_path, patient(), STUDY, report)["reads"].rows["finding"].to_list() == ["none"]


def test_a_study_without_a_report_is_a_read_without_a_finding(tmp_path: Path) -> None:
    found = read(tmp_path, patient(), STUDY, {**STUDY, "id": "ct", "modality": [{"code": "CT"}]})
    assert found["reads"].rows.select("accession_number", "finding").rows() == [("A1", None)]


def test_ndjson_lists_the_lines_that_are_no_resource(tmp_path: Path) -> None:
    file = tmp_path / "export.ndjson"
    file.write_text("\n".join([json.dumps(patient()), "{broken", "", '{"a": 1}', json.dumps(encounter(diagnosis=[]))]))
    found = read_fhir(file)["admissions"]
    assert found.rows.height == 1
    assert listed(found) == [(2, ""), (4, "")]


def test_files_may_refer_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "patients.ndjson").write_text(json.dumps(patient()))
    (tmp_path / "encounters.ndjson").write_text(json.dumps(encounter(diagnosis=[])))
    found = read_fhir_files([tmp_path / "encounters.ndjson", tmp_path / "patients.ndjson"])
    assert found["admissions"].rows["nhi"].to_list() == ["ZZZ0016"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"resourceType": "Bundle"}', b"[" * 100_000])
def test_a_file_without_resources_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RecordsError, match="R4"):
        read_fhir(tmp_path / "a.json")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["reference", "code", "coding", "value"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_cells_of_any_kind_are_listed_never_a_crash(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = [
        patient(),
        encounter(),
        condition("c1", "J18.9"),
        observation("w", "29463-7", 80, "kg"),
        result("600-7"),
        SPECIMEN,
        STUDY,
        REPORT,
    ]
    resources = [dict(one) for one in whole]
    target = data.draw(st.sampled_from(resources))
    target[data.draw(st.sampled_from(sorted(set(target) - {"resourceType"})))] = data.draw(JUNK)
    found = read(tmp_path_factory.mktemp("junk"), *resources)
    for table, extract in found.items():
        check_contract(table, extract.rows)
