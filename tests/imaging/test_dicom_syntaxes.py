"""Every transfer syntax that a radiograph comes in; the lossless ones bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest

from carina.imaging import read_film
from carina.types import Array

MakeDicom = Callable[..., bytes]
CodeOf = Callable[..., str]

IMPLICIT, EXPLICIT, DEFLATED, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
COMPRESSED = {
    "rle": ("RLELossless", 0.0),
    "baseline": ("JPEGBaselineProcess1", 0.03),
    "extended": ("JPEGExtendedProcess2_4", 0.03),
    "lossless": ("JPEGLosslessProcess14", 0.0),
    "lossless_sv1": ("JPEGLosslessProcess14_1", 0.0),
    "jpeg_ls": ("JPEGLSLossless", 0.0),
    "jpeg_ls_near": ("JPEGLSNearLossless", 0.03),
    "jpeg2000_lossless": ("JPEG2000Lossless", 0.0),
    "jpeg2000": ("JPEG2000", 0.03),
}


def _radiograph(bits: int) -> np.ndarray:
    """Something smooth with an edge and some noise, at the full range of the bits."""
    rows, columns = np.mgrid[0:61, 0:52] / 61.0
    scene = 0.45 + 0.35 * np.sin(5 * rows) * np.cos(4 * columns) + 0.2 * (columns > 0.5)
    noise = np.random.default_rng(7).normal(0, 0.004, scene.shape)
    kind = np.uint8 if bits == 8 else np.uint16
    return (np.clip(scene + noise, 0, 1) * (2**bits - 1)).astype(kind)


def _transcoded(file: bytes, syntax: str, folder: Path) -> bytes:
    source, target = folder / "native.dcm", folder / "compressed.dcm"
    source.write_bytes(file)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target.read_bytes()


def _native(make_dicom: MakeDicom, bits: int) -> bytes:
    return make_dicom(
        _radiograph(bits), BitsStored=bits, HighBit=bits - 1, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits
    )


def _expected(bits: int) -> Array:
    # C.11.2.1.2.1 with a window over all values: x / (2^bits - 1)
    return (_radiograph(bits) / (2.0**bits - 1)).astype(np.float32)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG])
@pytest.mark.parametrize("preamble", [True, False])
def test_native(make_dicom: MakeDicom, syntax: str, bits: int, preamble: bool) -> None:  # noqa: FBT001 - a parameter
    pixels = _radiograph(bits)
    stored = pixels.astype(">u2") if syntax == BIG and bits > 8 else pixels
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
    file = make_dicom(stored, syntax=syntax, preamble=preamble, BitsStored=bits, HighBit=bits - 1, **window)
    np.testing.assert_allclose(read_film(file).pixels, _expected(bits), atol=1e-6)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_bare_data_set_without_any_meta(make_dicom: MakeDicom, syntax: str) -> None:
    pixels = np.asarray([[0, 256], [512, 1024]], np.uint16)
    file = make_dicom(pixels.astype(">u2") if syntax == BIG else pixels, syntax=syntax, preamble=False)
    length = 12 + int.from_bytes(file[8:12], "little")  # group length, then group 0002
    np.testing.assert_array_equal(read_film(file[length:]).pixels, [[0, 0.25], [0.5, 1]])


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed(make_dicom: MakeDicom, tmp_path: Path, name: str, bits: int) -> None:
    syntax, tolerance = COMPRESSED[name]
    if (name == "baseline" and bits != 8) or (name == "extended" and bits == 16):
        pytest.skip("the process has no such precision (ITU-T T.81 table B.2)")
    film = read_film(_transcoded(_native(make_dicom, bits), syntax, tmp_path))
    assert film.pixels.shape == (61, 52)
    if tolerance == 0.0:
        np.testing.assert_array_equal(film.pixels, read_film(_native(make_dicom, bits)).pixels)
    np.testing.assert_allclose(film.pixels, _expected(bits), atol=tolerance + 1e-6)


@pytest.mark.parametrize("name", ["rle", "lossless_sv1", "jpeg_ls", "jpeg2000_lossless"])
def test_signed_compressed(make_dicom: MakeDicom, tmp_path: Path, name: str) -> None:
    pixels = _radiograph(12).astype(np.int16) - 2048
    native = make_dicom(pixels, WindowCenter=0, WindowWidth=4096)
    film = read_film(_transcoded(native, COMPRESSED[name][0], tmp_path))
    np.testing.assert_array_equal(film.pixels, read_film(native).pixels)


@pytest.mark.parametrize("name", COMPRESSED)
def test_cut_inside_the_pixel_data_is_refused(
    make_dicom: MakeDicom, code_of: CodeOf, tmp_path: Path, name: str
) -> None:
    file = _transcoded(_native(make_dicom, 8), COMPRESSED[name][0], tmp_path)
    start = file.index(b"\xe0\x7f\x10\x00")
    codes = {code_of(file[:length]) for length in range(start + 12, len(file), max(1, (len(file) - start) // 40))}
    assert codes == {"truncated"}


@pytest.mark.parametrize("name", [name for name in COMPRESSED if name != "rle"])
def test_codestream_cut_inside_a_whole_fragment_is_refused(
    make_dicom: MakeDicom, code_of: CodeOf, tmp_path: Path, name: str
) -> None:
    file = _transcoded(_native(make_dicom, 8), COMPRESSED[name][0], tmp_path)
    item = file.rindex(b"\xfe\xff\x00\xe0")
    length = int.from_bytes(file[item + 4 : item + 8], "little")
    for kept in (length // 4 * 2, length - 4):
        head, body = file[: item + 4], file[item + 8 : item + 8 + kept]
        cut = head + kept.to_bytes(4, "little") + body + b"\xfe\xff\xdd\xe0\0\0\0\0"
        assert code_of(cut) == "truncated"


@pytest.mark.parametrize("name", ["baseline", "lossless_sv1", "jpeg_ls"])
def test_codestream_cut_and_closed_again_is_refused(
    make_dicom: MakeDicom, code_of: CodeOf, tmp_path: Path, name: str
) -> None:
    # libjpeg would warn of the premature end and fill up with grey
    file = _transcoded(_native(make_dicom, 8), COMPRESSED[name][0], tmp_path)
    item = file.rindex(b"\xfe\xff\x00\xe0")
    length = int.from_bytes(file[item + 4 : item + 8], "little")
    body = file[item + 8 : item + 8 + length * 7 // 8] + b"\xff\xd9"
    body += b"\0" * (len(body) % 2)
    cut = file[: item + 4] + len(body).to_bytes(4, "little") + body + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert code_of(cut) == "damaged"


def test_codestream_of_another_size_is_refused_before_decoding(
    make_dicom: MakeDicom, code_of: CodeOf, tmp_path: Path
) -> None:
    file = bytearray(_transcoded(_native(make_dicom, 8), "JPEGBaselineProcess1", tmp_path))
    frame = file.index(b"\xff\xc0", file.index(b"\xe0\x7f\x10\x00"))
    file[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"  # 65535 x 65535: four gigapixels behind a small header
    assert code_of(bytes(file)) == "damaged"


def test_compressed_pixels_with_a_native_transfer_syntax_are_refused(
    make_dicom: MakeDicom, code_of: CodeOf, tmp_path: Path
) -> None:
    file = _transcoded(_native(make_dicom, 8), "JPEGBaselineProcess1", tmp_path)
    assert code_of(file.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.1\0\0\0")) == "damaged"


def test_native_pixels_with_a_compressed_transfer_syntax_are_refused(make_dicom: MakeDicom, code_of: CodeOf) -> None:
    file = make_dicom(_radiograph(8), syntax="1.2.840.10008.1.2.1")
    length = len(b"1.2.840.10008.1.2.1\0")
    at = file.index(b"1.2.840.10008.1.2.1\0")
    assert code_of(file[:at] + b"1.2.840.10008.1.2.5\0" + file[at + length :]) == "damaged"


def test_video_is_refused(make_dicom: MakeDicom, code_of: CodeOf, tmp_path: Path) -> None:
    file = _transcoded(_native(make_dicom, 8), "JPEGBaselineProcess1", tmp_path)
    mpeg = file.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.99")
    assert code_of(mpeg) == "unsupported_transfer_syntax"
