"""Hand-made DICOM files for the tests of reading."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from carina.errors import FilmRejectedError
from carina.imaging import read_film
from carina.settings import Limits

MakeDicom = Callable[..., bytes]


def _make(
    pixels: NDArray[Any],
    *,
    syntax: str = ExplicitVRLittleEndian,
    compress: str | None = None,
    preamble: bool = True,
    **attributes: Any,
) -> bytes:
    pixels = np.asarray(pixels)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data.SOPInstanceUID = "2.25.1"
    data.PatientName = "Secret^Patient"
    data.PatientID = "ZZZ0016"
    data.Modality = "DX"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    body = pixels.tobytes()
    data.PixelData = body + b"\0" * (len(body) % 2)
    data["PixelData"].VR = "OW" if bits > 8 else "OB"
    for name, value in attributes.items():
        setattr(data, name, value)
    if compress is not None:
        data.compress(compress, generate_instance_uid=False)
    file = io.BytesIO()
    dcmwrite(file, data, enforce_file_format=True, overwrite=True)
    return file.getvalue() if preamble else file.getvalue()[132:]


@pytest.fixture(scope="session")
def make_dicom() -> MakeDicom:
    """Make a DICOM file of an array of uint8, uint16, int16 or uint32; keywords become attributes."""
    return _make


@pytest.fixture(scope="session")
def code_of() -> Callable[..., str]:
    """Code with which `read_film` refuses; fails when it does not."""

    def code(source: Any, limits: Limits | None = None) -> str:
        with pytest.raises(FilmRejectedError) as caught:
            read_film(source, limits or Limits())
        assert "Secret" not in str(caught.value)
        assert "ZZZ0016" not in str(caught.value)
        return caught.value.code

    return code
