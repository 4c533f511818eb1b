"""Sockets under limits: what a peer may cost before it is known, and after.

Each limit answers an attack: a PDU that claims gigabytes, an object that never ends, a connection that says nothing or
one byte a minute (slow loris), also within the handshake of TLS, and one address that takes every association.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from socketserver import TCPServer
from typing import Any, Final, cast

from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from carina.settings import PacsSettings

__all__ = ["LimitedServer"]

_LOG: Final = logging.getLogger(__name__)
_FIRST_PDU: Final = 262144
_HEADER: Final = 6
_DATA: Final = 0x04
_SMALLEST_ITEM: Final = 2  # a context and the message control header
_SLACK: Final = 1024
_CHUNK: Final = 262144


class _LimitedSocket(AssociationSocket):
    """Reads whole PDUs, each within its size and time."""

    limits: PacsSettings
    counted: int = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly `nr_bytes`, or as many as the peer sent before it closed.

        Raises
        ------
        OSError
            If the peer claims more than it may send, or takes too long; pynetdicom then closes the connection.
        """
        accepted = self.assoc.is_established
        most = max(self.limits.pdu_bytes + _SLACK, _HEADER) if accepted else _FIRST_PDU
        self.counted += nr_bytes
        if nr_bytes > most:
            raise OSError(f"a PDU of {nr_bytes} bytes; at most {most} are taken")
        if self.counted > self.limits.object_bytes + _FIRST_PDU:
            raise OSError(f"an object of more than {self.limits.object_bytes} bytes")
        seconds = self.limits.idle_seconds if accepted else self.limits.acse_seconds
        return self._read(nr_bytes, time.monotonic() + seconds)

    def close(self) -> None:
        """Close the connection; pynetdicom alone leaves a socket that its peer left to the garbage collector."""
        opened = self.socket
        super().close()
        if opened is not None:
            opened.close()

    def _read(self, nr_bytes: int, deadline: float) -> bytearray:
        read = bytearray(nr_bytes)
        view, at = memoryview(read), 0
        peer = cast("socket.socket", self.socket)
        try:
            while at < nr_bytes:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("a PDU took too long")
                peer.settimeout(left)
                got = peer.recv_into(view[at:], min(nr_bytes - at, _CHUNK))
                if not got:
                    break
                at += got
        finally:
            view.release()
            if peer.fileno() >= 0:
                peer.settimeout(
                    self.limits.idle_seconds
                )  # an answer must not wait for ever on a peer that reads nothing
        return read if at == nr_bytes else read[:at]


class _DataPdu:
    """A P-DATA-TF PDU whose values are views of the bytes that were read (PS3.8 section 9.3.5)."""

    def __init__(self, read: bytearray) -> None:
        view, at = memoryview(read), _HEADER
        self._values: list[tuple[int, memoryview]] = []
        while at < len(view):
            length = int.from_bytes(view[at : at + 4], "big")
            value = view[at + 5 : at + 4 + length]
            if length < _SMALLEST_ITEM or len(value) != length - 1:
                raise ValueError("an item of a P-DATA-TF PDU does not fit in it")
            self._values.append((view[at + 4], value))
            at += 4 + length

    def to_primitive(self) -> P_DATA:
        primitive = P_DATA()
        primitive.presentation_data_value_list.extend(cast("list[tuple[int, bytes]]", self._values))
        return primitive


class _Provider(DULServiceProvider):
    """Reads data without copying them over and over, and refuses what would end pynetdicom's thread.

    An item without a value does: the association then hangs.
    """

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        if bytestream[0] != _DATA:
            return super()._decode_pdu(bytestream)
        return _DataPdu(bytestream), "Evt10"  # PS3.8 section 9.2: P-DATA-TF PDU


class _Handler(RequestHandler):
    """Gives each association a limited socket."""

    server: LimitedServer

    def _create_association(self) -> Any:
        association: Any = super()._create_association()
        association.dul.__class__ = _Provider
        # Made anew, the socket would announce the connection a second time, and the state machine would abort.
        limited: Any = association.dul.socket
        limited.__class__ = _LimitedSocket
        limited.limits = self.server.limits
        return association


class LimitedServer(ThreadedAssociationServer):
    """Accepts connections up to a number from one address.

    Parameters
    ----------
    ae, address, ae_title, contexts, evt_handlers
        As pynetdicom's.
    limits : PacsSettings
    tls : SSLContext or None
        With it every connection begins with a handshake, in a thread of its own and within `acse_seconds`.
    """

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, *arguments: Any, limits: PacsSettings, tls: ssl.SSLContext | None = None, **words: Any) -> None:
        self.limits = limits
        self._tls = tls
        self._beginning: Counter[str] = Counter()
        self._beginning_lock = threading.Lock()
        words["request_handler"] = _Handler
        super().__init__(*arguments, **words)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse a connection of an address that has as many as it may."""
        del request
        callers = [each.requestor.address_info for each in self.active_associations]
        open_now = sum(each is not None and each.address == client_address[0] for each in callers)
        with self._beginning_lock:
            open_now += self._beginning[client_address[0]]
            if open_now >= self.limits.associations_per_address:
                return False
            self._beginning[client_address[0]] += 1  # until it counts among the associations
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, then hand the connection over; runs in the connection's own thread."""
        try:
            safe = request if self._tls is None else self._shaken(self._tls, request)
            super().finish_request(safe, client_address)
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or type(error).__name__
            _LOG.warning("a connection was closed before it asked for an association (%s)", why)
            request.close()
        finally:
            with self._beginning_lock:
                self._beginning[client_address[0]] -= 1

    def _shaken(self, context: ssl.SSLContext, request: Any) -> ssl.SSLSocket:
        """Shake hands within `acse_seconds` in all, however slowly the peer sends."""
        deadline = time.monotonic() + self.limits.acse_seconds
        safe = context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        guard = threading.Timer(self.limits.acse_seconds, _shut, args=(safe,))
        guard.daemon = True
        guard.start()
        try:
            safe.settimeout(max(deadline - time.monotonic(), 0.1))
            safe.do_handshake()
        except BaseException:
            safe.close()
            raise
        finally:
            guard.cancel()
        safe.settimeout(self.limits.idle_seconds)
        return safe

    def shutdown(self) -> None:
        """Stop listening; pynetdicom's own way asks for a server that its entity started."""
        TCPServer.shutdown(self)
        self.server_close()


def _shut(connection: ssl.SSLSocket) -> None:
    """End a handshake that takes too long."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
