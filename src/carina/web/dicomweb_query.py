"""QIDO-RS: what a query asks for, and what is said of the objects that fit it (PS3.18 section 10.6)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from carina.archive import FoundSeries, FoundStudy, ObjectQuery, StoredObject, Study
from carina.imaging.quiet import quiet
from carina.web.permissions import RefusedError

__all__ = [
    "MODALITIES",
    "Level",
    "SearchFor",
    "as_json",
    "described",
    "header_of",
    "read_query",
]

Level: TypeAlias = Literal["study", "series", "instance"]

MODALITIES: Final = {
    "OT": ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.30"),
    "PR": ("1.2.840.10008.5.1.4.1.1.11.1",),
    "SEG": ("1.2.840.10008.5.1.4.1.1.66.4",),
    "SR": ("1.2.840.10008.5.1.4.1.1.88.34",),
}
"""SOP classes of result objects, by the modality that stands in them."""

MOST: Final = 1_000
_USUAL: Final = 100
_FARTHEST: Final = 10_000_000
_UID: Final = re.compile(r"[0-9.]{1,64}")
_MOST_UIDS: Final = 200
_LONGEST: Final = 128
_OTHER: Final = ("includefield", "limit", "offset", "fuzzymatching")
_UIDS: Final = {
    "StudyInstanceUID": "study_uids",
    "SeriesInstanceUID": "series_uids",
    "SOPInstanceUID": "sop_instance_uids",
    "SOPClassUID": "sop_class_uids",
    "SOPClassesInStudy": "sop_class_uids",
}
_TEXTS: Final = {"PatientID": "patient_id", "AccessionNumber": "accession_number"}
_MODALITY: Final = ("Modality", "ModalitiesInStudy")
_CHARACTERS: Final = 0x00080005
_NO_CLASS: Final = ("0.0",)
_ADDITIONAL: Final = "There are additional results that can be requested"
_LITERAL: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."

_STUDY: Final = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC", "PatientName"),
    *("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
)
_SERIES: Final = (
    *("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "RequestAttributesSequence"),
    *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
_INSTANCE: Final = (
    *("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames"),
)
# what may be asked for beside these: of one object, it is true of the whole study, or series
_MORE_OF_STUDY: Final = (
    *("StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "PatientBirthTime", "IssuerOfPatientID"),
    *("OtherPatientIDs", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription"),
)
_MORE_OF_SERIES: Final = (
    *("SeriesDate", "SeriesTime", "BodyPartExamined", "Laterality", "Manufacturer", "ManufacturerModelName"),
    *("SoftwareVersions", "DeviceSerialNumber", "InstitutionName", "StationName", "ProtocolName"),
)


@dataclass(frozen=True, slots=True)
class SearchFor:
    """A query.

    Attributes
    ----------
    query : ObjectQuery
        One row more than is to be returned.
    fields : frozenset of str
        Keywords that `includefield` names.
    everything : bool
        Whether it says ``all``.
    bounded : bool
        Whether the server, and not the client, says how many come.
    warnings : tuple of str
    """

    query: ObjectQuery
    fields: frozenset[str] = frozenset()
    everything: bool = False
    bounded: bool = True
    warnings: tuple[str, ...] = field(default=())

    @property
    def most(self) -> int:
        """Results that are returned."""
        return self.query.most - 1

    def cut(self, found: list[Any]) -> tuple[list[Any], tuple[str, ...]]:
        """Results that are returned, and what must be said with them."""
        more = (_ADDITIONAL,) if self.bounded and len(found) > self.most else ()
        return found[: self.most], (*self.warnings, *more)


def read_query(items: Iterable[tuple[str, str]], **path: str) -> SearchFor:
    """Read a query.

    Parameters
    ----------
    items : iterable of (str, str)
        Parameters of the address: attributes by keyword or tag, and ``includefield``, ``limit``, ``offset``,
        ``fuzzymatching``.
    **path : str
        ``StudyInstanceUID``, ``SeriesInstanceUID`` of the address itself.

    Raises
    ------
    RefusedError
        400, where it cannot be answered as it stands: leaving a condition out would return too much.
    """
    values: dict[str, Any] = {}
    wanted = SearchFor(ObjectQuery())
    limit: str | None = None
    seen: set[str] = set()
    for name, value in (*path.items(), *items):
        keyword = name if name in _OTHER else _keyword(name)
        if keyword in seen and keyword != "includefield":
            raise _wrong(f"{keyword} must stand once")
        seen.add(keyword)
        if keyword == "includefield":
            named = frozenset(_keyword(each) for each in value.split(",") if each.strip() not in ("all", ""))
            everything = wanted.everything or "all" in value.split(",")
            wanted = replace(wanted, fields=wanted.fields | named, everything=everything)
        elif keyword == "fuzzymatching":
            wanted = replace(wanted, warnings=(_LITERAL,) if value == "true" else ())
        elif keyword == "limit":
            limit = value
        elif keyword == "offset":
            values["skip"] = _number(value, "offset", _FARTHEST)
        elif value not in ("", "*"):
            _condition(values, keyword, value)
    asked = _USUAL if limit is None else _number(limit, "limit", _FARTHEST)
    bounded = limit is None or asked > MOST
    return replace(wanted, query=ObjectQuery(**values, most=min(asked, MOST) + 1), bounded=bounded)


def _condition(values: dict[str, Any], keyword: str, value: str) -> None:
    """Put one attribute into the conditions; several on one column must all hold."""
    if keyword in _UIDS:
        uids = tuple(re.split(r"[,\\]", value))
        if len(uids) > _MOST_UIDS or not all(_UID.fullmatch(each) for each in uids):
            raise _wrong(f"{keyword} must be at most {_MOST_UIDS} UIDs, set apart by commas")
        _narrow(values, _UIDS[keyword], uids)
    elif keyword in _MODALITY:
        classes = tuple(uid for each in re.split(r"[,\\]", value) for uid in MODALITIES.get(each, ()))
        _narrow(values, "sop_class_uids", classes)
    elif keyword in _TEXTS:
        if "*" in value or "?" in value or len(value) > _LONGEST or not value.isprintable():
            raise _wrong(f"{keyword} is matched as a whole, without wildcards")
        values[_TEXTS[keyword]] = value
    else:
        known = ", ".join((*_UIDS, *_TEXTS, *_MODALITY))
        raise _wrong(f"{keyword} is not matched here; these are: {known}")


def _narrow(values: dict[str, Any], name: str, uids: tuple[str, ...]) -> None:
    before = values.get(name)
    kept = uids if before is None else tuple(each for each in before if each in uids)
    values[name] = kept or _NO_CLASS  # nothing fits; an empty tuple would let everything fit


def _keyword(name: str) -> str:
    """Keyword of an attribute given by keyword or tag; of a path into a sequence, the sequence's."""
    first = name.strip().partition(".")[0]
    found = keyword_for_tag(int(first, 16)) if re.fullmatch(r"[0-9A-Fa-f]{8}", first) else first
    if not found or not found.isascii() or tag_for_keyword(found) is None:
        raise _wrong("an attribute must be named by its keyword or its tag of eight hexadecimal digits")
    return found


def _number(value: str, name: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,8}", value) or int(value) > most:
        raise _wrong(f"{name} must be a number from 0 to {most}")
    return int(value)


def _wrong(sentence: str) -> RefusedError:
    return RefusedError(400, f"{sentence[0].upper()}{sentence[1:]}.")


# -- answers -------------------------------------------------------------------------------------------------------


def header_of(study: Study, path: str) -> Dataset:
    """Header of a stored object, without its pixels."""
    with study.store.open(path) as file, quiet():
        return dcmread(file, stop_before_pixels=True)


def described(
    study: Study, found: FoundStudy | FoundSeries | StoredObject, wanted: SearchFor, base: str, *, above: bool
) -> dict[str, Any]:
    """Say of a study, series or instance what PS3.18 tables 10.6.3-3 to 10.6.3-5 list, and what was asked for.

    Parameters
    ----------
    study : Study
    found : FoundStudy, FoundSeries or StoredObject
    wanted : SearchFor
    base : str
        Address of the DICOMweb server.
    above : bool
        Whether the levels above were not named in the address, so that they are told as well.
    """
    header, made = header_of(study, found.path), Dataset()
    address = f"{base}/studies/{found.study_uid}"
    keywords: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    if isinstance(found, FoundStudy):
        keywords, more = (*_STUDY,), (*_STUDY, *_MORE_OF_STUDY)
        has = set(found.sop_class_uids)
        made.ModalitiesInStudy = sorted(name for name, uids in MODALITIES.items() if has & set(uids))
        made.NumberOfStudyRelatedSeries = found.series
        made.NumberOfStudyRelatedInstances = found.instances
    elif isinstance(found, FoundSeries):
        keywords = (*_SERIES, *(_STUDY if above else ()), "StudyInstanceUID")
        more = (*_STUDY, *_MORE_OF_STUDY, *_SERIES, *_MORE_OF_SERIES)
        made.NumberOfSeriesRelatedInstances = found.instances
        address += f"/series/{found.series_uid}"
    else:
        keywords = (*_INSTANCE, *((*_STUDY, *_SERIES) if above else ()), "StudyInstanceUID", "SeriesInstanceUID")
        more = tuple(each.keyword for each in header if each.keyword)
        address += f"/series/{found.series_uid}/instances/{found.sop_instance_uid}"
    asked = more if wanted.everything else tuple(each for each in more if each in wanted.fields)
    for keyword in dict.fromkeys((*keywords, *asked)):
        if keyword in header:
            made.add(header[keyword])
    made.InstanceAvailability, made.RetrieveURL = "ONLINE", address
    return as_json(made)


def as_json(dataset: Dataset) -> dict[str, Any]:
    """DICOM JSON (PS3.18 annex F), which is UTF-8; an element whose value is none of its kind is left out."""
    return dict(_elements(dataset))


def _elements(dataset: Dataset) -> Iterator[tuple[str, Any]]:
    yield f"{_CHARACTERS:08X}", {"vr": "CS", "Value": ["ISO_IR 192"]}
    with quiet():
        for tag in sorted(dataset.keys()):
            try:
                said = dataset[tag].to_json_dict(None, 1024)
                json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
            except (ValueError, TypeError, AttributeError, OverflowError, NotImplementedError):
                continue  # hostile values come in with a film's header, and must not cost the rest
            if tag != _CHARACTERS:
                yield f"{int(tag):08X}", said
