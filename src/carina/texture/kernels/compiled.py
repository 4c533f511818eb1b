"""How the kernels are compiled: to machine code, without the interpreter's lock, kept on disk for the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["EPS", "compiled"]

EPS = 2.220446049250313e-16
"""Added within logarithms and divisors, as PyRadiomics does: the distance from 1 to the next double."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile with numba; where no folder for its cache can be written, compile anew in each process."""
    try:
        return cast("_Function", njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # "cannot cache function": the installation and the home folder are both read-only
        return cast("_Function", njit(nogil=True, error_model="numpy")(function))
