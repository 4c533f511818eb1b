"""Texture of films with two workers, of one machine or of a Ray cluster, against one; 1.8 times as fast is the aim.

Run: python benchmarks/texture_workers.py --films FOLDER [--number 120] [--workers 2] [--ray local] [--runs 3]

Alternating runs. The time is that of the films, from when all workers are warm to the last: start of processes and of
the cluster, and loading of kernels, are left out, for they cost fixed seconds, not a share. The load of the machine is
printed beside it: where others take its cores, the ratio says little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from carina.evidence.texture_films import FilmJob, MeasureOptions
from carina.evidence.texture_run import spread_measurers


def seconds(jobs: list[FilmJob], workers: int, ray: str | None, skip: int) -> float:
    """Time a film from the film number `skip` to the last."""
    spread = spread_measurers(MeasureOptions(regions=("lungs",)), workers=workers, ray=ray)
    marks = []
    try:
        for number, _ in enumerate(spread.map(jobs), 1):
            if number >= skip:
                marks.append(time.perf_counter())
    finally:
        spread.stop()
    return (marks[-1] - marks[0]) / (len(marks) - 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--number", type=int, default=120)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ray")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    films = sorted(path.resolve() for path in chosen.films.rglob("*") if path.is_file())
    jobs = [FilmJob(str(number), str(films[number % len(films)])) for number in range(chosen.number)]
    ways: dict[str, tuple[int, str | None]] = {"one process": (1, None), "processes": (chosen.workers, None)}
    if chosen.ray is not None:
        ways["Ray"] = (chosen.workers, chosen.ray)
    times: dict[str, list[float]] = {name: [] for name in ways}
    before = os.getloadavg()[0]
    for _ in range(chosen.runs):
        for name, (workers, ray) in ways.items():
            times[name].append(seconds(jobs, workers, ray, skip=chosen.number // 4))
    print(f"{os.cpu_count()} cores, load before {before:.1f}, after {os.getloadavg()[0]:.1f}")
    print("| way | workers | ms a film, median | spread | times one process |\n|---|---|---|---|---|")
    one = statistics.median(times["one process"])
    for name, found in times.items():
        middle = statistics.median(found)
        spread = f"{min(found) * 1e3:.0f}-{max(found) * 1e3:.0f}"
        print(f"| {name} | {ways[name][0]} | {middle * 1e3:.0f} | {spread} | {one / middle:.2f} |")


if __name__ == "__main__":
    main()
