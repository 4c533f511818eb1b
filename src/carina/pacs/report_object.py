"""The structured report: TID 1500, probabilities by TID 1501, boxes by TID 1410 (PS3.16)."""

from __future__ import annotations

from typing import Any

import highdicom as hd
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from carina import __version__
from carina.pacs.codes import derived_uid
from carina.pacs.found import Found
from carina.pacs.placing import corners_back, turns_of
from carina.service import ModelFacts
from carina.service.codes import NOTICE, class_code, own_code

__all__ = ["algorithm_sequence", "device", "report_content"]

_PARAMETER = 1024


def report_content(source: Dataset, found: Found) -> Any:
    """Content tree of the report on one film.

    Parameters
    ----------
    source : Dataset
        Header of the film.
    found : Found

    Returns
    -------
    highdicom.sr.MeasurementReport
        Root template TID 1500.
    """
    facts = found.facts
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("device", facts.model_sha256),
            name="Carina",
            manufacturer_name="Carina",
            model_name=f"{facts.name} {facts.version}"[:64],
            serial_number=facts.model_sha256[:16],
        ),
    )
    groups = [*_class_groups(source, found), *_box_groups(source, found)]
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.cid100.ImagingProcedure,  # CID 100 has none of the chest
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def _algorithm(facts: ModelFacts, *, whole: bool = False, reason: str | None = None) -> Any:
    """Identify the model (TID 4019); of the whole, thresholds and the audit's verdicts are text items too."""
    parameters = [NOTICE, f"model sha-256 {facts.model_sha256}"]
    if whole:
        parameters += [
            f"threshold {name}: low {each.low:.6f}, high {each.high:.6f}" for name, each in facts.thresholds.items()
        ]
        parameters += [sentence[:_PARAMETER] for sentence in facts.sentences()]
    if reason:
        parameters.append(f"reason: {reason}"[:_PARAMETER])
    return sr.AlgorithmIdentification(
        name=facts.name, version=f"{facts.version} (carina {__version__})", parameters=parameters
    )


def _audited(facts: ModelFacts) -> list[Any]:
    """Say the shortcut audit's verdict on each contrast as codes (M36)."""
    return [
        sr.QualitativeEvaluation(
            name=own_code(f"audit-{name}", f"Shortcut audit: {name.replace('_', ' ')}"),
            value=own_code(facts.verdict(name), facts.verdict(name)),
        )
        for name in dict.fromkeys((*facts.thresholds, *facts.verdicts))
    ]


def _class_groups(source: Dataset, found: Found) -> list[Any]:
    """One group a class with its probability; the first also says the decision."""
    reading = found.reading
    decided = reading.decision or "refused"
    decision = sr.QualitativeEvaluation(
        name=own_code("decision", "Decision of the model"),
        value=own_code(decided, decided.replace("_", " ")),
    )
    if reading.probabilities is None:
        return [
            _group(
                source,
                found,
                "refusal",
                finding=codes.DCM.Normality,
                measurements=[],
                evaluations=[decision],
                reason=reading.reason,
            )
        ]
    return [
        _group(
            source,
            found,
            name,
            finding=class_code(name),
            measurements=[sr.Measurement(name=codes.DCM.Probability, value=round(value, 6), unit=codes.UCUM.NoUnits)],
            evaluations=[decision, *_audited(found.facts)] if number == 0 else [],
            reason=reading.reason if number == 0 else None,
        )
        for number, (name, value) in enumerate(reading.probabilities.items())
    ]


def _group(
    source: Dataset,
    found: Found,
    name: str,
    *,
    finding: Code,
    measurements: list[Any],
    evaluations: list[Any],
    reason: str | None,
) -> Any:
    uid = found.uid(source, "tracking", name)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=name),
        finding_type=finding,
        algorithm_id=_algorithm(found.facts, whole=bool(evaluations), reason=reason),
        measurements=measurements or None,
        qualitative_evaluations=evaluations or None,
        source_images=[
            sr.SourceImageForMeasurementGroup(
                referenced_sop_class_uid=source.SOPClassUID, referenced_sop_instance_uid=source.SOPInstanceUID
            )
        ],
    )


def _box_groups(source: Dataset, found: Found) -> list[Any]:
    """Boxes by TID 1410, and the region of the film that they were looked for in."""
    frame, boxes = found.frame, found.reading.boxes
    if not boxes:
        return []
    groups = [
        _region(
            source,
            found,
            f"opacity {number}",
            box,
            finding=codes.DCM.Opacity,
            laterality={"right": codes.SCT.Right, "left": codes.SCT.Left}.get(str(box.get("zone") or "").split("_")[0]),
        )
        for number, box in enumerate(boxes, start=1)
    ]
    if frame is not None:
        seen = {"x": frame.left, "y": frame.top, "width": frame.width, "height": frame.height}
        finding = own_code("judged-region", "Region of the film that the model judged")
        groups.append(_region(source, found, "judged region", seen, finding=finding))
    return groups


def _region(
    source: Dataset, found: Found, name: str, box: dict[str, Any], *, finding: Code, laterality: Code | None = None
) -> Any:
    """One group of TID 1410: a rectangle on the film as it was sent, and its score where it has one."""
    shape = found.film.pixels.shape
    region = sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=corners_back(box, turns_of(found.reading.quality), (shape[0], shape[1])),
        source_image=sr.SourceImageForRegion(
            referenced_sop_class_uid=source.SOPClassUID, referenced_sop_instance_uid=source.SOPInstanceUID
        ),
    )
    uid = found.uid(source, "tracking", name.replace("opacity", "box"))
    sites, scores = None, None
    if "score" in box:
        sites = [sr.FindingSite(anatomic_location=codes.SCT.Lung, laterality=laterality)]
        score = round(float(box["score"]), 6)
        scores = [sr.Measurement(name=codes.DCM.Probability, value=score, unit=codes.UCUM.NoUnits)]
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=name),
        referenced_region=region,
        finding_type=finding,
        algorithm_id=_algorithm(found.facts),
        finding_sites=sites,
        measurements=scores,
    )


def device(facts: ModelFacts) -> dict[str, Any]:
    """Say which equipment made an object."""
    return {
        "manufacturer": "Carina",
        "manufacturer_model_name": f"{facts.name} {facts.version}"[:64],
        "software_versions": __version__,
        "device_serial_number": facts.model_sha256[:16],
    }


def algorithm_sequence(facts: ModelFacts) -> Any:
    """Identify the algorithm of a segment."""
    return hd.AlgorithmIdentificationSequence(
        name=facts.name,
        family=codes.DCM.ArtificialIntelligence,
        version=facts.version,
        source="Carina",
    )
