"""Texture of many films: resumable, in bounded memory, one bad film never stops the rest (M27)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from carina import __version__
from carina.errors import OutputError
from carina.evidence.texture_films import FilmJob, FilmMeasured, FilmMeasurer, MeasureOptions
from carina.evidence.texture_journal import Journal, file_mark
from carina.evidence.texture_rows import FilmRows
from carina.evidence.texture_table import METADATA, OUTCOME, write_features
from carina.inference.bundle import load_bundle
from carina.inference.cluster import Cluster
from carina.inference.lungs import SHIPPED
from carina.inference.spreading import Alone, Processes, Spread
from carina.texture.matrices import compiled_kernels

__all__ = ["TextureSummary", "extract_texture", "parts_folder", "run_record", "spread_measurers"]

_OF_TABLE = frozenset({"table_sha256", "films_sha256"})
_DIED = "measuring this film ended its process, by a crash or for want of memory"


@dataclass(frozen=True, slots=True)
class TextureSummary:
    """What became of the films.

    Attributes
    ----------
    films : int
        All.
    statuses : dict of str to int
        Films by status.
    kept : int
        Of all, those measured by an earlier run.
    features : int
        Columns of features.
    same : int
        Films whose file has the content of another's.
    problems : tuple of (str, str)
        Film and sentence, for each that is not measured whole.
    """

    films: int
    statuses: dict[str, int]
    kept: int
    features: int
    same: int
    problems: tuple[tuple[str, str], ...]

    @property
    def exit_status(self) -> int:
        """0 where every film was measured, whole or in part, else 3."""
        return 0 if self.statuses.get("measured", 0) + self.statuses.get("partly", 0) == self.films else 3

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "films": self.films, "statuses": self.statuses, "kept": self.kept, "features": self.features,
            "same_content": self.same, "problems": [{"image_id": film, "why": why} for film, why in self.problems],
        }  # fmt: skip


def parts_folder(out: Path) -> Path:
    """Folder beside the output where films wait until all are measured."""
    return out.with_name(out.name + ".parts")


def run_record(options: MeasureOptions, rows: FilmRows) -> dict[str, Any]:
    """Say what a table of features depends on, as it goes into its metadata and the JSON beside it."""
    lungs: dict[str, Any] = {"from": options.lungs}
    if options.lungs == "found":
        bundle = load_bundle(SHIPPED, task="lungs")
        lungs |= {"name": bundle.name, "version": bundle.version, "sha256": bundle.model_sha256}
    return {
        "schema": 1,
        "carina": __version__,
        "settings": json.loads(options.settings.to_json()),
        "settings_sha256": options.settings.sha256,
        "regions": list(options.regions),
        "lungs": lungs,
        "doubtful_lungs_measured": options.doubtful,
        "limits": options.limits.model_dump(),
        "seed": None,  # nothing is drawn
        "table_sha256": rows.sha256,
        "films_sha256": rows.films_sha256,
    }


def spread_measurers(
    options: MeasureOptions, *, workers: int = 1, ray: str | None = None
) -> Spread[FilmJob, FilmMeasured]:
    """Start those who measure: this process, several, or those of a Ray cluster."""
    start = partial(FilmMeasurer, options)
    if ray is not None:
        return Cluster(start, ray, workers=workers if workers > 1 else None)
    return Alone(start) if workers == 1 else Processes(start, workers)


def extract_texture(
    rows: FilmRows,
    out: Path,
    options: MeasureOptions,
    *,
    workers: int = 1,
    ray: str | None = None,
    overwrite: bool = False,
    on_film: Callable[[int], None] | None = None,
) -> TextureSummary:
    """Measure films and write the feature table, and a JSON file beside it.

    Every film is kept on disk as soon as it is measured, in a folder beside the output; a run that was interrupted goes
    on there, whatever the number of workers. At the end the films are written to the table in the order of the rows
    and the folder goes. The numbers do not depend on workers, cluster or interruptions.

    Parameters
    ----------
    rows : FilmRows
    out : Path
        The table, ``.parquet``.
    options : MeasureOptions
    workers : int
        Processes of one thread each; with `ray`, of the whole cluster, where 1 means one for each core.
    ray : str or None
        Address of a Ray cluster.
    overwrite : bool
        Whether a table, and films of an interrupted run, that are there already are thrown away.
    on_film : callable or None
        Called with the number of films done.

    Returns
    -------
    TextureSummary

    Raises
    ------
    OutputError
        If the output cannot be written, or was made in another way.
    MissingExtraError
        If numba, or Ray where it is asked for, is not installed.
    """
    compiled_kernels()
    if out.suffix.lower() != ".parquet":
        raise OutputError(f"the feature table must be a .parquet file; found {out.name!r}")
    about = run_record(options, rows)
    if out.exists() and not overwrite:
        return _finished(out, about, len(options.columns))
    jobs = rows.jobs()
    marks = {job.image_id: file_mark(job.path, job.mask if options.lungs == "given" else None) for job in jobs}
    of_parts = {key: value for key, value in about.items() if key not in _OF_TABLE}
    with Journal(parts_folder(out), of_parts, overwrite=overwrite) as journal:
        waiting = [job for job in jobs if not journal.has(job.image_id, marks[job.image_id])]
        kept = len(jobs) - len(waiting)
        done = kept
        for film in _measured(waiting, options, workers, ray):
            journal.write(film, marks[film.image_id])
            done += 1
            if on_film is not None:
                on_film(done)
        statuses: Counter[str] = Counter()
        problems: list[tuple[str, str]] = []

        def counted() -> Iterator[FilmMeasured]:
            for film in journal.read(rows.image_ids):
                statuses[film.status] += 1
                if film.error is not None:
                    problems.append((film.image_id, film.error))
                yield film

        same = write_features(out, rows, options.columns, counted(), about)
        summary = TextureSummary(len(jobs), dict(statuses), kept, len(options.columns), same, tuple(problems))
        _write_json(out.with_suffix(".json"), about | {"summary": summary.to_dict()})
        journal.remove()
    return summary


def _measured(jobs: list[FilmJob], options: MeasureOptions, workers: int, ray: str | None) -> Iterator[FilmMeasured]:
    if not jobs:
        return
    spread = spread_measurers(options, workers=workers, ray=ray)
    nothing = FilmMeasurer.nothing
    try:
        for job, film in spread.map(jobs):
            yield film if film is not None else nothing(job.image_id, "failed", _DIED, columns=len(options.columns))
    finally:
        spread.stop()


def _finished(out: Path, about: dict[str, Any], features: int) -> TextureSummary:
    """Read what became of the films of a finished table; refuse another one."""
    try:
        found = pq.ParquetFile(out)
        said = (found.schema_arrow.metadata or {}).get(METADATA.encode())
        if said is not None and json.loads(said) == about:
            films = found.read(columns=["image_id", *OUTCOME]).to_pylist()
            problems = tuple((film["image_id"], film["error"]) for film in films if film["error"] is not None)
            same = sum(film["same_film_as"] is not None for film in films)
            statuses = dict(Counter(film["status"] for film in films))
            return TextureSummary(len(films), statuses, len(films), features, same, problems)
    except (OSError, ValueError, pa.ArrowException):
        pass  # whatever it is, it is no table of these films
    raise OutputError(
        f"{str(out)!r} is there already, of other films or measured in another way: name another output or overwrite it"
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
