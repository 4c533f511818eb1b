"""Inference with class maps and heatmap against inference without, default network, one core, warm.

Run: python benchmarks/heatmap_cost.py [--model BUNDLE] [--number 200] [--runs 3]

Without means a network cut down to its logits, not only outputs left unfetched. Measured with: the maps of all classes
out of the same pass; and one of them normalised and brought to a film of 512 x 512 pixels besides. The aim is at most
1.05 times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from _common import cut, default_product, hold_to_one_core, median_and_spread, opened, ratios, table, verdict
from carina.imaging.framing import frame_film
from carina.inference import normalise_map

_FILM = (512, 512)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pneumonia")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    hold_to_one_core()
    product = default_product(chosen.model)
    films = np.random.default_rng(0).random((chosen.number, 1, 1, product.spec.size, product.spec.size), np.float32)
    names = ["logits", "class_maps", "features"]
    # boxes and opacity map, where the network has them, are not the heatmap's cost
    whole, bare = opened(cut(product.model, names)), opened(cut(product.model, ["logits"]))

    def heatmap(film: np.ndarray) -> None:
        _, maps, _ = whole.run(names, {"film": film})
        frame_film(_FILM, product.spec.size).lay_out(normalise_map(maps[0, 0]))

    ways: dict[str, Callable[[np.ndarray], object]] = {
        "without: network cut to its logits": lambda film: bare.run(["logits"], {"film": film}),
        "whole network, logits alone fetched": lambda film: whole.run(["logits"], {"film": film}),
        "with the class maps": lambda film: whole.run(names, {"film": film}),
        "with a heatmap at the film's size": heatmap,
    }
    for way in ways.values():
        way(films[0])
    found = timed(ways, films, chosen.runs)
    first, *others = found
    rows = [[first, median_and_spread(found[first], 2, 1e3), "1", ""]]
    for name in others:
        cost = ratios(found[name], found[first])
        aim = verdict(cost, 1.05, at_least=False) if name.startswith("with ") else ""
        rows.append([name, median_and_spread(found[name], 2, 1e3), median_and_spread(cost, 3), aim])
    print(f"{product.name}, {product.spec.size} px\n")
    print(table(["inference", "ms a film", "this / without", "aim"], rows))


def timed(ways: Mapping[str, Callable[[np.ndarray], object]], films: np.ndarray, runs: int) -> dict[str, list[float]]:
    """Seconds a film, by run; within a run the ways alternate film by film, for the difference looked for is small.

    Their order changes too: whichever follows the heatmap finds the cache full of it.
    """
    order = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        spent = {name: [] for name in ways}
        for film in films:
            for name in order.permutation(list(ways)):
                way = ways[name]
                start = time.perf_counter()
                way(film)
                spent[name].append(time.perf_counter() - start)
        for name, times in spent.items():
            found[name].append(statistics.median(times))
    return found


if __name__ == "__main__":
    main()
