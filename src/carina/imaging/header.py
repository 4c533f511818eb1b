"""DICOM attributes as plain values: whatever is malformed counts as absent (PS3.5 section 6.2)."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from carina.imaging.greyscale import LookupTable
from carina.types import FilmHeader

__all__ = ["age_in_years", "film_header", "lookup_table", "number", "text", "whole"]

_AGE = re.compile(r"^\s*(\d{1,3})([DWMY]?)\s*$")
_ADULT = 19
"""A number without its unit is years from here on: nobody counts so many months or weeks as an age."""
_A_YEAR = {"D": 365.2425, "W": 365.2425 / 7.0, "M": 12.0, "Y": 1.0}
_DAYS = _A_YEAR["D"]
_OLDEST = 130.0
_TEXT_LIMIT = 64
_LUT_ENTRIES = 65536


def _raw(dataset: Dataset, keyword: str) -> object:
    try:
        value: object = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - a malformed value raises many kinds of error inside pydicom; it counts as absent
        return None
    return value


def _values(dataset: Dataset, keyword: str) -> list[object]:
    value = _raw(dataset, keyword)
    if value is None or isinstance(value, str | bytes):
        return [] if value is None or not value else [value]
    return list(value) if isinstance(value, Iterable) else [value]


def number(dataset: Dataset, keyword: str, index: int = 0) -> float | None:
    """Finite number of an attribute, the first of several by default; None when absent or malformed."""
    values = _values(dataset, keyword)
    if index >= len(values):
        return None
    try:
        value = float(str(values[index]))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """Whole number of an attribute; None when absent, malformed or broken."""
    value = number(dataset, keyword)
    return int(value) if value is not None and value == int(value) else None


def text(dataset: Dataset, keyword: str) -> str | None:
    """First value of a text attribute, stripped; None when absent or empty."""
    values = _values(dataset, keyword)
    if not values or not isinstance(values[0], str):
        return None
    printable = "".join(letter for letter in str(values[0]) if letter.isprintable())
    return printable.strip()[:_TEXT_LIMIT].strip() or None


def _upper(dataset: Dataset, keyword: str) -> str | None:
    value = text(dataset, keyword)
    return None if value is None else value.upper()


def _date(dataset: Dataset, keyword: str) -> dt.date | None:
    value = text(dataset, keyword)
    if value is None:
        return None
    try:
        # PS3.5 6.2: DA is YYYYMMDD; YYYY.MM.DD is its ACR-NEMA form
        return dt.datetime.strptime(value.replace(".", "")[:8], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        return None


def age_in_years(dataset: Dataset) -> float | None:
    """Age at the film: PatientAge (``nnnD``, ``nnnW``, ``nnnM``, ``nnnY``), else from the birth date.

    A PatientAge that lacks its unit, as many exports write it, is years from 19 upwards, and unknown below.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    float or None
        0 to 130 years; None when unknown or impossible.

    References
    ----------
    DICOM PS3.5 section 6.2 (AS), PS3.3 C.7.1.1 and C.7.2.2.

    Examples
    --------
    >>> film = Dataset()
    >>> film.PatientAge = "018M"
    >>> age_in_years(film)
    1.5
    """
    written = _AGE.match(text(dataset, "PatientAge") or "")
    if written is not None and (written[2] or int(written[1]) >= _ADULT):
        return _plausible(int(written[1]) / _A_YEAR[written[2] or "Y"])
    birth = _date(dataset, "PatientBirthDate")
    for keyword in ("AcquisitionDate", "AcquisitionDateTime", "StudyDate", "SeriesDate", "ContentDate"):
        taken = _date(dataset, keyword)
        if birth is not None and taken is not None:
            return _plausible((taken - birth).days / _DAYS)
    return None


def _plausible(years: float) -> float | None:
    return years if 0.0 <= years <= _OLDEST else None


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel Spacing is calibrated to the patient; Imager Pixel Spacing is that of the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        row, column = number(dataset, keyword, 0), number(dataset, keyword, 1)
        if row is not None and column is not None and row > 0 and column > 0:
            return (row, column)
    return None


def film_header(dataset: Dataset, bits: int) -> FilmHeader:
    """Collect what a DICOM data set says about its film.

    Parameters
    ----------
    dataset : Dataset
    bits : int
        Bits stored.

    Returns
    -------
    FilmHeader
    """
    return FilmHeader(
        format="dicom",
        bits_stored=bits,
        photometric=_upper(dataset, "PhotometricInterpretation") or "",
        pixel_spacing_mm=_spacing(dataset),
        modality=_upper(dataset, "Modality"),
        body_part=_upper(dataset, "BodyPartExamined"),
        view=_upper(dataset, "ViewPosition"),
        laterality=_upper(dataset, "ImageLaterality") or _upper(dataset, "Laterality"),
        age_years=age_in_years(dataset),
        sex=_upper(dataset, "PatientSex"),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        series_description=text(dataset, "SeriesDescription"),
        manufacturer=text(dataset, "Manufacturer"),
    )


def lookup_table(item: Dataset, *, signed: bool, little: bool) -> LookupTable | None:
    """Modality or VOI LUT of a sequence item (PS3.3 C.11.1.1.1, C.11.2.1.1).

    Parameters
    ----------
    item : Dataset
    signed : bool
        Whether the first mapped value is two's complement.
    little : bool
        Byte order of the data set.

    Returns
    -------
    LookupTable or None
        None when descriptor or data are absent or contradict each other.
    """
    descriptor = _words(_raw(item, "LUTDescriptor"), None, little=little)
    if descriptor is None or descriptor.size != 3:  # noqa: PLR2004 - entries, first input, bits
        return None
    count, first, bits = (int(each) for each in descriptor)
    count = (count & 0xFFFF) or _LUT_ENTRIES
    first &= 0xFFFF
    first -= 0x10000 if signed and first >= 0x8000 else 0  # noqa: PLR2004 - the sign bit of 16
    data = _words(_raw(item, "LUTData"), count, little=little)
    if data is None or data.size < count or not 1 <= bits <= 16:  # noqa: PLR2004 - PS3.3 C.11.2.1.1
        return None
    return LookupTable(first, bits, data[:count].astype(np.float64))


def _words(value: object, count: int | None, *, little: bool) -> NDArray[np.int64] | None:
    """Numbers of an attribute whose VR may be US, SS or OW; in bytes there are one or two to an entry."""
    if isinstance(value, bytes):
        narrow = count is not None and len(value) < 2 * count
        return np.frombuffer(value[: len(value) // 2 * 2], np.uint8 if narrow else "<u2" if little else ">u2").astype(
            np.int64
        )
    try:
        return np.atleast_1d(np.asarray(value, dtype=np.int64))
    except (TypeError, ValueError, OverflowError):
        return None
