"""Write the documentation's picture and its examples of a prediction, from phantom films alone.

Run: python scripts/make_examples.py BUNDLE [--seed 5013] [--label bacterial]

BUNDLE is a model trained on phantoms, such as ``demo/model/bundle`` of ``make demo``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from carina.imaging.lung_fields import decode_mask
from carina.imaging.phantom import LABELS, Phantom, phantom_dicom, phantom_film

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/images/phantom.png"
EXAMPLE = ROOT / "docs/contracts/example_prediction.json"
README = ROOT / "README.md"
_EXAMPLE = re.compile(r"(<!-- example: predict -->\n).*?(<!-- end: predict -->)", re.DOTALL)
_OUTLINE = (60, 200, 255)  # blue, green, red
_LUNGS = {1: (255, 200, 90), 2: (90, 220, 255)}
_OPACITY = (80, 90, 255)
_BOX = (63, 143, 255)
_GAP = 6


def main() -> None:
    """Read one phantom film, and write the picture, the JSON line and the lines that the command prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seed", type=int, default=5013)
    parser.add_argument("--label", choices=LABELS, default="bacterial")
    options = parser.parse_args()
    bundle = options.bundle.resolve()
    phantom = phantom_film(options.seed, label=options.label, size=512)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        phantom_dicom(phantom, patient="PHANTOM").save_as("film.dcm", enforce_file_format=True)
        command = ["carina", "predict", "film.dcm", "--out", "reading"]
        told = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", *command, "--model", str(bundle)], capture_output=True, text=True, check=True
        ).stdout
        line = json.loads(Path("reading/predictions.jsonl").read_text("utf-8"))
        heatmap = cv2.imread(f"reading/{line['heatmap']}")
        subprocess.run(
            [sys.executable, "-m", "carina", "predict", "film.dcm", "--out", "shipped"], check=True, capture_output=True
        )
        layers = _layers(phantom, Path("shipped"))
    readme = _EXAMPLE.sub(lambda match: f"{match[1]}```text\n{told}```\n{match[2]}", README.read_text("utf-8"))
    README.write_text(readme, "utf-8")
    EXAMPLE.write_text(json.dumps(line, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(PICTURE), _side_by_side(phantom, heatmap, layers), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{EXAMPLE.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size // 1024} kB")
    print(f"film.dcm: {line['decision']} ({line['reason']}); planted: {phantom.label}, {phantom.where}")


def _layers(phantom: Phantom, folder: Path) -> np.ndarray:
    """Film with what the shipped model finds: lung fields, opacity, boxes; (H, W, 3), blue green red."""
    line = json.loads((folder / "predictions.jsonl").read_text("utf-8"))
    film = cv2.cvtColor(np.rint(phantom.pixels * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    opacity = cv2.imread(str(folder / line["opacity"]), cv2.IMREAD_GRAYSCALE).astype(np.float32)[..., None] / 255
    film = np.rint(film * (1 - 0.6 * opacity) + np.array(_OPACITY) * 0.6 * opacity).astype(np.uint8)
    mask = decode_mask((folder / line["lungs"]).read_bytes()).mask
    for side, colour in _LUNGS.items():
        outlines, _ = cv2.findContours((mask == side).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        film = cv2.drawContours(film, outlines, -1, colour, 2)
    for box in line["boxes"]:
        corners = [
            (round(box["x"]), round(box["y"])),
            (round(box["x"] + box["width"]), round(box["y"] + box["height"])),
        ]
        film = cv2.rectangle(film, *corners, _BOX, 3)
    return np.asarray(film)


def _side_by_side(phantom: Phantom, heatmap: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """Film, with the opacity's outline, with the heatmap, with the layers; (H, 4 W + gaps, 3), blue green red."""
    grey = np.rint(phantom.pixels * 255).astype(np.uint8)
    film = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    outlines, _ = cv2.findContours(phantom.opacity.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    marked = cv2.drawContours(film.copy(), outlines, -1, _OUTLINE, 2)
    gap = np.full((film.shape[0], _GAP, 3), 255, np.uint8)
    whole = np.hstack([film, gap, marked, gap, heatmap, gap, layers])
    # Two thirds of the size: sharp enough to see the ribs, small enough for a page.
    return np.asarray(cv2.resize(whole, None, fx=2 / 3, fy=2 / 3, interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    main()
