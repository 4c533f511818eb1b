"""Every result object of one film: secondary capture, report, segmentation, class map, presentation state.

Pure functions: the same header, reading, bundle and time give the same bytes, so that a film that is read again after
a crash sends the same objects again, and the PACS knows them.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from highdicom import SpecificCharacterSetValues, pr, sc, seg, sr
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian

from carina.errors import FilmRejectedError
from carina.imaging.lung_fields import LEFT, RIGHT
from carina.pacs.class_map import parametric_map
from carina.pacs.codes import coded
from carina.pacs.found import Found
from carina.pacs.picture import draw_result, lines_of, raw_map
from carina.pacs.placing import corners_back, turned_back, turns_of
from carina.pacs.report_object import algorithm_sequence, device, report_content
from carina.service.codes import NOTICE

__all__ = ["RESULT_CLASSES", "ResultObject", "build_results"]

RESULT_CLASSES: Final = {
    "secondary_capture": UID("1.2.840.10008.5.1.4.1.1.7"),
    "report": UID("1.2.840.10008.5.1.4.1.1.88.34"),
    "segmentation": UID("1.2.840.10008.5.1.4.1.1.66.4"),
    "class_map": UID("1.2.840.10008.5.1.4.1.1.30"),
    "presentation": UID("1.2.840.10008.5.1.4.1.1.11.1"),
}
"""SOP class of each kind of result (PS3.4 table B.5-1)."""

_UTF8: Final = "ISO_IR 192"
_CHARACTER_SETS: Final = frozenset(each.value for each in SpecificCharacterSetValues)
_NUMBERS: Final = {name: 9001 + position for position, name in enumerate(RESULT_CLASSES)}
_DESCRIPTIONS: Final = {
    "secondary_capture": "AI result, research use only",
    "report": "AI report, research use only",
    "segmentation": "AI lungs and opacity, research use",
    "class_map": "AI class map, research use only",
    "presentation": "AI boxes and text, research use",
}
_MOMENTS: Final = (
    "ContentDate",
    "ContentTime",
    "SeriesDate",
    "SeriesTime",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "PresentationCreationDate",
    "PresentationCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)
_EMPTY: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDate",
    "StudyTime",
)


@dataclass(frozen=True, slots=True)
class ResultObject:
    """One object to be sent.

    Attributes
    ----------
    kind : str
        A key of `RESULT_CLASSES`.
    series_uid, sop_class_uid, sop_instance_uid : str
    data : bytes
        DICOM file, Explicit VR Little Endian.
    """

    kind: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    data: bytes


def build_results(source: Dataset, found: Found, made_at: dt.datetime) -> list[ResultObject]:
    """Build every result object of one film, in the film's study, each in a series of its own.

    Parameters
    ----------
    source : Dataset
        Header of the film; pixels are not needed.
    found : Found
        What was found on it, and the model that found it.
    made_at : datetime
        When; written into the objects.

    Returns
    -------
    list of ResultObject
        Capture and report always; segmentation, class map and presentation state where the film was judged (and, for
        the segmentation, where lungs or opacity were found).

    Raises
    ------
    FilmRejectedError
        If the header names no study or instance that results could refer to.

    References
    ----------
    DICOM PS3.3 A.8 (SC), A.35.13 (Comprehensive 3D SR), A.51 (Segmentation), A.75 (Parametric Map), A.33 (GSPS);
    PS3.16 TID 1500, 1410, 1501.
    """
    header = completed(source)
    maker = _Maker(header, found, made_at)
    makers: dict[str, Callable[[dict[str, Any]], Dataset | None]] = {
        "secondary_capture": maker.capture,
        "report": maker.report,
        "segmentation": maker.segmentation,
        "class_map": maker.class_map,
        "presentation": maker.presentation,
    }
    results = []
    for kind, make in makers.items():
        made = make(maker.common(kind))
        if made is not None:
            maker.settle(made, kind)
            names = (str(made.SeriesInstanceUID), str(made.SOPClassUID), str(made.SOPInstanceUID))
            results.append(ResultObject(kind, *names, _file(made)))
    return results


def completed(source: Dataset) -> Dataset:
    """Copy of a header that lacks nothing a result must repeat; what the film left out stays empty.

    Raises
    ------
    FilmRejectedError
        If it has no study or instance UID.
    """
    header = Dataset()
    for element in source:
        if element.tag != 0x7FE00010:  # noqa: PLR2004 - PixelData
            header.add(element)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        if not header.get(keyword):
            raise FilmRejectedError(
                "no_uid", f"a film must have a {keyword} for results to refer to; this one has none"
            )
    for keyword in _EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    known = header.get("SpecificCharacterSet", _UTF8)
    if not (isinstance(known, str) and known in _CHARACTER_SETS):
        header.SpecificCharacterSet = _UTF8  # several at once, or none that there is: the text itself stays
    if header.PatientSex not in ("", "M", "F", "O"):
        header.PatientSex = ""
    return header


class _Maker:
    """Makes the objects of one film."""

    def __init__(self, header: Dataset, found: Found, made_at: dt.datetime) -> None:
        self.header = header
        self.found = found
        self.facts = found.facts
        self.made_at = made_at
        self.turns = turns_of(found.reading.quality)

    def uid(self, *parts: str) -> UID:
        return self.found.uid(self.header, *parts)

    def common(self, kind: str) -> dict[str, Any]:
        return {
            "series_instance_uid": self.uid(kind, "series"),
            "sop_instance_uid": self.uid(kind, "instance"),
            "series_number": _NUMBERS[kind],
            "instance_number": 1,
        }

    def capture(self, common: dict[str, Any]) -> Dataset:
        made = sc.SCImage.from_ref_dataset(
            ref_dataset=self.header,
            pixel_array=draw_result(self.found),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            manufacturer="Carina",
            patient_orientation=("L", "F"),
            **common,
        )
        made.ImageType = ["DERIVED", "SECONDARY"]
        made.BurnedInAnnotation = "YES"
        made.ConversionType = "WSD"
        made.DerivationDescription = f"{NOTICE}: heatmap and boxes over the film"
        made.SourceImageSequence = [self._reference()]
        made.Modality = "OT"
        return made

    def report(self, common: dict[str, Any]) -> Dataset:
        return sr.Comprehensive3DSR(
            evidence=[self.header],
            content=report_content(self.header, self.found)[0],
            is_complete=True,
            is_final=False,
            is_verified=False,
            manufacturer="Carina",
            **common,
        )

    def segmentation(self, common: dict[str, Any]) -> Dataset | None:
        planes, segments = self._segments()
        if not planes:
            return None
        return seg.Segmentation(
            source_images=[self.header],
            pixel_array=np.stack(planes, axis=-1)[None],
            segmentation_type="BINARY",
            segment_descriptions=segments,
            omit_empty_frames=False,
            content_label="AI_SEGMENTATION",
            content_description=NOTICE,
            **device(self.facts),
            **common,
        )

    def _segments(self) -> tuple[list[Any], list[Any]]:
        found, planes, segments = self.found, [], []
        wanted: list[tuple[str, Any, Any, Any]] = []
        if found.fields is not None:
            for label, side, laterality in (
                ("Right lung", RIGHT, codes.SCT.Right),
                ("Left lung", LEFT, codes.SCT.Left),
            ):
                wanted.append((label, found.fields.mask == side, codes.SCT.Lung, laterality))
        if found.opaque is not None:
            wanted.append(("Opacity", found.opaque, codes.DCM.Opacity, None))
        for number, (label, mask, what, laterality) in enumerate(wanted, start=1):
            planes.append(turned_back(np.asarray(mask, np.uint8), self.turns))
            category = codes.SCT.AnatomicalStructure if laterality else codes.SCT.MorphologicallyAbnormalStructure
            one = seg.SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=category,
                segmented_property_type=what,
                algorithm_type="AUTOMATIC",
                algorithm_identification=algorithm_sequence(self.facts),
                tracking_uid=self.uid("tracking", label),
                tracking_id=label,
            )
            if laterality is not None:
                one.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [coded(laterality)]
            segments.append(one)
        return planes, segments

    def class_map(self, common: dict[str, Any]) -> Dataset | None:
        if not self.found.judged:
            return None
        name = self.found.shown
        values = turned_back(raw_map(self.found), self.turns).astype(np.float32)
        return parametric_map(
            self.header,
            values,
            name,
            equipment=device(self.facts),
            common=common,
            uids=(self.uid("class_map", "dimension"), self.uid("class_map", "frame of reference")),
            made_at=self.made_at,
            notice=NOTICE,
        )

    def presentation(self, common: dict[str, Any]) -> Dataset | None:
        if not self.found.judged or self.header.get("SamplesPerPixel", 1) != 1:
            return None  # a colour picture would need another class, and says what it is in the capture
        layer = pr.GraphicLayer("AI", order=1, description=NOTICE)
        shape = self.found.film.pixels.shape
        graphics = [
            pr.GraphicObject(
                graphic_type="POLYLINE",
                graphic_data=corners_back(box, self.turns, (shape[0], shape[1])),
                units="PIXEL",
                tracking_id=f"opacity {number}",
                tracking_uid=self.uid("tracking", f"box {number}"),
            )
            for number, box in enumerate(self.found.reading.boxes, start=1)
        ]
        words = "\r\n".join([NOTICE, *lines_of(self.found)])[:1024]
        text = pr.TextObject(
            text_value=words,
            units="DISPLAY",
            bounding_box=(0.02, 0.02, 0.98, 0.3),
            text_justification="LEFT",
        )
        return pr.GrayscaleSoftcopyPresentationState(
            referenced_images=[self.header],
            content_label="AI_RESULT",
            content_description=NOTICE,
            graphic_layers=[layer],
            graphic_annotations=[
                pr.GraphicAnnotation(
                    referenced_images=[self.header],
                    graphic_layer=layer,
                    graphic_objects=graphics or None,
                    text_objects=[text],
                )
            ],
            **device(self.facts),
            **common,
        )

    def settle(self, made: Dataset, kind: str) -> None:
        """Give an object its description and time, and UIDs that do not change from one run to the next."""
        made.SeriesDescription = _DESCRIPTIONS[kind]
        date, time = self.made_at.strftime("%Y%m%d"), self.made_at.strftime("%H%M%S.%f")
        for keyword in _MOMENTS:
            if keyword in made:
                setattr(made, keyword, date if "Date" in keyword else time)
        if kind != "report":
            made.BodyPartExamined = "CHEST"  # unpaired, so that no laterality is due (PS3.3 C.7.3.1)
        if kind in ("secondary_capture", "segmentation", "class_map"):
            made.PatientOrientation = "" if self.turns and kind == "secondary_capture" else self._orientation()
        known: dict[str, UID] = {}
        _settle(made, f"{date}{time}", known, lambda number: self.uid(kind, "part", str(number)))

    def _orientation(self) -> Any:
        return self.header.get("PatientOrientation") or ""

    def _reference(self) -> Dataset:
        item = Dataset()
        item.ReferencedSOPClassUID = self.header.SOPClassUID
        item.ReferencedSOPInstanceUID = self.header.SOPInstanceUID
        return item


def _settle(item: Dataset, at: str, known: dict[str, UID], new: Callable[[int], UID]) -> None:
    """Replace what highdicom drew at random or read from the clock."""
    for element in item:
        if element.VR == "SQ":
            for inner in element.value:
                _settle(inner, at, known, new)
        elif element.VR == "UI" and isinstance(element.value, str) and element.value.startswith(f"{_ROOT}."):
            element.value = known.setdefault(element.value, new(len(known)))
        elif element.VR == "DT" and element.keyword in ("DateTime", "ObservationDateTime", "ContributionDateTime"):
            element.value = at


_ROOT: Final = "1.2.826.0.1.3680043.10.511.3"
"""Under which highdicom draws UIDs at random."""


def _file(made: Dataset) -> bytes:
    made = deepcopy(made)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()
