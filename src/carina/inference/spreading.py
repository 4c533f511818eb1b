"""Any work on many items, shared by processes of this machine: answers in order, a process that dies replaced.

`carina.inference.cluster` does the same on many machines, behind the same two methods.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Alone", "Processes", "Spread"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)
_AHEAD = 3
_LONGEST_BATCH = 8


class Spread(Protocol[Item, Answer_co]):
    """Where work is done."""

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer_co | None]]:
        """Give each item with its answer, in order; `None` where working on it ended its process."""

    def stop(self) -> None:
        """End the processes."""


class Alone(Generic[Item, Answer]):
    """Work done by the calling process alone.

    Parameters
    ----------
    start : callable
        Makes the worker; called once.

    Examples
    --------
    >>> list(Alone(lambda: abs).map([-1, 2]))
    [(-1, 1), (2, 2)]
    """

    def __init__(self, start: Callable[[], Callable[[Item], Answer]]) -> None:
        self._work = start()

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer | None]]:
        """Give each item with its answer."""
        for item in items:
            yield item, self._work(item)

    def stop(self) -> None:
        """End nothing."""


class Processes(Generic[Item, Answer]):
    """Processes of this machine, a few items ahead of those awaited.

    A process that dies, as for want of memory, takes its pool with it; what was under way is tried again one by one, so
    that the item that kills is found and the others are answered.

    Parameters
    ----------
    start : callable
        Makes the worker; called once in each process, so it must be a function of a module, or a `functools.partial`
        of one.
    count : int
        Processes.
    """

    def __init__(self, start: Callable[[], Callable[[Item], Answer]], count: int) -> None:
        self._start, self._count = start, count
        self._pool = self._new()

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer | None]]:
        """Give each item with its answer, in order; `None` where working on it ended its process."""
        under_way: deque[tuple[list[Item], Future[list[Any]] | None]] = deque()
        waiting, handed_out = iter(items), 0
        # One by one at first, that a few items are shared out evenly.
        while batch := list(islice(waiting, min(_LONGEST_BATCH, 1 + handed_out // (_AHEAD * self._count)))):
            under_way.append((batch, self._submit(batch)))
            handed_out += 1
            if len(under_way) >= _AHEAD * self._count:
                yield from self._next(under_way)
        while under_way:
            yield from self._next(under_way)

    def stop(self) -> None:
        """End the processes; what they have begun is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new(self) -> ProcessPoolExecutor:
        # Spawned, not forked: the inference engine's threads do not survive a fork.
        return ProcessPoolExecutor(
            self._count, mp_context=get_context("spawn"), initializer=_begin, initargs=(self._start,)
        )

    def _submit(self, batch: list[Item]) -> Future[list[Any]] | None:
        try:
            with _deaf():  # a process is started when it is first needed
                return self._pool.submit(_work, batch)
        except BrokenProcessPool:
            return None

    def _next(
        self, under_way: deque[tuple[list[Item], Future[list[Any]] | None]]
    ) -> Iterator[tuple[Item, Answer | None]]:
        batch, future = under_way.popleft()
        answers = _answer(future)
        if answers is not None:
            yield from zip(batch, answers, strict=True)
            return
        again = [*batch, *(item for others, _ in under_way for item in others)]
        under_way.clear()
        self._restart()
        for item in again:
            alone = _answer(self._submit([item]))
            if alone is None:
                self._restart()
            yield item, None if alone is None else alone[0]

    def _restart(self) -> None:
        self._pool.shutdown(wait=False)
        self._pool = self._new()


def _answer(future: Future[list[Any]] | None) -> list[Any] | None:
    """Give the answers, or `None` where their process died."""
    try:
        return None if future is None else future.result()
    except BrokenProcessPool:
        return None


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C from processes that start now, from their first instruction on; here it waits until the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: dict[str, Any] = {}


def _begin(start: Callable[[], Callable[[Any], Any]]) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker["start"] = start


def _work(batch: list[Any]) -> list[Any]:
    """Answer a batch; the first makes the worker, so that a fault in making it travels back as an exception."""
    if "work" not in _worker:
        _worker["work"] = _worker["start"]()
    return [_worker["work"](item) for item in batch]
