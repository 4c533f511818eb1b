"""Stored values to grey, against values worked out by hand from PS3.3 C.7.6.3, C.11.1 and C.11.2."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from carina.imaging import read_film
from carina.types import Array

MakeDicom = Callable[..., bytes]
CodeOf = Callable[..., str]
EXPLICIT, IMPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".1.99", ".2"))


def _grey(file: bytes) -> Array:
    return read_film(file).pixels


def _table(first: int, bits: int, entries: list[int]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def test_without_a_window_the_values_present_span_the_scale(make_dicom: MakeDicom) -> None:
    np.testing.assert_allclose(_grey(make_dicom(np.asarray([[100, 150, 300]], np.uint16))), [[0, 0.25, 1]])


def test_one_value_alone_is_black(make_dicom: MakeDicom) -> None:
    np.testing.assert_array_equal(_grey(make_dicom(np.full((2, 2), 7, np.uint16))), np.zeros((2, 2)))


def test_linear_window(make_dicom: MakeDicom) -> None:
    # C.11.2.1.2.1, c=2048 w=4096: x <= 0 gives 0, x > 4095 gives 1, else (x - 2047.5) / 4095 + 0.5
    file = make_dicom(np.asarray([[0, 819, 4095, 5000]], np.uint16), WindowCenter=2048, WindowWidth=4096)
    np.testing.assert_allclose(_grey(file), [[0, 0.2, 1, 1]], atol=1e-7)


def test_linear_window_of_width_one_is_a_step(make_dicom: MakeDicom) -> None:
    file = make_dicom(np.asarray([[9, 10, 11]], np.uint16), WindowCenter=10, WindowWidth=1)
    np.testing.assert_array_equal(_grey(file), [[0, 1, 1]])


def test_linear_exact_window(make_dicom: MakeDicom) -> None:
    # C.11.2.1.3.2, c=100 w=50: (x - 100) / 50 + 0.5
    pixels = np.asarray([[70, 75, 100, 110, 125]], np.uint16)
    file = make_dicom(pixels, WindowCenter=100, WindowWidth=50, VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_allclose(_grey(file), [[0, 0, 0.5, 0.7, 1]], atol=1e-7)


def test_sigmoid_window(make_dicom: MakeDicom) -> None:
    # C.11.2.1.3.1, c=100 w=40: 1 / (1 + exp(-4 (x - 100) / 40))
    pixels = np.asarray([[90, 100, 120]], np.uint16)
    file = make_dicom(pixels, WindowCenter=100, WindowWidth=40, VOILUTFunction="SIGMOID")
    np.testing.assert_allclose(_grey(file), [[1 / (1 + math.e), 0.5, 1 / (1 + math.exp(-2))]], atol=1e-6)


def test_first_of_several_windows(make_dicom: MakeDicom) -> None:
    pixels = np.asarray([[70, 100, 110]], np.uint16)
    file = make_dicom(pixels, WindowCenter=[100, 900], WindowWidth=[50, 9], VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_allclose(_grey(file), [[0, 0.5, 0.7]], atol=1e-7)


@pytest.mark.parametrize("width", [0, -5])
def test_window_of_impossible_width_counts_as_absent(make_dicom: MakeDicom, width: int) -> None:
    file = make_dicom(np.asarray([[0, 10]], np.uint16), WindowCenter=5, WindowWidth=width)
    np.testing.assert_array_equal(_grey(file), [[0, 1]])


def test_rescale_comes_before_the_window(make_dicom: MakeDicom) -> None:
    pixels = np.asarray([[0, 512, 1024, 1536]], np.uint16)  # -1024, 0, 1024, 2048
    rescale = {"RescaleSlope": "2", "RescaleIntercept": "-1024"}
    window = {"WindowCenter": 0, "WindowWidth": 2048, "VOILUTFunction": "LINEAR_EXACT"}
    np.testing.assert_allclose(_grey(make_dicom(pixels, **rescale, **window)), [[0, 0.5, 1, 1]], atol=1e-7)


def test_negative_slope_turns_the_scale(make_dicom: MakeDicom) -> None:
    file = make_dicom(np.asarray([[0, 10]], np.uint16), RescaleSlope="-1", RescaleIntercept="0")
    np.testing.assert_array_equal(_grey(file), [[1, 0]])


def test_slope_of_zero_is_refused(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    file = make_dicom(np.asarray([[0, 10]], np.uint16), RescaleSlope="0", RescaleIntercept="0")
    assert code_of(file) == "bad_header"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, BIG])
def test_modality_lut_sequence(make_dicom: MakeDicom, syntax: str) -> None:
    # first input 2: values below get the first entry, above the last one
    item = _table(2, 16, [0, 300, 400])
    pixels = np.asarray([[0, 2, 3, 4, 9]], np.uint16)
    stored = pixels.astype(">u2") if syntax == BIG else pixels
    file = make_dicom(stored, syntax=syntax, ModalityLUTSequence=[item])
    np.testing.assert_allclose(_grey(file), [[0, 0, 0.75, 1, 1]], atol=1e-7)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, BIG])
def test_voi_lut_sequence_goes_before_the_window(make_dicom: MakeDicom, syntax: str) -> None:
    item = _table(10, 10, [0, 341, 1023])  # 10 bits: 1023 is white
    pixels = np.asarray([[5, 10, 11, 12, 50]], np.uint16)
    stored = pixels.astype(">u2") if syntax == BIG else pixels
    file = make_dicom(stored, syntax=syntax, VOILUTSequence=[item], WindowCenter=1, WindowWidth=2)
    np.testing.assert_allclose(_grey(file), [[0, 0, 1 / 3, 1, 1]], atol=1e-6)


def test_voi_lut_with_a_negative_first_input(make_dicom: MakeDicom) -> None:
    item = _table(-1, 8, [0, 102, 255])
    file = make_dicom(np.asarray([[-5, -1, 0, 1]], np.int16), VOILUTSequence=[item])
    np.testing.assert_allclose(_grey(file), [[0, 0, 0.4, 1]], atol=1e-6)


def test_incomplete_lut_is_refused(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    item = _table(0, 16, [1, 2, 3])
    item.LUTDescriptor = [9, 0, 16]
    assert code_of(make_dicom(np.asarray([[0, 9]], np.uint16), VOILUTSequence=[item])) == "bad_header"


@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_monochrome1_is_inverted_once(make_dicom: MakeDicom, shape: str | None) -> None:
    attributes = {} if shape is None else {"PresentationLUTShape": shape}
    file = make_dicom(np.asarray([[0, 1, 4]], np.uint16), PhotometricInterpretation="MONOCHROME1", **attributes)
    np.testing.assert_allclose(_grey(file), [[1, 0.75, 0]])


@pytest.mark.parametrize(("shape", "expected"), [("IDENTITY", [[0, 1]]), ("INVERSE", [[1, 0]])])
def test_presentation_shape_of_monochrome2(make_dicom: MakeDicom, shape: str, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(
        _grey(make_dicom(np.asarray([[0, 4]], np.uint16), PresentationLUTShape=shape)), expected
    )


def test_monochrome1_is_inverted_after_the_window(make_dicom: MakeDicom) -> None:
    window = {"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "LINEAR_EXACT"}
    file = make_dicom(np.asarray([[0, 110, 500]], np.uint16), PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_allclose(_grey(file), [[1, 0.3, 0]], atol=1e-6)


def test_junk_above_the_bits_stored_is_masked(make_dicom: MakeDicom) -> None:
    clean = np.asarray([[0, 1000, 4000]], np.uint16)
    junk = clean | np.asarray([[0xF000, 0x8000, 0x1000]], np.uint16)
    np.testing.assert_allclose(_grey(make_dicom(junk, BitsStored=12, HighBit=11)), [[0, 0.25, 1]])


def test_bits_below_a_raised_high_bit_are_dropped(make_dicom: MakeDicom) -> None:
    stored = np.asarray([[0, 1, 4]], np.uint16) << 4 | 0x5
    np.testing.assert_allclose(_grey(make_dicom(stored.astype(np.uint16), BitsStored=12, HighBit=15)), [[0, 0.25, 1]])


def test_signed_pixels(make_dicom: MakeDicom) -> None:
    np.testing.assert_allclose(_grey(make_dicom(np.asarray([[-100, 0, 300]], np.int16))), [[0, 0.25, 1]])


def test_signed_pixels_of_twelve_bits_without_sign_extension(make_dicom: MakeDicom) -> None:
    stored = np.asarray([[-100, 0, 300]], np.int16) & 0x0FFF
    file = make_dicom(stored.astype(np.int16), BitsStored=12, HighBit=11)
    np.testing.assert_allclose(_grey(file), [[0, 0.25, 1]])


def test_thirty_two_bits(make_dicom: MakeDicom) -> None:
    file = make_dicom(np.asarray([[0, 2**30, 2**32 - 4]], np.uint32))
    np.testing.assert_allclose(_grey(file), [[0, 0.25, 1]], atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_out_of_the_range(make_dicom: MakeDicom, photometric: str) -> None:
    pixels = np.asarray([[4095, 10, 11, 14]], np.uint16)
    file = make_dicom(pixels, PhotometricInterpretation=photometric, PixelPaddingValue=4095)
    expected = [[0, 0, 0.25, 1]] if photometric == "MONOCHROME2" else [[0, 1, 0.75, 0]]
    np.testing.assert_allclose(_grey(file), expected)


def test_padding_range(make_dicom: MakeDicom) -> None:
    pixels = np.asarray([[0, 3, 5, 10, 14]], np.uint16)
    file = make_dicom(pixels, PixelPaddingValue=0, PixelPaddingRangeLimit=5)
    np.testing.assert_allclose(_grey(file), [[0, 0, 0, 0, 1]])


def test_padding_value_written_with_the_other_sign(make_dicom: MakeDicom) -> None:
    pixels = np.asarray([[-2000, 0, 1, 4]], np.int16)
    np.testing.assert_allclose(_grey(make_dicom(pixels, PixelPaddingValue=-2000)), [[0, 0, 0.25, 1]])


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_becomes_its_luma(make_dicom: MakeDicom, planar: int) -> None:
    colours = np.asarray([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    attributes: dict[str, Any] = {"PlanarConfiguration": planar}
    if planar:
        attributes["PixelData"] = np.moveaxis(colours, -1, 0).tobytes()
    np.testing.assert_allclose(_grey(make_dicom(colours, **attributes)), [[0.299, 0.587], [0.114, 1]], atol=1e-6)


def test_luma_of_ybr_is_its_first_component(make_dicom: MakeDicom) -> None:
    samples = np.asarray([[[0, 9, 200], [51, 128, 128], [255, 30, 30], [102, 1, 2]]], np.uint8)
    file = make_dicom(samples, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(_grey(file), [[0, 0.2, 1, 0.4]], atol=1e-6)


def test_subsampled_chroma_is_skipped(make_dicom: MakeDicom) -> None:
    # PS3.3 C.7.6.3.1.2: Y1 Y2 Cb Cr for two pixels
    samples = np.zeros((1, 4, 3), np.uint8)
    data = bytes([0, 51, 9, 9, 102, 255, 9, 9])
    file = make_dicom(samples, PhotometricInterpretation="YBR_FULL_422", PixelData=data)
    np.testing.assert_allclose(_grey(file), [[0, 0.2, 0.4, 1]], atol=1e-6)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_palette(make_dicom: MakeDicom, syntax: str) -> None:
    order = ">" if syntax == BIG else "<"
    ramp = np.asarray([0, 32768, 65535], f"{order}u2").tobytes()
    palette = {f"{c}PaletteColorLookupTableDescriptor": [3, 0, 16] for c in ("Red", "Green", "Blue")}
    palette |= {f"{c}PaletteColorLookupTableData": ramp for c in ("Red", "Green", "Blue")}
    pixels = np.asarray([[0, 1], [2, 2]], np.uint8)
    file = make_dicom(pixels, syntax=syntax, PhotometricInterpretation="PALETTE COLOR", **palette)
    np.testing.assert_allclose(_grey(file), [[0, 32768 / 65535], [1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"PhotometricInterpretation": "CMYK"}, "unsupported_pixels"),
        ({"PhotometricInterpretation": "RGB"}, "bad_header"),
        ({"BitsStored": 17}, "bad_header"),
        ({"HighBit": 40}, "bad_header"),
        ({"BitsAllocated": 24}, "unsupported_pixels"),
        ({"Rows": 0}, "bad_header"),
        ({"Columns": None}, "bad_header"),
    ],
)
def test_headers_that_cannot_be(make_dicom: MakeDicom, code_of: CodeOf, attributes: dict[str, Any], code: str) -> None:
    assert code_of(make_dicom(np.zeros((2, 2), np.uint16), **attributes)) == code
