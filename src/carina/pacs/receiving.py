"""What the node answers: C-ECHO, C-STORE and the request for storage commitment."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]  # made at run time

from carina.archive import OwedItem, Study
from carina.errors import CarinaError, FilmRejectedError
from carina.imaging.quiet import quiet
from carina.pacs.expected import Expected
from carina.pacs.peers import Peers
from carina.service import FILM_CLASSES, JobQueue, receive_film
from carina.settings import Settings

__all__ = ["TRANSFER_SYNTAXES", "Receiver", "add_contexts", "stored_object"]

_LOG: Final = logging.getLogger(__name__)

# Deflated Explicit VR is left out: an object could then inflate to any size before it is looked at.
TRANSFER_SYNTAXES: Final = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEG2000Lossless,
    JPEG2000,
    JPEGLSLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)
"""Transfer syntaxes that the node takes."""

_IMPLEMENTATION: Final = UID("2.25.133438271254867305046424327211012018823")
_SUCCESS, _OUT_OF_RESOURCES, _MISMATCH, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
_MISSING, _INVALID = 0x0120, 0x0115
_INSTANCE: Final = b"\x02\x00\x03\x00UI"  # (0002,0003), explicit VR
_LAST_NAMED: Final = 0x00080018  # SOPInstanceUID
_REFERENCES: Final = 10_000
_COMMENT: Final = 64  # PS3.5 section 6.2: LO


class Receiver:
    """Answers peers on behalf of a study.

    Parameters
    ----------
    study : Study
        Of kind ``service``.
    settings : Settings
    peers : Peers
    expected : Expected
        Earlier films that the node has asked for.
    """

    def __init__(self, study: Study, settings: Settings, peers: Peers, expected: Expected) -> None:
        self._study = study
        self._settings = settings
        self._peers = peers
        self._expected = expected
        self._queue = JobQueue(study, settings)

    def handlers(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Events of pynetdicom, and what answers them."""
        return [
            (evt.EVT_C_ECHO, self.echo),
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_N_ACTION, self.commit),
            (evt.EVT_REQUESTED, self.requested),
            (evt.EVT_DIMSE_RECV, _counted),
            (evt.EVT_REJECTED, self.rejected),
        ]

    def requested(self, event: Any) -> None:
        """End an association asked for from an address that its AE title may not call from."""
        peer = self._peers.get(_calling(event.assoc))
        address = str(event.assoc.requestor.address_info.address)
        if peer is not None and peer.addresses and address not in peer.addresses:
            _LOG.warning("refused %s: not one of its addresses calls", peer.ae_title)
            event.assoc.acse.send_reject(0x01, 0x01, 0x03)  # PS3.8 9.3.4: calling AE title not recognised
            event.assoc.kill()

    def rejected(self, event: Any) -> None:
        """Tell the log about an unknown AE title, a full house, or another called title."""
        _LOG.warning("an association was refused: calling %r, called %r", *_titles(event.assoc))

    def echo(self, event: Any) -> int:
        """Answer C-ECHO."""
        del event
        return _SUCCESS

    def store(self, event: Any) -> int | Dataset:
        """Store a film; success is answered only when file and row would survive a crash of the machine.

        Returns
        -------
        int or Dataset
            0000 stored; A700 no room; A900 not the object announced; C000 not DICOM, or no film that could be judged,
            with a comment that says why (PS3.4 table B.2-1).
        """
        data, status = stored_object(event)
        if data is None:
            return status
        mover = str(event.request.MoveOriginatorApplicationEntityTitle or "")
        return self.keep(data, _calling(event.assoc), str(event.request.AffectedSOPInstanceUID), mover=mover)

    def keep(self, data: bytes, title: str, uid: str, *, mover: str = "") -> int | Dataset:
        """Take a film to the desk of its peer's organisation.

        Parameters
        ----------
        data : bytes
            DICOM file.
        title : str
            AE title of the peer that sent it.
        uid : str
            Of the instance.
        mover : str
            AE title that asked for it by C-MOVE; empty where nobody did.
        """
        prior = self._expected.take(title, uid) or mover.strip() == self._settings.pacs.ae_title
        home = self._peers.organisation(title)
        try:
            receive_film(
                self._study,
                data,
                organisation_id=home,
                source=f"{'prior' if prior else 'pacs'}:{title}",
                settings=self._settings,
                queue=self._queue,
                prior=prior,
                priors_from=() if prior else self._peers.priors(home),
            )
        except FilmRejectedError as error:
            _LOG.warning("not stored: %s", error.code)
            return _status(_NOT_UNDERSTOOD, error.message)
        except (OSError, CarinaError) as error:
            _LOG.error("not stored: %s", error)
            return _OUT_OF_RESOURCES
        except Exception as error:  # noqa: BLE001 - as in `store`; a fault must be answered, or the peer waits for ever
            _LOG.error("not stored: %s", type(error).__name__)
            return _NOT_UNDERSTOOD
        return _SUCCESS

    def commit(self, event: Any) -> tuple[int, Dataset | None]:
        """Take a request for storage commitment; the answer is sent over an association of its own (PS3.4 J.3)."""
        try:
            asked = event.action_information
            transaction = str(asked.TransactionUID)
            wanted = [
                (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
                for item in asked.ReferencedSOPSequence
            ]
            UID(transaction)
        except Exception:  # noqa: BLE001 - as in `store`
            return _INVALID, None
        if not wanted or len(wanted) > _REFERENCES or not transaction:
            return _MISSING, None
        peer = _calling(event.assoc)
        item = OwedItem("commitment", peer, str(StorageCommitmentPushModel), transaction, body=json.dumps(wanted))
        try:
            self._study.archive.exchange.owe(item)
        except CarinaError as error:
            _LOG.error("no storage commitment: %s", error)
            return 0x0110, None
        return _SUCCESS, None


def add_contexts(entity: Any) -> None:
    """Offer everything that a peer may ask for."""
    entity.add_supported_context(Verification)
    entity.add_supported_context(StorageCommitmentPushModel)
    for each in FILM_CLASSES:
        entity.add_supported_context(each, list(TRANSFER_SYNTAXES))


def stored_object(event: Any) -> tuple[bytes | None, int]:
    """Bytes of the file that a C-STORE makes, or None and the status that refuses it."""
    request = event.request
    body = request.DataSet.getvalue()
    uid, sop_class = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
    try:
        syntax = UID(event.context.transfer_syntax)
        found = _announced(body, syntax)
        data = _file_start(uid, sop_class, syntax) + body
    except Exception as error:  # noqa: BLE001 - hostile bytes raise anything inside pydicom; they are answered
        _LOG.warning("not stored: no DICOM object (%s)", type(error).__name__)
        return None, _NOT_UNDERSTOOD
    if found != (sop_class, uid):
        _LOG.warning("not stored: the object is not the one that was announced")
        return None, _MISMATCH
    return data, _MISMATCH


def _counted(event: Any) -> None:
    """Begin counting bytes anew after each whole message."""
    limited = event.assoc.dul.socket
    if limited is not None:
        limited.counted = 0


def _file_start(uid: str, sop_class: str, syntax: UID) -> bytes:
    """Preamble and meta information, the same for the same object whoever sends it (PS3.10 section 7.1)."""
    name = uid.encode("ascii")
    before, after = _around_instance(sop_class, syntax, len(name))
    return before + name + after


@lru_cache(maxsize=256)
def _around_instance(sop_class: str, syntax: UID, length: int) -> tuple[bytes, bytes]:
    """Make preamble and meta information, and part them where an instance's UID of so many characters goes."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID("1" * length)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = syntax, _IMPLEMENTATION
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    out.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(out, meta)
    made = out.getvalue()
    start = made.index(_INSTANCE) + len(_INSTANCE) + 2  # its length, two bytes
    return made[:start], made[start + length :]


def _status(status: int, why: str) -> Dataset:
    answer = Dataset()
    answer.Status, answer.ErrorComment = status, why[:_COMMENT]
    return answer


def _announced(body: bytes, syntax: UID) -> tuple[str, str]:
    """SOP class and instance that the object itself names, which stand near its start."""
    with quiet():
        header = read_dataset(
            io.BytesIO(body),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=lambda tag, _vr, _length: tag > _LAST_NAMED,
        )
        return str(header.SOPClassUID), str(header.SOPInstanceUID)


def _calling(association: Any) -> str:
    return str(association.requestor.ae_title).strip()


def _titles(association: Any) -> tuple[str, str]:
    primitive = association.requestor.primitive
    called = "" if primitive is None else str(primitive.called_ae_title).strip()
    return _calling(association), called
