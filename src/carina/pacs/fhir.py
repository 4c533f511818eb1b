"""A reading as FHIR R4: a DiagnosticReport with an Observation for each probability, as one Bundle."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from pydicom.dataset import Dataset

from carina.imaging.header import text
from carina.inference import Bundle, Judged
from carina.pacs.codes import SCHEME, class_code, own_code
from carina.pacs.picture import NOTICE

__all__ = ["diagnostic_report"]

_SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    SCHEME: "urn:carina:codes",
}
_CATEGORY: Final = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
_STUDY: Final = {"system": "http://loinc.org", "code": "18748-4", "display": "Diagnostic imaging study"}


def diagnostic_report(source: Dataset, judged: Judged, bundle: Bundle, made_at: dt.datetime) -> dict[str, Any]:
    """Build a FHIR R4 Bundle of one film's results.

    Parameters
    ----------
    source : Dataset
        Header of the film.
    judged : Judged
    bundle : Bundle
    made_at : datetime
        With its offset from UTC.

    Returns
    -------
    dict
        JSON of a ``Bundle`` of type ``collection``: a ``DiagnosticReport`` of status ``preliminary``, and an
        ``Observation`` for each class (probability, unit 1) and for the decision.

    Raises
    ------
    ValueError
        If `made_at` has no offset from UTC, which FHIR's instant must have.

    References
    ----------
    HL7 FHIR R4 (4.0.1): DiagnosticReport, Observation, Bundle.
    """
    if made_at.tzinfo is None:
        raise ValueError("a FHIR instant must have its offset from UTC; give a datetime with a time zone")
    at = made_at.isoformat(timespec="seconds")
    film = text(source, "SOPInstanceUID") or ""
    about = {
        "status": "preliminary",
        "subject": {"identifier": {"value": text(source, "PatientID") or "unknown"}},
        "effectiveDateTime": at,
    }
    device = {"display": f"Carina, model {bundle.name} {bundle.version}, {bundle.model_sha256[:12]}"}
    observations = [
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            **about,
            "category": [{"coding": [_CATEGORY]}],
            "code": code,
            "device": device,
            "derivedFrom": [{"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{film}"}}],
            **value,
        }
        for number, (code, value) in enumerate(_values(judged), start=1)
    ]
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        **about,
        "code": {"coding": [_STUDY], "text": NOTICE},
        "issued": at,
        "imagingStudy": [
            {"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{text(source, 'StudyInstanceUID') or ''}"}}
        ],
        "result": [{"reference": f"Observation/{each['id']}"} for each in observations],
        "conclusion": f"{NOTICE}. {judged.reading.reason or 'No reason given.'}",
    }
    accession = text(source, "AccessionNumber")
    if accession:
        report["identifier"] = [
            {
                "type": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}],
                },
                "value": accession,
            }
        ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": at,
        "entry": [
            {"fullUrl": f"urn:carina:{film}:{bundle.model_sha256[:12]}:{each['id']}", "resource": each}
            for each in (report, *observations)
        ],
    }


def _values(judged: Judged) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    reading = judged.reading
    decided = reading.decision or "refused"
    values: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (
            _concept(own_code("decision", "Decision of the model")),
            {"valueCodeableConcept": _concept(own_code(decided, decided.replace("_", " ")))},
        )
    ]
    for name, value in (reading.probabilities or {}).items():
        concept = _concept(class_code(name))
        concept["text"] = f"Probability of {name.replace('_', ' ')}"
        quantity = {"value": round(value, 6), "system": "http://unitsofmeasure.org", "code": "1", "unit": "1"}
        values.append((concept, {"valueQuantity": quantity}))
    return values


def _concept(code: Any) -> dict[str, Any]:
    coding = {"system": _SYSTEMS[code.scheme_designator], "code": code.value, "display": code.meaning}
    return {"coding": [coding], "text": code.meaning}
