"""Coded words of the results: DICOM, SNOMED CT and UCUM where they have one, the product's own scheme elsewhere."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from pydicom.sr.coding import Code

__all__ = ["CLASS_CODES", "NOTICE", "SCHEME", "class_code", "own_code"]

NOTICE: Final = "AI result, research use only"
"""Stands on every result that leaves Carina."""

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
