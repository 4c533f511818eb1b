"""Coded words of the results: DICOM, SNOMED CT and UCUM where they have one, the product's own scheme elsewhere."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

__all__ = ["CLASS_CODES", "SCHEME", "class_code", "coded", "derived_uid", "own_code"]

SCHEME: Final = "99CARINA"
"""Private coding scheme (PS3.16 section 8.2: private designators begin with 99)."""

CLASS_CODES: Final = {
    "normal": Code("17621005", "SCT", "Normal"),
    "bacterial": Code("53084003", "SCT", "Bacterial pneumonia"),
    "viral": Code("75570004", "SCT", "Viral pneumonia"),
    "covid19": Code("840539006", "SCT", "COVID-19"),
}
"""SNOMED CT concepts of the default task's classes."""

_PLAIN = re.compile(r"[^a-z0-9]+")
_VALUE = 16  # PS3.5 section 6.2: a Code Value of VR SH


def class_code(name: str) -> Code:
    """Code of a class of the task.

    Examples
    --------
    >>> class_code("covid19").value, class_code("oedema").scheme_designator
    ('840539006', '99CARINA')
    """
    return CLASS_CODES.get(name) or own_code(name, name.replace("_", " "))


def own_code(value: str, meaning: str) -> Code:
    """Code of the private scheme; values too long for a DICOM code are cut and told apart by a hash.

    Examples
    --------
    >>> own_code("decision", "Decision of the model").value
    'decision'
    >>> len(own_code("pneumonia_indeterminate", "Pneumonia, kind unclear").value)
    16
    """
    plain = _PLAIN.sub("-", value.lower()).strip("-")
    if len(plain) > _VALUE:
        plain = f"{plain[: _VALUE - 5]}-{hashlib.sha256(plain.encode()).hexdigest()[:4]}"
    return Code(plain, SCHEME, meaning[:64])


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
