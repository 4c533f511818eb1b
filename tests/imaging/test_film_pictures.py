"""PNG, JPEG and TIFF: values at their full depth, one upright picture, whole or not at all."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from carina.imaging import read_film
from carina.settings import Limits

CodeOf = Callable[..., str]
SMOOTH = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
DEEP = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_pixels_are_contiguous_float32() -> None:
    pixels = read_film(_saved(Image.fromarray(SMOOTH), "PNG")).pixels
    assert (pixels.dtype, pixels.shape, pixels.flags.c_contiguous) == (np.float32, (96, 128), True)


def test_eight_bit_png_is_the_value_over_255() -> None:
    pixels = read_film(_saved(Image.fromarray(SMOOTH), "PNG")).pixels
    np.testing.assert_allclose(pixels, SMOOTH / 255.0, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})], ids=["png", "tiff", "lzw"]
)
def test_sixteen_bits_are_kept(kind: str, options: dict[str, str]) -> None:
    film = read_film(_saved(Image.fromarray(DEEP), kind, **options))
    np.testing.assert_array_equal(np.rint(film.pixels * 65535.0), DEEP)
    assert film.header.bits_stored == 16


def test_sixteen_bit_colour_png_keeps_its_bits() -> None:
    grey = read_film(cv2.imencode(".png", np.dstack([DEEP] * 3))[1].tobytes()).pixels
    np.testing.assert_allclose(grey, DEEP / 65535.0, atol=2e-7)


def test_white_is_zero_tiff_of_16_bits_is_inverted() -> None:
    pixels = read_film(_saved(Image.fromarray(DEEP), "TIFF", tiffinfo={262: 0})).pixels
    np.testing.assert_allclose(pixels, 1.0 - DEEP / 65535.0, atol=1e-6)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colour_becomes_its_luma(kind: str) -> None:
    # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B
    colours = np.asarray([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    pixels = read_film(_saved(Image.fromarray(colours), kind)).pixels
    np.testing.assert_allclose(pixels, [[0.299, 0.587, 0.114]], atol=1e-6)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_palette_is_looked_up(compression: str | None) -> None:
    image = Image.fromarray(np.asarray([[0, 1, 2]], np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255, 51, 51, 51])
    options = {"compression": compression} if compression else {}
    np.testing.assert_allclose(read_film(_saved(image, "TIFF", **options)).pixels, [[0.0, 1.0, 0.2]], atol=1e-6)
    np.testing.assert_allclose(read_film(_saved(image, "PNG")).pixels, [[0.0, 1.0, 0.2]], atol=1e-6)


def test_transparent_pixels_are_black() -> None:
    image = Image.fromarray(np.asarray([[[255, 255, 255, 0], [255, 255, 255, 255]]], np.uint8), "RGBA")
    np.testing.assert_allclose(read_film(_saved(image, "PNG")).pixels, [[0.0, 1.0]], atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_agrees_with_another_decoder(mode: str) -> None:
    file = _saved(Image.fromarray(SMOOTH).convert(mode), "JPEG", quality=90)
    peer = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_GRAYSCALE) / 255.0
    np.testing.assert_allclose(read_film(file).pixels, peer, atol=1.5 / 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(kind: str) -> None:
    half = np.zeros((32, 64), np.uint8)
    half[:, :32] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees for display
    pixels = read_film(_saved(Image.fromarray(half), kind, exif=exif)).pixels
    assert pixels.shape == (64, 32)
    assert pixels[:30].min() > 0.9
    assert pixels[34:].max() < 0.1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_several_pictures_in_one_file_are_refused(code_of: CodeOf, kind: str) -> None:
    pages = [Image.fromarray(SMOOTH), Image.fromarray(SMOOTH[::-1].copy())]
    assert code_of(_saved(pages[0], kind, save_all=True, append_images=pages[1:])) == "multi_frame"


@pytest.mark.parametrize("mode", ["F", "I"])
def test_tiff_of_other_numbers_is_refused(code_of: CodeOf, mode: str) -> None:
    assert code_of(_saved(Image.new(mode, (8, 8)), "TIFF")) == "unsupported_pixels"


def test_sixteen_bit_colour_tiff_is_refused(code_of: CodeOf) -> None:
    file = cv2.imencode(".tiff", np.dstack([DEEP] * 3))[1].tobytes()
    assert code_of(file) == "unsupported_pixels"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate"}),
    ],
)
def test_a_cut_picture_is_refused_wherever_it_is_cut(code_of: CodeOf, kind: str, options: dict[str, Any]) -> None:
    file = _saved(Image.fromarray(SMOOTH), kind, **options)
    codes = {code_of(file[:length]) for length in range(16, len(file), max(1, len(file) // 60))}
    assert codes <= {"truncated", "damaged"}
    for _ in range(2):  # the second time as the first: a decoder that is used again must not have grown lenient
        assert code_of(file[:-1]) in {"truncated", "damaged"}


def test_end_marker_of_a_thumbnail_does_not_pass_for_the_picture_s(code_of: CodeOf) -> None:
    thumbnail = _saved(Image.fromarray(SMOOTH[:16, :16].copy()), "JPEG")
    file = _saved(Image.fromarray(SMOOTH), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert read_film(file).pixels.shape == SMOOTH.shape
    assert code_of(file[:-2]) == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_size_limit_holds_before_decoding(code_of: CodeOf, kind: str) -> None:
    file = _saved(Image.new("L", (2000, 2000)), kind)
    assert code_of(file, Limits(samples=3_999_999)) == "too_many_samples"
    assert read_film(file, Limits(samples=4_000_000)).pixels.shape == (2000, 2000)


def test_png_that_claims_to_be_huge_is_refused_at_once(code_of: CodeOf) -> None:
    file = bytearray(_saved(Image.new("L", (8, 8)), "PNG"))
    file[16:24] = (60000).to_bytes(4, "big") * 2
    start = time.perf_counter()
    assert code_of(bytes(file)) in {"too_many_samples", "damaged"}
    assert time.perf_counter() - start < 1.0


def test_jpeg_of_twelve_bits_outside_dicom_is_refused(code_of: CodeOf) -> None:
    file = bytearray(_saved(Image.fromarray(SMOOTH), "JPEG"))
    file[file.index(b"\xff\xc0") + 4] = 12
    assert code_of(bytes(file)) == "unsupported_pixels"
