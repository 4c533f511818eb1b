"""Small hand-made DICOM films, and studies to take them into."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

pytest.importorskip("sqlalchemy", reason="studies need the extra 'study'")

from carina.archive import Study, create_study


def film_bytes(seed: int, **attributes: Any) -> bytes:
    """A film that the rules of quality let through: smooth noise of 96 x 80 pixels, 12 bits, patient ZZZ00AX."""
    noise = np.random.default_rng(seed).random((12, 10), dtype=np.float32)
    pixels = (cv2.resize(noise, (80, 96), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 4095).astype(np.uint16)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data.SOPInstanceUID = f"1.2.3.{seed}"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"1.2.4.{seed}", f"1.2.5.{seed}"
    data.PatientName, data.PatientID, data.PatientSex = "TESTCASE^SYNTHETIC", "ZZZ00AX", "F"
    data.PatientBirthDate, data.AccessionNumber = "19500615", f"ACC{seed:05d}"
    data.StudyDate = data.AcquisitionDate = "20200401"
    data.StudyTime, data.AcquisitionTime = "083000", "084512.5"
    data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
    data.SeriesNumber, data.InstanceNumber = 1, seed
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OW"
    for name, value in attributes.items():
        setattr(data, name, value)
    file = io.BytesIO()
    dcmwrite(file, data, enforce_file_format=True, overwrite=True)
    return file.getvalue()


@pytest.fixture(scope="session")
def make_dicom() -> Callable[..., bytes]:
    """Factory of films: `make_dicom(seed, ViewPosition="AP")`."""
    return film_bytes


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with four films in three places: a folder, a folder below it, a zip; read it, do not change it."""
    top = tmp_path_factory.mktemp("export")
    (top / "below").mkdir()
    (top / "film1.dcm").write_bytes(film_bytes(1))
    (top / "below" / "film2").write_bytes(film_bytes(2))
    with zipfile.ZipFile(top / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../climbing.dcm", film_bytes(3))
        archive.writestr("film4.dcm", film_bytes(4))
    (top / "notes.txt").write_text("no film", "utf-8")
    return top


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Study]:
    """A new service study."""
    with create_study(tmp_path / "service", "service") as made:
        yield made


@pytest.fixture
def research(tmp_path: Path) -> Iterator[Study]:
    """A new research study."""
    with create_study(tmp_path / "research", "research") as made:
        yield made
