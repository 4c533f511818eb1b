"""PNG, JPEG and TIFF bytes to grey pixels; 16-bit pictures keep their 16 bits.

Pillow decodes here, with its checks on: it refuses what is truncated and what unpacks into a bomb. Compressed TIFF goes
to the child process, for libtiff has many doors. OpenCV is asked for PNG of 16-bit colours only, which Pillow cuts.
"""

from __future__ import annotations

import io
import struct
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from carina.imaging.codestreams import read_jpeg
from carina.imaging.greyscale import colour_to_grey
from carina.imaging.rejections import rejection
from carina.imaging.sandbox import DecodeRequest, decode
from carina.settings import Limits
from carina.types import Array, FilmHeader

__all__ = ["picture_format", "read_picture"]

_MAGIC: Final = (
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("jpeg", b"\xff\xd8\xff"),
    ("tiff", b"II*\0"),
    ("tiff", b"MM\0*"),
    ("tiff", b"II+\0"),
    ("tiff", b"MM\0+"),
    ("GIF", b"GIF8"),
    ("BMP", b"BM"),
    ("JPEG 2000", b"\0\0\0\x0cjP  "),
    ("JPEG 2000", b"\xff\x4f\xff\x51"),
    ("JPEG XL", b"\0\0\0\x0cJXL "),
    ("NIfTI", b"\x5c\x01\0\0"),
)
_READ = frozenset({"png", "jpeg", "tiff"})
_ORIENTATION = 0x0112
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 259, 262, 339
_UNCOMPRESSED = 1
_CLASSIC = 42
_WHITE_IS_ZERO = 0
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_EIGHT = 8


def picture_format(data: bytes) -> str | None:
    """Format by content: ``"png"``, ``"jpeg"``, ``"tiff"``, the name of a format not read here, or None.

    Examples
    --------
    >>> picture_format(b"GIF89a"), picture_format(b"PK")
    ('GIF', None)
    """
    for name, magic in _MAGIC:
        if data.startswith(magic):
            return name if name != "BMP" or _is_bmp(data) else None
    return "WebP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _is_bmp(data: bytes) -> bool:
    """Two letters are a weak sign; the size of the second header is a strong one."""
    return len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADERS  # noqa: PLR2004 - end of that field


def read_picture(data: bytes, kind: str, limits: Limits) -> tuple[Array, FilmHeader]:
    """Read one picture.

    Parameters
    ----------
    data : bytes
    kind : str
        Result of `picture_format`.
    limits : Limits

    Returns
    -------
    tuple of (ndarray of float32 (H, W), FilmHeader)
        Grey in [0, 1]: the stored value over the largest that its bits can hold.

    Raises
    ------
    FilmRejectedError
    """
    if kind not in _READ:
        raise rejection("unsupported_format", f"must be DICOM, PNG, JPEG or TIFF; found {kind}: convert it")
    if kind == "jpeg":
        _check_size(*_jpeg_size(data), limits)
    elif kind == "png":
        _check_png_end(data)
    else:
        _check_tiff_end(data)
    try:
        with Image.open(io.BytesIO(data), formats=(kind.upper(),)) as image:
            _check_size(image.height, image.width, len(image.getbands()), limits)
            _check_single(image)
            return _read(image, data, kind, limits)
    except (Image.DecompressionBombError, MemoryError) as error:
        raise rejection("too_many_samples", "is too large to decode; convert it to a smaller picture") from error
    except UnidentifiedImageError as error:
        raise rejection("damaged", f"begins like {kind.upper()} and is not; copy it again") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError) as error:
        code = "truncated" if "truncated" in str(error) or isinstance(error, EOFError) else "damaged"
        what = "ends before its picture does" if code == "truncated" else "has a picture that cannot be decoded"
        raise rejection(code, f"{what}; copy it again from its source") from error
    except (TypeError, AttributeError, ZeroDivisionError, OverflowError, RuntimeError, AssertionError) as error:
        # Pillow's readers trip over malformed tags in these ways
        raise rejection("damaged", "has a picture that cannot be decoded; copy it again from its source") from error


def _jpeg_size(data: bytes) -> tuple[int, int, int]:
    stated = read_jpeg(data)
    if stated.precision != _EIGHT:
        raise rejection("unsupported_pixels", f"is JPEG of {stated.precision} bits, which is read inside DICOM alone")
    return stated.rows, stated.columns, stated.components


def _check_size(rows: int, columns: int, samples: int, limits: Limits) -> None:
    if rows < 1 or columns < 1:
        raise rejection("damaged", f"says it has {rows} x {columns} pixels; copy it again from its source")
    if rows * columns * samples > limits.samples:
        raise rejection(
            "too_many_samples",
            f"has {rows} x {columns} x {samples} samples, more than {limits.samples}; raise the limit samples",
        )


def _check_single(image: Image.Image) -> None:
    if image.format == "PNG":
        several = int(getattr(image, "n_frames", 1)) > 1
    elif image.format == "JPEG":
        return
    else:
        try:
            image.seek(1)
            several = True
        except EOFError:
            image.seek(0)
            several = False
    if several:
        raise rejection("multi_frame", "holds several pictures; a film is one: save the picture to be read alone")


def _read(image: Image.Image, data: bytes, kind: str, limits: Limits) -> tuple[Array, FilmHeader]:
    photometric, bits = image.mode, _bits(image, data, kind)
    white_is_zero = kind == "tiff" and _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    if kind == "jpeg" and image.mode == "RGB":
        image.draft("L", None)  # the luma alone: half the work
    if kind == "tiff":
        _check_tiff(image)
        if _tag(image, _COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED:
            image = _unpacked_tiff(image, data, limits)
    image.load()
    if bits > _EIGHT and not _is_deep_grey(image):
        pixels = _deep_colour(data, bits)
    else:
        upright = ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image
        pixels = _grey(upright, bits)
    if white_is_zero and bits > _EIGHT:
        pixels = np.float32(1.0) - pixels  # Pillow inverts the 8-bit ones alone
    return np.ascontiguousarray(pixels, dtype=np.float32), FilmHeader(kind, bits_stored=bits, photometric=photometric)


def _tag(image: Image.Image, tag: int, default: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)


def _bits(image: Image.Image, data: bytes, kind: str) -> int:
    """Bits of a sample in the file, not in Pillow's mode."""
    if kind == "png":
        return data[24]  # IHDR: width, height, bit depth
    if kind == "tiff":
        return _tag(image, _BITS, 1)
    return _EIGHT


def _check_tiff(image: Image.Image) -> None:
    if _tag(image, _SAMPLE_FORMAT, 1) != 1 or _tag(image, _BITS, 1) > 16:  # noqa: PLR2004 - bits of the deepest film
        raise rejection(
            "unsupported_pixels", "is TIFF with signed, floating-point or 32-bit samples; save it as 16 bit"
        )

    if _tag(image, _BITS, 1) > _EIGHT and not _is_deep_grey(image):
        raise rejection("unsupported_pixels", "is TIFF of 16-bit colours; save it as 16-bit grey")


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode == "I"


def _unpacked_tiff(image: Image.Image, data: bytes, limits: Limits) -> Image.Image:
    """Decode a compressed TIFF in the child process; the header alone was read here."""
    bits = {"1": 1, "I": 32}.get(image.mode, 16 if _is_deep_grey(image) else _EIGHT)
    request = DecodeRequest(
        codec="tiff",
        syntax="",
        rows=image.height,
        columns=image.width,
        samples=len(image.getbands()),
        allocated=bits,
        precision=bits,
    )
    unpacked = Image.frombytes(image.mode, image.size, bytes(decode(request, data, limits)))
    if image.palette is not None:
        unpacked.putpalette(image.palette)
    return unpacked


def _check_tiff_end(data: bytes) -> None:
    """See that the directory is whole; Pillow warns at most (TIFF 6.0, section 2)."""
    order = "<" if data[:1] == b"I" else ">"
    # classic: 32-bit offset at 4, 16-bit count, 12 bytes an entry; BigTIFF: 64-bit offset at 8, 64-bit count, 20 bytes
    offset_at, offset, count, entry = (4, "I", "H", 12) if _CLASSIC in data[2:4] else (8, "Q", "Q", 20)
    try:
        start = struct.unpack_from(order + offset, data, offset_at)[0]
        entries = struct.unpack_from(order + count, data, start)[0]
    except (struct.error, OverflowError):
        entries, start = len(data), 0
    if start + struct.calcsize(count) + entry * entries + struct.calcsize(offset) > len(data):
        raise rejection("truncated", "ends before its picture does; copy it again from its source")


def _check_png_end(data: bytes) -> None:
    """Walk the chunks to IEND; Pillow is content once it has all rows (PNG specification, section 5.3)."""
    position = 8
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if name == b"IEND" and position <= len(data):
            return
    raise rejection("truncated", "ends before its picture does; copy it again from its source")


def _grey(image: Image.Image, bits: int) -> Array:
    if image.mode == "L":
        return np.asarray(np.asarray(image) * np.float32(1 / 255), dtype=np.float32)
    if _is_deep_grey(image):
        return np.asarray(np.asarray(image).astype(np.float32) / np.float32(2**bits - 1))
    if image.mode == "1":
        return np.asarray(image).astype(np.float32)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        channels = np.asarray(image.convert("RGBA"))
        alpha = channels[..., 3].astype(np.float32) / np.float32(255.0)
        return colour_to_grey(channels[..., :3], 8) * alpha  # on black
    return colour_to_grey(np.asarray(image.convert("RGB")), 8)


def _deep_colour(data: bytes, bits: int) -> Array:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint16:
        raise rejection("unsupported_pixels", f"has {bits} bits a sample in a layout that is not read; save it as grey")
    if picture.ndim == 2:  # noqa: PLR2004 - rows, columns
        return np.asarray(picture, dtype=np.float32) / np.float32(65535.0)
    grey = colour_to_grey(np.ascontiguousarray(picture[..., 2::-1]), 16)
    return grey * (picture[..., 3].astype(np.float32) / np.float32(65535.0)) if picture.shape[2] == 4 else grey  # noqa: PLR2004 - with alpha
