"""A film's result as FHIR R4: a DiagnosticReport with an Observation for each number, as one Bundle."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final

from carina.archive import DeskFilm, DeskResult
from carina.service.codes import NOTICE, SCHEME, class_code, own_code
from carina.service.facts import NOT_AUDITED, ModelFacts, ThresholdFacts

__all__ = ["diagnostic_report"]

_SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    SCHEME: "urn:carina:codes",
}
_CATEGORY: Final = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
_STUDY: Final = {"system": "http://loinc.org", "code": "18748-4", "display": "Diagnostic imaging study"}
_ACCESSION: Final = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}
_NAMES: Final = uuid.UUID("8a7f6c1e-6f0b-5d0a-9b5e-3d2f1c4b5a69")


def diagnostic_report(film: DeskFilm, result: DeskResult | None, facts: ModelFacts | None = None) -> dict[str, Any]:
    """Build a FHIR R4 Bundle of one film's result.

    Parameters
    ----------
    film : DeskFilm
    result : DeskResult or None
        None where the film was not judged; the report then says why, without Observations.
    facts : ModelFacts or None
        Of the model that read it, see `carina.service.facts_of`: thresholds and the audit's verdicts.

    Returns
    -------
    dict
        JSON of a ``Bundle`` of type ``collection``: a ``DiagnosticReport`` of status ``preliminary``, and an
        ``Observation`` for the decision, for each class, and for each contrast with a threshold (probability, unit 1,
        the threshold as its reference range, the audit's verdict as its note).

    References
    ----------
    HL7 FHIR R4 (4.0.1): DiagnosticReport, Observation, Bundle.
    """
    at = dt.datetime.fromtimestamp(film.received_at if result is None else result.made_at, dt.UTC)
    issued = at.isoformat(timespec="seconds")
    reading: dict[str, Any] = {} if result is None else result.reading
    about = {
        "status": "preliminary",
        "subject": {"identifier": {"value": film.patient_id or "unknown"}},
        "effectiveDateTime": issued,
    }
    observations = [] if result is None else _observations(film, reading, facts, about)
    key = f"{film.entry_id}:{(reading.get('model') or {}).get('sha256', 'none')}"
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        **about,
        "code": {"coding": [_STUDY], "text": NOTICE},
        "issued": issued,
        "imagingStudy": [_of_uid(film.study_uid)],
        "result": [{"reference": _url(key, each["id"])} for each in observations],
        "conclusion": _conclusion(film, reading, facts),
    }
    if not observations:
        del report["result"]
    if film.accession_number:
        report["identifier"] = [{"type": {"coding": [_ACCESSION]}, "value": film.accession_number}]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": issued,
        "entry": [{"fullUrl": _url(key, each["id"]), "resource": each} for each in (report, *observations)],
    }


def _observations(
    film: DeskFilm, reading: dict[str, Any], facts: ModelFacts | None, about: dict[str, Any]
) -> list[dict[str, Any]]:
    model = reading.get("model") or {}
    device = f"Carina, model {model.get('name')} {model.get('version')}, {model.get('sha256')}"
    return [
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            **about,
            "category": [{"coding": [_CATEGORY]}],
            "device": {"display": device},
            "derivedFrom": [_of_uid(film.sop_instance_uid)],
            **value,
        }
        for number, value in enumerate(_values(reading, facts), start=1)
    ]


def _values(reading: dict[str, Any], facts: ModelFacts | None) -> list[dict[str, Any]]:
    decided = str(reading.get("decision") or "refused")
    notes = [NOTICE] if facts is None else [NOTICE, *facts.sentences()]
    values: list[dict[str, Any]] = [
        {
            "code": _concept(own_code("decision", "Decision of the model")),
            "valueCodeableConcept": _concept(own_code(decided, decided.replace("_", " "))),
            "note": [{"text": each} for each in notes],
        }
    ]
    for name, value in (reading.get("probabilities") or {}).items():
        concept = _concept(class_code(name)) | {"text": f"Probability of {name.replace('_', ' ')}"}
        values.append({"code": concept, "valueQuantity": _quantity(value)})
    contrasts = reading.get("contrasts") or {}
    for name, each in ({} if facts is None else facts.thresholds).items():
        if name in contrasts and facts is not None:
            concept = _concept(own_code(name, name.replace("_", " "))) | {"text": f"Probability: {_words(name)}"}
            values.append(
                {
                    "code": concept,
                    "valueQuantity": _quantity(contrasts[name]),
                    "referenceRange": [_range(each)],
                    "note": [{"text": f"Shortcut audit of the model: {facts.verdict(name)}"}],
                }
            )
    return values


def _conclusion(film: DeskFilm, reading: dict[str, Any], facts: ModelFacts | None) -> str:
    why = str(reading.get("reason") or film.reason or "No reason given").rstrip(".")
    told = [] if not reading else [f"Shortcut audit of the model: {_audit(facts)}"]
    return ". ".join([NOTICE, why, *told]) + "."


def _audit(facts: ModelFacts | None) -> str:
    if facts is None or not facts.verdicts:
        return NOT_AUDITED
    return ", ".join(f"{_words(name)} {verdict}" for name, verdict in facts.verdicts.items())


def _range(each: ThresholdFacts) -> dict[str, Any]:
    told = [f"below {each.low:.4f} no, from {each.high:.4f} yes"]
    if each.sensitivity is not None and each.specificity is not None:
        told.append(f"sensitivity {each.sensitivity:.3f} and specificity {each.specificity:.3f} where it was chosen")
    return {"high": _quantity(each.low), "text": "; ".join(told)}


def _quantity(value: float) -> dict[str, Any]:
    return {"value": round(value, 6), "system": "http://unitsofmeasure.org", "code": "1", "unit": "1"}


def _of_uid(uid: str | None) -> dict[str, Any]:
    if not uid:
        return {"display": "not named by the film"}
    return {"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}}


def _url(key: str, name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(_NAMES, f'{key}:{name}')}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _concept(code: Any) -> dict[str, Any]:
    coding = {"system": _SYSTEMS[code.scheme_designator], "code": code.value, "display": code.meaning}
    return {"coding": [coding], "text": code.meaning}
