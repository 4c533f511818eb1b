"""The node in the PACS: it receives films, has them judged, and sends the results back."""

from __future__ import annotations

import logging
import threading
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pynetdicom import AE

from carina.archive import Study, open_study
from carina.errors import SettingsError
from carina.pacs.expected import Expected
from carina.pacs.peers import Peers, quiet_pynetdicom, server_context
from carina.pacs.priors import PriorFetcher
from carina.pacs.receiving import Receiver, add_contexts
from carina.pacs.sending import Sender
from carina.pacs.transport import LimitedServer
from carina.pacs.worker import work
from carina.settings import Settings

__all__ = ["Node", "run_node"]

_LOG: Final = logging.getLogger(__name__)
_WATCH_SECONDS: Final = 0.5
_RESTART_SECONDS: Final = (1.0, 60.0)
_LONG_ENOUGH: Final = 60.0


class Node:
    """A running node; use it in a ``with`` block.

    Parameters
    ----------
    study : Study
        Of kind ``service``.
    settings : Settings
    worker : bool
        Whether films are read by a process of this node; else `carina worker` reads them.

    Raises
    ------
    SettingsError
        If no peer is named, an organisation is not there, TLS lacks a file, or the address is not free.
    """

    def __init__(self, study: Study, settings: Settings, *, worker: bool = True) -> None:
        self._peers = Peers(study, settings.pacs)
        self._tls = server_context(settings.pacs)
        self._study = study
        self._settings = settings
        self._with_worker = worker
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: Any = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        receiver = Receiver(self._study, self._settings, self._peers, expected := Expected())
        self._server = self._listen(receiver)
        sender = Sender(self._study, self._settings.pacs, self._peers)
        fetcher = PriorFetcher(self._study, self._settings, self._peers, receiver, expected)
        bodies: list[Any] = [self._server.serve_forever]
        bodies += [lambda: sender.run(self._stop), lambda: fetcher.run(self._stop)]
        if self._with_worker:
            bodies.append(self._watch)
        for body in bodies:
            thread = threading.Thread(target=body, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._study.archive.audit("pacs_started", {"ae_title": self._settings.pacs.ae_title, "port": self.port})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=10)

    def _listen(self, receiver: Receiver) -> Any:
        pacs = self._settings.pacs
        quiet_pynetdicom()
        entity = AE(ae_title=pacs.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = [peer.ae_title for peer in pacs.peers]
        entity.maximum_associations = pacs.associations
        entity.maximum_pdu_size = pacs.pdu_bytes
        entity.acse_timeout = pacs.acse_seconds
        entity.dimse_timeout = entity.network_timeout = pacs.idle_seconds
        add_contexts(entity)
        handlers: Any = receiver.handlers()
        try:
            return entity.make_server(
                (pacs.host, pacs.port), evt_handlers=handlers, server_class=LimitedServer, limits=pacs, tls=self._tls
            )
        except OSError as error:
            raise SettingsError(
                f"the node must be able to listen on {pacs.host}:{pacs.port}, and cannot: {error.strerror}; "
                "choose another host or port, or stop the program that listens there"
            ) from error

    def _watch(self) -> None:
        """Keep a worker running; one that ends is started again, later each time."""
        wait = _RESTART_SECONDS[0]
        while not self._stop.is_set():
            started = time.monotonic()
            process = self._start_worker()
            while process.is_alive() and not self._stop.wait(_WATCH_SECONDS):
                pass
            if self._stop.is_set():
                process.terminate()
                process.join(timeout=5)
                process.kill()  # what it held is found again
                return
            lived = time.monotonic() - started
            wait = _RESTART_SECONDS[0] if lived > _LONG_ENOUGH else min(wait * 2, _RESTART_SECONDS[1])
            _LOG.error("the worker ended with status %s; it is started again in %.0f s", process.exitcode, wait)
            self._stop.wait(wait)

    def _start_worker(self) -> BaseProcess:
        process = get_context("spawn").Process(
            target=work, args=(str(self._study.folder), self._settings), name="carina-pacs-worker"
        )
        process.start()
        return process


def run_node(folder: Path, settings: Settings, *, stop: threading.Event, worker: bool = True) -> None:
    """Run a node until told to stop.

    Parameters
    ----------
    folder : Path
        A service study.
    settings : Settings
    stop : Event
    worker : bool
        As in `Node`.

    Raises
    ------
    ArchiveError
        If the folder is no service study.
    SettingsError
        If no peer is named, or the address is not free.
    """
    with open_study(folder, "service") as study, Node(study, settings, worker=worker) as node:
        _LOG.info("%s listens on %s:%d", settings.pacs.ae_title, settings.pacs.host, node.port)
        while not stop.wait(_WATCH_SECONDS):
            pass
        _LOG.info("the node stops; what it has received is kept")
