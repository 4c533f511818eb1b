"""Ages from the cells of a film table."""

from __future__ import annotations

__all__ = ["OLDEST", "parse_age", "parse_age_group"]

OLDEST = 120.0
"""Years; an age above it is a slip of the pen."""


def parse_age(text: str | None) -> float | None:
    """Age in years from a cell; `None` where it is no number within 0 to 120.

    Examples
    --------
    >>> parse_age("57"), parse_age("nan"), parse_age("412")
    (57.0, None, None)
    """
    try:
        value = float(text) if text is not None else float("nan")
    except ValueError:
        return None
    return value if 0.0 <= value <= OLDEST else None


def parse_age_group(text: str | None) -> tuple[float, float] | None:
    """Youngest and oldest age, years, from a cell such as ``"1-5"``; `None` where it is no such range.

    Examples
    --------
    >>> parse_age_group("1-5"), parse_age_group("adult")
    ((1.0, 5.0), None)
    """
    low, dash, high = (text or "").partition("-")
    youngest, oldest = parse_age(low.strip() or None), parse_age(high.strip() or None)
    if not dash or youngest is None or oldest is None or youngest > oldest:
        return None
    return youngest, oldest
