"""Why a file is refused: every code with its meaning, in one place.

A program branches on the code of a `FilmRejectedError`, a person reads its sentence; neither ever holds a value out of
the file that could belong to a patient.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from carina.errors import FilmRejectedError

__all__ = ["REJECTIONS", "rejection"]

REJECTIONS: Final = MappingProxyType(
    {
        "missing": "there is no such file",
        "directory": "the path is a folder",
        "not_a_file": "the path is a device, pipe or socket",
        "no_permission": "the file may not be read by this user",
        "symlink_loop": "the path is a circle of symbolic links",
        "unreadable": "the operating system reported an error while the file was read",
        "empty": "the file has no bytes",
        "file_too_large": "the file is larger than the limit `file_bytes`",
        "not_a_picture": "the content is neither DICOM nor a picture",
        "unsupported_format": "the content is a picture, but not DICOM, PNG, JPEG or TIFF",
        "unsupported_transfer_syntax": "the DICOM transfer syntax is not one that is decoded here",
        "unsupported_pixels": "the pixels are stored in a way that no radiograph uses",
        "truncated": "the file ends before the picture does",
        "damaged": "the file contradicts itself or its format",
        "bad_header": "a header value that the picture needs is absent or impossible",
        "no_pixels": "the DICOM object holds no picture",
        "multi_frame": "the file holds several pictures",
        "too_many_samples": "the picture is larger than the limit `samples`",
        "inflated_too_large": "the deflated content is larger than the limit `inflated_bytes`",
        "nested_too_deep": "the sequences are nested deeper than the limit `sequence_depth`",
        "too_complex": "the header has more elements than any film needs",
        "decoder_crashed": "the decoding process died on the file",
        "decoder_memory": "decoding needs more than the limit `decode_bytes`",
        "decoder_timeout": "decoding takes longer than the limit `decode_seconds`",
        "decoder_unavailable": "the decoding process cannot be started",
    }
)
"""Code of each refusal and what it means."""


def rejection(code: str, found: str, name: str | None = None) -> FilmRejectedError:
    """Make the error for one refusal.

    Parameters
    ----------
    code : str
        A key of `REJECTIONS`.
    found : str
        The rest of the sentence, whose subject is the file.
    name : str or None
        What to call the file; a file name can carry a patient's name, so that without one it stays unnamed.

    Returns
    -------
    FilmRejectedError

    Examples
    --------
    >>> print(rejection("empty", "is empty; copy it again"))
    the file is empty; copy it again
    """
    if code not in REJECTIONS:
        raise ValueError(f"a rejection code must be one of REJECTIONS, found {code!r}")
    return FilmRejectedError(code, f"{name or 'the file'} {found}")
