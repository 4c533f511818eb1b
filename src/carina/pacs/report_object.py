"""The structured report: TID 1500, probabilities by TID 1501, boxes by TID 1410 (PS3.16)."""

from __future__ import annotations

from typing import Any

import highdicom as hd
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from carina import __version__
from carina.inference import Bundle, Judged
from carina.pacs.codes import class_code, derived_uid, own_code
from carina.pacs.picture import NOTICE
from carina.pacs.placing import corners_back, turns_of

__all__ = ["algorithm_sequence", "device", "report_content"]

_CHEST_FILM = Code("399208008", "SCT", "Plain X-ray of chest")
_PARAMETER = 1024


def report_content(source: Dataset, judged: Judged, bundle: Bundle) -> Any:
    """Content tree of the report on one film.

    Parameters
    ----------
    source : Dataset
        Header of the film.
    judged : Judged
    bundle : Bundle

    Returns
    -------
    highdicom.sr.MeasurementReport
        Root template TID 1500.
    """
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("device", bundle.model_sha256),
            name="Carina",
            manufacturer_name="Carina",
            model_name=f"{bundle.name} {bundle.version}"[:64],
            serial_number=bundle.model_sha256[:16],
        ),
    )
    groups = [*_class_groups(source, judged, bundle), *_box_groups(source, judged, bundle)]
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=_CHEST_FILM,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def _algorithm(bundle: Bundle, reason: str | None = None) -> Any:
    parameters = [NOTICE, f"model sha-256 {bundle.model_sha256}"]
    if bundle.calibration is not None:
        parameters += [
            f"threshold {name}: low {each.low:.6f}, high {each.high:.6f}"
            for name, each in bundle.calibration.thresholds.items()
        ]
    if reason:
        parameters.append(f"reason: {reason}"[:_PARAMETER])
    return sr.AlgorithmIdentification(
        name=bundle.name, version=f"{bundle.version} (carina {__version__})", parameters=parameters
    )


def _class_groups(source: Dataset, judged: Judged, bundle: Bundle) -> list[Any]:
    """One group a class with its probability; the first also says the decision."""
    reading = judged.reading
    decided = reading.decision or "refused"
    decision = sr.QualitativeEvaluation(
        name=own_code("decision", "Decision of the model"),
        value=own_code(decided, decided.replace("_", " ")),
    )
    if reading.probabilities is None:
        return [
            _group(
                source,
                bundle,
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
            bundle,
            name,
            finding=class_code(name),
            measurements=[sr.Measurement(name=codes.DCM.Probability, value=round(value, 6), unit=codes.UCUM.NoUnits)],
            evaluations=[decision] if number == 0 else [],
            reason=reading.reason if number == 0 else None,
        )
        for number, (name, value) in enumerate(reading.probabilities.items())
    ]


def _group(
    source: Dataset,
    bundle: Bundle,
    name: str,
    *,
    finding: Code,
    measurements: list[Any],
    evaluations: list[Any],
    reason: str | None,
) -> Any:
    uid = derived_uid(str(source.SOPInstanceUID), bundle.model_sha256, "tracking", name)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=name),
        finding_type=finding,
        algorithm_id=_algorithm(bundle, reason),
        measurements=measurements or None,
        qualitative_evaluations=evaluations or None,
        source_images=[
            sr.SourceImageForMeasurementGroup(
                referenced_sop_class_uid=source.SOPClassUID, referenced_sop_instance_uid=source.SOPInstanceUID
            )
        ],
    )


def _box_groups(source: Dataset, judged: Judged, bundle: Bundle) -> list[Any]:
    turns, shape = turns_of(judged.reading.quality), judged.film.pixels.shape
    groups = []
    for number, box in enumerate(judged.reading.boxes, start=1):
        uid = derived_uid(str(source.SOPInstanceUID), bundle.model_sha256, "tracking", f"box {number}")
        region = sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=corners_back(box, turns, (shape[0], shape[1])),
            source_image=sr.SourceImageForRegion(
                referenced_sop_class_uid=source.SOPClassUID, referenced_sop_instance_uid=source.SOPInstanceUID
            ),
        )
        side = {"right": codes.SCT.Right, "left": codes.SCT.Left}.get(str(box.get("zone") or "").split("_")[0])
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=f"opacity {number}"),
                referenced_region=region,
                finding_type=codes.DCM.Opacity,
                algorithm_id=_algorithm(bundle),
                finding_sites=[sr.FindingSite(anatomic_location=codes.SCT.Lung, laterality=side)],
                measurements=[
                    sr.Measurement(
                        name=codes.DCM.Probability,
                        value=round(float(box["score"]), 6),
                        unit=codes.UCUM.NoUnits,
                    )
                ],
            )
        )
    return groups


def device(bundle: Bundle) -> dict[str, Any]:
    """Say which equipment made an object."""
    return {
        "manufacturer": "Carina",
        "manufacturer_model_name": f"{bundle.name} {bundle.version}"[:64],
        "software_versions": __version__,
        "device_serial_number": bundle.model_sha256[:16],
    }


def algorithm_sequence(bundle: Bundle) -> Any:
    """Identify the algorithm of a segment."""
    return hd.AlgorithmIdentificationSequence(
        name=bundle.name,
        family=codes.DCM.ArtificialIntelligence,
        version=bundle.version,
        source="Carina",
    )
