"""A DICOM film without identifiers, after DICOM PS3.15 Annex E."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from carina.deidentify.burned_in import clean_pixels
from carina.deidentify.header import HeaderCleaner
from carina.deidentify.identity import Identity, identify
from carina.deidentify.policy import EDITION, OLDEST_AGE, Policy
from carina.deidentify.pseudonyms import Pseudonymiser
from carina.deidentify.removed import Removed
from carina.errors import FilmRejectedError
from carina.imaging.dicom import open_dicom, stored_samples
from carina.imaging.header import age_in_years
from carina.imaging.quiet import quiet
from carina.imaging.rejections import rejection
from carina.settings import Limits

__all__ = ["DeidentifiedFilm", "deidentify_dicom"]

_DEFAULT_LIMITS: Final = Limits()
# 2.25 and a number drawn once for this implementation (PS3.7 D.3.3.2).
_IMPLEMENTATION: Final = UID("2.25.168640295748109402187493116725440018817")
_MEANINGS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113103": "Clean Graphics Option",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
_LOSSY: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in ("50", "51", "81", "91", "203"))
_UNDER_TWO: Final = 2.0
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class DeidentifiedFilm:
    """A film that may rest in a research folder.

    Attributes
    ----------
    data : bytes
        The file.
    patient_id : str
        Pseudonym of its patient.
    removed : Removed
        Identifiers that were in it.
    review : str or None
        Why a person has to look at it before it enters the study; None when nobody has to.
    blanked : int
        How many places of its pixels were blanked.
    """

    data: bytes
    patient_id: str
    removed: Removed
    review: str | None = None
    blanked: int = 0


def deidentify_dicom(
    data: bytes,
    pseudonymiser: Pseudonymiser,
    policy: Policy,
    *,
    nhi: str | None = None,
    limits: Limits = _DEFAULT_LIMITS,
) -> DeidentifiedFilm:
    """Take the identifiers out of one DICOM film.

    The film is written anew: header attributes that may stay, pixels decoded and stored uncompressed in explicit VR
    little endian, nothing else of the old file.

    Parameters
    ----------
    data : bytes
        A DICOM file with one frame.
    pseudonymiser : Pseudonymiser
    policy : Policy
    nhi : str or None
        The patient's NHI where the caller knows it; else it is read from the film.
    limits : Limits
        What the file may cost.

    Returns
    -------
    DeidentifiedFilm

    Raises
    ------
    FilmRejectedError
        If the file is no readable film, or says not whose it is.
    RemovalError
        If the policy refuses films without tesseract, and it is not installed.

    References
    ----------
    DICOM PS3.15 Annex E, edition 2026c; PS3.16 CID 7050; method rules M6, M7.
    """
    with quiet():
        try:
            return _deidentified(data, pseudonymiser, policy, nhi, limits)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, NotImplementedError) as error:
            # pydicom trips over malformed values in these ways, some of them only when it writes
            raise rejection("damaged", "has a header that cannot be written again; export it again") from error


def _deidentified(
    data: bytes, pseudonymiser: Pseudonymiser, policy: Policy, nhi: str | None, limits: Limits
) -> DeidentifiedFilm:
    opened = open_dicom(data, limits)
    header = _header(
        opened.data[opened.start : opened.layout.header_end], opened.encoding.implicit, opened.encoding.little
    )
    samples, bits, photometric = stored_samples(opened, limits)
    identity = identify(header, pseudonymiser, nhi)
    ds = HeaderCleaner(pseudonymiser, policy, identity, little=opened.encoding.little).clean(header)
    inverted = photometric == "MONOCHROME1" or str(header.get("PresentationLUTShape", "")) == "INVERSE"
    signed = header.get("PixelRepresentation") == 1
    pixels = clean_pixels(samples, bits, policy, inverted=inverted, signed=signed, photometric=photometric)
    _state_patient(ds, header, identity, pseudonymiser, policy)
    _state_pixels(ds, pixels.samples, bits, photometric, signed=signed)
    if opened.syntax in _LOSSY:
        ds.LossyImageCompression = "01"
    _state_method(ds, policy)
    return DeidentifiedFilm(
        data=_written(ds),
        patient_id=identity.patient_id,
        removed=Removed.of(identity.patient_id, identity.found),
        review=pixels.review,
        blanked=len(pixels.blanked),
    )


def _header(data: bytes, implicit: bool, little: bool) -> Dataset:  # noqa: FBT001 - as pydicom's own
    try:
        return read_dataset(io.BytesIO(data), implicit, little)
    except Exception as error:
        raise rejection("damaged", "has a header that cannot be read; export it again") from error


def _state_patient(
    ds: Dataset, header: Dataset, identity: Identity, pseudonymiser: Pseudonymiser, policy: Policy
) -> None:
    """Put pseudonyms where the IOD wants values, and the age before the birth date is gone."""
    ds.PatientID = identity.patient_id
    ds.PatientName = identity.patient_id
    ds.PatientBirthDate = ""
    ds.ReferringPhysicianName = ""
    accession = str(header.get("AccessionNumber", "") or "").strip()
    ds.AccessionNumber = pseudonymiser.accession(accession) if accession else ""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not str(ds.get(keyword, "") or ""):
            raise FilmRejectedError(
                "bad_header",
                f"a film must have a {keyword} to be de-identified, and the file has none; export it again",
            )
    if "PatientAge" not in ds and policy.patient_characteristics:
        age = age_in_years(header)
        if age is not None:
            ds.PatientAge = f"{int(age * _MONTHS):03d}M" if age < _UNDER_TWO else f"{min(int(age), OLDEST_AGE):03d}Y"


def _state_pixels(
    ds: Dataset, samples: NDArray[np.unsignedinteger], bits: int, photometric: str, *, signed: bool
) -> None:
    """Write pixels uncompressed: only the stored bits, so that nothing hides above or below them (PS3.5 section 8)."""
    colours = samples.shape[2] if samples.ndim == 3 else 1  # noqa: PLR2004 - rows, columns, colours
    container = 8 * samples.dtype.itemsize
    values = samples.astype(f"<u{samples.dtype.itemsize}")
    if signed and bits < container:
        spare = container - bits
        values = ((values << spare).view(f"<i{samples.dtype.itemsize}") >> spare).view(values.dtype)
    if colours == 1 and photometric.startswith("YBR_"):
        photometric = "MONOCHROME2"
    elif photometric.startswith("YBR_"):
        photometric = "YBR_FULL"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = colours, photometric
    ds.Rows, ds.Columns = samples.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = container, bits, bits - 1, int(signed)
    if colours > 1:
        ds.PlanarConfiguration = 0
    elif "PlanarConfiguration" in ds:
        del ds.PlanarConfiguration
    if "NumberOfFrames" in ds:
        del ds.NumberOfFrames
    stored = np.ascontiguousarray(values).tobytes()
    ds.add_new(0x7FE00010, "OB" if container == 8 else "OW", stored + b"\0" * (len(stored) % 2))  # noqa: PLR2004 - bits of a byte


def _state_method(ds: Dataset, policy: Policy) -> None:
    """Say what was done (PS3.15 E.1.1, PS3.3 C.7.1.1 and C.12.1)."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientIdentityRemoved = "YES"
    codes = policy.codes()
    ds.DeidentificationMethod = [
        f"Carina, PS3.15 Annex E {EDITION}",
        *(f"{code} {_MEANINGS[code]}"[:64] for code in codes),
    ]
    ds.DeidentificationMethodCodeSequence = Sequence([_code(code) for code in codes])
    ds.BurnedInAnnotation = "NO"
    ds.LongitudinalTemporalInformationModified = "MODIFIED"


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", _MEANINGS[value]
    return item


def _written(ds: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", ComputedRadiographyImageStorage)
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    # the preamble can hold a whole picture file of another format (PS3.10 section 7.1): it is zeros here
    film = FileDataset("", ds, file_meta=meta, preamble=b"\0" * 128)
    file = io.BytesIO()
    film.save_as(file, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return file.getvalue()
