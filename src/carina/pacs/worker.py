"""The process that reads films for a node; never the one that receives them, so that no film takes the node down."""

from __future__ import annotations

import logging
import os
import threading
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Final

from carina.archive import open_study
from carina.pacs.making import making
from carina.service import FilmWorker, JobQueue
from carina.settings import Settings

__all__ = ["work"]

_LOG: Final = logging.getLogger(__name__)


def work(folder: str, settings: Settings) -> None:
    """Read films and make their result objects until the parent ends; the body of the worker's process."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("huey").setLevel(logging.WARNING)
    with (
        open_study(Path(folder), "service") as study,
        FilmWorker(study, settings) as reader,
        making(study, settings),
    ):
        _LOG.info("worker ready: model %s", settings.service.model)
        JobQueue(study, settings, reader.read).run()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
