"""Earlier films that the node has asked a peer for, so that they are not taken for new ones when they come."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["Expected"]


class Expected:
    """Instances asked for, by peer; for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waited: set[tuple[str, str]] = set()

    @contextmanager
    def wait_for(self, title: str, uids: Iterable[str]) -> Iterator[None]:
        """Expect instances from a peer while the block runs."""
        wanted = {(title, uid) for uid in uids}
        with self._lock:
            self._waited |= wanted
        try:
            yield
        finally:
            with self._lock:
                self._waited -= wanted

    def waits(self, title: str, uid: str) -> bool:
        """Whether an instance is asked for and has not come."""
        with self._lock:
            return (title, uid) in self._waited

    def take(self, title: str, uid: str) -> bool:
        """Whether an instance was asked for; once."""
        with self._lock:
            known = (title, uid) in self._waited
            self._waited.discard((title, uid))
            return known
