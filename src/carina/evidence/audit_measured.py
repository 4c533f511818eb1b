"""A number of the shortcut audit, with its interval (M36)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its interval.

    Attributes
    ----------
    value : float or None
        `None` where not estimable.
    low, high : float or None
        Ends of the interval at `LEVEL`; `None` where it has none.
    n : int
        Films that it rests on.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
