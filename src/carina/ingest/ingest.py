"""Films into a study: resumable, idempotent, judged, and in a research study de-identified first (M6).

A source is known by its content. Its film's file is made durable in the store, then film and ledger row are committed
in one transaction: killed at any point, the same command goes on where it was, and repeats nothing.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import polars as pl

from carina.archive import LedgerEntry, Study, open_study
from carina.deidentify import Linkage, Policy, Removed
from carina.deidentify.removed import REMOVED_SCHEMA
from carina.errors import ArchiveError
from carina.ingest.sources import Source, find_sources
from carina.ingest.worker import Prepared, ReviewMode, Worker, WorkerOptions, prepare, start
from carina.settings import Settings

__all__ = ["IngestSummary", "RefusedSource", "ingest_films"]

_AHEAD: Final = 4
_DEFAULT_SETTINGS: Final = Settings()


@dataclass(frozen=True, slots=True)
class RefusedSource:
    """A source that gave no accepted film; for the person who named it, never stored.

    Attributes
    ----------
    place : str
        File, or zip and position in it.
    outcome, code, reason : str
    """

    place: str
    outcome: str
    code: str
    reason: str


@dataclass(slots=True)
class IngestSummary:
    """What an ingest did.

    Attributes
    ----------
    sources : int
        Files tried.
    accepted : int
        New films that passed the quality gate.
    refused : int
        New films that it refused; their files are kept.
    duplicates : int
        Sources that repeat a film.
    changed : int
        Films under a known SOP Instance UID that show or say something else; kept apart.
    conflicts : int
        Pictures that are stored under another patient; kept apart.
    review : int
        Films that a person must look at first; nothing of them is stored.
    unreadable : int
        Sources that are no film that can be read, or whose patient is not known.
    known : int
        Sources that an earlier run dealt with.
    known_refused : int
        Those of them that gave no accepted film then.
    ignored : int
        Files in the folders that do not look like films.
    blanked : int
        Films in whose picture text was blanked.
    identifiers_removed : int
        Identifiers taken out of films, each counted once a film.
    orphans_removed : int
        Files without a row, left by a run that was killed.
    seconds : float
    reasons : dict of str to int
        Sources without an accepted film by code.
    listed : list of RefusedSource
    """

    sources: int = 0
    accepted: int = 0
    refused: int = 0
    duplicates: int = 0
    changed: int = 0
    conflicts: int = 0
    review: int = 0
    unreadable: int = 0
    known: int = 0
    known_refused: int = 0
    ignored: int = 0
    blanked: int = 0
    identifiers_removed: int = 0
    orphans_removed: int = 0
    seconds: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)
    listed: list[RefusedSource] = field(default_factory=list)

    @property
    def films_per_second(self) -> float:
        """Sources dealt with a second, those known before left out."""
        return (self.sources - self.known) / self.seconds if self.seconds > 0 else 0.0

    @property
    def exit_status(self) -> int:
        """3 where a source of this call gave no accepted film, now or earlier, duplicates aside; else 0."""
        refused = self.refused + self.changed + self.conflicts + self.review + self.unreadable + self.known_refused
        return 3 if refused else 0

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "listed"}
        values["films_per_second"] = round(self.films_per_second, 2)
        values["seconds"] = round(self.seconds, 3)
        values["refusals"] = [
            {"source": each.place, "outcome": each.outcome, "code": each.code, "reason": each.reason}
            for each in self.listed
        ]
        return values


def ingest_films(
    study: Study,
    sources: Sequence[Path] = (),
    *,
    service: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    review: ReviewMode = "refuse",
    gate: bool = True,
    policy: Policy | None = None,
    settings: Settings = _DEFAULT_SETTINGS,
) -> IngestSummary:
    """Take films into a study.

    Parameters
    ----------
    study : Study
        In a research study films are de-identified before anything touches its folder; in a service study they are
        stored as they are.
    sources : sequence of Path
        Films, folders, zips and DICOMDIRs; see `carina.ingest.find_sources`.
    service : Path or None
        A service study whose films are passed on, de-identified, into this research study.
    workers : int
        Processes that read, judge and de-identify.
    progress : callable or None
        Called with the number of sources done and their number in all.
    review : {"refuse", "accept"}
        What happens to a film whose de-identification asks for a person's look: by default nothing of it is stored,
        and a later run with ``"accept"`` takes it.
    gate : bool
        Whether the learned quality gate judges; without it the rules alone do.
    policy : Policy or None
        Of de-identification; by default the default one.
    settings : Settings

    Returns
    -------
    IngestSummary

    Raises
    ------
    InputError
        If a source does not exist.
    ArchiveError
        If another command is writing to the study, or the service study is none.
    RemovalError
        If the key is missing or open to others.
    """
    if service is not None and study.kind != "research":
        raise ArchiveError("films pass from a service study into a research study alone; this is a service study")
    options = WorkerOptions(str(study.folder), settings, policy or Policy(), review, gate)
    begin = time.monotonic()
    summary = IngestSummary()
    with study.lock():
        summary.orphans_removed = study.archive.clean_orphans()
        wanted = list(_wanted(sources, service, settings, summary))
        summary.sources = len(wanted)
        run = study.archive.begin_run("ingest")
        with ExitStack() as stack:
            linkage = stack.enter_context(Linkage(study.keys)) if study.kind == "research" else None
            committer = _Committer(study, linkage, run, summary)
            for done, (source, prepared) in enumerate(_prepared(wanted, options, workers), start=1):
                committer.commit(source, prepared)
                if progress is not None:
                    progress(done, len(wanted))
        summary.reasons = dict(Counter(each.code for each in summary.listed).most_common())
        summary.seconds = time.monotonic() - begin
        _note(study, summary, options.policy)
        study.archive.end_run(run)
    return summary


def _wanted(
    sources: Sequence[Path], service: Path | None, settings: Settings, summary: IngestSummary
) -> Iterator[Source]:
    for source in find_sources(sources, settings):
        if source.ignored:
            summary.ignored += 1
        else:
            yield source
    if service is not None:
        with open_study(service, "service") as opened:
            for path in opened.archive.films()["path"]:
                yield Source(path, service=str(opened.folder))


def _prepared(sources: Sequence[Source], options: WorkerOptions, workers: int) -> Iterator[tuple[Source, Prepared]]:
    """Prepare sources in their order, in this process or in several."""
    if workers == 1 or len(sources) <= 1:
        worker = Worker(options)
        try:
            for source in sources:
                yield source, worker.prepare(source)
        finally:
            worker.close()
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=start, initargs=(options,))
    try:
        waiting: deque[tuple[Source, Future[Prepared]]] = deque()
        for source in sources:
            waiting.append((source, pool.submit(prepare, source)))
            if len(waiting) >= _AHEAD * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    except BrokenProcessPool as error:
        raise ArchiveError(
            "the processes that read films must live to the end, and one was killed, perhaps for want of memory; run "
            "the same command again with fewer workers: what is stored stays"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Committer:
    """Writes what the workers found: the linkage first, then film and ledger in one transaction."""

    def __init__(self, study: Study, linkage: Linkage | None, run: int, summary: IngestSummary) -> None:
        self._study = study
        self._linkage = linkage
        self._run = run
        self._summary = summary
        self._seen: set[str] = set()

    def commit(self, source: Source, prepared: Prepared) -> None:
        """Commit one source and count it."""
        if self._linkage is not None and prepared.removed:
            self._linkage.add(Removed(pl.DataFrame(prepared.removed, schema=REMOVED_SCHEMA, orient="row")))
        entry = prepared.entry
        if prepared.film is not None:
            entry = self._study.archive.admit(prepared.film, entry, self._run)
            if entry.film_id != prepared.film.film_id:  # the file repeats a film that is stored otherwise
                self._study.store.delete(prepared.film.path)
        elif entry.outcome != "known":
            self._study.archive.note_source(entry, self._run)
        if entry.outcome == "known" and entry.source_key in self._seen:
            entry = replace(entry, outcome="duplicate", code=None)
        self._seen.add(entry.source_key)
        self._count(source, entry)
        if entry.outcome not in ("known", "duplicate"):
            self._summary.identifiers_removed += len(prepared.removed)
            self._summary.blanked += prepared.blanked > 0

    def _count(self, source: Source, entry: LedgerEntry) -> None:
        summary = self._summary
        if entry.outcome == "known":
            summary.known += 1
            summary.known_refused += entry.code is not None and entry.code != "duplicate_picture"
            return
        if entry.code is not None:
            summary.listed.append(RefusedSource(source.place, entry.outcome, entry.code, entry.reason or ""))
        name = {"duplicate": "duplicates", "conflict": "conflicts"}.get(entry.outcome, entry.outcome)
        setattr(summary, name, getattr(summary, name) + 1)


def _note(study: Study, summary: IngestSummary, policy: Policy) -> None:
    """Log what was done; counts alone, for the names of sources can be patients'."""
    values = {name: value for name, value in summary.to_dict().items() if name != "refusals"}
    if study.kind == "research":
        values["policy"] = policy.model_dump(mode="json")
    study.archive.audit("films_ingested", values)
