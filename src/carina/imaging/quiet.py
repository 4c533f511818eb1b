"""Keep what libraries say of a file to ourselves: they quote header values, which can be a patient's."""

from __future__ import annotations

import logging
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["quiet", "where"]

_LOGGERS = ("pydicom", "PIL")


class _Hush:
    """One nesting count for all threads: overlapping `warnings.catch_warnings` restore the wrong filters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught: warnings.catch_warnings[None] | None = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
                for logger in _LOGGERS:
                    logging.getLogger(logger).disabled = True

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._caught is not None:
                self._caught.__exit__(None, None, None)
                self._caught = None
                for logger in _LOGGERS:
                    logging.getLogger(logger).disabled = False


_HUSH = _Hush()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings and the readers' loggers until the last thread has left."""
    _HUSH.enter()
    try:
        yield
    finally:
        _HUSH.leave()


def where(error: BaseException) -> str:
    """Kind of an error and the line that raised it, for a log; its text stays out, for it may quote a header.

    Examples
    --------
    >>> try:
    ...     int("ZZZ0016")
    ... except ValueError as error:
    ...     print(where(error).partition(" at ")[0])
    ValueError
    """
    frames = traceback.extract_tb(error.__traceback__)
    return (
        f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
        if frames
        else type(error).__name__
    )
