"""The process that decodes compressed DICOM pixels; run as a script by `sandbox`, never imported by the product.

It imports nothing of carina, so that it starts fast. Requests come on stdin, answers go to stdout, each with its length
in front: a request is a JSON head and the codestream, an answer is one status byte and the decoded samples. The attack
this stands against: a crafted codestream that takes over, crashes, hangs or bloats a C or C++ decoder.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import struct
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import gdcm
import numpy as np
from openjpeg.utils import decode as decode_jpeg2000
from PIL import Image
from rle.utils import decode_pixel_data

READY, DONE, DAMAGED, MEMORY = b"R", b"K", b"D", b"M"
_LOG_BYTES = 1024 * 1024
# what the libraries print when they fill a gap instead of failing
_COMPLAINTS = (b"Corrupt JPEG", b"remature end", b"Bogus", b"not enough data", b"tile part", b"Failed to")


def main() -> None:
    """Answer requests until stdin closes."""
    answers = os.fdopen(os.dup(1), "wb")
    with tempfile.TemporaryFile() as file:
        log = os.dup(file.fileno())
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # a library that prints must not speak into the protocol
    os.dup2(log, 2)
    warnings.simplefilter("ignore")  # Python prints each once: the log must say the same at every film
    _restrict()
    start = _address_space()
    answers.write(READY)
    answers.flush()
    requests = sys.stdin.buffer
    while head := requests.read(4):
        request = json.loads(requests.read(struct.unpack("<I", head)[0]))
        payload = requests.read(struct.unpack("<Q", requests.read(8))[0])
        _answer(answers, log, request, payload, start)


def _restrict() -> None:
    """Take away what decoding never needs: files to write, core dumps, more open files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LOG_BYTES, _LOG_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[0]) * resource.getpagesize() if status.exists() else 0


def _answer(answers: BinaryIO, log: int, request: dict[str, Any], payload: bytes, start: int) -> None:
    # the alarm's default action kills the process even inside a decoder's loop, should the parent be gone
    signal.setitimer(signal.ITIMER_REAL, request["seconds"] + 1.0)
    os.ftruncate(log, 0)
    os.lseek(log, 0, os.SEEK_SET)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if start:
        resource.setrlimit(resource.RLIMIT_AS, (start + request["memory"], hard))
    try:
        status, samples = DONE, _DECODERS[request["codec"]](request, payload)
    except MemoryError:
        status, samples = MEMORY, b""
    except BaseException:  # noqa: BLE001 - whatever a decoder raises (Rust panics included), the film is refused
        status, samples = DAMAGED, b""
    if status == DONE and _complained(os.pread(log, 65536, 0), request["codec"]):
        status, samples = DAMAGED, b""
    signal.setitimer(signal.ITIMER_REAL, 0)
    answers.write(status + struct.pack("<Q", len(samples)))
    answers.write(samples)
    answers.flush()


def _complained(log: bytes, codec: str) -> bool:
    """Whether a decoder printed that it filled a gap; libtiff prints nothing else, gdcm also what it tried."""
    return bool(log) if codec == "tiff" else any(complaint in log for complaint in _COMPLAINTS)


def _with_gdcm(request: dict[str, Any], payload: bytes) -> bytes:
    """JPEG in all its processes and JPEG-LS; components come as they are stored, no colour transform."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(payload)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((request["columns"], request["rows"], 1))
    image.SetDataElement(element)
    colour = request["samples"] > 1
    kind = gdcm.PhotometricInterpretation.GetPIType("RGB" if colour else "MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if colour:
        image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(request["syntax"])))
    bits = request["precision"]
    container = 8 if bits <= 8 else 16  # noqa: PLR2004 - bits of a byte
    image.SetPixelFormat(gdcm.PixelFormat(request["samples"], container, bits, bits - 1, 0))
    samples: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    return samples


def _with_openjpeg(request: dict[str, Any], payload: bytes) -> bytes:
    """JPEG 2000, high-throughput included, as 8- or 16-bit little-endian samples."""
    picture = np.asarray(decode_jpeg2000(payload))
    container = np.dtype("<u1" if request["precision"] <= 8 else "<u2")  # noqa: PLR2004 - bits of a byte
    return np.ascontiguousarray(picture).astype(container, casting="unsafe", copy=False).tobytes()


def _with_rle(request: dict[str, Any], payload: bytes) -> bytes:
    """DICOM RLE (PS3.5 annex G), plane after plane, little endian."""
    decoded = decode_pixel_data(
        payload,
        version=2,
        rows=request["rows"],
        columns=request["columns"],
        bits_allocated=request["allocated"],
        byteorder="<",
    )
    return bytes(decoded)


def _with_tiff(request: dict[str, Any], payload: bytes) -> bytes:
    """Decode a compressed TIFF file in the mode in which Pillow opens it."""
    with Image.open(io.BytesIO(payload), formats=("TIFF",)) as image:
        if image.size != (request["columns"], request["rows"]):
            raise ValueError
        return image.tobytes()


_DECODERS = {"gdcm": _with_gdcm, "openjpeg": _with_openjpeg, "rle": _with_rle, "tiff": _with_tiff}

if __name__ == "__main__":
    main()
