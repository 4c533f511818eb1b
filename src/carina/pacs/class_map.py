"""The parametric map of a class: where the network saw what it decided on (PS3.3 A.75).

Built here attribute by attribute: highdicom 0.28 cannot yet make a map of one frame without a frame of reference, and a
radiograph has none.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian

from carina.pacs.codes import coded
from carina.types import Array

__all__ = ["parametric_map"]

_SOP_CLASS: Final = UID("1.2.840.10008.5.1.4.1.1.30")
_LEVELS: Final = 65535
_COPIED: Final = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def parametric_map(
    header: Dataset,
    values: Array,
    name: str,
    *,
    equipment: dict[str, Any],
    common: dict[str, Any],
    uids: tuple[UID, UID],
    made_at: dt.datetime,
    notice: str,
) -> Dataset:
    """Build the map of one class.

    Parameters
    ----------
    header : Dataset
        Of the film.
    values : ndarray of float32, (H, W)
        Raw activation, at least 0, on the film as it was sent; kept in 65,535 steps up to its maximum.
    name : str
        Of the class.
    equipment, common : dict
        Equipment; UIDs and numbers of series and instance.
    uids : tuple of UID
        Of the dimension organisation and of the map's own frame of reference.
    made_at : datetime
    notice : str
        What the map is.

    Returns
    -------
    Dataset
    """
    top = max(float(values.max()), 1e-6)
    made = Dataset()
    for keyword in _COPIED:
        if keyword in header:
            made[keyword] = header[keyword]
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = _SOP_CLASS
    made.SOPClassUID, made.SOPInstanceUID = _SOP_CLASS, common["sop_instance_uid"]
    made.SeriesInstanceUID, made.SeriesNumber = common["series_instance_uid"], common["series_number"]
    made.InstanceNumber, made.Modality = common["instance_number"], "OT"
    made.Manufacturer, made.ManufacturerModelName = equipment["manufacturer"], equipment["manufacturer_model_name"]
    made.DeviceSerialNumber = equipment["device_serial_number"]
    made.SoftwareVersions = equipment["software_versions"]
    for moment in ("Content", "Series", "InstanceCreation"):
        setattr(made, f"{moment}Date", made_at.strftime("%Y%m%d"))
        setattr(made, f"{moment}Time", made_at.strftime("%H%M%S.%f"))
    made.ImageType = ["DERIVED", "PRIMARY", "OTHER", "QUANTITY"]
    made.ContentQualification, made.ContentLabel, made.ContentDescription = "RESEARCH", "AI_CLASS_MAP", notice
    made.ContentCreatorName = ""
    made.RecognizableVisualFeatures, made.BurnedInAnnotation, made.LossyImageCompression = "NO", "NO", "00"
    made.PresentationLUTShape, made.PositionReferenceIndicator = "IDENTITY", ""
    made.FrameOfReferenceUID = uids[1]
    made.AcquisitionContextSequence = []
    _dimensions(made, uids[0])
    made.SharedFunctionalGroupsSequence = [_shared(header, name, top)]
    frame = Dataset()
    content = Dataset()
    content.FrameAcquisitionNumber, content.DimensionIndexValues, content.FrameLabel = 1, [1], "Frame"
    frame.FrameContentSequence = [content]
    made.PerFrameFunctionalGroupsSequence = [frame]
    _common_instances(made, header)
    _pixels(made, values, top)
    return made


def _dimensions(made: Dataset, uid: UID) -> None:
    organisation = Dataset()
    organisation.DimensionOrganizationUID = uid
    made.DimensionOrganizationSequence = [organisation]
    index = Dataset()
    index.DimensionOrganizationUID = uid
    index.DimensionIndexPointer, index.FunctionalGroupPointer = 0x00209453, 0x00209111  # FrameLabel, FrameContent
    index.DimensionDescriptionLabel = "Frame"
    made.DimensionIndexSequence = [index]


def _shared(header: Dataset, name: str, top: float) -> Dataset:
    shared = Dataset()
    mapping = Dataset()
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, _LEVELS
    mapping["RealWorldValueFirstValueMapped"].VR = mapping["RealWorldValueLastValueMapped"].VR = "US"
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 0.0, top / _LEVELS
    mapping.LUTLabel, mapping.LUTExplanation = f"CAM_{name}"[:16].upper(), f"Raw class activation of {name}"[:64]
    mapping.MeasurementUnitsCodeSequence = [coded(codes.UCUM.NoUnits)]
    quantity = Dataset()
    quantity.ValueType = "CODE"
    quantity.ConceptNameCodeSequence = [coded(codes.SCT.Quantity)]
    quantity.ConceptCodeSequence = [coded(codes.DCM.ClassActivation)]
    mapping.QuantityDefinitionSequence = [quantity]
    shared.RealWorldValueMappingSequence = [mapping]
    kind = Dataset()
    kind.FrameType = ["DERIVED", "PRIMARY", "OTHER", "QUANTITY"]
    shared.ParametricMapFrameTypeSequence = [kind]
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = 0, 1, "US"
    shared.PixelValueTransformationSequence = [transformation]
    window = Dataset()
    window.WindowCenter, window.WindowWidth = 32768, 65536
    shared.FrameVOILUTSequence = [window]
    _place(shared, header)
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    source.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
    derivation = Dataset()
    derivation.SourceImageSequence = [source]
    derivation.DerivationCodeSequence = [coded(codes.DCM.ImageProcessing)]
    shared.DerivationImageSequence = [derivation]
    return shared


def _place(shared: Dataset, header: Dataset) -> None:
    """Put the map in the plane of its film.

    The module asks for a place (PS3.3 A.75.3), and a radiograph has none in the patient: the plane is that of the
    detector, in a frame of reference of the map's own that nothing else shares.
    """
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing") or [1.0, 1.0]
    measures, position, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [f"{float(each):.6g}" for each in spacing], "1"
    position.ImagePositionPatient = ["0", "0", "0"]
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared.PixelMeasuresSequence = [measures]
    shared.PlanePositionSequence = [position]
    shared.PlaneOrientationSequence = [orientation]


def _common_instances(made: Dataset, header: Dataset) -> None:
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = header.SeriesInstanceUID, [instance]
    made.ReferencedSeriesSequence = [series]


def _pixels(made: Dataset, values: Array, top: float) -> None:
    made.NumberOfFrames, made.SamplesPerPixel, made.PhotometricInterpretation = 1, 1, "MONOCHROME2"
    made.Rows, made.Columns = values.shape
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    steps = np.asarray(np.rint(np.clip(values / top, 0.0, 1.0) * _LEVELS), "<u2").tobytes()
    made.PixelData = steps
    made["PixelData"].VR = "OW"
