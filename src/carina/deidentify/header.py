"""A DICOM header without identifiers: table E.1-1 first, then a rule for whatever the table does not name."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from carina.deidentify.annex_e import Action, action_for, rule_for
from carina.deidentify.identity import Identity, find_printed_nhis
from carina.deidentify.policy import OLDEST_AGE, Policy
from carina.deidentify.pseudonyms import Pseudonymiser
from carina.deidentify.text import clean_text

__all__ = ["HeaderCleaner", "shifted_date"]

_DROPPED_GROUPS: Final = frozenset({0x0000, 0x0002, 0x0004, 0x0006, 0x7FE0, 0xFFFA, 0xFFFC, 0xFFFE})
_PIXEL_GROUP: Final = 0x0028
_NUMBERS: Final = frozenset({"DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "UV", "SV", "AT"})
_TEXT: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
_KEPT_TEXT: Final = frozenset(
    {
        *(
            "Manufacturer",
            "ManufacturerModelName",
            "SoftwareVersions",
            "LUTExplanation",
            "WindowCenterWidthExplanation",
        ),
        *("CodeValue", "LongCodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion"),
    }
)
"""Text that says what a thing is, never who: kept, unless an identifier of the patient stands in it."""
_PUBLIC_SCHEMES: Final = frozenset(
    {"SCT", "SRT", "SNM3", "99SDM", "DCM", "LN", "UCUM", "RADLEX", "FMA", "I10", "I10P", "ISO3166_1"}
)
_KEPT_UIDS: Final = frozenset({"CodingSchemeUID", "ContextUID", "MappingResourceUID"})
_BULK: Final = frozenset(
    {
        "LUTData",
        *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
        *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    }
)
_LOST_PIXEL_FACTS: Final = frozenset({"SmallestImagePixelValue", "LargestImagePixelValue"})
_CODE_STRING: Final = re.compile(r"[A-Z0-9 _]{1,16}")
_DAY: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME: Final = re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?")
_AGE: Final = re.compile(r"(\d{3})([DWMY])")
_DUMMY: Final = "REMOVED"
_DUMMIES: Final = {"AS": "000Y", "UR": "http://removed.invalid", "DA": "19000101", "DT": "19000101", "TM": "000000"}
_YEARS: Final = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_MOST_VALUES: Final = 1024


def shifted_date(text: str, shift: dt.timedelta) -> str | None:
    """Move a DICOM date or date-time; None when it is not at least a day.

    The zone of a date-time goes, for summer time would tell the season.

    Examples
    --------
    >>> week = dt.timedelta(weeks=-1)
    >>> shifted_date("20200311", week), shifted_date("20200311101530.5+1300", week)
    ('20200304', '20200304101530.5')
    >>> shifted_date("2020", week)
    """
    match = _DAY.match(text.strip())
    if match is None:
        return None
    try:
        day = dt.date(int(match[1]), int(match[2]), int(match[3])) + shift
    except (ValueError, OverflowError):
        return None
    clock = re.match(r"\d{0,6}(?:\.\d{1,6})?", text.strip()[match.end() :])
    return f"{day:%Y%m%d}{clock[0] if clock else ''}"


class HeaderCleaner:
    """Cleans the header of one film.

    Parameters
    ----------
    pseudonymiser : Pseudonymiser
    policy : Policy
    identity : Identity
        Whose film it is, as the film says.
    little : bool
        Byte order of the data set, for tables stored as words.
    """

    def __init__(self, pseudonymiser: Pseudonymiser, policy: Policy, identity: Identity, *, little: bool) -> None:
        self._names = pseudonymiser
        self._policy = policy
        self._identity = identity
        self._little = little

    def clean(self, source: Dataset) -> Dataset:
        """Make a new data set with what may stay; an element that cannot be read does not.

        Parameters
        ----------
        source : pydicom.Dataset
            As read; not changed.

        Returns
        -------
        pydicom.Dataset
        """
        kept = Dataset()
        for tag in sorted(source.keys()):
            if tag.is_private or tag.group in _DROPPED_GROUPS or tag.element == 0 or not dictionary_has_tag(tag):
                continue
            try:
                element = source[tag]
                value = self._value(int(tag), element)
            except Exception:  # noqa: BLE001, S112 - a malformed value raises many kinds of error in pydicom; it goes
                continue
            if value is not None:
                kept.add_new(tag, _vr(element), value)
        self._look_again(kept)
        return kept

    def _value(self, tag: int, element: DataElement) -> Any:
        """Value to keep, or None to drop the element."""
        rule = rule_for(tag)
        if rule is None:
            return self._unlisted(keyword_for_tag(tag), element)
        action = action_for(rule, self._policy)
        if action == "remove":
            return None
        if action == "empty":
            return Sequence([]) if element.VR == "SQ" else ""
        if action == "dummy":
            return self._uids(element) if element.VR == "UI" else _dummy(_vr(element))
        return self._changed(action, rule.keyword, element)

    def _changed(self, action: Action, keyword: str, element: DataElement) -> Any:
        if element.VR == "SQ":
            return self._items(element)
        changes = {"uid": self._uids, "shift": self._times, "clean": self._words}
        if action in changes:
            return changes[action](element)
        if keyword == "PatientAge":
            return _age(str(element.value))
        if element.VR in _TEXT:
            return self._words(element)
        return self._unlisted(keyword, element)

    def _unlisted(self, keyword: str, element: DataElement) -> Any:  # noqa: PLR0911 - one answer a value representation
        """Treat an attribute that the table does not name by what its kind of value can hold."""
        vr = _vr(element)
        if keyword in _LOST_PIXEL_FACTS:
            return None
        if vr == "SQ":
            return self._items(element)
        if vr == "UI":
            return element.value if keyword in _KEPT_UIDS else self._uids(element)
        if vr in _NUMBERS or (vr in ("OW", "OB") and keyword in _BULK):
            return self._numbers(element)
        if vr == "CS":
            values = [str(value) for value in _values(element)]
            return values if values and all(not one or _CODE_STRING.fullmatch(one) for one in values) else None
        if vr in _TEXT:
            return [str(value) for value in _values(element)] if keyword in _KEPT_TEXT else self._words(element)
        return None

    def _items(self, element: DataElement) -> Sequence | None:
        items = list(element.value or [])
        cleaned = [self.clean(item) for item in items if _is_public_code(item)]
        cleaned = [item for item in cleaned if len(item)]
        return None if items and not cleaned else Sequence(cleaned)

    def _uids(self, element: DataElement) -> Any:
        return [self._names.uid(str(uid)) if str(uid) else "" for uid in _values(element)]

    def _times(self, element: DataElement) -> Any:
        texts = [str(value) for value in _values(element)]
        if element.VR == "TM":
            kept = [match[0] for text in texts if (match := _TIME.match(text.strip()))]
        else:
            kept = [moved for text in texts if (moved := shifted_date(text, self._identity.shift))]
        return kept or None

    def _words(self, element: DataElement) -> Any:
        texts = [clean_text(str(value), self._identity.words) for value in _values(element)]
        return [text for text in texts if text] or None

    def _numbers(self, element: DataElement) -> Any:
        value = element.value
        if isinstance(value, bytes):
            swap = not self._little and element.VR == "OW"
            return np.frombuffer(value[: len(value) // 2 * 2], ">u2").astype("<u2").tobytes() if swap else value
        written = [str(one) for one in _values(element)]
        if len(written) <= _MOST_VALUES and any(self._identity.is_number(one) for one in written):
            return None
        return value if written else ""

    def _look_again(self, dataset: Dataset) -> None:
        """Drop what still holds an identifier of this very patient, or any NHI (M7); the picture's geometry cannot."""
        for element in list(dataset):
            tag = element.tag
            if tag.group == _PIXEL_GROUP or element.VR in ("SQ", "UI", "OW", "OB"):
                continue
            # A date moved by the patient's shift may by chance be their own birth date; it says nothing.
            if element.VR in ("DA", "DT") and "Birth" not in element.keyword:
                continue
            text = " ".join(str(value) for value in _values(element))
            if find_printed_nhis(text) or self._identity.is_in(text):
                del dataset[tag]


def _vr(element: DataElement) -> str:
    """Value representation to write: the dictionary's, where the file does not choose between several."""
    stated = str(element.VR)
    known = dictionary_VR(element.tag)
    return stated if " or " in known and stated != "UN" else known.split(" or ")[0] if stated == "UN" else stated


def _values(element: DataElement) -> Iterator[Any]:
    value = element.value
    if value is None or (isinstance(value, str) and not value):
        return iter(())
    return iter(value) if isinstance(value, MultiValue | list | tuple) else iter((value,))


def _is_public_code(item: Dataset) -> bool:
    """Tell whether an item may stay: a code of a local scheme can be anything, a person's number too."""
    if "CodeValue" not in item:
        return True
    return str(item.get("CodingSchemeDesignator", "")).strip() in _PUBLIC_SCHEMES


def _age(text: str) -> str | None:
    """Age with all above 89 years as 90."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return None
    return f"{OLDEST_AGE:03d}Y" if int(match[1]) / _YEARS[match[2]] >= OLDEST_AGE else match[0]


def _dummy(vr: str) -> Any:
    """Value of the attribute's kind that says nothing (action D)."""
    if vr == "SQ":
        return Sequence([Dataset()])
    if vr in _NUMBERS:
        return 0 if vr != "AT" else None
    if vr in ("OB", "OW", "UN", "OD", "OF", "OL", "OV"):
        return b"\0\0"
    return _DUMMIES.get(vr, _DUMMY)
