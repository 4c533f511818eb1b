"""Gold standard of a million films, against reading their rows from disk.

Run: python benchmarks/gold_standard.py [--films 1000000] [--runs 3]

Generated records, Parquet on disk as the archive keeps them: films of 400,000 patients in 450,000 episodes, each film
with its read, three in ten with two codes. Every run is a process of its own on two cores; its peak resident memory is
what the system reports when it ends. `gold standard` gives every film episode, read, codes, gold and sentence (M9, M13,
M14); `cohort` adds eligibility, positions, aetiology, covariates, flow and split; `rows read` reads the same columns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from _common import alternate, median_and_spread, table, verdict
from carina.cohort import TABLES, CohortTables, build_cohort, gold_standard, load_rules

CORES = 2
MOST_SECONDS = 10.0
MOST_MIB = 2048.0
CODES = [["J18.9"], ["I50.0", "J15.9"], ["I10"], ["J44.1", "I10"], ["U07.1", "J12.8"], ["I50.0"]]


def generate(folder: Path, films: int) -> None:
    """Write the five tables; ids are as long as real ones."""
    rng = np.random.default_rng(20200820)
    patients = max(films * 2 // 5, 1)
    ids = pl.select(pl.format("P{}", pl.int_range(patients).cast(pl.String).str.zfill(16))).to_series()
    start = np.datetime64("2015-01-01", "us")
    admitted = start + rng.integers(0, 5 * 365 * 86400, patients).astype("timedelta64[s]")
    whose = np.sort(rng.integers(0, patients, films))
    taken = admitted[whose] + rng.integers(0, 10 * 86400, films).astype("timedelta64[s]")
    number = pl.int_range(films, eager=True)
    hashes = number.hash(1).cast(pl.String).str.zfill(20)
    film_ids = pl.select(
        pl.concat_str(hashes, hashes, hashes).str.head(48) + number.cast(pl.String).str.zfill(16)
    ).to_series()
    pl.DataFrame(
        {
            "film_id": film_ids,
            "path": pl.select(pl.format("films/{}.dcm", film_ids)).to_series(),
            "patient_id": ids[whose],
            "sop_instance_uid": pl.select(pl.format("2.25.{}", number)).to_series(),
            "accession_number": pl.select(pl.format("A{}", number.cast(pl.String).str.zfill(12))).to_series(),
            "acquired_at": taken,
            "series_number": rng.integers(1, 4, films),
            "instance_number": rng.integers(1, 3, films),
            "view_position": rng.choice(["AP", "PA"], films),
            "series_description": rng.choice(["CHEST ERECT", "CHEST SUPINE", "CHEST"], films),
            "modality": rng.choice(["DX", "CR"], films),
            "accepted": rng.random(films) > 0.02,
            "manufacturer": rng.choice(["A", "B", "C"], films),
            "sex": rng.choice(["F", "M"], films),
        }
    ).sample(fraction=1.0, shuffle=True, seed=1).write_parquet(folder / "films.parquet")
    pl.DataFrame(
        {
            "patient_id": ids[whose],
            "accession_number": pl.select(pl.format("A{}", number.cast(pl.String).str.zfill(12))).to_series(),
            "read_at": taken + np.timedelta64(3, "h"),
            "finding": rng.choice(["pneumonia", "none", "equivocal"], films, p=[0.45, 0.5, 0.05]),
            "finding_source": ["coded"] * films,
            "request": rng.choice(["?pneumonia", "follow up", "fever, cough", "line position"], films),
            "position": rng.choice(["erect", "supine", None], films),
        }
    ).sample(fraction=1.0, shuffle=True, seed=2).write_parquet(folder / "reads.parquet")
    again = rng.choice(patients, patients // 8, replace=False)
    who = np.concatenate([np.arange(patients), again])
    begin = np.concatenate([admitted, admitted[again] + np.timedelta64(10 * 24 + 5, "h")])
    pl.DataFrame(
        {
            "patient_id": ids[who],
            "event_id": pl.select(pl.format("E{}", pl.int_range(len(who)))).to_series(),
            "admitted_at": begin,
            "discharged_at": begin + np.timedelta64(10, "D"),
            "sex": rng.choice(["F", "M"], len(who)),
            "birth_date": np.datetime64("1950-06-01") + rng.integers(-10000, 18000, len(who)).astype("timedelta64[D]"),
            "ethnicity": rng.choice(["Maori", "Pacific", "Asian", "European"], len(who)),
            "codes": [CODES[kind] for kind in rng.integers(0, len(CODES), len(who)).tolist()],
            "reason": rng.choice(["?pneumonia", "chest pain", "short of breath"], len(who)),
        }
    ).write_parquet(folder / "admissions.parquet")
    pl.DataFrame(
        {
            "patient_id": ids,
            "collected_at": admitted + np.timedelta64(8, "h"),
            "specimen": rng.choice(["nasopharyngeal_swab", "blood", "sputum"], patients),
            "test": rng.choice(["pcr", "culture"], patients),
            "organism": rng.choice(["SARS-CoV-2", "Influenza A virus", "Streptococcus pneumoniae"], patients),
            "result": rng.choice(["positive", "negative"], patients),
        }
    ).write_parquet(folder / "microbiology.parquet")
    pl.DataFrame(
        {"patient_id": ids, "measured_at": admitted, "bmi": rng.normal(28, 5, patients).round(1)}
    ).write_parquet(folder / "vitals.parquet")


def tables_of(folder: Path) -> CohortTables:
    """Tables, unread."""
    return CohortTables(**{name: pl.scan_parquet(folder / f"{name}.parquet") for name in TABLES}).checked()


def work(kind: str, folder: Path) -> dict[str, float]:
    """Do one thing in this process and say how long it took."""
    start = time.perf_counter()
    tables = tables_of(folder)
    if kind == "rows read":
        rows = sum(getattr(tables, name).collect().height for name in ("films", "reads", "admissions"))
    elif kind == "gold standard":
        rows = gold_standard(tables, load_rules()).films["gold"].count()
    else:
        rows = build_cohort(tables, load_rules()).film_table.height
    return {"seconds": time.perf_counter() - start, "rows": rows}


def run(kind: str, folder: Path, peaks: dict[str, list[float]], cpu: dict[str, list[float]]) -> float:
    """One run in a process of its own; seconds, its peak memory and processor time noted."""
    command = [sys.executable, __file__, "--child", kind, "--folder", str(folder)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(CORES), "OMP_NUM_THREADS": "1"}
    reader, writer = os.pipe()
    child = os.posix_spawn(
        sys.executable,
        command,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)],
    )
    os.close(writer)
    with os.fdopen(reader) as answers:
        answer = answers.read()
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{kind} failed")
    peaks.setdefault(kind, []).append(usage.ru_maxrss / 1024.0)
    cpu.setdefault(kind, []).append(usage.ru_utime + usage.ru_stime)
    return float(json.loads(answer)["seconds"])


def main() -> None:
    """Print seconds, peaks and ratios to reading; exit with 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=1_000_000, dest="number", metavar="FILMS")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", choices=["rows read", "gold standard", "cohort"])
    options = parser.parse_args()
    if options.child:
        print(json.dumps(work(options.child, options.folder)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        generate(folder, options.number)
        peaks: dict[str, list[float]] = {}
        cpu: dict[str, list[float]] = {}
        kinds = ("rows read", "gold standard", "cohort")
        seconds = alternate({kind: (lambda kind=kind: run(kind, folder, peaks, cpu)) for kind in kinds}, options.runs)
    reading = seconds["rows read"]
    rows = [
        [
            kind,
            median_and_spread(seconds[kind]),
            median_and_spread([one / other for one, other in zip(seconds[kind], reading, strict=True)], 1),
            median_and_spread(cpu[kind]),
            median_and_spread(peaks[kind], 0),
        ]
        for kind in kinds
    ]
    print(f"{options.number:,} films, {CORES} cores\n")
    print(table(["", "seconds", "times reading", "processor seconds", "peak, MiB"], rows))
    print(f"\ngold standard, seconds: {verdict(seconds['gold standard'], MOST_SECONDS, at_least=False)}")
    print(f"gold standard, MiB: {verdict(peaks['gold standard'], MOST_MIB, at_least=False)}")
    missed = max(seconds["gold standard"]) > MOST_SECONDS or max(peaks["gold standard"]) > MOST_MIB
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
