"""Who a film says it belongs to, and every identifier its header names."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from carina.deidentify.pseudonyms import Pseudonymiser
from carina.errors import FilmRejectedError

__all__ = ["Identity", "find_nhi", "find_printed_nhis", "identify"]

_NHI: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-HJ-NP-Z]{3}[0-9]{2}(?:[0-9]{2}|[A-HJ-NP-Z]{2})(?![A-Za-z0-9])", re.IGNORECASE
)
_NHI_IN_PRINT: Final = re.compile(_NHI.pattern)
_KINDS: Final = {
    **dict.fromkeys(("PatientID", "OtherPatientIDs", "MedicalRecordLocator"), "mrn"),
    **dict.fromkeys(
        ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ResponsiblePerson"), "name"
    ),
    "PatientBirthDate": "birth_date",
    **dict.fromkeys(("PatientAddress", "ReferringPhysicianAddress"), "address"),
    **dict.fromkeys(("PatientTelephoneNumbers", "ReferringPhysicianTelephoneNumbers"), "phone"),
    "AccessionNumber": "accession",
    **dict.fromkeys(("AdmissionID", "ServiceEpisodeID"), "event"),
    **dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"), "uid"),
    **dict.fromkeys(("InstitutionName", "InstitutionAddress"), "place"),
    "SpecimenIdentifier": "specimen",
}
_SHORTEST_WORD, _SHORTEST_NUMBER = 2, 5
_DEPTH: Final = 16


def find_nhi(text: str) -> str | None:
    """First text of an NHI's shape, whatever its check character says and however it is written (M7).

    Examples
    --------
    >>> find_nhi("NHI: zzz0016"), find_nhi("ZZZ00162"), find_nhi("ZZZ00AX")
    ('zzz0016', None, 'ZZZ00AX')
    """
    match = _NHI.search(text)
    return None if match is None else match[0]


def find_printed_nhis(text: str) -> list[str]:
    """Every text of an NHI's shape in capitals, as NHIs are printed; `I` and `O` never occur in one (M7).

    Examples
    --------
    >>> find_printed_nhis("ZZZ0016 and zzz0024 and ZZZ00XAB")
    ['ZZZ0016']
    """
    return _NHI_IN_PRINT.findall(text)


@dataclass(frozen=True)
class Identity:
    """A film's patient.

    Attributes
    ----------
    patient_id : str
        Pseudonym.
    shift : datetime.timedelta
        How far the patient's dates move.
    found : tuple of (str, str)
        Kind and value of every identifier in the header.
    words : frozenset of str
        The patient's names, word by word, lower case.
    """

    patient_id: str
    shift: dt.timedelta
    found: tuple[tuple[str, str], ...]
    words: frozenset[str]

    def is_in(self, text: str) -> bool:
        """Whether text holds an identifier of this patient as whole words."""
        plain = text.lower()
        words = set(re.findall(r"[^\W_]+", plain))
        if words & self.words:
            return True
        return any(
            len(value) >= _SHORTEST_NUMBER and value.lower() in plain for kind, value in self.found if kind != "place"
        )

    def is_number(self, text: str) -> bool:
        """Whether a number is one of the patient's identifiers."""
        plain = text.strip()
        return len(plain) >= _SHORTEST_NUMBER and any(value == plain for _, value in self.found)


def identify(header: Dataset, pseudonymiser: Pseudonymiser, nhi: str | None) -> Identity:
    """Find whose film it is, and collect its identifiers.

    Parameters
    ----------
    header : pydicom.Dataset
    pseudonymiser : Pseudonymiser
    nhi : str or None
        The patient's NHI where the caller knows it; else it is read from the film: the first text of an NHI's shape in
        PatientID or another patient ID, or else PatientID as it stands.

    Returns
    -------
    Identity

    Raises
    ------
    FilmRejectedError
        ``no_patient`` if the film names nobody.
    """
    found = list(dict.fromkeys(_identifiers(header, 0)))
    own = nhi.strip() if nhi else _own(header, found)
    if not own:
        raise FilmRejectedError(
            "no_patient", "a film must say whose it is to be de-identified, and the file has no PatientID; give its NHI"
        )
    found = list(dict.fromkeys([("nhi", own), *found]))
    # the shortest words (initials) would take half the vocabulary with them
    names = " ".join(value for kind, value in found if kind == "name").lower()
    words = {word for word in re.findall(r"[^\W\d_]+", names) if len(word) > _SHORTEST_WORD}
    return Identity(pseudonymiser.patient(own), pseudonymiser.shift(own), tuple(found), frozenset(words))


def _own(header: Dataset, found: list[tuple[str, str]]) -> str:
    """NHI of the film; of several the one in PatientID."""
    own = _text(header, "PatientID")
    nhi = find_nhi(own)
    if nhi is not None:
        return nhi
    return next((value for kind, value in found if kind == "nhi"), own)


def _text(header: Dataset, keyword: str) -> str:
    try:
        return str(header.get(keyword, "") or "").strip()
    except Exception:  # noqa: BLE001 - a malformed value raises many kinds of error in pydicom; it counts as absent
        return ""


def _identifiers(dataset: Dataset, depth: int) -> Iterator[tuple[str, str]]:
    """Kind and value of the identifiers in a data set and its sequences."""
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value if depth < _DEPTH else []:
                    yield from _identifiers(item, depth + 1)
                continue
            kind = _KINDS.get(element.keyword) or ("staff" if element.VR == "PN" and not tag.is_private else None)
            values = (
                [] if kind is None else [text for one in _listed(element.value) if (text := _plain(one, element.VR))]
            )
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        for value in values:
            nhi = find_nhi(value) if kind == "mrn" else None
            yield ("nhi", nhi.upper()) if nhi is not None else (str(kind), value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def _plain(value: Any, vr: str) -> str:
    """Text of a value; of a name its alphabetic part without empty components."""
    text = str(value).strip(" \0") if value is not None else ""
    if vr == "PN":
        text = "^".join(part.strip() for part in text.split("=")[0].split("^")).strip("^")
    return text
