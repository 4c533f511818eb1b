"""The values that rooms hand to each other.

Arrays are documented by axes and units: ``H`` rows, ``W`` columns, ``K`` classes; intensities are unitless in [0, 1],
0 black (air) and 1 white (bone), which is DICOM's MONOCHROME2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Bytes", "Film", "FilmHeader", "Quality"]

Array: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FilmHeader:
    """What the file said about the film; `None` where it said nothing.

    Attributes
    ----------
    format : str
        ``"dicom"``, ``"png"``, ``"jpeg"`` or ``"tiff"``.
    bits_stored : int
        Bits of grey as stored in the file, 1 to 32.
    photometric : str
        DICOM PhotometricInterpretation as stored, or ``"L"``/``"RGB"`` and so on for pictures.
    pixel_spacing_mm : tuple of float or None
        Row and column spacing in mm (PS3.3 C.7.6.3.1, or Imager Pixel Spacing, PS3.3 C.8.11.3).
    modality, body_part, view, laterality : str or None
        DICOM Modality, BodyPartExamined, ViewPosition, ImageLaterality (or Laterality), upper case.
    age_years : float or None
        Age at the film in years, from PatientAge, or from PatientBirthDate and the acquisition date.
    sex : str or None
        DICOM PatientSex.
    sop_instance_uid, series_description, manufacturer : str or None
        As in DICOM.
    """

    format: str
    bits_stored: int = 8
    photometric: str = "L"
    pixel_spacing_mm: tuple[float, float] | None = None
    modality: str | None = None
    body_part: str | None = None
    view: str | None = None
    laterality: str | None = None
    age_years: float | None = None
    sex: str | None = None
    sop_instance_uid: str | None = None
    series_description: str | None = None
    manufacturer: str | None = None


@dataclass(frozen=True, slots=True)
class Film:
    """One chest radiograph that passed the boundary.

    Attributes
    ----------
    pixels : ndarray of float32, (H, W)
        Intensities in [0, 1] after modality LUT, VOI window or LUT, and MONOCHROME1 inversion; 0 is black.
    header : FilmHeader
        What the file said.
    sha256 : str
        Of the file's bytes, lower-case hex.
    """

    pixels: Array
    header: FilmHeader
    sha256: str


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality gate's verdict on a film.

    Attributes
    ----------
    accepted : bool
        Whether the film may be judged.
    corrected : tuple of str
        What was put right, such as ``"inverted"`` or ``"rotated_90_clockwise"``: the correction applied, in order.
    reasons : tuple of str
        One sentence a refusal reason, empty when accepted.
    scores : dict of str to float
        The measured values the verdict rests on.
    """

    accepted: bool
    corrected: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
