"""The synthetic hospital: extracts, films and the truth, written into one folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carina.errors import InputError, OutputError
from carina.synthesis.compose import Composer
from carina.synthesis.dirt import Dirty, dirt
from carina.synthesis.extracts import (
    COLUMNS,
    MAPPING,
    Row,
    admission_row,
    csv_bytes,
    read_row,
    result_row,
    vital_row,
)
from carina.synthesis.media import extras, place_films, write_media
from carina.synthesis.plans import HospitalPlan
from carina.synthesis.truth import (
    DIRT_COLUMNS,
    FILES_COLUMNS,
    FILM_COLUMNS,
    IDENTIFIER_COLUMNS,
    Agreement,
    agreement,
    dirt_rows,
    file_rows,
    film_rows,
    identifier_rows,
)

__all__ = ["HospitalSummary", "write_hospital"]

_DOTLESS = 0.25  # share of admissions whose codes have no dot
_SMALLEST, _LARGEST = 128, 2048

Tables = dict[str, list[tuple[Row, Dirty | None]]]


@dataclass(frozen=True, slots=True)
class HospitalSummary:
    """What was written.

    Attributes
    ----------
    patients, films, files : int
        Patients with their films' plans; files in all, copies and refused ones included.
    rows, dirty : dict of str to int
        Rows of each extract, and how many of them must be rejected.
    in_cohort : int
        Films that the method keeps.
    gold : dict of str to int
        Their expected gold standard.
    agreement : Agreement
        Of the gold standard with the simulated disease, all films with a label.
    """

    patients: int
    films: int
    files: int
    rows: dict[str, int]
    dirty: dict[str, int]
    in_cohort: int
    gold: dict[str, int]
    agreement: Agreement


def write_hospital(
    out: Path,
    *,
    patients: int,
    seed: int,
    size: int = 256,
    workers: int = 1,
    done: Callable[[int, int], None] | None = None,
) -> HospitalSummary:
    """Write a synthetic hospital.

    The same arguments give the same bytes, however many processes. Nobody is in it: NHIs are test numbers, names and
    addresses are made up, films are phantoms.

    Parameters
    ----------
    out : Path
        Folder; made when missing, refused when anything is in it.
    patients : int
        How many, 1 or more; patients of bad rows and of refused films come on top.
    seed : int
        0 or more.
    size : int
        Side of a film, pixels, 128 to 2048.
    workers : int
        Processes that make films.
    done : callable, optional
        Called with the number of files written and the number in all.

    Returns
    -------
    HospitalSummary

    Raises
    ------
    InputError
        If an argument is out of range.
    OutputError
        If the folder cannot be written or is not empty.
    """
    _check(patients=patients, seed=seed, size=size, workers=workers)
    _empty(out)
    composer = Composer(seed)
    for _ in range(patients):
        composer.patient()
    times = max(1, patients // 200)
    rng = np.random.default_rng([seed, 1])
    bad = dirt(composer, times, rng)
    copies = extras(composer, times, rng)
    files = list(place_films(composer.plan.films, copies))
    tables = _tables(composer.plan, bad, rng)
    try:
        for name, rows in tables.items():
            _place(out / f"{name}.csv", _extract(name, rows))
        _place(out / "mapping.toml", MAPPING.encode())
        report = None if done is None else (lambda number: done(number, len(files)))
        write_media(out, files, size=size, workers=workers, done=report, uid=composer.headers.uid("medium"))
        summary = _summary(composer.plan, len(files), tables)
        truth = out / "truth"
        places = {file.film.sop_uid: file.place for file in reversed(files) if file.film}
        _place(truth / "films.csv", csv_bytes(FILM_COLUMNS, film_rows(composer.plan, places)))
        _place(truth / "files.csv", csv_bytes(FILES_COLUMNS, file_rows(files)))
        _place(truth / "identifiers.csv", csv_bytes(IDENTIFIER_COLUMNS, identifier_rows(composer.plan)))
        _place(truth / "dirt.csv", csv_bytes(DIRT_COLUMNS, dirt_rows(tables)))
        _place(truth / "hospital.json", _json(summary, seed=seed, size=size))
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(f"the hospital must go to a folder that can be written; {str(out)!r}: {why}") from error
    return summary


def _check(*, patients: int, seed: int, size: int, workers: int) -> None:
    if patients < 1 or seed < 0 or workers < 1:
        raise InputError(
            f"patients and workers must be 1 or more and the seed 0 or more; found {patients!r}, {workers!r}, {seed!r}"
        )
    if not _SMALLEST <= size <= _LARGEST:
        raise InputError(f"the side of a film must lie in [{_SMALLEST}, {_LARGEST}] pixels; found {size!r}")


def _empty(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = any(out.iterdir())
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(f"the hospital must go to a folder that can be written; {str(out)!r}: {why}") from error
    if found:
        raise OutputError(
            f"the hospital must go to an empty folder, so that nothing old is taken for it; {str(out)!r} is not "
            "empty: name another, or remove it"
        )


def _tables(plan: HospitalPlan, bad: list[Dirty], rng: np.random.Generator) -> Tables:
    """Rows of each extract, good and bad ones mixed."""
    good: dict[str, list[Row]] = {
        "admissions": [admission_row(event, dotless=bool(rng.random() < _DOTLESS)) for event in plan.events],
        "vitals": [vital_row(vital) for vital in plan.vitals],
        "reads": [read_row(read) for read in plan.reads],
        "microbiology": [result_row(result) for result in plan.results],
    }
    tables: Tables = {}
    for name, rows in good.items():
        mixed: list[tuple[Row, Dirty | None]] = [(row, None) for row in rows]
        mixed += [(one.row, one) for one in bad if one.table == name]
        tables[name] = [mixed[i] for i in rng.permutation(len(mixed))]
    return tables


def _extract(name: str, rows: list[tuple[Row, Dirty | None]]) -> bytes:
    delimiter = ";" if name == "microbiology" else ","
    return csv_bytes(COLUMNS[name], (row for row, _ in rows), delimiter=delimiter, mark=name == "admissions")


def _summary(plan: HospitalPlan, files: int, tables: Tables) -> HospitalSummary:
    kept = [film for film in plan.films if film.truth.get("in_cohort_expected") == "yes"]
    return HospitalSummary(
        patients=len(plan.people),
        films=len(plan.films),
        files=files,
        rows={name: len(rows) for name, rows in tables.items()},
        dirty={
            name: sum(bad is not None and bad.expected == "rejected" for _, bad in rows)
            for name, rows in tables.items()
        },
        in_cohort=len(kept),
        gold=dict(sorted(Counter(film.truth["gold_expected"] for film in kept).items())),
        agreement=agreement(plan.films),
    )


def _json(summary: HospitalSummary, *, seed: int, size: int) -> bytes:
    match = summary.agreement
    content = {
        "seed": seed,
        "size": size,
        "patients": summary.patients,
        "films": summary.films,
        "files": summary.files,
        "rows": summary.rows,
        "dirty_rows": summary.dirty,
        "in_cohort": summary.in_cohort,
        "gold_expected": summary.gold,
        "gold_against_disease": {
            "both": match.both,
            "gold_only": match.gold_only,
            "disease_only": match.disease_only,
            "neither": match.neither,
            "share": round(match.share, 4),
            "kappa": round(match.kappa, 4),
        },
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def _place(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
