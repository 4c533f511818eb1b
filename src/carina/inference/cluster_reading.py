"""Films judged by the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2

from carina.errors import BundleError, InputError
from carina.inference.bundle import Bundle, load_bundle
from carina.inference.cluster import Cluster
from carina.inference.options import PredictOptions, make_reader
from carina.inference.reading import Reading
from carina.inference.sources import FilmSource

__all__ = ["ClusterReaders"]


class ClusterReaders:
    """Readers on a cluster, in the place of `carina.inference.workers.Workers`.

    Parameters
    ----------
    bundle : Bundle
    options : PredictOptions
        With `ray`, the cluster's address; `workers` above 1 are so many processes in all.
    out : Path
        Output folder; every machine must see it, for the layers go there.

    Raises
    ------
    InputError
        If no cluster is asked for or none answers.
    MissingExtraError
        If Ray is not installed.
    """

    def __init__(self, bundle: Bundle, options: PredictOptions, out: Path) -> None:
        if options.ray is None:
            raise InputError("a cluster must be named by its address; none was")
        start = partial(_start, options, out, bundle.sha256)
        workers = options.workers if options.workers > 1 else None
        self._cluster: Cluster[FilmSource, Reading] = Cluster(start, options.ray, workers=workers, verb="predict --ray")

    def read(self, sources: Iterator[FilmSource]) -> Iterator[Reading]:
        """Read films; readings in the order of the films."""
        for _, reading in self._cluster.map(sources):
            if reading is None:
                raise InputError("the Ray cluster must answer for every film; it did not for one")
            yield reading

    def stop(self) -> None:
        """Leave the cluster."""
        self._cluster.stop()


def _start(options: PredictOptions, out: Path, bundle_sha256: str) -> Callable[[FilmSource], Reading]:
    cv2.setNumThreads(options.settings.predict.threads)
    bundle = load_bundle(options.model)
    if bundle.sha256 != bundle_sha256:
        raise BundleError(f"bundle {options.model!r} must be the same on every machine of the cluster; it is not")
    return make_reader(bundle, options, out).read
