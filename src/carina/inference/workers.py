"""Films read by several processes at once; a process that dies is replaced, and its film reported."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import cv2

from carina.errors import BundleError
from carina.inference.bundle import Bundle, load_bundle
from carina.inference.options import PredictOptions, make_reader
from carina.inference.reader import Reader, film_id
from carina.inference.reading import Problem, Reading
from carina.inference.sources import FilmSource

__all__ = ["Workers"]

_AHEAD = 3
_TOGETHER = 8
_Task: TypeAlias = "tuple[list[FilmSource], Future[list[Reading]] | None]"


class Workers:
    """Processes that read films, a few ahead of those awaited, answers in order.

    A process that dies, as by a decoder's crash or for want of memory, takes its pool with it; the films then under way
    are read again one at a time, so that the one that kills is found and reported.
    """

    def __init__(self, bundle: Bundle, options: PredictOptions, out: Path) -> None:
        self._bundle = bundle
        self._arguments = (options, out, bundle.sha256)
        self._count = options.workers
        self._pool = self._start()

    def read(self, sources: Iterator[FilmSource]) -> Iterator[Reading]:
        """Read films as they come; readings in the order of the films."""
        under_way: deque[_Task] = deque()
        handed_out = 0
        # Handing a film over costs about a millisecond of this process, so that several go at once; at first one by
        # one, that a few films are shared out evenly.
        while films := list(islice(sources, min(_TOGETHER, 1 + handed_out // (_AHEAD * self._count)))):
            under_way.append((films, self._submit(films)))
            handed_out += 1
            if len(under_way) >= _AHEAD * self._count:
                yield from self._next(under_way)
        while under_way:
            yield from self._next(under_way)

    def stop(self) -> None:
        """End the processes; what they have begun is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # Spawned, not forked: the inference engine's threads do not survive a fork.
        return ProcessPoolExecutor(
            self._count, mp_context=get_context("spawn"), initializer=_start_worker, initargs=self._arguments
        )

    def _submit(self, films: list[FilmSource]) -> Future[list[Reading]] | None:
        try:
            return self._pool.submit(_read_in_worker, films)
        except BrokenProcessPool:
            return None

    def _next(self, under_way: deque[_Task]) -> Iterator[Reading]:
        films, future = under_way.popleft()
        readings = _answer(future)
        if readings is not None:
            yield from readings
            return
        again = [*films, *(film for others, _ in under_way for film in others)]
        under_way.clear()
        self._restart()
        for film in again:
            yield self._alone(film)

    def _alone(self, source: FilmSource) -> Reading:
        readings = _answer(self._submit([source]))
        if readings is not None:
            return readings[0]
        self._restart()
        problem = Problem("worker_died", "reading this film ended its process, by a crash or for want of memory")
        return Reading(source.path, film_id(source.path), self._bundle.identity, error=problem)

    def _restart(self) -> None:
        self._pool.shutdown(wait=False)
        self._pool = self._start()


def _answer(future: Future[list[Reading]] | None) -> list[Reading] | None:
    """Give the readings, or `None` where their process died."""
    try:
        return None if future is None else future.result()
    except BrokenProcessPool:
        return None


_worker: dict[str, Any] = {}


def _start_worker(options: PredictOptions, out: Path, bundle_sha256: str) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(options.settings.predict.threads)
    _worker["arguments"] = (options, out, bundle_sha256)


def _read_in_worker(sources: list[FilmSource]) -> list[Reading]:
    """Read films; the first call loads the bundle, so that a fault in it travels back as an exception."""
    reader: Reader | None = _worker.get("reader")
    if reader is None:
        options, out, bundle_sha256 = _worker["arguments"]
        bundle = load_bundle(options.model)
        if bundle.sha256 != bundle_sha256:
            raise BundleError(f"bundle {options.model!r} must not change while films are judged with it; it did")
        reader = _worker["reader"] = make_reader(bundle, options, out)
    return [reader.read(source) for source in sources]
