"""A cohort as files: film table, flow, exclusions, coverage, and what it was made from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from carina import __version__
from carina.cohort.build import Cohort
from carina.cohort.coverage import coverage_gaps
from carina.errors import CohortError, OutputError

__all__ = ["add_public_films", "require_films", "write_cohort"]

FORMAT = 1


def require_films(cohort: Cohort) -> None:
    """Refuse a cohort without films.

    Raises
    ------
    CohortError
        Says how many films each reason excludes.
    """
    if cohort.film_table.height:
        return
    total = cohort.labels.height
    if total == 0:
        raise CohortError("a cohort needs films; the archive has none; run `carina ingest` first")
    lost = cohort.flow.filter((pl.col("kind") == "exclusion") & (pl.col("films") > 0)).sort("films", descending=True)
    reasons = "; ".join(f"{row['films']}: {row['sentence'].rstrip('.')}" for row in lost.to_dicts())
    raise CohortError(f"no film of {total} is in the cohort: {reasons}; check the records and the rules")


def add_public_films(cohort: Cohort, films: pl.DataFrame, folder: Path) -> Cohort:
    """Add public COVID-19 films, for training only and flagged (M19).

    Parameters
    ----------
    cohort : Cohort
    films : polars.DataFrame
        A film table: `path`, `label`, `patient_id`, optional `image_id` and `source`. Only films labelled ``covid19``
        are added.
    folder : Path
        The table's folder; `path` is relative to it.

    Returns
    -------
    Cohort
        Its film table has them with `split` ``"train"`` and `public` true; their paths are absolute.

    Raises
    ------
    CohortError
        If a column is missing, or no film is labelled ``covid19``.
    """
    if missing := [name for name in ("path", "label", "patient_id") if name not in films.columns]:
        raise CohortError(
            f"a table of public films must have path, label and patient_id; it lacks {', '.join(missing)}"
        )
    text = [
        name for name in ("path", "label", "patient_id", "image_id", "source", "sex", "view") if name in films.columns
    ]
    chosen = films.select(pl.col(name).cast(pl.String) for name in text).filter(pl.col("label") == "covid19")
    if chosen.height == 0:
        raise CohortError("a table of public films must have films labelled 'covid19'; it has none")
    paths = [str((folder / path).resolve()) for path in chosen["path"].to_list()]
    chosen = chosen.with_columns(
        pl.Series("path", paths, dtype=pl.String),
        pl.format("public-{}", "patient_id").alias("patient_id"),
        pl.format("public-{}", "image_id" if "image_id" in text else "path").alias("image_id"),
        (pl.col("source") if "source" in text else pl.lit(None, pl.String)).fill_null("public").alias("source"),
        pl.lit("train").alias("split"),
        pl.lit(value=True).alias("public"),
    )
    return replace_table(cohort, pl.concat([cohort.film_table, chosen], how="diagonal"))


def replace_table(cohort: Cohort, table: pl.DataFrame) -> Cohort:
    """Return the cohort with another film table."""
    return Cohort(**{**{name: getattr(cohort, name) for name in Cohort.__dataclass_fields__}, "film_table": table})


def write_cohort(
    cohort: Cohort,
    out: Path,
    *,
    store: Path | str,
    inputs: Mapping[str, Any] | None = None,
    seconds: float | None = None,
) -> Path:
    """Write a cohort's files, each whole or not at all.

    ``film_table.parquet`` and ``film_table.csv``, ``labels.parquet``, ``flow.csv``, ``exclusions.csv``,
    ``coverage.csv`` and, last, ``cohort.json``.

    Parameters
    ----------
    cohort : Cohort
    out : Path
        Folder; made when missing, 0700.
    store : Path or str
        Folder of the stored films, to which the film table's paths are relative until now; or a URL.
    inputs : mapping, optional
        What it was made from, such as the hashes of the record sets.
    seconds : float, optional
        Time it took.

    Returns
    -------
    Path
        Of ``cohort.json``.

    Raises
    ------
    CohortError
        If the cohort has no film.
    OutputError
        If a file cannot be written.
    """
    require_films(cohort)
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        table = _with_paths(cohort.film_table, store, out)
        _put(out / "film_table.parquet", table.write_parquet)
        _put(out / "film_table.csv", table.write_csv)
        _put(out / "labels.parquet", cohort.labels.write_parquet)
        _put(out / "flow.csv", cohort.flow.write_csv)
        excluded = cohort.labels.filter(pl.col("exclusion").is_not_null())
        _put(out / "exclusions.csv", excluded.select("film_id", "patient_id", "exclusion").write_csv)
        _put(out / "coverage.csv", cohort.coverage.write_csv)
        text = json.dumps(cohort_record(cohort, inputs, seconds), indent=1, ensure_ascii=False)
        _put(out / "cohort.json", lambda path: path.write_text(text + "\n", "utf-8"))
    except OSError as error:
        raise OutputError(f"the cohort cannot be written to {str(out)!r}: {error.strerror or error}") from error
    return out / "cohort.json"


def cohort_record(cohort: Cohort, inputs: Mapping[str, Any] | None, seconds: float | None) -> dict[str, Any]:
    """Return the content of ``cohort.json``: rules, hashes, seed, versions, counts."""
    table = cohort.film_table
    return {
        "format": FORMAT,
        "carina": __version__,
        "polars": pl.__version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": cohort.seed,
        "rules_sha256": cohort.rules.sha256,
        "rules": cohort.rules.to_dict(),
        "sentences": list(cohort.rules.sentences()),
        "inputs": dict(inputs or {}),
        "seconds": None if seconds is None else round(seconds, 3),
        "films": table.height,
        "patients": table["patient_id"].n_unique(),
        "labels": _counted(table, "label"),
        "splits": _counted(table, "split"),
        "public_films": table.filter("public").height,
        "counts": cohort.counts,
        "disjoint": cohort.disjoint,
        "dates": cohort.dates,
        "exclusions": {
            row["code"]: row["films"] for row in cohort.flow.filter(pl.col("kind") == "exclusion").to_dicts()
        },
        "coverage_gaps": list(coverage_gaps(cohort.coverage)),
    }


def _counted(table: pl.DataFrame, column: str) -> dict[str, int]:
    counts = table[column].drop_nulls().value_counts().sort(column)
    return dict(zip(counts[column].to_list(), counts["count"].to_list(), strict=True))


def _with_paths(table: pl.DataFrame, store: Path | str, out: Path) -> pl.DataFrame:
    """Paths relative to the table's folder, or URLs where the store is elsewhere."""
    if isinstance(store, str):
        base = store.rstrip("/")
    else:
        base = os.path.relpath(store.resolve(), out.resolve()).replace(os.sep, "/")
    here = out.resolve()
    paths = [
        os.path.relpath(path, here).replace(os.sep, "/") if public else f"{base}/{path}"
        for path, public in table.select("path", "public").iter_rows()
    ]
    return table.with_columns(pl.Series("path", paths, dtype=pl.String))


def _put(path: Path, write: Any) -> None:
    """Write beside the file, then put it in its place: a reader never sees half of it."""
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
