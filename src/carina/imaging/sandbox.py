"""Decode compressed DICOM and TIFF pixels in a child process with memory and time limits; a crash is a refusal.

The child (`decoding_worker`) is started once and used again; after a crash or a time-out it is replaced. Threads get a
child each, and a forked process starts its own. Only lengths, JSON of our making and raw samples cross the pipe.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from carina.imaging.rejections import rejection
from carina.settings import Limits

__all__ = ["DecodeRequest", "decode"]

_WORKER = Path(__file__).with_name("decoding_worker.py")
_START_SECONDS = 60.0
_IDLE_LIMIT = 8
_PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What the decoder must be told, taken from the header and checked against the limits.

    Attributes
    ----------
    codec : {"gdcm", "openjpeg", "rle", "tiff"}
    syntax : str
        Transfer syntax UID; empty for TIFF.
    rows, columns, samples : int
    allocated : int
        Bits allocated to a sample in the file; RLE needs it.
    precision : int
        Bits of a sample in the codestream; 1 for packed rows (a TIFF of two colours).
    """

    codec: Literal["gdcm", "openjpeg", "rle", "tiff"]
    syntax: str
    rows: int
    columns: int
    samples: int
    allocated: int
    precision: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one decoded sample."""
        bits = self.allocated if self.codec == "rle" else self.precision
        return (bits + 7) // 8

    @property
    def expected_bytes(self) -> int:
        """Bytes of the whole decoded picture."""
        if self.precision == 1 and self.codec == "tiff":
            return self.rows * ((self.columns + 7) // 8)  # Pillow packs each row
        return self.rows * self.columns * self.samples * self.sample_bytes


class _LateError(Exception):
    """The worker did not answer in time."""


class _GoneError(Exception):
    """The worker closed its pipe: it crashed or was killed."""


class _Worker:
    """One child process and its two pipes."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        # -P: the folder of the script must not shadow modules; a session of its own: Ctrl-C is the parent's to handle
        self.process = subprocess.Popen(  # noqa: S603 - our interpreter, our script, no outside argument
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        if self.process.stdin is None or self.process.stdout is None:  # pragma: no cover - both are pipes
            raise _GoneError
        self._to, self._from = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._to, False)
        try:
            ready = self._read(1, time.monotonic() + _START_SECONDS) == b"R"
        except (_GoneError, _LateError):
            ready = False
        if not ready:
            self.stop()
            raise rejection(
                "decoder_unavailable",
                "is compressed, and the decoding process does not start; check that python-gdcm, "
                "pylibjpeg-openjpeg and pylibjpeg-rle are installed",
            )

    def ask(self, request: DecodeRequest, codestream: bytes, limits: Limits) -> tuple[bytes, bytearray]:
        """Status byte and samples; raises _LateError or _GoneError."""
        head = json.dumps(
            {
                "codec": request.codec,
                "syntax": request.syntax,
                "rows": request.rows,
                "columns": request.columns,
                "samples": request.samples,
                "allocated": request.allocated,
                "precision": request.precision,
                "memory": limits.decode_bytes,
                "seconds": limits.decode_seconds,
            }
        ).encode()
        deadline = time.monotonic() + limits.decode_seconds
        self._write(struct.pack("<I", len(head)) + head + struct.pack("<Q", len(codestream)), deadline)
        self._write(codestream, deadline)
        answer = self._read(9, deadline)
        length = struct.unpack_from("<Q", answer, 1)[0]
        if length not in (0, request.expected_bytes):
            # a decoder that disagrees with the header, or a child taken over: read nothing of it, use it no more
            self.stop()
            return b"D", bytearray()
        return bytes(answer[:1]), self._read(length, deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._to, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._to, view[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise _GoneError from error

    def _read(self, length: int, deadline: float) -> bytearray:
        buffer = bytearray(length)
        view, filled = memoryview(buffer), 0
        while filled < length:
            self._wait(self._from, select.POLLIN, deadline)
            count = os.readv(self._from, [view[filled : filled + _CHUNK]])
            if count == 0:
                raise _GoneError
            filled += count
        return buffer

    @staticmethod
    def _wait(descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000.0):
            raise _LateError

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the process and free its pipes."""
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self) -> None:
        """Free the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


class _Pool:
    """Idle workers of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._abandoned: list[_Worker] = []

    def take(self) -> _Worker:
        """Hand out an idle worker that lives, or a new one."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return _Worker()
            if worker.alive():
                return worker
            worker.close()

    def give(self, worker: _Worker) -> None:
        """Take a worker back."""
        with self._lock:
            if len(self._idle) < _IDLE_LIMIT:
                self._idle.append(worker)
                return
        worker.stop()

    def forget(self) -> None:
        """In a forked child the workers are the parent's: close our ends of the pipes, leave the processes alone."""
        self._lock = threading.Lock()
        for worker in self._idle:
            worker.close()
        self._abandoned += self._idle
        self._idle = []

    def stop(self) -> None:
        """End all idle workers."""
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.stop()


_POOL = _Pool()
atexit.register(_POOL.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def decode(request: DecodeRequest, codestream: bytes, limits: Limits) -> bytearray:
    """Decode one frame in the child process.

    Parameters
    ----------
    request : DecodeRequest
        Sizes, already checked against the limits and the codestream's own header.
    codestream : bytes
    limits : Limits
        `decode_seconds` and `decode_bytes` hold here.

    Returns
    -------
    bytearray
        Little-endian samples, ``request.expected_bytes`` long.

    Raises
    ------
    FilmRejectedError
        ``damaged``, ``decoder_crashed``, ``decoder_memory``, ``decoder_timeout`` or ``decoder_unavailable``.
    """
    worker = _POOL.take()
    try:
        status, samples = worker.ask(request, codestream, limits)
    except _LateError as error:
        worker.stop()
        raise rejection(
            "decoder_timeout",
            f"took longer than {limits.decode_seconds:g} s to decode; raise the limit decode_seconds if it is a film",
        ) from error
    except _GoneError as error:
        worker.stop()
        raise rejection("decoder_crashed", "made the decoding process die; export it again uncompressed") from error
    except BaseException:  # Ctrl-C: a worker in the middle of an answer cannot be used again
        worker.stop()
        raise
    if worker.alive():
        _POOL.give(worker)
    if status == b"M":
        raise rejection(
            "decoder_memory",
            f"needs more than {limits.decode_bytes} bytes to decode; raise the limit decode_bytes if it is a film",
        )
    if status != b"K" or len(samples) != request.expected_bytes:
        raise rejection("damaged", "has compressed pixel data that cannot be decoded; export it again")
    return samples
