"""FHIR R4: what a receiver of a film's result reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="the service needs the extra 'web'")

from carina.archive import DeskFilm, DeskResult
from carina.service import ModelFacts, ThresholdFacts, diagnostic_report

FILM = DeskFilm(
    entry_id="0" * 32,
    organisation_id=1,
    film_id="a" * 64,
    path="received/a.dcm",
    source="upload",
    referrer_id=None,
    patient_id="ZZZ0016",
    patient_name=None,
    accession_number="A-1",
    study_uid="1.2.3",
    series_uid="1.2.3.4",
    sop_instance_uid="1.2.3.4.5",
    acquired_at=None,
    received_at=1767323045.0,
    due_at=0.0,
    urgency=0.5,
    state="read",
    decision="covid19",
    code=None,
    reason=None,
    attempts=1,
)
READING = {
    "model": {"name": "m", "version": "2", "sha256": "b" * 12},
    "probabilities": {"normal": 0.25, "covid19": 0.75},
    "contrasts": {"pneumonia": 0.75},
    "decision": "covid19",
    "reason": "above its threshold",
}
RESULT = DeskResult("b" * 12, READING, {}, 1.0, 1767323045.0)
FACTS = ModelFacts(
    "m",
    "2",
    "b" * 64,
    ("normal", "covid19"),
    {"pneumonia": ThresholdFacts(0.25, 0.5, 0.875, 0.75)},
    {"pneumonia": "not supported"},
)


def _resources(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["resource"] for each in json.loads(json.dumps(made, allow_nan=False))["entry"]]


def test_each_probability_and_each_contrast_is_an_observation() -> None:
    resources = _resources(diagnostic_report(FILM, RESULT, FACTS))
    assert [each["resourceType"] for each in resources] == ["DiagnosticReport", *["Observation"] * 4]
    values = {each["code"]["coding"][0]["code"]: each.get("valueQuantity") for each in resources[1:]}
    unit = {"system": "http://unitsofmeasure.org", "code": "1", "unit": "1"}
    assert values["840539006"] == values["pneumonia"] == {"value": 0.75, **unit}


def test_thresholds_and_the_audits_verdict_stand_beside_the_numbers() -> None:
    report, decision, *_, contrast = _resources(diagnostic_report(FILM, RESULT, FACTS))
    assert contrast["referenceRange"][0]["high"]["value"] == 0.25
    assert "sensitivity 0.875 and specificity 0.750" in contrast["referenceRange"][0]["text"]
    assert contrast["note"] == [{"text": "Shortcut audit of the model: not supported"}]
    assert "Shortcut audit of the model: pneumonia not supported" in report["conclusion"]
    assert decision["note"][0]["text"] == "AI result, research use only"


def test_the_report_refers_to_its_observations_by_their_full_urls_and_is_preliminary() -> None:
    made = diagnostic_report(FILM, RESULT, FACTS)
    resources = _resources(made)
    assert [each["reference"] for each in resources[0]["result"]] == [each["fullUrl"] for each in made["entry"][1:]]
    assert {each["status"] for each in resources} == {"preliminary"}
    assert resources[0]["issued"] == "2026-01-02T03:04:05+00:00"
    assert resources[0]["identifier"][0]["value"] == "A-1"


def test_a_film_that_was_refused_gives_a_report_that_says_why() -> None:
    from dataclasses import replace  # noqa: PLC0415 - beside its use

    refused = replace(FILM, state="refused", decision=None, reason="it is no chest film")
    (report,) = _resources(diagnostic_report(refused, None))
    assert report["conclusion"] == "AI result, research use only. it is no chest film."


def test_a_model_without_an_audit_is_said_to_have_none() -> None:
    report = _resources(diagnostic_report(FILM, RESULT, None))[0]
    assert report["conclusion"].endswith("Shortcut audit of the model: not audited.")
