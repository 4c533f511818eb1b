"""Any bytes become a film at the desk, durable before the sender hears of it, or a refusal in words."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from carina.archive import DeskFilm, NewFilm, OwedItem, Study
from carina.errors import CarinaError, FilmRejectedError
from carina.imaging.dicom import looks_like_dicom
from carina.imaging.pictures import picture_format
from carina.imaging.quiet import quiet
from carina.imaging.rejections import rejection
from carina.ingest.films import header_fields, read_header
from carina.ingest.zips import ZipReader, zip_entries
from carina.service.queue import JobQueue
from carina.settings import Settings

__all__ = ["FILM_CLASSES", "Received", "receive_files", "receive_film"]

_LOG: Final = logging.getLogger("carina.service")

FILM_CLASSES: Final = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
"""Storage SOP classes that are taken over the network, by C-STORE and STOW-RS alike."""

_SUFFIXES: Final = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif"}
_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_CHUNK: Final = 1 << 20
_SECONDS: Final = 3600.0
_LONGEST_NAME: Final = 256
_KEPT: Final = ("patient_id", "accession_number", "study_uid", "series_uid", "sop_instance_uid")


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one file.

    Attributes
    ----------
    name : str
        As the sender called it: for the sender's own eyes, neither stored nor logged.
    film : DeskFilm or None
        None where it was refused.
    new : bool
        False for a film that was there already.
    code, reason : str or None
        Why it was refused.
    """

    name: str
    film: DeskFilm | None = None
    new: bool = False
    code: str | None = None
    reason: str | None = None


def receive_film(
    study: Study,
    data: bytes,
    *,
    organisation_id: int,
    source: str,
    settings: Settings,
    queue: JobQueue | None = None,
    referrer_id: int | None = None,
    by: int | None = None,
    prior: bool = False,
    priors_from: Sequence[str] = (),
) -> tuple[DeskFilm, bool]:
    """Take one film: file, hash and database row are durable when this returns.

    Parameters
    ----------
    study : Study
        Of kind service.
    data : bytes
        A DICOM file with or without preamble, PNG, JPEG or TIFF.
    organisation_id : int
        Whose film it is.
    source : str
        ``"upload"``, or ``"pacs:"`` or ``"prior:"`` and the peer's AE title.
    settings : Settings
    queue : JobQueue or None
        Told of a new film; without one the next sweep finds it.
    referrer_id, by : int or None
        The user whose request it is, and who sent it.
    prior : bool
        Whether it was fetched to compare another film with, and is not to be read.
    priors_from : sequence of str
        AE titles of peers that are to be asked for earlier films of the patient.

    Returns
    -------
    tuple of (DeskFilm, bool)
        And whether it is new.

    Raises
    ------
    FilmRejectedError
        If the bytes are no film, or too many. Pixels are decoded later, by the worker.
    ArchiveError
        If it cannot be stored.
    """
    limits = settings.limits
    if not data:
        raise rejection("empty", "is empty; send it again from its source")
    if len(data) > limits.file_bytes:
        raise rejection("file_too_large", f"has {len(data)} bytes, more than {limits.file_bytes}; raise file_bytes")
    kind = None if data[128:132] == b"DICM" else picture_format(data)
    if kind is None and not looks_like_dicom(data):
        raise rejection("not_a_picture", "is neither DICOM nor a picture; send a DICOM, PNG, JPEG or TIFF file")
    said: dict[str, str | None] = {}
    if kind is None:
        with quiet():
            header = read_header(data, limits, more=("PatientName",))
            found = header_fields(header)
            said["patient_name"] = _patient_name(header)
        said |= {name: found.get(name) for name in _KEPT}
        taken = found.get("acquired_at")
        said["acquired_at"] = None if taken is None else taken.isoformat(timespec="seconds")
    stored = study.store.put(data, folder="received", suffix=_SUFFIXES.get(kind or "", ".dcm"))
    new = NewFilm(film_id=stored.sha256, path=stored.path, source=source, referrer_id=referrer_id, **said)
    wait = settings.service.longest_wait_hours * _SECONDS
    body = json.dumps({"organisation": organisation_id})
    owed = [OwedItem("priors", title, "", "", body=body) for title in priors_from] if new.patient_id else []
    film, fresh = study.desk.receive(
        new, organisation_id=organisation_id, longest_wait=wait, by=by, prior=prior, owed=owed
    )
    if fresh:
        study.programmes.apply_rules([film.entry_id], organisation_id=organisation_id)
    if fresh and queue is not None and film.state == "received":
        queue.put(organisation_id, film.entry_id)
    return film, fresh


def receive_files(
    study: Study,
    files: Iterator[tuple[str, BinaryIO]],
    *,
    organisation_id: int,
    settings: Settings,
    queue: JobQueue | None,
    referrer_id: int | None,
    by: int | None,
) -> Iterator[Received]:
    """Take the files of an upload, zips opened; one that is refused never stops the rest.

    Parameters
    ----------
    study : Study
    files : iterator of (str, file)
        Names and contents.
    organisation_id, settings, queue, referrer_id, by
        As in `receive_film`.

    Yields
    ------
    Received
        In the order of the files.
    """
    for name, file in files:
        for shown, content in _opened(name, file, study, settings):
            if isinstance(content, FilmRejectedError):
                yield Received(shown, code=content.code, reason=content.message)
                continue
            try:
                film, new = receive_film(
                    study,
                    content,
                    organisation_id=organisation_id,
                    source="upload",
                    settings=settings,
                    queue=queue,
                    referrer_id=referrer_id,
                    by=by,
                )
            except FilmRejectedError as error:
                yield Received(shown, code=error.code, reason=error.message)
            except (CarinaError, OSError) as error:
                _LOG.error("an uploaded film could not be stored: %s", type(error).__name__)
                yield Received(shown, code="not_stored", reason="the film could not be stored; see the health page")
            else:
                yield Received(shown, film, new)


def _opened(
    name: str, file: BinaryIO, study: Study, settings: Settings
) -> Iterator[tuple[str, bytes | FilmRejectedError]]:
    start = file.read(4)
    file.seek(0)
    if start not in (_ZIP, _EMPTY_ZIP):
        yield name, file.read(settings.limits.file_bytes + 1)
        return
    # in the study's folder, which nobody else may enter; gone with the block
    with tempfile.NamedTemporaryFile(dir=study.folder, prefix=".upload-", suffix=".zip") as place:
        while chunk := file.read(_CHUNK):
            place.write(chunk)
        place.flush()
        path = Path(place.name)
        try:
            entries = [each for each in zip_entries(path, settings) if not each.ignored]
        except FilmRejectedError as error:
            yield name, error
            return
        zips = ZipReader()
        try:
            for entry in entries:
                shown = f"{name}, file {entry.number + 1}"
                if entry.problem is not None:
                    yield shown, FilmRejectedError(*entry.problem)
                    continue
                try:
                    content = zips.read(str(path), entry.number, settings.limits.file_bytes)
                except FilmRejectedError as error:
                    yield shown, error
                    continue
                yield shown, content
        finally:
            zips.close()


def _patient_name(header: Dataset) -> str | None:
    """Patient's Name as stored, components joined by carets (PS3.5 6.2, PN); None where there is none."""
    try:
        name = str(header.get("PatientName", ""))
    except Exception as error:
        raise FilmRejectedError("damaged", "the file has a header that cannot be read; export it again") from error
    printable = "".join(letter for letter in name if letter.isprintable())
    return printable.strip()[:_LONGEST_NAME] or None
