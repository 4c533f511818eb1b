"""Phantom DICOM: a valid Digital X-Ray image."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from carina.imaging import read_film
from carina.imaging.phantom import phantom_dicom, phantom_film


@pytest.fixture(scope="module")
def saved() -> bytes:
    stream = io.BytesIO()
    phantom_dicom(phantom_film(7, label="bacterial", size=96)).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_file_reads_back_as_a_chest_film_of_a_named_phantom(saved: bytes) -> None:
    ds = pydicom.dcmread(io.BytesIO(saved))
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.1"  # PS3.4 B.5: Digital X-Ray Image Storage - For Presentation
    assert (ds.Modality, ds.BodyPartExamined, str(ds.PatientName)) == ("DX", "CHEST", "PHANTOM^0007")
    assert ds.PatientAge == f"{phantom_film(7, size=64).age_years:03d}Y"
    assert ds.ViewPosition in ("PA", "AP")


def test_stored_values_are_the_film_in_twelve_bits(saved: bytes) -> None:
    phantom = phantom_film(7, label="bacterial", size=96)
    stored = pydicom.dcmread(io.BytesIO(saved)).pixel_array
    assert stored.max() <= 4095
    assert np.abs(stored / 4095 - phantom.pixels).max() <= 0.5 / 4095 + 1e-6


def test_monochrome1_stores_the_complement() -> None:
    phantom = phantom_film(7, size=64)
    one, two = (phantom_dicom(phantom, photometric=p).pixel_array for p in ("MONOCHROME1", "MONOCHROME2"))
    assert np.array_equal(one.astype(int) + two.astype(int), np.full((64, 64), 4095))


def test_same_phantom_gives_the_same_bytes(saved: bytes) -> None:
    stream = io.BytesIO()
    phantom_dicom(phantom_film(7, label="bacterial", size=96)).save_as(stream, enforce_file_format=True)
    assert stream.getvalue() == saved


def test_films_of_one_patient_share_the_patient_and_not_the_instance() -> None:
    one, two = (phantom_dicom(phantom_film(7, size=64, film=film)) for film in (0, 1))
    assert one.PatientID == two.PatientID
    assert one.SOPInstanceUID != two.SOPInstanceUID


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dciodvfy_finds_no_fault(tmp_path: Path, photometric: str) -> None:
    path = tmp_path / "phantom.dcm"
    ds = phantom_dicom(phantom_film(7, size=64), photometric=photometric)  # type: ignore[arg-type]  # parametrised text
    ds.save_as(path, enforce_file_format=True)
    report = subprocess.run(  # noqa: S603 - a checker the skip above found, on a file made here
        ["dciodvfy", "-new", str(path)],  # noqa: S607 - as above
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.returncode == 0
    assert [line for line in report.stderr.splitlines() if line.startswith(("Error", "Warning"))] == []


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_film_read_back_through_the_boundary_is_the_phantom(photometric: str) -> None:
    phantom = phantom_film(11, label="viral", size=96)
    stream = io.BytesIO()
    ds = phantom_dicom(phantom, photometric=photometric)  # type: ignore[arg-type]  # parametrised text
    ds.save_as(stream, enforce_file_format=True)
    film = read_film(stream.getvalue())
    assert np.abs(film.pixels - phantom.pixels).max() < 1 / 4095
    assert (film.header.age_years, film.header.sex) == (phantom.age_years, phantom.sex)
    assert (film.header.view, film.header.body_part) == (phantom.view, "CHEST")
