"""Health checks, registered by name; each says what it found and how to mend it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from carina.archive import Study
from carina.errors import CarinaError
from carina.service.queue import JobQueue
from carina.settings import Settings

__all__ = ["Check", "Health", "check_health", "health_check"]

Check: TypeAlias = Callable[[Study, Settings], str]
"""Returns what it found, in a sentence, or raises a `CarinaError` or `OSError`."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found.

    Attributes
    ----------
    name : str
    well : bool
    found : str
        One sentence.
    mend : str
        What to do where it is not well.
    seconds : float
    """

    name: str
    well: bool
    found: str
    mend: str
    seconds: float


_CHECKS: Final[dict[str, tuple[Check, str]]] = {}


def health_check(name: str, mend: str) -> Callable[[Check], Check]:
    """Register a check.

    Parameters
    ----------
    name : str
        Such as ``"database"``; one registered again takes the place of the one before.
    mend : str
        What to do where it fails, in a sentence.
    """

    def register(check: Check) -> Check:
        _CHECKS[name] = (check, mend)
        return check

    return register


def check_health(study: Study, settings: Settings) -> list[Health]:
    """Run every check, in the order in which they were registered; none stops the rest."""
    done = []
    for name, (check, mend) in _CHECKS.items():
        begin = time.perf_counter()
        try:
            found, well = check(study, settings), True
        except (CarinaError, OSError) as error:
            found, well = str(error), False
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, not the end of the page
            found, well = f"the check broke off: {type(error).__name__}", False
        done.append(Health(name, well, found, mend, time.perf_counter() - begin))
    return done


@health_check("database", "Start the database named in study.toml, give its disk space, then load this page again.")
def _database(study: Study, settings: Settings) -> str:  # noqa: ARG001 - every check gets both
    entry = study.archive.audit("health_checked")
    return f"The database takes entries; the audit chain has {entry.sequence}."


@health_check("storage", "Make room on the store's disk, or bring its service back; films wait with their senders.")
def _storage(study: Study, settings: Settings) -> str:  # noqa: ARG001 - as above
    stored = study.store.put(secrets.token_bytes(16), folder="health", suffix=".bin")
    try:
        study.store.read(stored.path)
    finally:
        study.store.delete(stored.path)
    return f"The store at {study.store.location} keeps and returns files."


@health_check(
    "queue", "Start Redis where `queue` under [service] names it, or remove a damaged queue.sqlite: no film is lost."
)
def _queue(study: Study, settings: Settings) -> str:
    waiting = JobQueue(study, settings).length()
    return f"The queue answers; {waiting} jobs wait."


@health_check("films", "Start a worker: carina worker FOLDER.")
def _films(study: Study, settings: Settings) -> str:
    late = time.time() - settings.service.lease_seconds * settings.service.attempts
    if study.desk.waiting_since(late):
        raise CarinaError("films wait for a worker, and none has come for them")
    return "No film waits longer than it should for a worker."


@health_check(
    "model", "Name a bundle under `model` in [service] that loads: carina predict FILM --model ... tells more."
)
def _model(study: Study, settings: Settings) -> str:
    from carina.service.models import reading_bundle  # noqa: PLC0415 - brings the inference engine

    _, bundle = reading_bundle(study, settings)
    return f"The model {bundle.name} {bundle.version} is whole."
