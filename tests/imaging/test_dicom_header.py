"""What the header says of the film, and of the patient only what the method needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from carina.imaging import read_film
from carina.types import FilmHeader

MakeDicom = Callable[..., bytes]


def _header(make_dicom: MakeDicom, **attributes: Any) -> FilmHeader:
    return read_film(make_dicom(np.zeros((2, 2), np.uint16), **attributes)).header


def test_film_attributes(make_dicom: MakeDicom) -> None:
    header = _header(
        make_dicom,
        BodyPartExamined="CHEST",
        ViewPosition="PA ",
        ImageLaterality="U",
        PatientSex="F",
        SeriesDescription="Chest erect",
        Manufacturer="Maker",
        BitsStored=12,
        HighBit=11,
    )
    assert (header.format, header.modality, header.body_part, header.view) == ("dicom", "DX", "CHEST", "PA")
    assert (header.laterality, header.sex, header.bits_stored, header.photometric) == ("U", "F", 12, "MONOCHROME2")
    assert (header.series_description, header.manufacturer) == ("Chest erect", "Maker")
    assert header.sop_instance_uid == "2.25.1"


def test_what_is_not_said_is_none(make_dicom: MakeDicom) -> None:
    header = _header(make_dicom)
    assert (header.view, header.laterality, header.age_years, header.pixel_spacing_mm) == (None, None, None, None)


def test_pixel_spacing_is_calibrated_and_goes_first(make_dicom: MakeDicom) -> None:
    header = _header(make_dicom, PixelSpacing=[0.12, 0.14], ImagerPixelSpacing=[0.2, 0.2])
    assert header.pixel_spacing_mm == (0.12, 0.14)


@pytest.mark.parametrize("spacing", [None, [0, 0], [0.1]])
def test_imager_spacing_steps_in(make_dicom: MakeDicom, spacing: list[float] | None) -> None:
    header = _header(make_dicom, PixelSpacing=spacing, ImagerPixelSpacing=[0.2, 0.3])
    assert header.pixel_spacing_mm == (0.2, 0.3)


@pytest.mark.parametrize(
    ("age", "years"), [("045Y", 45.0), ("018M", 1.5), ("026W", 26 * 7 / 365.2425), ("010D", 10 / 365.2425)]
)
def test_age_string(make_dicom: MakeDicom, age: str, years: float) -> None:
    assert _header(make_dicom, PatientAge=age).age_years == pytest.approx(years, abs=1e-9)


@pytest.mark.parametrize(("age", "years"), [("62", 62.0), ("062", 62.0), ("9", None)])
@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")  # the writer warns of what is to be read
def test_age_without_a_unit_is_years_for_adults_alone(make_dicom: MakeDicom, age: str, years: float | None) -> None:
    assert _header(make_dicom, PatientAge=age).age_years == years


@pytest.mark.parametrize("keyword", ["AcquisitionDate", "StudyDate"])
def test_age_from_the_birth_date(make_dicom: MakeDicom, keyword: str) -> None:
    header = _header(make_dicom, PatientBirthDate="19800301", **{keyword: "20200301"})
    assert header.age_years == pytest.approx(40.0, abs=0.01)


@pytest.mark.parametrize(
    ("birth", "study"), [("20210101", "20200101"), ("18000101", "20200101"), ("20209999", "20200101"), ("", "20200101")]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")  # the writer warns of what is to be read
def test_impossible_ages_are_unknown(make_dicom: MakeDicom, birth: str, study: str) -> None:
    assert _header(make_dicom, PatientBirthDate=birth, StudyDate=study).age_years is None


def test_laterality_of_the_series_steps_in(make_dicom: MakeDicom) -> None:
    assert _header(make_dicom, Laterality="L").laterality == "L"
