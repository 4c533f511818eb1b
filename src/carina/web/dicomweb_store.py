"""STOW-RS: films taken one by one, each durable or refused with a reason (PS3.18 section 10.5 and annex I)."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Self

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from carina.errors import CarinaError, FilmRejectedError
from carina.imaging.quiet import quiet
from carina.service import FILM_CLASSES, receive_film
from carina.web.dicomweb_query import as_json
from carina.web.permissions import RefusedError, Visitor
from carina.web.upload import refuse_without_room

__all__ = ["StoredParts", "store_parts"]

_LOG: Final = logging.getLogger("carina.web")

_RELATED: Final = "multipart/related"
_DICOM: Final = "application/dicom"
_NO_PARTS: Final = "The body must be made of parts between boundaries, the last one closed, and is not."
_LONGEST_BOUNDARY: Final = 200  # RFC 2046, 5.1.1 allows 70; Orthanc sends 73
_IN_MEMORY: Final = 1 << 20
# PS3.18 table I.2-2
_OUT_OF_RESOURCES, _MISMATCH, _NOT_UNDERSTOOD, _NO_SUCH_CLASS, _FAILED = 0xA700, 0xA900, 0xC000, 0x0122, 0x0110


@dataclass(slots=True)
class _Part:
    """One part of a message, on its way into a file."""

    file: SpooledTemporaryFile[bytes]
    name: bytes = b""
    value: bytes = b""
    kind: str = _DICOM


@dataclass(slots=True)
class StoredParts:
    """Parts of a message, each in a file that is gone when the request ends."""

    most: int
    parts: list[_Part] = field(default_factory=list)
    whole: bool = False

    @classmethod
    @asynccontextmanager
    async def of(cls, request: Request) -> AsyncIterator[Self]:
        """Read the body of a request.

        Raises
        ------
        RefusedError
            400, 413 or 415.
        """
        made = cls(request.app.state.settings.web.upload_files)
        kind, said = parse_options_header(request.headers.get("content-type"))
        boundary = said.get(b"boundary", b"")
        if kind.decode("latin-1") != _RELATED or said.get(b"type", b"").lower() != _DICOM.encode():
            raise RefusedError(415, f'Films are sent as {_RELATED}; type="{_DICOM}"; boundary=...')
        if not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
            raise RefusedError(400, f"The content type must name a boundary of 1 to {_LONGEST_BOUNDARY} characters.")
        try:
            await made._read(request, boundary)
            yield made
        finally:
            for each in made.parts:
                each.file.close()

    async def _read(self, request: Request, boundary: bytes) -> None:
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_begin": self._header_begin,
            "on_header_field": lambda data, start, end: self._header(data[start:end], b""),
            "on_header_value": lambda data, start, end: self._header(b"", data[start:end]),
            "on_header_end": self._header_end,
            "on_end": self._end,
            "on_part_data": lambda data, start, end: self.parts[-1].file.write(data[start:end]),
        }
        try:
            parser = MultipartParser(boundary, callbacks)
            async for chunk in request.stream():
                parser.write(chunk)
            parser.finalize()
        except MultiPartException as error:
            raise HTTPException(400, error.message) from error
        except FormParserError as error:
            raise RefusedError(400, _NO_PARTS) from error
        if not self.whole:  # a connection that broke off: half a film must not be judged
            raise RefusedError(400, _NO_PARTS)

    def _begin(self) -> None:
        if len(self.parts) >= self.most:
            raise RefusedError(413, f"A message must have at most {self.most} films; send the rest in another.")
        self.parts.append(_Part(SpooledTemporaryFile(_IN_MEMORY)))  # noqa: SIM115 - `of` closes them all

    def _end(self) -> None:
        self.whole = True

    def _header_begin(self) -> None:
        self.parts[-1].name = self.parts[-1].value = b""

    def _header(self, name: bytes, value: bytes) -> None:
        part = self.parts[-1]
        part.name, part.value = part.name + name, part.value + value

    def _header_end(self) -> None:
        part = self.parts[-1]
        if part.name.lower() == b"content-type":
            part.kind = parse_options_header(part.value)[0].decode("latin-1")
            if part.kind != _DICOM:
                raise RefusedError(415, f"Every part must be {_DICOM}; one is another.")


def store_parts(request: Request, visitor: Visitor, sent: StoredParts, study_uid: str | None) -> Response:
    """Take films, and say what became of each.

    Parameters
    ----------
    request : Request
    visitor : Visitor
    sent : StoredParts
    study_uid : str or None
        The study of the address, to which all must belong.

    Returns
    -------
    Response
        200 where all are durable, 202 where some are, 409 where none is, 503 where that was no fault of theirs.
    """
    if not sent.parts:
        raise RefusedError(400, "Send at least one film.")
    state = request.app.state
    refuse_without_room(state.study.folder, state.settings)
    taken: list[Dataset] = []
    failed: list[Dataset] = []
    nameless: list[Dataset] = []
    for part in sent.parts:
        part.file.seek(0)
        content = part.file.read(state.settings.limits.file_bytes + 1)
        reference, reason = _stored(request, visitor, content, study_uid)
        if reason is None and reference is not None:
            reference.RetrieveURL = ""  # films are looked at on the desk; what is fetched here are their results
            taken.append(reference)
        elif reference is not None:
            reference.FailureReason = reason
            failed.append(reference)
        else:
            nameless.append(Dataset())
            nameless[-1].FailureReason = reason
    answer = Dataset()
    answer.RetrieveURL = ""
    sequences = {"ReferencedSOPSequence": taken, "FailedSOPSequence": failed, "OtherFailuresSequence": nameless}
    for name, items in sequences.items():
        if items:
            setattr(answer, name, items)
    ours = any(each.FailureReason == _OUT_OF_RESOURCES for each in failed)
    status = 200 if not failed and not nameless else 202 if taken else 503 if ours else 409
    return JSONResponse(as_json(answer), status, media_type="application/dicom+json")


def _stored(
    request: Request, visitor: Visitor, content: bytes, study_uid: str | None
) -> tuple[Dataset | None, int | None]:
    """Take one film: which it is, as far as that can be told, and why it was not taken."""
    try:
        reference, its_study = _named(content)
    except Exception as error:  # noqa: BLE001 - hostile bytes raise anything inside pydicom; they are answered
        _LOG.warning("not stored: no DICOM object (%s)", type(error).__name__)
        return None, _NOT_UNDERSTOOD
    if reference.ReferencedSOPClassUID not in FILM_CLASSES:
        return reference, _NO_SUCH_CLASS
    if study_uid is not None and its_study != study_uid:
        return reference, _MISMATCH
    return reference, _kept(request, visitor, content)


def _kept(request: Request, visitor: Visitor, content: bytes) -> int | None:
    """Take a film to the desk; None once it is durable, else why it is not."""
    state = request.app.state
    try:
        receive_film(
            state.study,
            content,
            organisation_id=visitor.user.organisation_id,
            source="upload",
            settings=state.settings,
            queue=state.queue,
            referrer_id=visitor.scope["referrer_id"],
            by=visitor.user.user_id,
        )
    except FilmRejectedError as error:
        _LOG.warning("not stored: %s", error.code)
        return _NOT_UNDERSTOOD
    except (OSError, CarinaError) as error:
        _LOG.error("not stored: %s", type(error).__name__)
        return _OUT_OF_RESOURCES
    except Exception as error:  # noqa: BLE001 - as above
        _LOG.error("not stored: %s", type(error).__name__)
        return _FAILED
    return None


def _named(content: bytes) -> tuple[Dataset, str]:
    """Class and instance that a film names, and its study."""
    with quiet():
        header = dcmread(
            io.BytesIO(content),
            stop_before_pixels=True,
            specific_tags=["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"],
        )
        made = Dataset()
        made.ReferencedSOPClassUID = UID(str(header.SOPClassUID))
        made.ReferencedSOPInstanceUID = UID(str(header.SOPInstanceUID))
        return made, str(header.get("StudyInstanceUID", ""))
