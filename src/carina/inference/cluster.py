"""Work on many items shared by the machines of a Ray cluster: the only home of Ray.

Ray Data hands the items to workers that live as long as the run, each of one core, and gives the answers back in
order. Every machine must have the same version of Carina and see the films under the same paths, as on a shared disk.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from carina import __version__
from carina.errors import CarinaError, InputError, MissingExtraError

__all__ = ["Cluster"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_TOGETHER = 4
_WORDS = ("auto", "local")
_PATIENCE = 10.0
_ITEM, _ANSWER = "item", "answer"


class Cluster(Generic[Item, Answer]):
    """A Ray cluster.

    Parameters
    ----------
    start : callable
        Makes the worker, once in each process of the cluster.
    address : str
        Of the cluster's head, ``"host:6379"`` or ``"auto"``; ``"local"`` starts one on this machine for the run.
    workers : int or None
        Processes; by default one for each core of the cluster.
    verb : str
        Who needs it, for the refusal where Ray is not installed.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    InputError
        If no cluster answers at the address, or its machines run other versions.
    """

    def __init__(
        self,
        start: Callable[[], Callable[[Item], Answer]],
        address: str,
        *,
        workers: int | None = None,
        verb: str = "texture --ray",
    ) -> None:
        if find_spec("ray") is None:
            raise MissingExtraError(verb, "ray")
        import ray  # noqa: PLC0415 - seconds, and only where a cluster is asked for

        self._ray = ray
        self._start = start
        _knock(address)
        try:
            ray.init(
                address=address,
                num_cpus=workers if address == "local" else None,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level="ERROR",
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise InputError(
                f"a Ray cluster must answer at {address!r}; none does: {_first_line(error)}; start one with "
                "`ray start --head`, or check the address and Ray's version"
            ) from error
        cores = int(ray.cluster_resources().get("CPU", 0))
        self.workers = min(workers or cores, cores)
        if self.workers < 1:
            ray.shutdown()
            raise InputError(f"a Ray cluster must have a core to work with; the one at {address!r} has none")

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer | None]]:
        """Give each item with its answer, in order.

        Raises
        ------
        CarinaError
            As the worker raised it, and `InputError` where the cluster itself fails.
        """
        import ray.data  # noqa: PLC0415 - as above

        given = list(items)
        if not given:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Ray's own defaults
            context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        blocks = max(1, min(len(given), max(self.workers * 4, len(given) // _TOGETHER)))
        told = ray.data.from_items([{_ITEM: number} for number in range(len(given))], override_num_blocks=blocks)
        answers = told.map_batches(
            _Worker,
            fn_constructor_args=(self._start, given, __version__, str(Path.cwd())),
            batch_size=_TOGETHER,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=self.workers),
            num_cpus=1,
        )
        try:
            for row in answers.iter_rows():
                yield given[int(row[_ITEM])], row[_ANSWER]
        except ray.exceptions.RayError as error:
            cause = _cause(error)
            if cause is not None:
                raise cause from error
            raise InputError(
                f"the Ray cluster must finish what it is given; it failed: {_first_line(error)}"
            ) from error

    def stop(self) -> None:
        """Leave the cluster; one that was started for this run ends."""
        self._ray.shutdown()


class _Worker:
    """Lives in a process of the cluster."""

    def __init__(self, start: Callable[[], Callable[[Any], Any]], items: list[Any], version: str, folder: str) -> None:
        if version != __version__:
            raise InputError(f"every machine of the cluster must have Carina {version}; one has {__version__}")
        try:
            os.chdir(folder)  # what was named relative to the caller's folder must be found
        except OSError as error:
            raise InputError(
                f"every machine of the cluster must see the folder {folder!r}; {error.strerror}"
            ) from error
        self._work, self._items = start(), items

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import numpy as np  # noqa: PLC0415 - in the cluster's process

        answers = np.empty(len(batch[_ITEM]), object)
        for place, number in enumerate(batch[_ITEM]):
            answers[place] = self._work(self._items[int(number)])
        return {_ITEM: batch[_ITEM], _ANSWER: answers}


def _knock(address: str) -> None:
    """Refuse an address where nobody listens at once; Ray itself would go on asking for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in _WORDS:
        return
    if not host or not port.isdigit():
        raise InputError(f"a Ray cluster is named by HOST:PORT, auto or local; found {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"a Ray cluster must answer at {address!r}; none does: start one with `ray start --head`, or check the "
            "address and the firewall"
        ) from error


def _cause(error: BaseException | None) -> CarinaError | None:
    """Find the deliberate error in which Ray wrapped its own."""
    seen = 0
    while error is not None and seen < 8:  # noqa: PLR2004 - wrapped a few times at most
        if isinstance(error, CarinaError):
            return error
        inner = getattr(error, "cause", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__
        seen += 1
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
