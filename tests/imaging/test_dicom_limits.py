"""Limits hold before anything is decoded; what ends too early is refused where pydicom would not complain."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset

from carina.imaging import read_film
from carina.settings import Limits

MakeDicom = Callable[..., bytes]
CodeOf = Callable[..., str]
META = bytes(128) + b"DICM"
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"


def _with_meta(syntax: str, body: bytes) -> bytes:
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    return META + b"\x02\x00\x10\x00UI" + struct.pack("<H", len(value)) + value + body


def _nested(depth: int, *, undefined: bool) -> bytes:
    """Request Attributes Sequence (0040,0275) within itself."""
    if undefined:
        open_ = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
        close = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
        return open_ * depth + close * depth
    body = b""
    for _ in range(depth):
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(body)) + body
        body = b"\x40\x00\x75\x02SQ\0\0" + struct.pack("<I", len(item)) + item
    return body


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("depth", [17, 3000, 100_000])
def test_deeply_nested_sequences_are_refused(code_of: CodeOf, depth: int, undefined: bool) -> None:  # noqa: FBT001 - a parameter
    if not undefined and depth > 3000:
        pytest.skip("quadratic to build")
    group8 = b"\x08\x00\x60\x00CS\x02\x00DX"
    start = time.perf_counter()
    assert code_of(_with_meta(EXPLICIT, group8 + _nested(depth, undefined=undefined))) == "nested_too_deep"
    assert time.perf_counter() - start < 2.0


def test_sequences_up_to_the_limit_are_read(make_dicom: MakeDicom) -> None:
    inner = Dataset()
    for _ in range(15):
        outer = Dataset()
        outer.RequestAttributesSequence = [inner]
        inner = outer
    file = make_dicom(np.asarray([[0, 1]], np.uint16), RequestAttributesSequence=[inner])
    assert read_film(file).pixels.shape == (1, 2)


def test_endless_header_is_refused_soon(code_of: CodeOf) -> None:
    element = b"\x08\x00\x60\x00CS\x02\x00DX"
    start = time.perf_counter()
    assert code_of(_with_meta(EXPLICIT, element * 300_000)) == "too_complex"
    assert time.perf_counter() - start < 3.0


def test_inflating_stops_at_the_limit(code_of: CodeOf) -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeeze.compress(b"\x08\x00\x60\x00CS\x02\x00DX" + bytes(64 << 20)) + squeeze.flush()
    file = _with_meta(DEFLATED, bomb)
    assert len(file) < 100_000
    assert code_of(file, Limits(inflated_bytes=1 << 20)) == "inflated_too_large"


def test_deflated_film_at_the_limit_is_read(make_dicom: MakeDicom) -> None:
    file = make_dicom(np.zeros((64, 64), np.uint16), syntax=DEFLATED)
    assert read_film(file, Limits(inflated_bytes=10_000)).pixels.shape == (64, 64)


def test_cut_deflated_film_is_refused(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (64, 64), dtype=np.uint16)
    file = make_dicom(noise, syntax=DEFLATED)
    assert {code_of(file[:length]) for length in range(400, len(file) - 8, 200)} == {"truncated"}


@pytest.mark.parametrize(("rows", "frames"), [(60000, 1), (2, 2_000_000_000)])
def test_size_is_checked_by_the_header_alone(make_dicom: MakeDicom, code_of: CodeOf, rows: int, frames: int) -> None:
    file = make_dicom(np.zeros((2, 2), np.uint16), Rows=rows, Columns=60000, NumberOfFrames=frames)
    assert code_of(file) == "too_many_samples"


def test_several_frames_are_refused_and_one_is_read(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    pixels = np.zeros((4, 4), np.uint16)
    assert code_of(make_dicom(pixels, NumberOfFrames=2, PixelData=bytes(64))) == "multi_frame"
    assert read_film(make_dicom(pixels, NumberOfFrames=1)).pixels.shape == (4, 4)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", EXPLICIT])
def test_cut_native_film_is_refused_wherever_it_is_cut(make_dicom: MakeDicom, code_of: CodeOf, syntax: str) -> None:
    file = make_dicom(np.arange(400, dtype=np.uint16).reshape(20, 20), syntax=syntax)
    codes = [code_of(file[:length]) for length in range(len(file) - 1, 140, -7)]
    assert set(codes) <= {"truncated", "no_pixels"}
    assert set(codes[: 800 // 7]) == {"truncated"}


def test_pixel_data_shorter_than_the_size_asks_for(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    assert code_of(make_dicom(np.zeros((8, 8), np.uint16), PixelData=bytes(126))) == "truncated"


def test_pixel_data_longer_than_the_size_asks_for(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    pixels = np.ones((8, 8), np.uint16)
    assert code_of(make_dicom(pixels, PixelData=b"\1" * 256)) == "damaged"
    # zeros behind the picture are padding
    assert read_film(make_dicom(pixels, PixelData=pixels.tobytes() + bytes(128))).pixels.shape == (8, 8)


def test_object_without_pixels(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    file = make_dicom(np.zeros((2, 2), np.uint16))
    assert code_of(file[: file.index(b"\xe0\x7f\x10\x00")]) == "no_pixels"


def test_floating_point_pixels(code_of: CodeOf) -> None:
    body = b"\x08\x00\x60\x00CS\x02\x00DX" + b"\xe0\x7f\x08\x00OF\0\0\x04\0\0\0" + bytes(4)
    assert code_of(_with_meta(EXPLICIT, body)) == "unsupported_pixels"


def test_icon_inside_the_header_does_not_pass_for_the_film(make_dicom: MakeDicom) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 1
    icon.PixelData = b"\x07\x00"
    icon["PixelData"].VR = "OW"
    film = read_film(make_dicom(np.asarray([[0, 1, 4]], np.uint16), IconImageSequence=[icon]))
    np.testing.assert_array_equal(film.pixels, [[0, 0.25, 1]])
