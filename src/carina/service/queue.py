"""The queue of jobs; the only home of huey.

Huey writes its messages with pickle, so that whoever can write to the queue could run code in the worker. Here they are
JSON, and a job is nothing but the number of an organisation and the name of an entry.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from huey import RedisHuey, SqliteHuey, crontab
from huey.registry import Message
from huey.serializer import Serializer

from carina.archive import Study
from carina.errors import ArchiveError, MissingExtraError
from carina.settings import Settings

__all__ = ["JobQueue", "open_huey"]

_LOG: Final = logging.getLogger("carina.service")
_SQLITE: Final = "sqlite:///"
_KEPT_SECONDS: Final = 30 * 86_400.0
"""How long expired tokens stay in their users' lists."""
_Read = Callable[[int, str], None]


class _Json(Serializer):  # type: ignore[misc]  # huey is untyped
    """Messages as JSON; the fields that we never use must be empty."""

    def _serialize(self, data: Any) -> bytes:
        if not isinstance(data, Message):
            return json.dumps(data).encode()
        values = data._asdict()
        kept = {name: values[name] for name in ("id", "name", "retries", "retry_delay", "priority", "args")}
        return json.dumps(kept).encode()

    def _deserialize(self, data: bytes) -> Any:
        values = json.loads(data)
        if not isinstance(values, dict) or "name" not in values:
            return values
        empty = dict.fromkeys(Message._fields)
        return Message(**{**empty, **values, "args": tuple(values["args"]), "kwargs": {}})


class JobQueue:
    """Films that wait for a worker. Losing it loses nothing: `sweep` fills it again from the database.

    A worker also clears away what has run out, once an hour: sessions, tokens, counts of failed sign-ins.

    Parameters
    ----------
    study : Study
        Of kind service.
    settings : Settings
    read, sheet : callable or None
        What a worker does with a film, and with a texture sheet asked for, given organisation and entry; None where
        jobs are only put.

    Raises
    ------
    MissingExtraError
        If Redis is wanted and its client is not installed.
    """

    def __init__(self, study: Study, settings: Settings, read: _Read | None = None, sheet: _Read | None = None) -> None:
        self._study = study
        self._read = read
        self._sheet = sheet
        self._huey = open_huey(study.folder, settings.service.queue)

        def read_film(organisation_id: int, entry_id: str) -> None:
            if self._read is not None:
                self._read(organisation_id, entry_id)

        def make_sheet(organisation_id: int, entry_id: str) -> None:
            if self._sheet is not None:
                self._sheet(organisation_id, entry_id)

        def sweep_films() -> None:
            self.sweep()

        def clear_expired() -> None:
            web = settings.web
            idle, absolute = web.idle_minutes * 60, web.session_hours * 3600
            study.accounts.clear_expired(idle=idle, absolute=absolute, kept=_KEPT_SECONDS)

        self._task = self._huey.task(name="read_film")(read_film)
        self._sheet_task = self._huey.task(name="make_sheet")(make_sheet)
        self._huey.periodic_task(crontab(minute="*"), name="sweep_films")(sweep_films)
        self._huey.periodic_task(crontab(minute="17"), name="clear_expired")(clear_expired)

    def put(self, organisation_id: int, entry_id: str) -> bool:
        """Hand a film to the workers.

        Returns
        -------
        bool
            False where the queue is away; the film is durable, and found again by the next `sweep`.
        """
        return self._put(self._task, organisation_id, entry_id)

    def put_sheet(self, organisation_id: int, entry_id: str) -> bool:
        """Hand a texture sheet that was asked for to the workers; as `put`."""
        return self._put(self._sheet_task, organisation_id, entry_id)

    @staticmethod
    def _put(task: Any, organisation_id: int, entry_id: str) -> bool:
        try:
            task(organisation_id, entry_id)
        except Exception as error:  # noqa: BLE001 - SQLite's and Redis's errors share no base; nothing is lost
            _LOG.warning("the queue of jobs does not answer (%s); it waits in the database", type(error).__name__)
            return False
        return True

    def sweep(self) -> int:
        """Put every film and sheet that waits and that no worker holds; one put twice is done once."""
        if self.length() > 0:
            return 0
        films = sum(self.put(*each) for each in self._study.desk.waiting())
        return films + sum(self.put_sheet(*each) for each in self._study.sheets.waiting())

    def length(self) -> int:
        """Jobs that wait.

        Raises
        ------
        ArchiveError
            If the queue does not answer.
        """
        try:
            return int(self._huey.pending_count())
        except Exception as error:
            raise ArchiveError(
                f"the queue of jobs must answer, and did not ({type(error).__name__}); see `queue` under [service]"
            ) from error

    def run_one(self) -> bool:
        """Take one job and do it; False where none waits."""
        task = self._huey.dequeue()
        if task is None:
            return False
        self._huey.execute(task)
        return True

    def run(self, workers: int = 1) -> None:
        """Work until a signal ends it."""
        self.sweep()
        self._huey.create_consumer(workers=workers, worker_type="thread", max_delay=0.5).run()


def open_huey(folder: Path, url: str, name: str = "carina") -> Any:
    """Open a queue by its address and name, with messages that no code can come out of."""
    if url.startswith(_SQLITE):
        path = folder / url.removeprefix(_SQLITE)
        # made before SQLite makes it, so that nobody else can ever read it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return SqliteHuey(name, filename=str(path), results=False, serializer=_Json(), timeout=60)
    if find_spec("redis") is None:
        raise MissingExtraError("serve", "redis")
    return RedisHuey(name, url=url, results=False, serializer=_Json())
