"""FHIR R4 resources to rows in our names, each with the file and line it came from; what cannot be used is listed."""

from __future__ import annotations

import base64
import binascii
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Found", "Place", "Resources", "rows_of"]

Resource = dict[str, Any]
Place = tuple[str, int]
"""File and line (entry of a bundle, line of an NDJSON file)."""

_VOID = {"entered-in-error", "cancelled", "refuted", "nullified"}


@cache
def codes() -> dict[str, Any]:
    """Return the packaged codes."""
    return tomllib.loads(files("carina.records").joinpath("fhir.toml").read_text("utf-8"))


@dataclass
class Found:
    """Rows by table, what was rejected, and what was left aside.

    Attributes
    ----------
    rows : dict of str to list of (Place, dict)
        Rows in our names, cells as FHIR has them.
    rejected : dict of str to list of (Place, str, str)
        Column and reason by table.
    aside : Counter
        Sentences and how often each holds.
    """

    rows: dict[str, list[tuple[Place, dict[str, Any]]]] = field(default_factory=lambda: defaultdict(list))
    rejected: dict[str, list[tuple[Place, str, str]]] = field(default_factory=lambda: defaultdict(list))
    aside: Counter[str] = field(default_factory=Counter)


@dataclass
class Resources:
    """Every resource, by the references that others use for it."""

    listed: list[tuple[Place, Resource]] = field(default_factory=list)
    by_reference: dict[str, Resource] = field(default_factory=dict)

    def add(self, place: Place, resource: Resource, full_url: str | None = None) -> None:
        """Keep a resource under its id and its full URL."""
        self.listed.append((place, resource))
        kind, name = resource.get("resourceType"), resource.get("id")
        if kind and name:
            self.by_reference[f"{kind}/{name}"] = resource
        if full_url:
            self.by_reference[full_url] = resource

    def of(self, kind: str) -> Iterator[tuple[Place, Resource]]:
        """Go through the resources of a kind that are not void."""
        for place, resource in self.listed:
            if resource.get("resourceType") == kind and not _void(resource):
                yield place, resource

    def get(self, reference: Any) -> Resource:
        """Return the resource referred to, empty where it is not here."""
        text = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(text, str):
            return {}
        found = self.by_reference.get(text)
        # An absolute URL ends in the relative one.
        return found or self.by_reference.get("/".join(text.split("/")[-2:]), {})

    def nhi(self, resource: Resource) -> str | None:
        """Return the NHI of a resource's patient."""
        subject = _part(resource, "subject") or _part(resource, "patient")
        return _nhi(self.get(subject)) or _nhi({"identifier": [subject.get("identifier")]})


def rows_of(resources: Resources) -> Found:
    """Turn resources into rows.

    Parameters
    ----------
    resources : Resources

    Returns
    -------
    Found
    """
    found = Found()
    known = {"Patient", "Encounter", "Condition", "Observation", "DiagnosticReport", "ImagingStudy", "Specimen"}
    for place, resource in resources.listed:
        kind = str(resource.get("resourceType"))
        if kind not in known:
            found.aside[f"{kind}: not a resource that is read"] += 1
        elif _void(resource):
            found.aside[f"{kind}: entered in error, cancelled or refuted"] += 1
        elif kind == "Patient" and _nhi(resource) is None:
            reason = f"a Patient must have an NHI: an identifier of the system {codes()['nhi_system']}"
            found.rejected["admissions"].append((place, "nhi", reason))
    _admissions(resources, found)
    _observations(resources, found)
    _reads(resources, found)
    return found


def _void(resource: Resource) -> bool:
    status = _code(resource.get("verificationStatus"))
    return _text(resource, "status") in _VOID or status in _VOID


def _part(resource: Resource, key: str) -> Resource:
    """Return an element that must be an object, empty where it is none."""
    found = resource.get(key)
    return found if isinstance(found, dict) else {}


def _text(resource: Resource, key: str) -> str | None:
    """Return an element that must be a text; of another kind it is written out, for the checks to refuse."""
    found = resource.get(key)
    return None if found is None else str(found)


def _list(value: Any) -> list[Any]:
    return (
        [item for item in value if item is not None]
        if isinstance(value, list)
        else [value]
        if value is not None
        else []
    )


def _codings(concept: Any) -> Iterator[dict[str, Any]]:
    for one in _list(concept):
        if isinstance(one, dict):
            yield from (item for item in _list(one.get("coding")) if isinstance(item, dict))


def _code(concept: Any) -> str | None:
    return next((str(one["code"]) for one in _codings(concept) if one.get("code")), None)


def _words(concept: Any) -> str | None:
    texts = [
        one.get("text") or next((coding.get("display") for coding in _codings(one) if coding.get("display")), None)
        for one in _list(concept)
        if isinstance(one, dict)
    ]
    return "; ".join(str(text) for text in texts if text) or None


def _identifier(resource: Resource, *types: str) -> str | None:
    """Return the value of an identifier of a type, else of the first, else the id."""
    given = [one for one in _list(resource.get("identifier")) if isinstance(one, dict) and one.get("value")]
    typed = [one for one in given if _code(one.get("type")) in types]
    return str((typed or given)[0]["value"]) if given else _text(resource, "id")


def _nhi(patient: Resource) -> str | None:
    system = codes()["nhi_system"]
    held = [
        str(one["value"])
        for one in _list(patient.get("identifier"))
        if isinstance(one, dict) and one.get("system") == system and one.get("value")
    ]
    return held[0] if held else None


def _admissions(resources: Resources, found: Found) -> None:
    conditions: dict[str, list[Resource]] = defaultdict(list)
    for _, condition in resources.of("Condition"):
        if "problem-list-item" not in {_text(one, "code") for one in _codings(condition.get("category"))}:
            encounter = resources.get(condition.get("encounter"))
            conditions[str(encounter.get("id"))].append(condition)
    for place, encounter in resources.of("Encounter"):
        stay = _text(_part(encounter, "class"), "code")
        if stay not in codes()["admitted"]:
            found.aside["Encounter: not an admission by its class"] += 1
            continue
        period = _part(encounter, "period")
        subject = resources.get(encounter.get("subject"))
        row = {
            "nhi": resources.nhi(encounter),
            "event_id": _identifier(encounter, "VN"),
            "admitted_at": _text(period, "start"),
            "discharged_at": _text(period, "end"),
            "codes": list(_diagnoses(resources, encounter, conditions[str(encounter.get("id"))])),
            "reason": _words(encounter.get("reasonCode")),
            **_person(subject),
        }
        found.rows["admissions"].append((place, row))


def _person(patient: Resource) -> dict[str, Any]:
    names = [one for one in _list(patient.get("name")) if isinstance(one, dict)]
    name = next((one for one in names if one.get("use") == "official"), names[0] if names else {})
    home: dict[str, Any] = next((one for one in _list(patient.get("address")) if isinstance(one, dict)), {})
    lines = [*_list(home.get("line")), home.get("city"), home.get("postalCode")]
    extension = codes()["ethnicity_extension"]
    answers = [
        _code(one.get("valueCodeableConcept")) or _words(one.get("valueCodeableConcept"))
        for one in _list(patient.get("extension"))
        if isinstance(one, dict) and one.get("url") == extension
    ]
    return {
        "sex": "X" if patient.get("gender") == "other" else _text(patient, "gender"),
        "birth_date": _text(patient, "birthDate"),
        "ethnicity": [answer for answer in answers if answer],
        "surname": _text(name, "family"),
        "given_names": " ".join(str(one) for one in _list(name.get("given"))) or None,
        "address": _text(home, "text") or ", ".join(str(line) for line in lines if line) or None,
    }


def _diagnoses(resources: Resources, encounter: Resource, others: list[Resource]) -> Iterator[str]:
    """Go through the ICD-10 codes of an encounter in order of rank, those of unranked conditions after them."""
    ranked = [one for one in _list(encounter.get("diagnosis")) if isinstance(one, dict)]
    ranked.sort(key=lambda one: one["rank"] if type(one.get("rank")) is int else len(ranked) + 1)
    named = [resources.get(one.get("condition")) for one in ranked]
    for condition in [*named, *(one for one in others if not any(one is other for other in named))]:
        if _void(condition):
            continue
        written = [
            str(one.get("code")) for one in _codings(condition.get("code")) if "icd-10" in str(one.get("system"))
        ]
        # A diagnosis that is not here, or not in ICD-10, is a code that cannot be read: it rejects its admission.
        yield written[0] if written else "(no ICD-10 code)"


def _observations(resources: Resources, found: Found) -> None:
    measured: dict[tuple[Any, ...], tuple[Place, dict[str, Any]]] = {}
    for place, resource in resources.of("Observation"):
        parts = [resource, *(one for one in _list(resource.get("component")) if isinstance(one, dict))]
        vital = [(codes()["vitals"].get(_code(part.get("code"))), part) for part in parts]
        if any(column for column, _ in vital):
            for column, part in vital:
                if column:
                    _vital(resources, found, measured, place, resource, column, part)
        elif "laboratory" in {_text(one, "code") for one in _codings(resource.get("category"))}:
            found.rows["microbiology"].append((place, _result(resources, resource)))
        else:
            found.aside["Observation: neither a vital sign that is read nor a laboratory result"] += 1
    found.rows["vitals"].extend(measured.values())


def _vital(  # noqa: PLR0917 - one measurement and all it belongs to
    resources: Resources,
    found: Found,
    measured: dict[tuple[Any, ...], tuple[Place, dict[str, Any]]],
    place: Place,
    resource: Resource,
    column: str,
    part: Resource,
) -> None:
    """Add one measurement to the row of its patient and moment."""
    quantity = _part(part, "valueQuantity")
    value, unit = quantity.get("value"), _text(quantity, "code") or _text(quantity, "unit")
    units = codes()["units"][column]
    if not isinstance(value, int | float) or isinstance(value, bool):
        found.rejected["vitals"].append((place, column, "an Observation must have a number as its valueQuantity"))
        return
    if unit not in units:
        found.rejected["vitals"].append((place, column, f"the unit must be one of {', '.join(units)} (UCUM)"))
        return
    # degF alone has an offset.
    ours = float(value) * units[unit] if unit != "[degF]" else (float(value) - 32.0) * 5.0 / 9.0
    nhi, when = resources.nhi(resource), _when(resource)
    for again in range(1000):
        _, row = measured.setdefault((place[0], nhi, when, again), (place, {"nhi": nhi, "measured_at": when}))
        if column not in row:
            row[column] = ours
            return


def _when(resource: Resource) -> str | None:
    moments = (_text(resource, "effectiveDateTime"), _text(resource, "effectiveInstant"))
    return next((one for one in moments if one), _text(_part(resource, "effectivePeriod"), "start"))


def _result(resources: Resources, resource: Resource) -> dict[str, Any]:
    specimen = resources.get(resource.get("specimen"))
    code = _code(resource.get("code"))
    value = resource.get("valueCodeableConcept")
    known = [*_codings(value), *_codings(resource.get("interpretation"))]
    result = next((codes()["results"][one["code"]] for one in known if one.get("code") in codes()["results"]), None)
    organism, test = codes()["tests"].get(code, (None, None))
    if code in codes()["cultures"]["codes"]:
        test = "culture"
        # A culture's value is what grew, unless it says that nothing did.
        organism = "none" if result == "negative" else _words(value)
        result = result or ("positive" if organism else None)
    collection = _part(specimen, "collection")
    return {
        "nhi": resources.nhi(resource),
        "specimen_id": _identifier(
            {**specimen, "identifier": specimen.get("accessionIdentifier") or specimen.get("identifier")}
        )
        or _identifier(resource),
        # FHIR: of a result, the effective time is when the specimen was taken.
        "collected_at": _text(collection, "collectedDateTime")
        or _text(_part(collection, "collectedPeriod"), "start")
        or _when(resource),
        "specimen": _words(specimen.get("type")) or _text(_part(resource, "specimen"), "display"),
        "test": test or _words(resource.get("method")),
        "organism": organism or _words(resource.get("code")),
        "result": result or _words(value) or _text(resource, "valueString"),
    }


def _reads(resources: Resources, found: Found) -> None:
    reported: set[int] = set()
    for place, report in resources.of("DiagnosticReport"):
        studies = [resources.get(one) for one in _list(report.get("imagingStudy"))]
        kinds = {_text(one, "code") for one in _codings(report.get("category"))}
        if not studies and not kinds & {"RAD", "LP29684-5", "RX"}:
            found.aside["DiagnosticReport: not of radiology"] += 1
            continue
        reported.update(id(study) for study in studies)
        films = [study for study in studies if _is_film(study)]
        if studies and not films:
            found.aside["DiagnosticReport: not of radiographs"] += 1
        for study in films or ([{}] if not studies else []):
            found.rows["reads"].append((place, _read(resources, report, study)))
    for place, study in resources.of("ImagingStudy"):
        if id(study) in reported:
            continue
        if _is_film(study):
            found.rows["reads"].append((place, _read(resources, {}, study)))
        else:
            found.aside["ImagingStudy: not of radiographs"] += 1


def _is_film(study: Resource) -> bool:
    modalities = {_text(one, "code") for one in _list(study.get("modality")) if isinstance(one, dict)}
    modalities |= {_text(_part(one, "modality"), "code") for one in _list(study.get("series")) if isinstance(one, dict)}
    return not (modalities - {None}) or bool(modalities & set(codes()["modalities"]))


def _read(resources: Resources, report: Resource, study: Resource) -> dict[str, Any]:
    coded = [codes()["findings"].get(_text(one, "code")) for one in _codings(report.get("conclusionCode"))]
    said = [one for one in coded if one]
    finding = "pneumonia" if "pneumonia" in said else said[0] if said else None
    return {
        "nhi": resources.nhi(report) or resources.nhi(study),
        "accession_number": _identifier(study, "ACSN") if study else _identifier(report, "ACSN"),
        "acquired_at": _text(study, "started") or _when(report),
        "read_at": _text(report, "issued"),
        "request": _words(study.get("reasonCode")),
        "finding": finding,
        "report": _text(report, "conclusion") or _presented(_list(report.get("presentedForm"))),
    }


def _presented(forms: Iterable[Any]) -> str | None:
    """Return the first form that is plain text."""
    for form in forms:
        if isinstance(form, dict) and str(form.get("contentType", "")).startswith("text/plain") and form.get("data"):
            try:
                return base64.b64decode(form["data"], validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError, TypeError):
                return None
    return None
