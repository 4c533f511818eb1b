"""Text burned into the pixels: found, read, blanked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carina.deidentify.policy import Policy

__all__ = ["CleanPixels", "clean_pixels"]


@dataclass(frozen=True, slots=True)
class CleanPixels:
    """Pixels without burned-in text."""

    samples: NDArray[np.unsignedinteger]
    blanked: tuple[tuple[int, int, int, int], ...] = ()
    review: str | None = None


def clean_pixels(
    samples: NDArray[np.unsignedinteger], bits: int, policy: Policy, *, inverted: bool = False, signed: bool = False
) -> CleanPixels:
    """Blank text in the pixels (to be filled in)."""
    del bits, policy, inverted, signed
    return CleanPixels(samples)
