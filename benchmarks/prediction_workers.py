"""Batch prediction with two workers of one thread each against one worker; at least 1.8 times as fast is the aim.

Run: python benchmarks/prediction_workers.py --films FOLDER [--model BUNDLE] [--number 1000] [--workers 2]

Three alternating runs of each. The time is that of the films, from the first line to the last, start of the processes
and loading of the model left out: they cost a fixed second, not a share.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from carina.inference import PredictOptions, Reading, predict_films


def seconds(folder: Path, options: PredictOptions, skip: int) -> float:
    """Time of a prediction from its film number `skip`, when all workers are warm, to its last."""
    marks: list[float] = []

    def on_film(number: int, _: Reading | None) -> None:
        if number >= skip:
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as out:
        predict_films([folder], Path(out), options, on_film=on_film)
    return (marks[-1] - marks[0]) / (len(marks) - 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--model", default="pneumonia")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-gate", action="store_true")
    chosen = parser.parse_args()
    films = sorted(path.resolve() for path in chosen.films.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for index in range(chosen.number):
            film = films[index % len(films)]
            (folder / f"{index:06}{film.suffix}").symlink_to(film)
        times: dict[int, list[float]] = {1: [], chosen.workers: []}
        for _ in range(chosen.runs):
            for workers, found in times.items():
                options = PredictOptions(model=chosen.model, workers=workers, gate=not chosen.no_gate)
                found.append(seconds(folder, options, skip=min(50, chosen.number // 4)))
    print("| workers | ms a film, median | spread |\n|---|---|---|")
    for workers, found in times.items():
        print(f"| {workers} | {statistics.median(found) * 1e3:.2f} | {min(found) * 1e3:.2f}-{max(found) * 1e3:.2f} |")
    ratio = statistics.median(times[1]) / statistics.median(times[chosen.workers])
    print(f"{chosen.workers} workers are {ratio:.2f} times as fast as one; the aim is 1.8 for 2")


if __name__ == "__main__":
    main()
