"""A film full of identifiers, and a key."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from pydicom.dataset import FileDataset

from carina.deidentify import Pseudonymiser
from carina.imaging.phantom import Phantom, phantom_dicom, phantom_film


@pytest.fixture(scope="session")
def names() -> Pseudonymiser:
    return Pseudonymiser(bytes(range(32)))


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return phantom_film(3, size=128)


@pytest.fixture
def film(phantom: Phantom) -> FileDataset:
    """A film of the test patient ZZZ0016, Ann Testcase, taken 11 March 2020."""
    ds = phantom_dicom(phantom, patient="ZZZ0016", date="20200311")
    ds.PatientName = "Testcase^Ann^Mary"
    ds.PatientBirthDate = "19500131"
    ds.AccessionNumber = "RAD-2020-0001"
    return ds


@pytest.fixture(scope="session")
def written() -> Callable[[FileDataset], bytes]:
    def write(ds: FileDataset) -> bytes:
        file = io.BytesIO()
        ds.save_as(file, enforce_file_format=True)
        return file.getvalue()

    return write
