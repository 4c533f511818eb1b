"""Films read by several processes at once; a process that dies is replaced, and its film reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2

from carina.errors import BundleError
from carina.inference.bundle import Bundle, load_bundle
from carina.inference.options import PredictOptions, make_reader
from carina.inference.reader import film_id
from carina.inference.reading import Problem, Reading
from carina.inference.sources import FilmSource
from carina.inference.spreading import Processes

__all__ = ["Workers"]


class Workers:
    """Processes that read films, a few ahead of those awaited, answers in order.

    Parameters
    ----------
    bundle : Bundle
    options : PredictOptions
        With the number of `workers`.
    out : Path
        Output folder.
    """

    def __init__(self, bundle: Bundle, options: PredictOptions, out: Path) -> None:
        self._identity = bundle.identity
        start = partial(_start, options, out, bundle.sha256)
        self._processes: Processes[FilmSource, Reading] = Processes(start, options.workers)

    def read(self, sources: Iterator[FilmSource]) -> Iterator[Reading]:
        """Read films as they come; readings in the order of the films."""
        for source, reading in self._processes.map(sources):
            if reading is not None:
                yield reading
                continue
            problem = Problem("worker_died", "reading this film ended its process, by a crash or for want of memory")
            yield Reading(source.path, film_id(source.path), self._identity, error=problem)

    def stop(self) -> None:
        """End the processes; what they have begun is finished first."""
        self._processes.stop()


def _start(options: PredictOptions, out: Path, bundle_sha256: str) -> Callable[[FilmSource], Reading]:
    cv2.setNumThreads(options.settings.predict.threads)
    bundle = load_bundle(options.model)
    if bundle.sha256 != bundle_sha256:
        raise BundleError(f"bundle {options.model!r} must not change while films are judged with it; it did")
    return make_reader(bundle, options, out).read
