"""Text burned into films: how much of it is found and blanked, by size and contrast, and what is blanked wrongly.

Run: python benchmarks/burned_in_text.py [--films FOLDER] [--phantoms 8] [--size 512] [--seed 1]

Lines of writing are drawn into phantom films in two typefaces (OpenCV's Hershey strokes, Pillow's own outline font), in
a corner, over the lung and at the lower edge, with a given letter height and contrast against their ground. A line
counts as blanked when 90 % of its box are. FOLDER holds real pictures: on those, whose own writing nobody has listed,
the share of films with anything blanked and the share of pixels are told; so they are on clean phantoms.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carina.deidentify import Policy
from carina.deidentify.burned_in import clean_pixels
from carina.imaging.phantom import LABELS, phantom_film

Pixels = NDArray[np.float32]
_HEIGHTS = (8, 12, 16, 24, 40)  # pixels of a film of 512
_CONTRASTS = (0.05, 0.1, 0.2, 0.5)  # of the full scale
_LINES = ("ZZZ0016 TESTCASE", "DOB 12/03/1950 F", "Testcase, Ann", "ZAC5361", "MRN 12345678")
_BITS = 12
_COVERED = 0.9


def main() -> None:
    """Draw, blank, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, help="folder of real pictures")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--phantoms", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    films = [
        phantom_film(1000 * chosen.seed + number, label=LABELS[number % len(LABELS)], size=chosen.size).pixels
        for number in range(chosen.phantoms)
    ]
    hits: dict[tuple[int, float], list[bool]] = defaultdict(list)
    for film in films:
        for height in _HEIGHTS:
            for contrast in _CONTRASTS:
                font = ("strokes", "outlines")[int(rng.integers(2))]
                drawn, box = draw(film, rng, round(height * chosen.size / 512), contrast, font)
                hits[height, contrast].append(covered(box, drawn) >= _COVERED)
    recall = {
        f"{height}": {f"{c:g}": round(float(np.mean(hits[height, c])), 3) for c in _CONTRASTS} for height in _HEIGHTS
    }
    report = {"size": chosen.size, "films": chosen.phantoms, "recall": recall, "clean phantoms": wrong(films)}
    if chosen.films:
        paths = sorted(path for path in chosen.films.rglob("*") if path.suffix in (".jpg", ".png"))
        picked = [
            paths[int(one)] for one in rng.choice(len(paths), min(len(paths), 5 * chosen.phantoms), replace=False)
        ]
        report["real films"] = wrong(
            [np.asarray(Image.open(path).convert("L"), np.float32) / np.float32(255) for path in picked]
        )
    table(report)
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1), "utf-8")


def draw(
    film: Pixels, rng: np.random.Generator, height: int, contrast: float, font: str
) -> tuple[Pixels, tuple[int, int, int, int]]:
    """Draw a line with capitals of a height; returns the film and the line's box."""
    line = _LINES[int(rng.integers(len(_LINES)))]
    size = film.shape[0]
    ink = np.zeros((3 * height, 2 * size), np.uint8)
    if font == "strokes":
        scale = height / 21.5
        cv2.putText(
            ink, line, (0, 2 * height), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(height / 9)), cv2.LINE_AA
        )
    else:
        picture = Image.new("L", (2 * size, 3 * height))
        ImageDraw.Draw(picture).text((0, height // 2), line, fill=255, font=ImageFont.load_default(height * 1.42))
        ink = np.asarray(picture)
    rows, columns = np.nonzero(ink > 60)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : min(columns.max() + 1, size - 8)]
    tall, wide = ink.shape
    places = ((4, 4), (size // 3, (size - wide) // 2), (size - tall - 6, 6))
    y, x = places[int(rng.integers(3))]
    y, x = min(y + int(rng.integers(12)), size - tall - 1), min(x + int(rng.integers(12)), size - wide - 1)
    ground = float(np.median(film[y : y + tall, x : x + wide]))
    value = ground + contrast if ground + contrast <= 1 else ground - contrast
    cover = ink.astype(np.float32) / 255
    drawn = film.copy()
    drawn[y : y + tall, x : x + wide] = drawn[y : y + tall, x : x + wide] * (1 - cover) + value * cover
    return drawn, (x, y, wide, tall)


def blanked(film: Pixels) -> NDArray[np.bool_]:
    """Pixels that the default policy blanks."""
    samples = np.rint(np.clip(film, 0, 1) * (2**_BITS - 1)).astype(np.uint16)
    gone = np.zeros(film.shape, bool)
    for x, y, wide, high in clean_pixels(samples, _BITS, Policy()).blanked:
        gone[y : y + high, x : x + wide] = True
    return gone


def covered(box: tuple[int, int, int, int], film: Pixels) -> float:
    """Share of a box that is blanked."""
    x, y, wide, high = box
    return float(blanked(film)[y : y + high, x : x + wide].mean())


def wrong(films: list[Pixels]) -> dict[str, float]:
    """Tell what is blanked on films without drawn lines, and how long it takes."""
    start = time.process_time()
    gone = [blanked(film) for film in films]
    return {
        "films": len(films),
        "share with anything blanked": round(float(np.mean([one.any() for one in gone])), 3),
        "share of pixels blanked": round(float(np.mean([one.mean() for one in gone])), 5),
        "processor seconds a film without tesseract": round((time.process_time() - start) / len(films), 3),
    }


def table(report: dict[str, object]) -> None:
    """Print the report as the documentation shows it."""
    recall = report["recall"]
    assert isinstance(recall, dict)  # noqa: S101 - for the type checker
    print("| letter height, of a film of 512 | " + " | ".join(f"contrast {c:g}" for c in _CONTRASTS) + " |")
    print("|---|" + "---|" * len(_CONTRASTS))
    for height, row in recall.items():
        print(
            f"| {height} px ({int(height) / 5.12:.1f} %) | "
            + " | ".join(f"{share:.2f}" for share in row.values())
            + " |"
        )
    for name in ("clean phantoms", "real films"):
        if name in report:
            print(f"{name}: {report[name]}")


if __name__ == "__main__":
    main()
