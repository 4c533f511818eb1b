"""What the archive keeps of a film: its header's fields as plain values, its picture's hashes, the gate's verdict."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag

from carina.archive import FilmRecord
from carina.errors import FilmRejectedError
from carina.imaging import check_rules
from carina.imaging.dicom import open_dicom
from carina.imaging.header import text, whole
from carina.imaging.quiet import quiet
from carina.inference import Gate
from carina.sampling import perceptual_hash
from carina.settings import Limits
from carina.types import Array, Film

__all__ = ["acquired_at", "describe_film", "header_fields", "pixels_sha256", "read_header"]

_TEXTS: Final = {
    "patient_id": "PatientID",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
    "accession_number": "AccessionNumber",
    "view_position": "ViewPosition",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
    "manufacturer": "Manufacturer",
    "model_name": "ManufacturerModelName",
    "sex": "PatientSex",
    "modality": "Modality",
}
_NUMBERS: Final = {"series_number": "SeriesNumber", "instance_number": "InstanceNumber"}
_MOMENTS: Final = ("Acquisition", "Content", "Series", "Study")
_TAGS: Final = [
    Tag(keyword)
    for keyword in (
        "SpecificCharacterSet",
        "AcquisitionDateTime",
        *_TEXTS.values(),
        *_NUMBERS.values(),
        *(f"{moment}{part}" for moment in _MOMENTS for part in ("Date", "Time")),
    )
]
_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME: Final = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?")
_LARGEST: Final = 2**31 - 1  # PS3.5 6.2: IS
_CODE: Final = 16


def describe_film(film: Film, data: bytes, path: str, gate: Gate | None, limits: Limits) -> FilmRecord:
    """Collect what the archive keeps of a film.

    Parameters
    ----------
    film : Film
        As read from `data`.
    data : bytes
        The file as it is stored.
    path : str
        Where in the store.
    gate : Gate or None
        The quality gate; without one the rules alone judge.
    limits : Limits

    Returns
    -------
    FilmRecord

    Raises
    ------
    FilmRejectedError
        If the header cannot be read.
    """
    righted, quality = (film, check_rules(film)) if gate is None else gate.check(film)
    dicom = film.header.format == "dicom"
    return FilmRecord(
        film_id=film.sha256,
        path=path,
        rows=film.pixels.shape[0],
        columns=film.pixels.shape[1],
        pixels_sha256=pixels_sha256(film.pixels),
        accepted=quality.accepted,
        refusal="; ".join(quality.reasons) or None,
        corrected=", ".join(quality.corrected) or None,
        perceptual_hash=perceptual_hash(righted.pixels),
        age_years=film.header.age_years,
        **(header_fields(read_header(data, limits)) if dicom else {}),
    )


def pixels_sha256(pixels: Array) -> str:
    """SHA-256 of the picture alone, whatever file it came in.

    Examples
    --------
    >>> film = np.zeros((2, 3), np.float32)
    >>> pixels_sha256(film) == pixels_sha256(film.copy()), pixels_sha256(film) == pixels_sha256(film.T)
    (True, False)
    """
    made = hashlib.sha256(str(pixels.shape).encode("ascii"))
    made.update(np.ascontiguousarray(pixels).data)
    return made.hexdigest()


def read_header(data: bytes, limits: Limits, *, more: Sequence[str] = ()) -> Dataset:
    """Read of a DICOM file's header what `header_fields` asks for.

    Parameters
    ----------
    data : bytes
    limits : Limits
    more : sequence of str
        Further keywords to read.

    Raises
    ------
    FilmRejectedError
        If the file is no readable DICOM.
    """
    with quiet():
        opened = open_dicom(data, limits)
        try:
            return read_dataset(
                io.BytesIO(opened.data[opened.start : opened.layout.header_end]),
                opened.encoding.implicit,
                opened.encoding.little,
                specific_tags=[*_TAGS, *map(Tag, more)],
            )
        except Exception as error:
            raise FilmRejectedError("damaged", "the file has a header that cannot be read; export it again") from error


def header_fields(header: Dataset) -> dict[str, Any]:
    """Fields of the film table out of a DICOM header of `read_header`.

    Returns
    -------
    dict
        Keys are attributes of `FilmRecord`; None where the header says nothing usable.
    """
    with quiet():
        fields: dict[str, Any] = {name: text(header, keyword) for name, keyword in _TEXTS.items()}
        for name in ("sex", "modality"):
            fields[name] = str(fields[name])[:_CODE].upper() if fields[name] else None
        for name, keyword in _NUMBERS.items():
            number = whole(header, keyword)
            fields[name] = number if number is not None and abs(number) <= _LARGEST else None
        fields["acquired_at"] = acquired_at(header)
    return fields


def acquired_at(header: Dataset) -> dt.datetime | None:
    """When the film was taken: acquisition, else content, series or study date and time; local and naive.

    A date without a time counts as its midnight; an offset from UTC is left aside, for records are local too.

    References
    ----------
    DICOM PS3.3 C.7.6.1 and C.12.1; PS3.5 section 6.2 (DA, DT, TM).

    Examples
    --------
    >>> film = Dataset()
    >>> film.StudyDate, film.StudyTime = "20200401", "0830"
    >>> acquired_at(film)
    datetime.datetime(2020, 4, 1, 8, 30)
    """
    whole_moment = text(header, "AcquisitionDateTime") or ""
    found = _moment(whole_moment[:8], whole_moment[8:])
    for moment in _MOMENTS:
        if found is None:
            found = _moment(text(header, f"{moment}Date") or "", text(header, f"{moment}Time") or "")
    return found


def _moment(date: str, time: str) -> dt.datetime | None:
    day, clock = _DATE.match(date), _TIME.match(time)
    if day is None:
        return None
    hour, minute, second, fraction = clock.groups() if clock is not None else (None, None, None, None)
    try:
        return dt.datetime(  # noqa: DTZ001 - hospital times are local and say no zone
            int(day[1]),
            int(day[2]),
            int(day[3]),
            int(hour or 0),
            int(minute or 0),
            min(int(second or 0), 59),  # PS3.5 6.2: 60 is a leap second
            int((fraction or "0").ljust(6, "0")),
        )
    except ValueError:
        return None
