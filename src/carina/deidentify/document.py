"""Something out of a store that can be searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Document"]


@dataclass(frozen=True, slots=True)
class Document:
    """Something to search.

    Attributes
    ----------
    where : str
        The store and the way into it, such as ``films.zip > a.dcm > PatientComments``.
    kind : {"text", "bytes", "picture", "problem"}
        A problem is something that says it holds more than could be read.
    data : bytes
        Text is UTF-8. A picture is a whole picture or DICOM file.
    """

    where: str
    kind: Literal["text", "bytes", "picture", "problem"]
    data: bytes
