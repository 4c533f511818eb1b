"""A phantom film as a DICOM Digital X-Ray image."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from carina.imaging.phantom.film import Phantom

__all__ = ["phantom_dicom"]

_BITS = 12
_WHITE = (1 << _BITS) - 1
_DETECTOR_MAGNIFICATION = 1.06  # patient's plane to detector
# SNOMED CT codes of PS3.16 CID 4009 (anatomy) and CID 4010 (view).
_CHEST = ("816094009", "SCT", "Chest")
_VIEWS = {"AP": ("399348003", "SCT", "antero-posterior"), "PA": ("272479007", "SCT", "postero-anterior")}


def phantom_dicom(
    phantom: Phantom,
    *,
    patient: str | None = None,
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2",
    date: str = "20200101",
) -> FileDataset:
    """Write a phantom film as a Digital X-Ray Image for presentation, 12 bits stored in 16.

    Everything in it comes from the phantom, UIDs included, so that the same phantom gives the same bytes.

    Parameters
    ----------
    phantom : Phantom
        The film.
    patient : str, optional
        PatientID; ``PHANTOM`` and the seed in four digits or more when left out. The name is ``PHANTOM^`` and the seed.
    photometric : {"MONOCHROME1", "MONOCHROME2"}
        Whether the smallest value is shown white or black.
    date : str
        Study and birth reckoning date, YYYYMMDD.

    Returns
    -------
    pydicom.FileDataset
        Ready for `save_as`.

    References
    ----------
    DICOM PS3.3 A.26 (Digital X-Ray Image IOD), C.8.11.1 to C.8.11.5 (DX modules), C.7.1.1 (Patient).

    Examples
    --------
    >>> from carina.imaging.phantom import phantom_film
    >>> ds = phantom_dicom(phantom_film(7, size=64))
    >>> str(ds.PatientName), ds.Modality, ds.BodyPartExamined, ds.BitsStored
    ('PHANTOM^0007', 'DX', 'CHEST', 12)
    """
    ds = FileDataset("", Dataset(), file_meta=_meta(_uid(phantom, "image")), preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 100"
    _patient(ds, phantom, patient, date)
    _study(ds, phantom, date)
    _equipment(ds)
    _position(ds, phantom)
    _detector(ds, phantom)
    _pixels(ds, phantom, photometric)
    return ds


def _uid(phantom: Phantom, part: str) -> UID:
    """Derive a UID under 2.25 (PS3.5 B.2) from the phantom, so that it is the same each time."""
    what = f"carina phantom|{part}|{phantom.seed}|{phantom.film}|{phantom.label}|{phantom.parameters}"
    return UID(f"2.25.{int.from_bytes(hashlib.sha256(what.encode()).digest()[:16], 'big') >> 1}")


def _meta(instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return meta


def _patient(ds: FileDataset, phantom: Phantom, patient: str | None, date: str) -> None:
    ds.PatientName = f"PHANTOM^{phantom.seed:04d}"
    ds.PatientID = patient if patient is not None else f"PHANTOM{phantom.seed:04d}"
    ds.PatientBirthDate = f"{int(date[:4]) - phantom.age_years:04d}0101"
    ds.PatientSex = phantom.sex
    ds.PatientAge = f"{phantom.age_years:03d}Y"


def _study(ds: FileDataset, phantom: Phantom, date: str) -> None:
    ds.StudyInstanceUID = _uid(phantom, "study")
    ds.StudyDate, ds.StudyTime = date, "120000"
    ds.ReferringPhysicianName = ""
    ds.StudyID = "1"
    ds.AccessionNumber = ""
    ds.StudyDescription = "Phantom chest film, not a patient"
    ds.Modality = "DX"
    ds.SeriesInstanceUID = _uid(phantom, "series")
    ds.SeriesNumber = "1"
    ds.SeriesDate, ds.SeriesTime = date, "120000"
    ds.SeriesDescription = f"Chest {phantom.view}"
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = _uid(phantom, "image")
    ds.ContentDate, ds.ContentTime = date, "120000"
    ds.AcquisitionDate, ds.AcquisitionTime = date, "120000"
    ds.AcquisitionNumber = "1"
    ds.InstanceNumber = str(phantom.film + 1)


def _equipment(ds: FileDataset) -> None:
    ds.Manufacturer = "Carina"
    ds.InstitutionName = "PHANTOM HOSPITAL"
    ds.ManufacturerModelName = "Phantom film generator"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"


def _position(ds: FileDataset, phantom: Phantom) -> None:
    """Anatomy imaged and positioning (PS3.3 C.8.11.2, C.8.11.5)."""
    ds.PositionerType = "NONE"
    ds.BodyPartExamined = "CHEST"
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = Sequence([_code(*_CHEST)])
    ds.ViewPosition = phantom.view
    view = _code(*_VIEWS[phantom.view])
    view.ViewModifierCodeSequence = Sequence([])
    ds.ViewCodeSequence = Sequence([view])
    ds.PatientOrientation = ["L", "F"]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _detector(ds: FileDataset, phantom: Phantom) -> None:
    """DX detector module (PS3.3 C.8.11.4); the patient's plane lies in front of the detector."""
    spacing = f"{phantom.pixel_spacing_mm * _DETECTOR_MAGNIFICATION:.6f}"
    ds.DetectorType = "DIRECT"
    ds.ImagerPixelSpacing = [spacing, spacing]
    ds.PixelSpacing = [f"{phantom.pixel_spacing_mm:.6f}"] * 2
    ds.PixelSpacingCalibrationType = "GEOMETRY"
    ds.PixelSpacingCalibrationDescription = "patient plane"
    ds.EstimatedRadiographicMagnificationFactor = str(_DETECTOR_MAGNIFICATION)
    ds.KVP = "120"


def _pixels(ds: FileDataset, phantom: Phantom, photometric: str) -> None:
    """DX image module (PS3.3 C.8.11.3): 12 bits in 16, shown over the full range."""
    values = np.rint(np.clip(phantom.pixels, 0, 1) * _WHITE).astype("<u2")
    inverse = photometric == "MONOCHROME1"
    if inverse:
        values = (_WHITE - values).astype("<u2")
    ds.ImageType = ["DERIVED", "PRIMARY", ""]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = photometric
    ds.Rows, ds.Columns = phantom.pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, _BITS, _BITS - 1, 0
    ds.PixelIntensityRelationship = "LOG"
    # -1: smaller values for more X-ray intensity (PS3.3 C.8.11.3.1.2), which is a bright bone in MONOCHROME2.
    ds.PixelIntensityRelationshipSign = 1 if inverse else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "YES" if phantom.parameters["signature"]["marker"] else "NO"  # type: ignore[index]  # dict[str, object] by contract
    ds.WindowCenter, ds.WindowWidth = str((_WHITE + 1) // 2), str(_WHITE + 1)
    ds.AcquisitionContextSequence = Sequence([])
    ds.DerivationDescription = f"computed phantom, seed {phantom.seed}, film {phantom.film}"
    ds.PixelData = values.tobytes()
    ds["PixelData"].VR = "OW"
