"""Write the values of PyRadiomics that the texture tests expect. Run it in an environment of its own.

    python -m venv oracle
    oracle/bin/pip install numpy setuptools wheel cython versioneer
    oracle/bin/pip install --no-build-isolation --no-deps pyradiomics==3.0.1
    oracle/bin/pip install pykwalify SimpleITK PyWavelets six
    oracle/bin/python scripts/texture_oracle.py --data ../shared/data

It writes `tests/texture/oracle_pictures.json` (synthetic pictures and masks with their values) and, with the real
films, `tests/texture/oracle_films.json` (values by image id, no pixels). With --case it reads one case from a file and
prints its values as JSON, which is how the live comparison calls it.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")
TESTS = Path(__file__).resolve().parents[1] / "tests" / "texture"
OPTIONS: tuple[dict[str, Any], ...] = (
    {"binWidth": 25.0},
    {"binWidth": 7.5},
    {"binCount": 16},
    {"binCount": 64},
    {"binWidth": 10.0, "distances": [1, 2], "gldm_a": 1},
    {"binCount": 24, "symmetricalGLCM": False},
    {"binWidth": 12.0, "weightingNorm": "euclidean"},
)


def pictures() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Small pictures of whole numbers, and masks: noise, waves and steps; whole, holed, ragged and split."""
    rng = np.random.default_rng(20)
    row, column = np.mgrid[:28, :30]
    waves = np.rint(120.0 + 60.0 * np.sin(row / 3.0) + 40.0 * np.cos(column / 4.0) + rng.normal(0.0, 8.0, row.shape))
    holed = np.zeros(row.shape, bool)
    holed[3:25, 4:27] = True
    holed[10:14, 12:18] = False
    ragged = rng.random(row.shape) < 0.7  # noqa: PLR2004 - a share of pixels
    split = (np.abs(column - 14) > 4) & (row > 2) & (row < 26)  # noqa: PLR2004 - two lungs
    return {
        "noise": (rng.integers(0, 256, row.shape).astype(float), holed),
        "waves": (waves, split),
        "steps": (np.rint(waves / 40.0) * 40.0, ragged),
        "negative": (waves - 150.0, holed),
    }


def oracle(image: np.ndarray, mask: np.ndarray, options: Mapping[str, Any], *, shape: bool = False) -> dict[str, float]:
    """Values of PyRadiomics in two dimensions, without the name of the picture."""
    extractor, sitk = _extractor(options)
    for family in (*CLASSES, "shape2D") if shape else CLASSES:
        extractor.enableFeatureClassByName(family)
    found = extractor.execute(sitk.GetImageFromArray(image), sitk.GetImageFromArray(mask.astype(np.uint8)))
    return {name.removeprefix("original_"): float(value) for name, value in found.items()}


def wavelets(image: np.ndarray, mask: np.ndarray, options: Mapping[str, Any]) -> dict[str, float]:
    """First-order values of PyRadiomics in its wavelet pictures of one slice."""
    extractor, sitk = _extractor({**options, "force2D": True})
    extractor.disableAllImageTypes()
    extractor.enableImageTypeByName("Wavelet")
    extractor.enableFeatureClassByName("firstorder")
    extractor.enableFeatureClassByName("glcm")
    found = extractor.execute(sitk.GetImageFromArray(image[None]), sitk.GetImageFromArray(mask.astype(np.uint8)[None]))
    return {name: float(value) for name, value in found.items()}


def maps(image: np.ndarray, mask: np.ndarray, options: Mapping[str, Any], radius: int) -> dict[str, list[float]]:
    """Values of PyRadiomics' voxel-based extraction within the mask, row by row."""
    extractor, sitk = _extractor({**options, "force2D": True, "kernelRadius": radius})
    for family in CLASSES:
        extractor.enableFeatureClassByName(family)
    found = extractor.execute(
        sitk.GetImageFromArray(image[None]), sitk.GetImageFromArray(mask.astype(np.uint8)[None]), voxelBased=True
    )
    out: dict[str, list[float]] = {}
    for name, value in found.items():
        drawn = np.full(image.shape, np.nan)
        left, top = (round(place) for place in value.GetOrigin()[:2])
        slices = sitk.GetArrayFromImage(value)
        part = slices[slices.shape[0] // 2]
        drawn[top : top + part.shape[0], left : left + part.shape[1]] = part
        out[name.removeprefix("original_")] = drawn[mask].tolist()
    return out


def _extractor(options: Mapping[str, Any]) -> tuple[Any, Any]:
    radiomics = importlib.import_module("radiomics")
    radiomics.setVerbosity(60)
    extractors = importlib.import_module("radiomics.featureextractor")
    extractor = extractors.RadiomicsFeatureExtractor(additionalInfo=False, **options)
    extractor.disableAllFeatures()
    return extractor, importlib.import_module("SimpleITK")


def films(data: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read a film of each source, with its lung mask where it has one, otherwise with its middle."""
    sitk = importlib.import_module("SimpleITK")
    chosen: dict[str, dict[str, str]] = {}
    with (data / "cxr" / "images.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = row["source"]
            if place not in chosen or (row["lung_mask"] and not chosen[place]["lung_mask"]):
                chosen[place] = row
    found = {}
    for row in chosen.values():
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "cxr" / row["path"]))).astype(float)
        found[row["image_id"]] = (image, _mask_of(sitk, data, row, image.shape))
    return found


def _mask_of(sitk: Any, data: Path, row: Mapping[str, str], shape: tuple[int, ...]) -> np.ndarray:
    if row["lung_mask"]:
        return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(data / "cxr" / row["lung_mask"]))) > 0)
    mask = np.zeros(shape, bool)
    mask[shape[0] // 4 : 3 * shape[0] // 4, shape[1] // 4 : 3 * shape[1] // 4] = True
    return mask


def _cases(image: np.ndarray, mask: np.ndarray, options: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [{"options": choice, "values": oracle(image, mask, choice)} for choice in options]


def _write(path: Path, content: Any) -> None:
    content = json.loads(json.dumps(content), parse_float=lambda text: float(f"{float(text):.12g}"))
    path.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    """Write the files of expected values, or print one case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--case", type=Path, help="npz of image and mask")
    parser.add_argument("--options", default="{}", help="PyRadiomics' settings, JSON")
    parser.add_argument("--radius", type=int, help="map with windows of this radius")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.case:
        case = np.load(arguments.case)
        options = json.loads(arguments.options)
        found: Any = (
            maps(case["image"], case["mask"], options, arguments.radius)
            if arguments.radius
            else oracle(case["image"], case["mask"], options)
        )
        json.dump(found, sys.stdout)
        return
    small: dict[str, Any] = {}
    for name, (image, mask) in pictures().items():
        small[name] = {"image": image.astype(int).tolist(), "mask": mask.astype(int).tolist()}
        small[name]["cases"] = _cases(image, mask, OPTIONS)
        small[name]["shape"] = oracle(image, mask, {"binWidth": 25.0}, shape=True)
        small[name]["wavelets"] = wavelets(image, mask, {"binCount": 16})
    image, mask = pictures()["waves"]
    part = mask & (np.arange(mask.shape[0]) < 7)[:, None]  # noqa: PLR2004 - keeps the file small
    small["waves"]["maps"] = {
        "rows": 7,
        "radius": 2,
        "binWidth": 20.0,
        "values": maps(image, part, {"binWidth": 20.0}, 2),
    }
    _write(TESTS / "oracle_pictures.json", small)
    if arguments.data:
        real = {name: _cases(*pair, OPTIONS[:5]) for name, pair in films(arguments.data).items()}
        _write(TESTS / "oracle_films.json", real)


if __name__ == "__main__":
    main()
