"""A PNG, JPEG or TIFF film without what was written into it: only its pixels go on."""

from __future__ import annotations

import io
import zlib
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.deidentify.burned_in import clean_pixels
from carina.deidentify.dicom import DeidentifiedFilm
from carina.deidentify.policy import Policy
from carina.deidentify.pseudonyms import Pseudonymiser
from carina.deidentify.removed import Removed
from carina.errors import FilmRejectedError
from carina.imaging import read_film
from carina.imaging.rejections import rejection
from carina.settings import Limits

__all__ = ["deidentify_picture"]

_DEFAULT_LIMITS: Final = Limits()
_BYTE: Final = 8
_COMPRESSION: Final = 4


def deidentify_picture(
    data: bytes,
    pseudonymiser: Pseudonymiser,
    policy: Policy,
    *,
    nhi: str | None = None,
    limits: Limits = _DEFAULT_LIMITS,
) -> DeidentifiedFilm:
    """Take everything but the pixels out of a picture, and text out of these.

    The picture is decoded under the limits of `read_film`, upright and grey, and written as PNG of 8 or 16 bits with
    no chunk beside header, pixels and end: EXIF, XMP, text, comments, colour profiles, thumbnails and what follows the
    picture are not copied.

    Parameters
    ----------
    data : bytes
        A PNG, JPEG or TIFF file.
    pseudonymiser : Pseudonymiser
    policy : Policy
    nhi : str or None
        The patient's NHI; a picture has no attribute that could tell it.
    limits : Limits

    Returns
    -------
    DeidentifiedFilm

    Raises
    ------
    FilmRejectedError
        ``no_patient`` without an NHI, ``unsupported_format`` for DICOM, or what `read_film` refuses.
    RemovalError
        If the policy refuses films without tesseract, and it is not installed.

    References
    ----------
    PNG specification, sections 5.6 and 11.
    """
    if not nhi:
        raise FilmRejectedError("no_patient", "a picture does not say whose it is; give its NHI, or the film as DICOM")
    film = read_film(data, limits)
    if film.header.format == "dicom":
        raise rejection("unsupported_format", "must be PNG, JPEG or TIFF here; found DICOM")
    bits = _BYTE if film.header.bits_stored <= _BYTE else 16
    samples: NDArray[np.unsignedinteger] = np.rint(film.pixels * np.float32(2**bits - 1)).astype(
        np.uint8 if bits == _BYTE else np.uint16
    )
    pixels = clean_pixels(samples, bits, policy)
    patient = pseudonymiser.patient(nhi)
    return DeidentifiedFilm(
        data=_png(pixels.samples),
        patient_id=patient,
        removed=Removed.of(patient, [("nhi", nhi.strip().upper())]),
        review=pixels.review,
        blanked=len(pixels.blanked),
    )


def _png(samples: NDArray[np.unsignedinteger]) -> bytes:
    """Write pixels; OpenCV writes header, pixels and end, and nothing else is let through."""
    written, file = cv2.imencode(".png", samples, [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])
    if not written:  # pragma: no cover - a grey array of 8 or 16 bits can always be written
        raise rejection("damaged", "has a picture that cannot be written again; convert it to PNG")
    data, clean = io.BytesIO(file.tobytes()), io.BytesIO()
    clean.write(data.read(8))
    while head := data.read(8):
        body = data.read(int.from_bytes(head[:4], "big"))
        check = data.read(4)
        if head[4:] in (b"IHDR", b"IDAT", b"IEND") and zlib.crc32(head[4:] + body) == int.from_bytes(check, "big"):
            clean.write(head + body + check)
    return clean.getvalue()
