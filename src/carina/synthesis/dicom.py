"""A planned film as a DICOM file, with its patient's identifiers where hospitals leave them."""

from __future__ import annotations

import io

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from carina.imaging.phantom import Signature, phantom_dicom, phantom_film
from carina.synthesis.plans import FilmPlan
from carina.synthesis.planting import plant, plant_bytes

__all__ = ["film_bytes"]

_CHILD = 14  # years, below which the phantom has a child's proportions
_ENCAPSULATED = {"jpeg2000": JPEG2000Lossless, "rle": RLELossless}
_NATIVE = {"implicit": ImplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian}


def film_bytes(plan: FilmPlan, size: int) -> bytes:
    """Make the file of one film.

    Parameters
    ----------
    plan : FilmPlan
        What it is.
    size : int
        Side of the film, pixels.

    Returns
    -------
    bytes
        A DICOM file (PS3.10); the same plan gives the same bytes.

    References
    ----------
    DICOM PS3.3 A.26 (DX), A.2 (CR), C.7.1.1 (patient), C.9.2 (overlay plane); PS3.5 A.4 (compressed pixels).
    """
    ds = _dataset(plan, size)
    plant(ds, plan)
    if plan.damage == "blank":
        ds.PixelData = np.full(ds.Rows * ds.Columns, 1200, "<u2").tobytes()
    if plan.syntax in _ENCAPSULATED:
        ds.compress(_ENCAPSULATED[plan.syntax], encoding_plugin="pylibjpeg", generate_instance_uid=False)
    elif plan.syntax in _NATIVE:
        ds.file_meta.TransferSyntaxUID = _NATIVE[plan.syntax]
    stream = io.BytesIO()
    dcmwrite(stream, ds, enforce_file_format=True)
    content = plant_bytes(stream.getvalue(), plan)
    return content[: len(content) * 3 // 5] if plan.damage == "truncated" else content


def _dataset(plan: FilmPlan, size: int) -> FileDataset:
    person = plan.person
    age = person.age(plan.acquired.date())
    phantom = phantom_film(
        person.number,
        label=plan.label,
        size=size,
        film=plan.film,
        severity=plan.severity,
        child=age < _CHILD,
        sex="F" if person.sex == "F" else "M",
        age=age,
        signature=Signature(marker="R"),
    )
    inverse = plan.photometric == "MONOCHROME1"
    ds = phantom_dicom(phantom, patient=person.nhi, photometric="MONOCHROME1" if inverse else "MONOCHROME2")
    ds.SpecificCharacterSet = "ISO_IR 192"
    _patient(ds, plan, age)
    _study(ds, plan)
    if plan.modality == "CR":
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        ds.Modality = "CR"
    ds.BurnedInAnnotation = "YES" if "burnt" in plan.plants else "NO"
    return ds


def _patient(ds: FileDataset, plan: FilmPlan, age: int) -> None:
    person = plan.person
    ds.PatientName = f"{person.surname}^{person.given}"
    ds.PatientID = person.nhi
    ds.IssuerOfPatientID = "NHI"
    ds.PatientBirthDate = f"{person.birth:%Y%m%d}"
    ds.PatientSex = {"X": "O", "U": ""}.get(person.sex, person.sex)
    ds.PatientAge = f"{age:03d}Y"
    ds.PatientAddress = person.address
    ds.PatientTelephoneNumbers = person.phone
    ds.PatientSize = f"{person.height_cm / 100:.3f}"
    ds.PatientWeight = f"{person.weight_kg:.1f}"


def _study(ds: FileDataset, plan: FilmPlan) -> None:
    day, time = f"{plan.acquired:%Y%m%d}", f"{plan.acquired:%H%M%S}"
    for part in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{part}Date", day)
        setattr(ds, f"{part}Time", time)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = plan.study_uid, plan.series_uid
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(plan.sop_uid)
    ds.AccessionNumber = ds.StudyID = plan.accession
    ds.SeriesNumber, ds.InstanceNumber = str(plan.series_number), str(plan.instance_number)
    ds.SeriesDescription, ds.ProtocolName = plan.series_description, plan.protocol_name
    ds.StudyDescription = f"CHEST {plan.person.surname}" if "comments" in plan.plants else "CHEST"
    ds.BodyPartExamined = plan.body_part
    ds.ViewPosition = plan.view_position
    ds.DerivationDescription = "phantom"
    del ds.ViewCodeSequence  # it would say how the phantom was drawn, not how this film was taken
    ds.InstitutionName = "SYNTHETIC HOSPITAL"
    ds.ReferringPhysicianName = "ZZREFERRER^SYNDOCTOR"
    ds.OperatorsName = "ZZOPERATOR^SYNRADIOGRAPHER"
    ds.StationName = "SYNTH01"
    ds.Manufacturer = "Carina"
