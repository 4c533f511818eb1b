"""Pixel data of one frame to an array of stored bits (PS3.5 section 8 and annex A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from carina.imaging.codestreams import Codestream, read_jpeg, read_jpeg2000
from carina.imaging.elements import Layout, fragments_of
from carina.imaging.rejections import rejection
from carina.imaging.sandbox import DecodeRequest, decode
from carina.settings import Limits

__all__ = ["Geometry", "native_samples", "unpacked_samples"]

Samples = NDArray[np.unsignedinteger]
_Codec = Literal["gdcm", "openjpeg", "rle"]

_CODECS: Final[dict[str, _Codec]] = {
    "1.2.840.10008.1.2.4.50": "gdcm",  # JPEG baseline
    "1.2.840.10008.1.2.4.51": "gdcm",  # JPEG extended, 8 and 12 bit
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG lossless, process 14
    "1.2.840.10008.1.2.4.70": "gdcm",  # JPEG lossless, process 14, selection value 1
    "1.2.840.10008.1.2.4.80": "gdcm",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": "gdcm",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "openjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "openjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "openjpeg",  # high-throughput JPEG 2000 lossless
    "1.2.840.10008.1.2.4.202": "openjpeg",  # the same, RPCL
    "1.2.840.10008.1.2.4.203": "openjpeg",  # high-throughput JPEG 2000
    "1.2.840.10008.1.2.5": "rle",
}
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the picture as the header gives them, checked.

    Attributes
    ----------
    rows, columns : int
        H and W.
    samples : int
        Samples per pixel, 1 or 3.
    bits_allocated, bits_stored, high_bit : int
    photometric : str
    planar : bool
        Whether the colours follow each other plane by plane.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    photometric: str
    planar: bool

    @property
    def pixels(self) -> int:
        """Rows x columns."""
        return self.rows * self.columns


def native_samples(data: bytes, layout: Layout, geometry: Geometry, *, little: bool) -> Samples:
    """Uncompressed pixel data.

    Parameters
    ----------
    data : bytes
    layout : Layout
    geometry : Geometry
    little : bool
        Byte order of the data set.

    Returns
    -------
    ndarray of unsigned integers, (H, W) or (H, W, 3)
        Stored bits, junk masked; with subsampled chroma (YBR_FULL_422) the luma alone, (H, W, 1).

    Raises
    ------
    FilmRejectedError
        ``truncated``, ``damaged`` or ``unsupported_pixels``.
    """
    if layout.pixels_length is None or layout.pixels_start is None:
        raise rejection("damaged", "has compressed pixel data and an uncompressed transfer syntax; export it again")
    subsampled = geometry.photometric == "YBR_FULL_422"
    per_pixel = 2 if subsampled else geometry.samples
    count, size = geometry.pixels * per_pixel, geometry.bits_allocated // 8
    if geometry.photometric.startswith("YBR_") and geometry.photometric not in ("YBR_FULL", "YBR_FULL_422"):
        raise rejection("unsupported_pixels", "has a photometric interpretation that only compressed pixels can have")
    surplus = layout.pixels_length - count * size
    if surplus < 0:
        raise rejection(
            "truncated",
            f"has {layout.pixels_length} bytes of pixel data where its size asks for {count * size}; copy it again",
        )
    end = layout.pixels_start + layout.pixels_length
    if surplus >= max(2, geometry.columns * per_pixel * size) and data[end - surplus : end].strip(b"\0"):
        raise rejection(
            "damaged", f"has {surplus} bytes of pixel data more than its size asks for, whole rows; export it again"
        )
    order = "<" if little else ">"
    flat = np.frombuffer(data, f"{order}u{size}", count, layout.pixels_start)
    if not little and size == 1 and data[layout.header_end + 4 : layout.header_end + 6] == b"OW":
        # 8-bit samples in big-endian words lie pairwise swapped (PS3.5 annex D)
        words = np.frombuffer(data, np.uint8, count + count % 2, layout.pixels_start)
        flat = words.reshape(-1, 2)[:, ::-1].reshape(-1)[:count]
    if subsampled:  # PS3.3 C.7.6.3.1.2: Y1 Y2 Cb Cr for two pixels
        luma = flat.reshape(-1, 4)[:, :2] if count % 4 == 0 else None
        if luma is None:
            raise rejection("damaged", "has subsampled colours and an odd number of pixels; export it again")
        return _stored_bits(luma.reshape(geometry.rows, geometry.columns, 1), geometry)
    return _stored_bits(_shaped(flat, geometry, planar=geometry.planar), geometry)


def unpacked_samples(
    data: bytes, layout: Layout, geometry: Geometry, syntax: str, limits: Limits, *, little: bool
) -> tuple[Samples, int, str]:
    """Compressed pixel data, decoded in the child process.

    Parameters
    ----------
    data : bytes
    layout : Layout
    geometry : Geometry
    syntax : str
        Transfer syntax UID.
    limits : Limits
    little : bool
        Byte order of the data set.

    Returns
    -------
    tuple of (ndarray of unsigned integers (H, W) or (H, W, 3), int, str)
        Stored bits, how many they are, and the photometric interpretation after decoding.

    Raises
    ------
    FilmRejectedError
    """
    codec = _CODECS.get(syntax)
    if codec is None:
        raise rejection(
            "unsupported_transfer_syntax",
            "has a transfer syntax that is not decoded here; export it uncompressed, or as JPEG or JPEG 2000",
        )
    if layout.pixels_length is not None or layout.pixels_start is None:
        raise rejection("damaged", "has uncompressed pixel data and a compressed transfer syntax; export it again")
    codestream = b"".join(fragments_of(data, layout.pixels_start, little=little)[0])
    if not codestream:
        raise rejection("truncated", "has compressed pixel data without a single byte; copy it again from its source")
    stated = _check_codestream(codec, codestream, geometry)
    request = DecodeRequest(
        codec=codec,
        syntax=syntax,
        rows=geometry.rows,
        columns=geometry.columns,
        samples=geometry.samples,
        allocated=geometry.bits_allocated,
        precision=geometry.bits_stored if stated is None else stated.precision,
    )
    flat = np.frombuffer(decode(request, codestream, limits), f"<u{request.sample_bytes}")
    if stated is None:
        shaped = _shaped(flat, geometry, planar=True)
        return _stored_bits(shaped, geometry), geometry.bits_stored, geometry.photometric
    bits = min(stated.precision, geometry.bits_stored)
    shaped = _shaped(flat, geometry, planar=False)
    if bits < 8 * request.sample_bytes:
        shaped = shaped & flat.dtype.type((1 << bits) - 1)
    return shaped, bits, _photometric_decoded(codec, stated, geometry.photometric)


def _check_codestream(codec: _Codec, codestream: bytes, geometry: Geometry) -> Codestream | None:
    """Compare the codestream's own header with the data set's; RLE has none."""
    if codec == "rle":
        return None
    stated = read_jpeg(codestream) if codec == "gdcm" else read_jpeg2000(codestream)
    found = (stated.rows, stated.columns, stated.components)
    if found != (geometry.rows, geometry.columns, geometry.samples):
        raise rejection(
            "damaged",
            f"says {geometry.rows} x {geometry.columns} x {geometry.samples} in its header and "
            f"{' x '.join(map(str, found))} in its compressed pixel data; export it again",
        )
    if not 1 <= stated.precision <= _DEEPEST:
        raise rejection("unsupported_pixels", f"has compressed samples of {stated.precision} bits; a film has up to 16")
    return stated


def _photometric_decoded(codec: _Codec, stated: Codestream, photometric: str) -> str:
    """Which colours the decoder gives: JPEG components as stored, JPEG 2000 with its own transform undone."""
    if stated.components == 1:
        return photometric
    if codec == "openjpeg":
        return "RGB" if photometric in ("YBR_RCT", "YBR_ICT") else photometric
    if stated.colour is not None:
        return {"rgb": "RGB", "ybr": "YBR_FULL"}[stated.colour]
    return photometric


def _shaped(flat: Samples, geometry: Geometry, *, planar: bool) -> Samples:
    if geometry.samples == 1:
        return flat.reshape(geometry.rows, geometry.columns)
    if planar:
        return np.moveaxis(flat.reshape(geometry.samples, geometry.rows, geometry.columns), 0, -1)
    return flat.reshape(geometry.rows, geometry.columns, geometry.samples)


def _stored_bits(samples: Samples, geometry: Geometry) -> Samples:
    """Keep bits stored: overlays or junk may lie above and below them (PS3.5 section 8.1.1)."""
    shift = geometry.high_bit + 1 - geometry.bits_stored
    if shift == 0 and geometry.bits_stored == geometry.bits_allocated:
        return samples
    kind = samples.dtype.newbyteorder("=").type
    return np.asarray((samples >> kind(shift)) & kind((1 << geometry.bits_stored) - 1))
