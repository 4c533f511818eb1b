"""The one boundary: any bytes become a `Film` or a `FilmRejectedError`, nothing else."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

import numpy as np

from carina.errors import FilmRejectedError
from carina.imaging.pictures import picture_format, read_picture
from carina.imaging.quiet import quiet
from carina.imaging.rejections import rejection
from carina.settings import Limits
from carina.types import Array, Film, FilmHeader

__all__ = ["read_bytes", "read_film"]

_DEFAULT_LIMITS = Limits()
_OS_CODES = {
    errno.ENOENT: ("missing", "does not exist; check the path"),
    errno.ENOTDIR: ("missing", "does not exist; a part of its path is not a folder"),
    errno.ENAMETOOLONG: ("missing", "cannot exist: its path is too long"),
    errno.EACCES: ("no_permission", "may not be read by this user; change its permissions"),
    errno.EPERM: ("no_permission", "may not be read by this user; change its permissions"),
    errno.ELOOP: ("symlink_loop", "is a circle of symbolic links; give the file itself"),
    errno.EISDIR: ("directory", "is a folder; give the files in it"),
}


def read_film(source: Path | bytes, limits: Limits = _DEFAULT_LIMITS, *, name: str | None = None) -> Film:
    """Read one chest radiograph from a DICOM, PNG, JPEG or TIFF file.

    The content decides what the file is, not its extension. Sizes are checked against the limits before anything is
    decoded, and compressed DICOM pixels are decoded in a child process.

    Parameters
    ----------
    source : Path or bytes
        A file, or its content.
    limits : Limits
        What a file may cost before it is refused.
    name : str or None
        What to call the film in a refusal; unnamed by default, for a file name can hold a patient's name.

    Returns
    -------
    Film
        Pixels float32, (H, W), contiguous, in [0, 1] with 0 black: for DICOM after modality LUT, VOI LUT or window
        (the full range of the values present where there is neither) and MONOCHROME1 inversion, padding black.

    Raises
    ------
    FilmRejectedError
        With one of the codes of `REJECTIONS`; the sentence never quotes the header.

    References
    ----------
    DICOM PS3.3 C.7.6.3, C.11.1, C.11.2; PS3.5 section 8; PS3.10 section 7.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("L", (4, 3), 255).save(file, "PNG")
    >>> film = read_film(file.getvalue())
    >>> film.pixels.shape, float(film.pixels.max())
    ((3, 4), 1.0)
    """
    try:
        data = source if isinstance(source, bytes) else read_bytes(source, limits.file_bytes)
        with quiet():
            pixels, header = _decode(data, limits)
    except FilmRejectedError as error:
        if name is None:
            raise
        raise FilmRejectedError(error.code, error.message.replace("the file", name, 1)) from error
    return Film(pixels=pixels, header=header, sha256=hashlib.sha256(data).hexdigest())


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a regular file, at most `limit` bytes; a pipe, device or folder is refused without waiting on it.

    Parameters
    ----------
    path : Path
    limit : int
        Bytes.

    Returns
    -------
    bytes
        `limit` + 1 of them where the file grew beyond the limit meanwhile.

    Raises
    ------
    FilmRejectedError
        If it is not there, may not be read, is larger or is no regular file.
    """
    try:
        # non-blocking: a named pipe without a writer must not hang the reader
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            status = os.fstat(file.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise rejection("directory", "is a folder; give the files in it")
            if not stat.S_ISREG(status.st_mode):
                raise rejection("not_a_file", "is a device, pipe or socket; give a regular file")
            if status.st_size > limit:
                raise _too_large(status.st_size, limit)
            return file.read(limit + 1)  # the file may grow while it is read
    except OSError as error:
        code, found = _OS_CODES.get(error.errno or 0, ("unreadable", "cannot be read: the system reports an error"))
        raise rejection(code, found) from error
    except ValueError as error:  # a path with a zero byte
        raise rejection("missing", "does not exist: its path holds a zero byte") from error


def _too_large(size: int, limit: int) -> FilmRejectedError:
    return rejection(
        "file_too_large", f"has {size} bytes, more than {limit}; raise the limit file_bytes if it is a film"
    )


def _decode(data: bytes, limits: Limits) -> tuple[Array, FilmHeader]:
    if not data:
        raise rejection("empty", "is empty; copy it again from its source")
    if len(data) > limits.file_bytes:
        raise _too_large(len(data), limits.file_bytes)
    kind = None if data[128:132] == b"DICM" else picture_format(data)
    if kind is not None:
        pixels, header = read_picture(data, kind, limits)
    else:
        from carina.imaging.dicom import looks_like_dicom, read_dicom  # noqa: PLC0415 - pydicom starts slowly

        if not looks_like_dicom(data):
            raise rejection("not_a_picture", "is neither DICOM nor a picture; give a DICOM, PNG, JPEG or TIFF file")
        pixels, header = read_dicom(data, limits)
    if not np.isfinite(pixels).all():  # pragma: no cover - no path leads here; a film with holes must never leave
        raise rejection("damaged", "has pixels that are not numbers; export it again")
    return pixels, header
