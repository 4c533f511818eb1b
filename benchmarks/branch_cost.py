"""Lungs, boxes and opacity map against the default network alone, at its input size, one core, warm.

Run: python benchmarks/branch_cost.py [--model BUNDLE] [--lungs BUNDLE] [--number 200] [--runs 3]

Alone means the default network cut down to logits, class maps and features. A bundle without branches is measured with
untrained ones on the same network: they are as fast. Where no lung network is installed, its line is left out and said
so. The aim for all together is at most 1.6 times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from _common import Product, cut, default_product, hold_to_one_core, median_and_spread, opened, ratios, table, verdict
from carina.errors import BundleError
from carina.imaging.framing import Frame
from carina.inference.boxes import BoxRules, select_boxes
from carina.inference.bundle import load_bundle

_ALONE = ["logits", "class_maps", "features"]
_BRANCHES = ["box_scores", "boxes", "opacity"]
_RULES = BoxRules(0.2)


def with_branches(product: Product) -> Product:
    """Return the product if it has branches, or the default network with untrained ones."""
    names = {output.name for output in onnx.load_from_string(product.model).graph.output}
    if set(_BRANCHES) <= names:
        return product
    from carina.networks import build_network, export_onnx, load_recipe  # noqa: PLC0415 - torch, only where needed

    recipe = load_recipe("pneumonia").changed({"size": product.spec.size})
    network = build_network(product.task, recipe.network_spec(), pretrained=False)
    network.add_branches()
    print(f"{product.name} has no branches; measured instead: its network with untrained ones, as fast\n")
    return replace(product, name="default network, untrained", model=export_onnx(network.eval()))


def lung_model(path: str | None) -> tuple[bytes, int] | None:
    """Lung network and its input size, or `None` where there is none."""
    import carina  # noqa: PLC0415 - for its folder

    try:
        bundle = load_bundle(path or Path(str(carina.__file__)).parent / "models" / "lungs", task="lungs")
    except BundleError as error:
        print(f"without the lung network: {error}\n")
        return None
    return bundle.model, bundle.preprocessing.size


def timed(ways: Mapping[str, Callable[[int], object]], number: int, runs: int) -> dict[str, list[float]]:
    """Seconds a film, by run; within a run the ways alternate film by film, in a changing order."""
    order = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for film in range(number):
            for name in order.permutation(list(ways)):
                start = time.perf_counter()
                ways[name](film)
                spent[name].append(time.perf_counter() - start)
        for name, times in spent.items():
            found[name].append(statistics.median(times))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pneumonia")
    parser.add_argument("--lungs", default=None, help="lung bundle; default: the one that ships")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    hold_to_one_core()
    product = with_branches(default_product(chosen.model))
    size = product.spec.size
    draw = np.random.default_rng(0)
    films = draw.random((chosen.number, 1, 1, size, size), np.float32)
    alone, whole = opened(cut(product.model, _ALONE)), opened(product.model)
    frame = Frame(0, 0, 512, 512, rows=512, columns=512, size=size)

    def boxed(film: int) -> None:
        scores, boxes = whole.run([*_ALONE, *_BRANCHES], {"film": films[film]})[3:5]
        select_boxes(boxes[0], scores[0], frame, _RULES)

    ways: dict[str, Callable[[int], object]] = {
        "default network alone": lambda film: alone.run(_ALONE, {"film": films[film]}),
        "with boxes and opacity map": lambda film: whole.run([*_ALONE, *_BRANCHES], {"film": films[film]}),
        "and the boxes selected": boxed,
    }
    lungs = lung_model(chosen.lungs)
    if lungs is not None:
        finder, side = opened(lungs[0]), lungs[1]
        squares = draw.random((chosen.number, 1, 1, side, side), np.float32)

        def everything(film: int) -> None:
            finder.run(None, {"film": squares[film]})
            boxed(film)

        ways["lung network alone"] = lambda film: finder.run(None, {"film": squares[film]})
        ways["lungs, boxes and opacity map"] = everything
    for way in ways.values():
        way(0)
    found = timed(ways, chosen.number, chosen.runs)
    first, *others = found
    rows = [[first, median_and_spread(found[first], 2, 1e3), "1", ""]]
    for name in others:
        cost = ratios(found[name], found[first])
        aims = {"with boxes and opacity map": 1.25, "lungs, boxes and opacity map": 1.6}
        aim = verdict(cost, aims[name], at_least=False) if name in aims else ""
        rows.append([name, median_and_spread(found[name], 2, 1e3), median_and_spread(cost, 3), aim])
    print(f"{product.name}, {size} px\n")
    print(table(["inference", "ms a film", "this / alone", "aim"], rows))


if __name__ == "__main__":
    main()
