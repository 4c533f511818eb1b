"""Peak memory of `carina predict` at 1,000 and at 20,000 films, which must differ by at most 5 %.

Run: python benchmarks/prediction_memory.py --films FOLDER [--model BUNDLE] [--small 1000] [--large 20000]

The films of the folder are linked again and again under new names, shuffled by nothing: the same mix of sizes in both
runs. Each run is a process of its own; its peak resident memory is what the system reports when it ends.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path


def peak_mib(films: list[Path], number: int, arguments: list[str]) -> float:
    """Peak resident memory, MiB, of one prediction of `number` linked films."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "films"
        folder.mkdir()
        for index in range(number):
            film = films[index % len(films)]
            (folder / f"{index:06}{film.suffix}").symlink_to(film)
        command = [sys.executable, "-m", "carina", "predict", str(folder), "--out", f"{scratch}/out", *arguments]
        child = os.posix_spawn(sys.executable, command, os.environ)
        _, status, usage = os.wait4(child, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 3):
            raise SystemExit(f"the prediction of {number} films failed")
        return usage.ru_maxrss / 1024.0


def main() -> None:
    """Print both peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--model", default="pneumonia")
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=20_000)
    options, further = parser.parse_known_args()
    films = sorted(path.resolve() for path in options.films.rglob("*") if path.is_file())
    arguments = ["--model", options.model, "--no-layers", *further]
    small = peak_mib(films, options.small, arguments)
    large = peak_mib(films, options.large, arguments)
    print(f"| films | peak, MiB |\n|---|---|\n| {options.small} | {small:.1f} |\n| {options.large} | {large:.1f} |")
    print(f"ratio {large / small:.3f}, allowed 1.050")
    sys.exit(0 if large / small <= 1.05 else 1)


if __name__ == "__main__":
    main()
