"""One source file from its bytes to a durable, de-identified file in the store; runs in any number of processes.

Only the process that called `ingest_films` writes to the database: here files are read, judged, de-identified and
stored, and what was found is handed back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from dataclasses import dataclass, field, replace
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Final, Literal, TypeAlias

from carina.archive import FilmRecord, LedgerEntry, Store, Study, open_study
from carina.deidentify import DeidentifiedFilm, Policy, Pseudonymiser, deidentify_dicom, deidentify_picture, load_key
from carina.errors import FilmRejectedError
from carina.imaging import read_film
from carina.imaging.dicom import looks_like_dicom
from carina.imaging.film import read_bytes
from carina.imaging.pictures import picture_format
from carina.imaging.rejections import rejection
from carina.inference import Gate, QualityGate
from carina.ingest.films import describe_film
from carina.ingest.sources import Source
from carina.ingest.zips import ZipReader
from carina.settings import Settings

__all__ = ["Prepared", "ReviewMode", "Worker", "WorkerOptions", "prepare", "research_key", "start"]

ReviewMode: TypeAlias = Literal["refuse", "accept"]
_TRIED_AGAIN: Final = frozenset(
    {
        "file_too_large",
        "inflated_too_large",
        "nested_too_deep",
        "too_many_samples",
        "decoder_crashed",
        "decoder_memory",
        "decoder_timeout",
        "decoder_unavailable",
    }
)
_SUFFIXES: Final = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif"}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How sources are prepared.

    Attributes
    ----------
    folder : str
        The study's.
    settings : Settings
    policy : Policy
    review : {"refuse", "accept"}
        What happens to a film that a person should look at first.
    gate : bool
        Whether the learned gate judges; without it the rules alone do.
    """

    folder: str
    settings: Settings
    policy: Policy
    review: ReviewMode = "refuse"
    gate: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a source turned out to be.

    Attributes
    ----------
    entry : LedgerEntry
        Its outcome is ``"known"`` where the ledger has it already; code and reason are then those of that time.
    film : FilmRecord or None
        Whose file lies in the store.
    removed : tuple of (str, str, str)
        Pseudonym, kind and value of each identifier taken out.
    blanked : int
        Places of the picture that were blanked.
    """

    entry: LedgerEntry
    film: FilmRecord | None = None
    removed: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    blanked: int = 0


def research_key(key: bytes, sha256: str) -> str:
    """Key of a source in the ledger of a research study, from the study's key and the file's SHA-256, hex."""
    return hmac.new(key, b"carina/1/source\0" + bytes.fromhex(sha256), hashlib.sha256).hexdigest()


class Worker:
    """Prepares sources for one study.

    Parameters
    ----------
    options : WorkerOptions
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._study: Study = open_study(Path(options.folder))
        self._key: bytes | None = None
        self._pseudonymiser: Pseudonymiser | None = None
        if self._study.kind == "research":
            self._key = load_key(self._study.keys)
            self._pseudonymiser = Pseudonymiser(self._key)
        self._gate: Gate | None = QualityGate.load() if options.gate else None
        self._zips = ZipReader()
        self._services: dict[str, Store] = {}

    def prepare(self, source: Source) -> Prepared:
        """Read, judge, de-identify and store one source.

        Returns
        -------
        Prepared
        """
        if source.problem is not None:
            return self._unread(source, source.problem.code, source.problem.message)
        try:
            data = self._read(source)
        except FilmRejectedError as error:
            return self._unread(source, error.code, error.message)
        key = self.source_key(data)
        earlier = self._study.archive.source(key)
        if earlier is not None and not self._again(earlier):
            return Prepared(LedgerEntry(key, "known", earlier.code, earlier.reason, earlier.film_id))
        try:
            return self._prepare(key, data)
        except FilmRejectedError as error:
            return Prepared(LedgerEntry(key, "unreadable", error.code, error.message))

    def source_key(self, data: bytes) -> str:
        """Key of a source in the ledger: its SHA-256, under the study's key where the study is pseudonymous.

        Without the key, nobody who holds an identified film can find out whether it is in a research study.
        """
        digest = hashlib.sha256(data).hexdigest()
        return digest if self._key is None else research_key(self._key, digest)

    def close(self) -> None:
        """Let database and files go."""
        self._zips.close()
        self._study.close()

    def _unread(self, source: Source, code: str, message: str) -> Prepared:
        """Note a source without content by its place."""
        key = self.source_key(b"place\0" + source.place.encode("utf-8", "surrogateescape"))
        return Prepared(LedgerEntry(key, "unreadable", code, message))

    def _again(self, earlier: LedgerEntry) -> bool:
        """Whether a source gets another try: it was for a person, or for a limit that may be another now."""
        if earlier.outcome == "review":
            return self._options.review == "accept"
        return earlier.outcome == "unreadable" and earlier.code in _TRIED_AGAIN

    def _read(self, source: Source) -> bytes:
        limit = self._options.settings.limits.file_bytes
        if source.service is not None:
            if source.service not in self._services:
                with open_study(Path(source.service), "service") as service:
                    self._services[source.service] = service.store
            return self._services[source.service].read(source.path)
        if source.entry is not None:
            return self._zips.read(source.path, source.entry, limit)
        return read_bytes(Path(source.path), limit)

    def _prepare(self, key: str, data: bytes) -> Prepared:
        limits = self._options.settings.limits
        clean = self._deidentified(data)
        if clean is not None and clean.review is not None and self._options.review == "refuse":
            rows = tuple(clean.removed.rows.iter_rows())
            return Prepared(LedgerEntry(key, "review", "review", clean.review), removed=rows)
        kept = data if clean is None else clean.data
        # judged as it will be stored: what the gate says of it may quote its header
        film = read_film(kept, limits)
        suffix = _SUFFIXES.get(film.header.format, ".dcm")
        record = describe_film(film, kept, "", self._gate, limits)
        # a picture has no header to say whose it is
        patient = record.patient_id if clean is None else clean.patient_id
        stored = self._study.store.put(kept, folder="films", suffix=suffix)
        record = replace(record, path=stored.path, patient_id=patient)
        entry = (
            LedgerEntry(key, "accepted", film_id=record.film_id)
            if record.accepted
            else LedgerEntry(key, "refused", "quality", record.refusal, record.film_id)
        )
        removed = () if clean is None else tuple(clean.removed.rows.iter_rows())
        return Prepared(entry, record, removed, 0 if clean is None else clean.blanked)

    def _deidentified(self, data: bytes) -> DeidentifiedFilm | None:
        if self._pseudonymiser is None:
            return None
        limits = self._options.settings.limits
        if not data:
            raise rejection("empty", "is empty; copy it again from its source")
        picture = data[128:132] != b"DICM" and picture_format(data) is not None
        if not picture and not looks_like_dicom(data):
            raise rejection("not_a_picture", "is neither DICOM nor a picture; give a DICOM file")
        if picture:
            return deidentify_picture(data, self._pseudonymiser, self._options.policy, limits=limits)
        return deidentify_dicom(data, self._pseudonymiser, self._options.policy, limits=limits)


_WORKER: list[Worker] = []
"""The worker of this process, once `start` has made it."""


def start(options: WorkerOptions) -> None:
    """Make this process's worker, and end the process with its parent: a killed ingest leaves nobody writing."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _WORKER.append(Worker(options))


def prepare(source: Source) -> Prepared:
    """Prepare a source with this process's worker."""
    return _WORKER[0].prepare(source)


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
