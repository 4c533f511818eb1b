"""What the node owes its peers, sent until they confirm it."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at run time

from carina.archive import OwedItem, Study
from carina.errors import CarinaError
from carina.imaging.quiet import quiet, where
from carina.pacs.peers import Peers
from carina.pacs.results import RESULT_CLASSES
from carina.settings import PacsPeer, PacsSettings

__all__ = ["Sender", "back_off"]

_LOG: Final = logging.getLogger(__name__)
_PAUSE_SECONDS: Final = 0.1
_WARNINGS: Final = range(0xB000, 0xC000)
_COMMITMENT_INSTANCE: Final = UID("1.2.840.10008.1.20.1.1")
_ALL, _SOME = 1, 2
_NO_SUCH_OBJECT, _OTHER_CLASS = 0x0112, 0x0119  # PS3.3 C.14.1.1
_DOUBLINGS: Final = 20


def back_off(attempts: int, settings: PacsSettings) -> float:
    """Seconds to wait after `attempts` failed attempts before this one: doubled each time, up to a longest.

    Examples
    --------
    >>> [back_off(attempts, PacsSettings()) for attempts in (0, 1, 2, 10)]
    [5.0, 10.0, 20.0, 900.0]
    """
    return min(settings.retry_seconds * 2.0 ** min(attempts, _DOUBLINGS), settings.retry_longest_seconds)


class Sender:
    """Empties the outbox.

    Parameters
    ----------
    study : Study
    settings : PacsSettings
    peers : Peers
    """

    def __init__(self, study: Study, settings: PacsSettings, peers: Peers) -> None:
        self._study = study
        self._settings = settings
        self._peers = peers

    def run(self, stop: threading.Event) -> None:
        """Send what is due until told to stop."""
        while not stop.is_set():
            try:
                busy = self.step()
            except (CarinaError, OSError) as error:
                _LOG.warning("nothing could be sent: %s", error)
                busy = False
                stop.wait(1.0)
            except Exception as error:  # noqa: BLE001 - a fault here must not silently end all sending
                _LOG.error("nothing could be sent: %s", where(error))
                busy = False
                stop.wait(5.0)
            if not busy:
                stop.wait(_PAUSE_SECONDS)

    def step(self) -> bool:
        """Try everything that is due, an association a peer and kind; False where nothing is."""
        exchange = self._study.archive.exchange
        for item in exchange.due(("send",)):
            exchange.sent(item.item_id, self._addressed(item))
        groups: dict[tuple[str, str], list[OwedItem]] = defaultdict(list)
        for item in exchange.due(("store", "commitment")):
            groups[item.peer, item.kind].append(item)
        for (title, kind), items in groups.items():
            peer = self._peers.get(title)
            if peer is None:
                self._postpone(items, f"{title} is not among the peers of the settings")
            elif kind == "store":
                self._store(peer, items)
            else:
                self._answer(peer, items)
        return bool(groups)

    def _addressed(self, item: OwedItem) -> list[OwedItem]:
        """Say which peers get the objects of a film: those of its organisation, of uploads only where it is set."""
        said = item.said
        home = int(said["organisation"])
        film = self._study.desk.film(str(said["entry"]), organisation_id=home, referrer_id=None)
        if film is None or not (film.source.startswith("pacs:") or self._settings.send_uploads):
            return []
        return [
            OwedItem("store", peer, sop_class, uid, path)
            for peer in self._peers.results(home)
            for sop_class, uid, path in said["objects"]
        ]

    def _store(self, peer: PacsPeer, items: Sequence[OwedItem]) -> None:
        contexts = [
            build_context(each, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]) for each in RESULT_CLASSES.values()
        ]
        association = self._peers.associate(peer, contexts)
        if not association.is_established:
            self._postpone(items, f"{peer.ae_title} gave no association; check its address, and that it knows us")
            return
        try:
            for position, item in enumerate(items):
                if not association.is_established:
                    self._postpone(items[position:], f"{peer.ae_title} ended the association")
                    return
                self._store_one(association, item)
        finally:
            if association.is_established:
                association.release()

    def _store_one(self, association: Any, item: OwedItem) -> None:
        try:
            made = dcmread(io.BytesIO(self._study.store.read(item.path or "")))
        except (CarinaError, OSError, InvalidDicomError) as error:  # this one alone waits, not all that come after it
            self._postpone([item], f"its file in the store cannot be read ({type(error).__name__}); restore it")
            return
        try:
            answer = association.send_c_store(made)
        except ValueError:
            self._postpone([item], f"{item.peer} does not take objects of the class {UID(item.sop_class_uid).name}")
            return
        status = answer.get("Status")
        if status == 0 or status in _WARNINGS:
            self._study.archive.exchange.sent(item.item_id)
        else:
            said = "no answer" if status is None else f"status {status:04X}"
            self._postpone([item], f"{item.peer} did not store it: {said}")

    def _answer(self, peer: PacsPeer, items: Sequence[OwedItem]) -> None:
        """Report on storage commitment: N-EVENT-REPORT, as the service's provider (PS3.4 J.3.3)."""
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = self._peers.associate(peer, [build_context(StorageCommitmentPushModel)], negotiation=[role])
        if not association.is_established:
            self._postpone(items, f"{peer.ae_title} gave no association for storage commitment")
            return
        try:
            for item in items:
                event, report = self._report(item)
                try:
                    answer, _ = association.send_n_event_report(
                        report, event, StorageCommitmentPushModel, _COMMITMENT_INSTANCE
                    )
                except (ValueError, RuntimeError):
                    self._postpone([item], f"{peer.ae_title} takes no report on storage commitment")
                    continue
                if answer.get("Status") == 0:
                    self._study.archive.exchange.sent(item.item_id)
                else:
                    self._postpone([item], f"{peer.ae_title} did not take the report on storage commitment")
        finally:
            if association.is_established:
                association.release()

    def _report(self, item: OwedItem) -> tuple[int, Dataset]:
        wanted = [(str(one), str(two)) for one, two in json.loads(item.body or "[]")]
        home = self._peers.organisation(item.peer)
        here = self._study.desk.held([uid for _, uid in wanted], organisation_id=home)
        report = Dataset()
        report.TransactionUID = item.sop_instance_uid
        held, failed = [], []
        for kind, uid in wanted:
            reference, reason = _reference(kind, uid), self._lacks(kind, here.get(uid))
            if reason is None:
                held.append(reference)
            else:
                reference.FailureReason = reason
                failed.append(reference)
        if held:
            report.ReferencedSOPSequence = held
        if failed:
            report.FailedSOPSequence = failed
        return (_SOME if failed else _ALL), report

    def _lacks(self, sop_class: str, path: str | None) -> int | None:
        """Why an instance cannot be committed to; None where its file lies in the store and is of its class."""
        if path is None or not self._study.store.exists(path):
            return _NO_SUCH_OBJECT
        with self._study.store.open(path) as file, quiet():
            header = dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        return None if str(header.get("SOPClassUID", "")) == sop_class else _OTHER_CLASS

    def _postpone(self, items: Sequence[OwedItem], why: str) -> None:
        _LOG.warning("%d objects wait: %s", len(items), why)
        for item in items:
            self._study.archive.exchange.postpone(item.item_id, why, back_off(item.attempts, self._settings))


def _reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item
