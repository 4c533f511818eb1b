"""Start of the command to the first result, against a process that imports torch and MONAI for the same film.

Run: python benchmarks/start_up.py --films FOLDER [--model BUNDLE] [--runs 3]

Both are processes of one core: `carina predict FILE --out DIR`, with the quality gate and everything it writes, and
the program in `_peer.py`, from import to picture. Files are in the system's cache. The aim is 5 times sooner. Then
carina runs once more, in a process that ends with an error if torch was imported.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from _common import alternate, default_product, hold_to_one_core, median_and_spread, ratios, some_films, table, verdict
from _peer import peer_network
from carina.errors import BundleError
from carina.inference import find_bundle, write_bundle

_WITHOUT_TORCH = """
import sys
from carina.cli import main
sys.argv[0] = "carina"
try:
    main()
except SystemExit as status:
    found = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "monai", "lightning", "kornia"})
    sys.exit(f"imported: {found}" if found else status.code)
"""


def run(*command: str) -> None:
    """Run a process to its end; 3 means that the gate refused the film."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - its own scripts
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr}")


def timed(command: Callable[[], list[str]]) -> Callable[[], float]:
    """Seconds from start to end of a process."""

    def measure() -> float:
        arguments = command()
        start = time.perf_counter()
        run(*arguments)
        return time.perf_counter() - start

    return measure


def usable_model(model: str, scratch: Path) -> str:
    """Name of the bundle, or of one made here of the same network where the shipped one is missing."""
    try:
        find_bundle(model)
    except BundleError:
        if model != "pneumonia":
            raise
    else:
        return model
    product = default_product(model)
    description = {
        "name": "untrained",
        "version": 1,
        "task": product.task.model_dump(mode="json"),
        "preprocessing": product.spec.model_dump(),
    }
    write_bundle(scratch / "bundle", product.model, description, "Made for a benchmark; judges nothing.\n")
    return str(scratch / "bundle")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--model", default="pneumonia")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    hold_to_one_core()
    film = str(some_films(chosen.films, 1)[0])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        torch.save(peer_network().state_dict(), scratch / "weights.pt")
        model = usable_model(chosen.model, scratch)
        number = iter(range(1000))

        def predict(*start: str) -> list[str]:
            out = scratch / f"out{next(number)}"
            return [sys.executable, *start, "predict", film, "--out", str(out), "--model", model]

        def peer() -> list[str]:
            program = str(Path(__file__).with_name("_peer.py"))
            return [sys.executable, program, str(scratch / "weights.pt"), film, str(scratch / "peer.png")]

        measures = {"peer": timed(peer), "carina predict": timed(lambda: predict("-m", "carina"))}
        alternate(measures, 1)  # fills the system's cache
        found = alternate(measures, chosen.runs)
        run(*predict("-c", _WITHOUT_TORCH))
    sooner = ratios(found["peer"], found["carina predict"])
    rows = [
        ["peer", median_and_spread(found["peer"]), "", ""],
        ["carina predict", median_and_spread(found["carina predict"]), median_and_spread(sooner), verdict(sooner, 5.0)],
    ]
    print(table(["what", "s to the first result", "peer / this", "aim"], rows))
    print("\n`carina predict` imported no torch.")


if __name__ == "__main__":
    main()
