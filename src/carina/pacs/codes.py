"""UIDs and items of code sequences for the result objects."""

from __future__ import annotations

import hashlib

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

__all__ = ["coded", "derived_uid"]


def derived_uid(*parts: str) -> UID:
    """UID under 2.25 that the same parts always give (PS3.5 section B.2).

    Examples
    --------
    >>> derived_uid("1.2.3", "model") == derived_uid("1.2.3", "model") != derived_uid("1.2.4", "model")
    True
    """
    digest = hashlib.sha256("|".join(("carina result", *parts)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big') >> 1}")


def coded(code: Code) -> Dataset:
    """Item of a code sequence (PS3.3 section 8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
