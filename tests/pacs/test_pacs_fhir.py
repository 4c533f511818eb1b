"""FHIR R4: what a receiver of the report reads."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from pydicom.dataset import Dataset

from carina.inference import Bundle, Judged
from carina.pacs.fhir import diagnostic_report

AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def test_each_probability_is_an_observation(read: tuple[Dataset, Judged], bundle: Bundle) -> None:
    made = json.loads(json.dumps(diagnostic_report(*read, bundle, AT), allow_nan=False))
    resources = [each["resource"] for each in made["entry"]]
    assert [each["resourceType"] for each in resources] == ["DiagnosticReport", *["Observation"] * 5]
    values = {each["code"]["coding"][0]["code"]: each.get("valueQuantity") for each in resources[1:]}
    probabilities = read[1].reading.probabilities
    assert probabilities is not None
    assert values["840539006"] == {
        "value": round(probabilities["covid19"], 6),
        "system": "http://unitsofmeasure.org",
        "code": "1",
        "unit": "1",
    }


def test_the_report_names_its_observations_and_is_preliminary(read: tuple[Dataset, Judged], bundle: Bundle) -> None:
    resources = [each["resource"] for each in diagnostic_report(*read, bundle, AT)["entry"]]
    named = [each["reference"] for each in resources[0]["result"]]
    assert named == [f"Observation/{each['id']}" for each in resources[1:]]
    assert {each["status"] for each in resources} == {"preliminary"}
    assert resources[0]["issued"] == "2026-01-02T03:04:05+00:00"


def test_a_time_without_a_zone_is_refused(read: tuple[Dataset, Judged], bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        diagnostic_report(*read, bundle, AT.replace(tzinfo=None))
