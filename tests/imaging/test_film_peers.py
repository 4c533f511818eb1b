"""pydicom's own files: each one a film or a refusal with a code, never anything else; films agree with pydicom."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from carina.errors import FilmRejectedError
from carina.imaging import REJECTIONS, read_film

CodeOf = Callable[..., str]
HOME = Path(pydicom.data.__file__).parent


def _path(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} comes with pydicom-data, which is not installed")
    return Path(str(path))


@pytest.mark.parametrize("path", sorted(HOME.rglob("test_files/**/*")), ids=lambda path: path.name)
def test_film_or_refusal(path: Path) -> None:
    try:
        film = read_film(path)
    except FilmRejectedError as error:
        assert error.code in REJECTIONS  # noqa: PT017 - the refusal is one of two right outcomes
    else:
        assert film.pixels.dtype == np.float32
        assert 0.0 <= film.pixels.min() <= film.pixels.max() <= 1.0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("MR_truncated.dcm", "truncated"),
        ("rtplan_truncated.dcm", "truncated"),
        ("rtplan.dcm", "no_pixels"),
        ("test-SR.dcm", "no_pixels"),
        ("emri_small.dcm", "multi_frame"),
        ("SC_rgb_rle_2frame.dcm", "multi_frame"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "damaged"),
        ("liver_1frame.dcm", "unsupported_pixels"),
        ("zipMR.gz", "not_a_picture"),
    ],
)
def test_refusals(code_of: CodeOf, name: str, code: str) -> None:
    assert code_of(_path(name)) == code


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_padded.dcm",
        "image_dfl.dcm",
        "JPEG2000.dcm",
        "RG1_UNCR.dcm",
        "RG3_UNCI.dcm",
        "mlut_18.dcm",
        "vlut_04.dcm",
    ],
)
@pytest.mark.filterwarnings("ignore")  # pydicom warns of its own files
def test_grey_agrees_with_pydicom(name: str) -> None:
    path = _path(name)
    data = dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data).astype(np.float64)
    if "VOILUTSequence" in data:
        low, high = 0.0, 2.0 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif "WindowWidth" in data:  # pydicom spreads a window over the range of the values that can be stored
        low = -(2.0 ** (data.BitsStored - 1)) if data.PixelRepresentation else 0.0
        low, high = low * data.get("RescaleSlope", 1), (low + 2.0**data.BitsStored - 1) * data.get("RescaleSlope", 1)
        low, high = low + data.get("RescaleIntercept", 0), high + data.get("RescaleIntercept", 0)
    else:
        low, high = shown.min(), shown.max()
    expected = (shown - low) / (high - low)
    expected = 1.0 - expected if data.PhotometricInterpretation == "MONOCHROME1" else expected
    np.testing.assert_allclose(read_film(path).pixels, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
        ("JPEG-lossy.dcm", "JPGExtended.dcm"),
        ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm"),
        ("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"),
        ("RG3_UNCR.dcm", "RG3_J2KR.dcm"),
        ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
        ("color-pl.dcm", "color-px.dcm"),
    ],
)
def test_one_picture_in_two_encodings(one: str, other: str) -> None:
    np.testing.assert_array_equal(read_film(_path(one)).pixels, read_film(_path(other)).pixels)


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path in HOME.rglob("test_files/*.dcm"):
            try:
                read_film(path)
            except FilmRejectedError:
                continue
    assert [str(each.message) for each in caught] == []
