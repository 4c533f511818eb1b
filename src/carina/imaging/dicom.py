"""DICOM bytes to grey pixels and header (PS3.3 C.7.6.3, PS3.5 section 8, PS3.10)."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import Tag

from carina.imaging.elements import Encoding, Layout, guess_encoding, has_meta, read_meta, walk
from carina.imaging.frames import Geometry, native_samples, unpacked_samples
from carina.imaging.greyscale import GreyRule, LookupTable, Window, colour_to_grey, to_grey
from carina.imaging.header import film_header, lookup_table, number, text, whole
from carina.imaging.rejections import rejection
from carina.settings import Limits
from carina.types import Array, FilmHeader

__all__ = ["OpenedDicom", "looks_like_dicom", "open_dicom", "read_dicom", "stored_samples"]

_IMPLICIT, _EXPLICIT, _DEFLATED, _BIG_ENDIAN = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
_NATIVE: Final = frozenset({_IMPLICIT, _EXPLICIT, _DEFLATED, _BIG_ENDIAN})
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_MOST_BITS = 32
_TAGS = (
    *("SpecificCharacterSet", "SOPInstanceUID", "Modality", "Manufacturer", "SeriesDescription", "BodyPartExamined"),
    *("StudyDate", "SeriesDate", "AcquisitionDate", "AcquisitionDateTime", "ContentDate"),
    *("PatientBirthDate", "PatientAge", "PatientSex", "ViewPosition", "ImageLaterality", "Laterality"),
    *("PixelSpacing", "ImagerPixelSpacing", "PresentationLUTShape"),
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{c}PaletteColorLookupTable{what}" for c in ("Red", "Green", "Blue") for what in ("Descriptor", "Data")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
)
_WANTED = [Tag(keyword) for keyword in _TAGS]
_ELEMENT_HEAD = 8
"""Bytes of the first element's head, enough to tell a DICOM data set without preamble."""


@dataclass(frozen=True, slots=True)
class OpenedDicom:
    """A data set whose header is read and whose pixels are not.

    Attributes
    ----------
    data : bytes
        The file, or what a deflated file inflates to.
    start : int
        Offset of the data set in `data`.
    encoding : Encoding
    layout : Layout
    syntax : str
        Transfer syntax UID; ``""`` where the file tells none and its pixel data are compressed.
    header : pydicom.Dataset
        The attributes a film is read by.
    """

    data: bytes
    start: int
    encoding: Encoding
    layout: Layout
    syntax: str
    header: Dataset


def looks_like_dicom(data: bytes) -> bool:
    """Whether bytes are a DICOM file, or a bare data set that begins as such files do.

    Examples
    --------
    >>> looks_like_dicom(bytes(128) + b"DICM")
    True
    >>> looks_like_dicom(b"%PDF-1.7")
    False
    """
    if has_meta(data) is not None:
        return True
    first = data[:_ELEMENT_HEAD]
    # group 0008 with a small element number, in either byte order; both bytes are control characters, never text
    if first[:2] == b"\x08\x00":
        return first[3:4] == b"\x00" and guess_encoding(data, 0) is not None
    return first[:2] == b"\x00\x08" and first[2:3] == b"\x00" and guess_encoding(data, 0) is not None


def read_dicom(data: bytes, limits: Limits) -> tuple[Array, FilmHeader]:
    """Read one DICOM radiograph.

    Parameters
    ----------
    data : bytes
    limits : Limits

    Returns
    -------
    tuple of (ndarray of float32 (H, W), FilmHeader)
        Grey in [0, 1], 0 black.

    Raises
    ------
    FilmRejectedError
    """
    opened = open_dicom(data, limits)
    samples, bits, photometric = stored_samples(opened, limits)
    return _grey(samples, bits, photometric, opened), film_header(opened.header, bits)


def stored_samples(opened: OpenedDicom, limits: Limits) -> tuple[NDArray[np.unsignedinteger], int, str]:
    """Pixels as stored, decoded where they are compressed.

    Parameters
    ----------
    opened : OpenedDicom
    limits : Limits

    Returns
    -------
    tuple of (ndarray of unsigned integers (H, W) or (H, W, 3), int, str)
        Stored bits in the low bits of each sample, how many they are, and the photometric interpretation they have.

    Raises
    ------
    FilmRejectedError
    """
    geometry = _geometry(opened, limits)
    little = opened.encoding.little
    if opened.syntax not in _NATIVE:
        return unpacked_samples(opened.data, opened.layout, geometry, opened.syntax, limits, little=little)
    samples = native_samples(opened.data, opened.layout, geometry, little=little)
    return samples, geometry.bits_stored, geometry.photometric


def open_dicom(data: bytes, limits: Limits) -> OpenedDicom:
    """Find a film's header and pixel data under limits, without decoding the pixels.

    Parameters
    ----------
    data : bytes
    limits : Limits

    Returns
    -------
    OpenedDicom

    Raises
    ------
    FilmRejectedError
    """
    meta = has_meta(data)
    syntax, start = (None, 0) if meta is None else read_meta(data, meta)
    if syntax == _DEFLATED:
        data, start = _inflate(data[start:], limits.inflated_bytes), 0
    if start + _ELEMENT_HEAD > len(data):
        raise rejection("truncated", "ends after its file meta information; copy it again from its source")
    encoding = guess_encoding(data, start)
    if encoding is None:
        raise rejection("damaged", "has a DICOM data set that does not begin with one; export it again")
    layout = walk(data, start, encoding, limits.sequence_depth)
    if layout.pixels_start is None:
        raise rejection("no_pixels", "is DICOM without pixel data, such as a report or a directory; give the image")
    try:
        header = read_dataset(
            io.BytesIO(data[start : layout.header_end]),
            encoding.implicit,
            encoding.little,
            specific_tags=list(_WANTED),
        )
    except Exception as error:
        raise rejection("damaged", "has a header that cannot be read; export it again") from error
    # without a transfer syntax only native pixel data have a length
    bare = _IMPLICIT if layout.pixels_length is not None else ""
    return OpenedDicom(data, start, encoding, layout, bare if syntax is None else syntax, header)


def _inflate(deflated: bytes, limit: int) -> bytes:
    """Inflate under a limit: a deflated file can be a thousandth of its content (decompression bomb)."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(deflated, limit + 1)
    except zlib.error as error:
        raise rejection("damaged", "has deflated content that cannot be inflated; export it again") from error
    if len(inflated) > limit:
        raise rejection(
            "inflated_too_large", f"inflates to more than {limit} bytes; raise the limit inflated_bytes if it is a film"
        )
    if not stream.eof:
        raise rejection("truncated", "ends inside its deflated content; copy it again from its source")
    return inflated


def _geometry(opened: OpenedDicom, limits: Limits) -> Geometry:
    """Sizes from the header, checked against the limits and each other before any pixel is touched."""
    header = opened.header
    rows, columns = _needed(header, "Rows"), _needed(header, "Columns")
    samples = whole(header, "SamplesPerPixel") or 1
    frames = whole(header, "NumberOfFrames") or 1
    total = rows * columns * samples * frames
    if total > limits.samples:
        raise rejection(
            "too_many_samples",
            f"has {rows} x {columns} x {frames} x {samples} = {total} samples, more than {limits.samples}; "
            "raise the limit samples if it is a film",
        )
    if frames > 1:
        raise rejection("multi_frame", f"holds {frames} frames; a film has one: export the frame to be read")
    allocated = _needed(header, "BitsAllocated")
    stored = whole(header, "BitsStored") or allocated
    high = whole(header, "HighBit")
    high = stored - 1 if high is None else high
    if allocated not in (8, 16, _MOST_BITS):
        raise rejection("unsupported_pixels", f"allocates {allocated} bits to a sample; a film has 8, 16 or 32")
    if not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise rejection(
            "bad_header", f"says {stored} bits stored up to bit {high} of {allocated}, which cannot be; export it again"
        )
    photometric = (text(header, "PhotometricInterpretation") or "").upper()
    _check_photometric(photometric, samples)
    return Geometry(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        photometric=photometric,
        planar=whole(header, "PlanarConfiguration") == 1,
    )


def _needed(header: Dataset, keyword: str) -> int:
    value = whole(header, keyword)
    if value is None or value < 1:
        raise rejection("bad_header", f"has no usable {keyword}, which a picture needs; export it again")
    return value


def _check_photometric(photometric: str, samples: int) -> None:
    single = photometric in (*_GREY, "PALETTE COLOR")
    colour = photometric == "RGB" or photometric.startswith("YBR_")
    if not single and not colour:
        raise rejection(
            "unsupported_pixels",
            "has a photometric interpretation other than MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR",
        )
    if samples != (1 if single else 3):
        raise rejection("bad_header", f"says {samples} samples per pixel, which its photometric interpretation forbids")


def _grey(samples: NDArray[np.unsignedinteger], bits: int, photometric: str, opened: OpenedDicom) -> Array:
    if photometric == "PALETTE COLOR":
        return _palette_grey(samples, opened.header, little=opened.encoding.little)
    if photometric == "RGB":
        return colour_to_grey(samples, bits)
    if photometric.startswith("YBR_"):
        # the first component is the luma already (PS3.3 C.7.6.3.1.2)
        return to_grey(samples[..., 0], GreyRule(bits=bits, window=Window(2.0 ** (bits - 1), 2.0**bits)))
    return to_grey(samples, _grey_rule(opened.header, bits, photometric, little=opened.encoding.little))


def _palette_grey(samples: NDArray[np.unsignedinteger], header: Dataset, *, little: bool) -> Array:
    """Look colours up (PS3.3 C.7.6.3.1.5 and C.7.9.2) and take their luma."""
    try:
        header.set_original_encoding(False, little)  # segmented palettes are unpacked by it
        for colour in () if little else ("Red", "Green", "Blue"):
            element = header.get_item(f"{colour}PaletteColorLookupTableData")
            if element is not None and element.VR == "OW":  # pydicom takes these words as little endian
                swapped = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
                header.add_new(element.tag, "OW", swapped)
        colours = apply_color_lut(samples, header)[..., :3]
    except Exception as error:
        raise rejection("bad_header", "has a colour palette that cannot be read; export it again") from error
    return colour_to_grey(colours, 8 * colours.dtype.itemsize)


def _grey_rule(header: Dataset, bits: int, photometric: str, *, little: bool) -> GreyRule:
    signed = whole(header, "PixelRepresentation") == 1
    modality = _first_lut(header, "ModalityLUTSequence", signed=signed, little=little)
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope == 0.0:
        raise rejection("bad_header", "has a rescale slope of 0, which leaves no picture; export it again")
    lowest = -(2.0 ** (bits - 1)) if signed else 0.0
    lowest_output = 0.0 if modality is not None else min(0.0, lowest * (slope or 1.0) + (intercept or 0.0))
    return GreyRule(
        bits=bits,
        signed=signed,
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        modality_lut=modality,
        voi_lut=_first_lut(header, "VOILUTSequence", signed=lowest_output < 0, little=little),
        window=_window(header),
        inverted=_inverted(header, photometric),
        padding=_padding(header, bits, signed=signed),
    )


def _first_lut(header: Dataset, keyword: str, *, signed: bool, little: bool) -> LookupTable | None:
    try:
        items = list(header.get(keyword) or [])
    except Exception as error:
        raise rejection("damaged", f"has a {keyword} that cannot be read; export it again") from error
    if not items:
        return None
    table = lookup_table(items[0], signed=signed, little=little)
    if table is None:
        raise rejection("bad_header", f"has a {keyword} whose table is incomplete; export it again")
    return table


def _window(header: Dataset) -> Window | None:
    """First window of the header; one with an impossible width is no window."""
    centre, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    if centre is None or width is None:
        return None
    function = (text(header, "VOILUTFunction") or "LINEAR").upper()
    window = Window(centre, width, function if function in ("LINEAR", "LINEAR_EXACT", "SIGMOID") else "LINEAR")
    return window if window.usable else None


def _inverted(header: Dataset, photometric: str) -> bool:
    """MONOCHROME1 is shown inverted (PS3.3 C.7.6.3.1.2); the shape INVERSE beside it says the same thing again.

    On its own, with MONOCHROME2, INVERSE asks for the inversion (PS3.3 C.11.6.1.2).
    """
    return photometric == "MONOCHROME1" or (text(header, "PresentationLUTShape") or "").upper() == "INVERSE"


def _padding(header: Dataset, bits: int, *, signed: bool) -> tuple[int, int] | None:
    first = _stored_value(whole(header, "PixelPaddingValue"), bits, signed=signed)
    if first is None:
        return None
    last = _stored_value(whole(header, "PixelPaddingRangeLimit"), bits, signed=signed)
    last = first if last is None else last
    return (min(first, last), max(first, last))


def _stored_value(value: int | None, bits: int, *, signed: bool) -> int | None:
    """Bring a padding value to the pixels' sign, which its own VR may lack; None when it cannot occur."""
    if value is None:
        return None
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    for candidate in (value, value - 0x10000, value + 0x10000):
        if low <= candidate <= high:
            return candidate
    return None
