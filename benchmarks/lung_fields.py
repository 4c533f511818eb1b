"""Lung fields: what they cost beside the default classifier, how often they are flagged, and how well they agree.

Run: python benchmarks/lung_fields.py --data ../shared/data [--runs 3] [--cross-validate] [--sheet FOLDER]

Cost on one core, one thread, warm: the lung network alone, and with standardisation, cleaning and enlargement, over the
default classifier's network without its branches (the aim is at most 0.3). Flags: on at most 200 films of each source.
Agreement with the outlines is cross-validated anew with `--cross-validate` (half an hour); the shipped bundle's own
figures are printed else.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from _common import alternate, cut, default_product, hold_to_one_core, median_and_spread, ratios, table, verdict
from carina.imaging import read_film, standardise
from carina.imaging.lung_fields import LungFields, heart
from carina.inference import open_session
from carina.inference.bundle import load_bundle
from carina.inference.lungs import LungFinder
from carina.types import Array, Film

COLOURS = {1: (0, 200, 255), 2: (255, 200, 0)}
SOURCES = ("kermany", "nih", "cxnet", "hannover", "cohen")
TILE = 240
REPETITIONS = 40


def middle_time(way: Callable[[Film], object], films: list[Film]) -> float:
    """Median over films of each film's fastest repetition, seconds: other work on the machine must not count."""
    taken = []
    for film in films:
        repeated = []
        for _ in range(REPETITIONS):
            begun = time.perf_counter()
            way(film)
            repeated.append(time.perf_counter() - begun)
        taken.append(min(repeated))
    return statistics.median(taken)


def cost_table(finder: LungFinder, films: list[Film], runs: int) -> None:
    """Lungs over the default classifier."""
    product = default_product("pneumonia")
    session = open_session(cut(product.model, ["logits", "class_maps", "features"]), threads=1)
    inputs = {film.sha256: standardise(film.pixels, product.spec)[None] for film in films}
    squares = {film.sha256: standardise(film.pixels, finder.preprocessing) for film in films}
    ways: dict[str, Callable[[Film], object]] = {
        "default classifier, network alone": lambda film: session.run(inputs[film.sha256]),
        "lung network alone": lambda film: finder.probabilities(squares[film.sha256]),
        "standardisation for lungs": lambda film: standardise(film.pixels, finder.preprocessing),
        "film to lung fields, all of it": finder.find,
    }
    for way in ways.values():
        middle_time(way, films[:4])
    found = alternate({name: partial(middle_time, way, films) for name, way in ways.items()}, runs)
    first, *others = found
    rows = [[first, median_and_spread(found[first], 2, 1e3), "1", ""]]
    for name in others:
        share = ratios(found[name], found[first])
        aim = verdict(share, 0.3, at_least=False) if name == "lung network alone" else ""
        rows.append([name, median_and_spread(found[name], 2, 1e3), median_and_spread(share, 3), aim])
    print(table(["step", "ms a film", "over the classifier", "aim"], rows))


def chosen_films(data: Path, number: int) -> dict[str, list[Path]]:
    """Draw films of each source, twins of other sources left out, always the same."""
    with (data / "cxr/images.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if not row["duplicate_of"]]
    result = {}
    for source in SOURCES:
        paths = sorted(data / "cxr" / row["path"] for row in rows if row["source"] == source)
        result[source] = random.Random(1).sample(paths, min(number, len(paths)))  # noqa: S311 - a draw, no secret
    return result


def flags_table(finder: LungFinder, films: dict[str, list[Path]]) -> None:
    """Share of flagged films by source, as they are and turned by 15 and 25 degrees."""
    rows = []
    for source, paths in films.items():
        cells, reasons = [], Counter[str]()
        for turn in (0, 15, 25):
            flags = [finder.find(turned(read_film(path).pixels, turn)).flags for path in paths]
            cells.append(f"{sum(map(bool, flags))}/{len(paths)}")
            if turn == 0:
                reasons.update(measure_named(flag) for one in flags for flag in one)
        rows.append([source, *cells, ", ".join(f"{name} {count}" for name, count in reasons.most_common())])
    print(table(["source", "flagged", "turned 15 degrees", "turned 25 degrees", "reasons as they are"], rows))


def measure_named(flag: str) -> str:
    """Shorten a flag to what it is about."""
    for word in ("smaller", "shorter", "width apart", "film's width", "film's height above", "film's height", "border"):
        if word in flag:
            return word
    return next((word for word in ("hull", "fragments", "cover", "only", "no lung", "unsure") if word in flag), flag)


def turned(pixels: Array, degrees: float) -> Array:
    """Turn a film within its frame, black beyond it."""
    rows, columns = pixels.shape
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, turn, (columns, rows)), np.float32)


def tile(pixels: Array, fields: LungFields) -> np.ndarray:
    """Film with outlines, the heart's estimate in red and the first flag in words."""
    scale = TILE / max(pixels.shape)
    picture = cv2.resize(cv2.cvtColor((pixels * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR), None, fx=scale, fy=scale)
    regions = [(fields.mask == side, colour) for side, colour in COLOURS.items()]
    for region, colour in [*regions, (heart(fields), (80, 80, 255))]:
        small = cv2.resize(region.astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, 1)
    for number, flag in enumerate(fields.flags):
        cv2.putText(picture, flag[:40], (2, 12 + 12 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 255, 0), 1)
    square = np.zeros((TILE, TILE, 3), np.uint8)
    square[: picture.shape[0], : picture.shape[1]] = picture
    return square


def sheets(finder: LungFinder, films: dict[str, list[Path]], folder: Path) -> None:
    """Contact sheets to look at: 32 films of each source."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, paths in films.items():
        pixels = [read_film(path).pixels for path in paths[:32]]
        tiles = [tile(one, finder.find(one)) for one in pixels]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 8)
        rows = [np.hstack(tiles[start : start + 8]) for start in range(0, len(tiles), 8)]
        cv2.imwrite(str(folder / f"{source}.png"), np.vstack(rows))


def agreement_table(data: Path, bundle: Path | None, *, anew: bool) -> None:
    """Dice and distance of the procedure, stored or measured anew."""
    from carina.networks.lung_data import phantom_sample  # noqa: PLC0415 - torch, only where needed
    from carina.networks.lung_release import cross_validated, figures, figures_table, read_outlined  # noqa: PLC0415
    from carina.networks.lung_training import lung_recipe  # noqa: PLC0415

    if anew:
        recipe = lung_recipe()
        phantoms = [phantom_sample(seed) for seed in range(recipe.phantoms)]
        measured = {"folds": 5, **figures(cross_validated(read_outlined(data), phantoms, recipe))}
    else:
        from carina.inference.lungs import SHIPPED  # noqa: PLC0415 - as above

        measured = load_bundle(bundle or SHIPPED, task="lungs").description["figures"]
    print("\n".join(figures_table(measured)))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real films, with cxr/images.csv")
    parser.add_argument("--bundle", type=Path, help="another lung bundle than the shipped one")
    parser.add_argument("--number", type=int, default=200, help="films of each source")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cross-validate", action="store_true", help="train and measure anew")
    parser.add_argument("--sheet", type=Path, help="folder for contact sheets to look at")
    arguments = parser.parse_args()
    hold_to_one_core()
    finder = LungFinder.load(arguments.bundle)
    films = chosen_films(arguments.data, arguments.number)
    mixed = [read_film(path) for paths in films.values() for path in paths[:4]]
    cost_table(finder, mixed, arguments.runs)
    print()
    flags_table(finder, films)
    print()
    agreement_table(arguments.data, arguments.bundle, anew=arguments.cross_validate)
    if arguments.sheet is not None:
        sheets(finder, films, arguments.sheet)


if __name__ == "__main__":
    main()
