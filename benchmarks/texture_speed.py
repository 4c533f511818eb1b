"""Texture against PyRadiomics (93 features) and flash-radiomics (maps), and over two cores.

The peers live in an environment of their own: scripts/texture_oracle.py says how; for the maps add `flash-radiomics`,
`h5py`, `scikit-image`, `scikit-learn` and `trimesh`. Name its Python with --peer. Each peer is started for each run,
warms up, times itself and answers; runs alternate with the product's. Times are of the processor, so that other work on
the machine counts for neither side; one core, one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from _common import alternate, hold_to_one_core, median_and_spread, ratios
from carina.texture import TextureSettings, feature_maps, features, map_names
from carina.texture.table import TEXTURE_CLASSES, features_of

SIDE = 512
SHARE = 0.25
PEER = """
import json, logging, sys, time, warnings
import numpy as np
import SimpleITK as sitk
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
what, path, radius, families = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
case = np.load(path)
image = sitk.GetImageFromArray(case["image"][None]); mask = sitk.GetImageFromArray(case["mask"].astype(np.uint8)[None])
if what == "features":
    import radiomics
    from radiomics import featureextractor
    radiomics.setVerbosity(60)
    extractor = featureextractor.RadiomicsFeatureExtractor(additionalInfo=False, force2D=True, binWidth=25)
    extractor.disableAllFeatures()
    for family in families: extractor.enableFeatureClassByName(family)
    repeats = 5
else:
    from flash_radiomics import RadiomicsFeatureExtractor
    settings = {"setting": {"binWidth": 25, "force2D": True, "label": 1, "hdf5OutputDirectory": path + ".h5"},
        "voxelSetting": {"kernelRadius": radius}, "imageType": {"Original": {}}, "spatialFeatureClass": families}
    with open(path + ".json", "w") as file: json.dump(settings, file)
    extractor = RadiomicsFeatureExtractor(path + ".json", backend="cpu", num_threads=1)
    repeats = 1
extractor.execute(image, mask)
begin = time.process_time()
for _ in range(repeats): extractor.execute(image, mask)
print("TIME", (time.process_time() - begin) / repeats)
"""


def case() -> tuple[np.ndarray, np.ndarray]:
    """Draw a picture like a film: broad shades and fine noise of whole greys, and two lungs over a quarter of it."""
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:SIDE, :SIDE] / SIDE
    grey = 120.0 + 70.0 * np.sin(5.0 * row) * np.cos(6.0 * column) + rng.normal(0.0, 6.0, row.shape)
    lungs = np.minimum(
        np.hypot((row - 0.5) / 0.42, (column - 0.27) / 0.19), np.hypot((row - 0.5) / 0.42, (column - 0.73) / 0.19)
    )
    inside = lungs <= np.quantile(lungs, SHARE)
    return np.clip(np.rint(grey), 0.0, 255.0), inside


def peer(python: Path, what: str, path: Path, radius: int = 1) -> float:
    """Time a peer in its own process, seconds of the processor."""
    families = {name: [feature.name for feature in features_of(name)] for name in TEXTURE_CLASSES}
    command = [str(python), "-c", PEER, what, str(path), str(radius), json.dumps(families)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the peer named by the user
    found = [line for line in done.stdout.splitlines() if line.startswith("TIME ")]
    if not found:
        raise SystemExit(f"the peer did not answer: {done.stderr[-400:]}")
    return float(found[-1].split()[1])


def product(work: Callable[[], object], repeats: int) -> float:
    """Time the product after a warm-up, seconds of the processor."""
    work()
    begin = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - begin) / repeats


def _many(films: int) -> int:
    image, mask = case()
    for _ in range(films):
        features(image, mask, TextureSettings.pyradiomics(25.0))
    return films


def scaling(films: int, cores: Sequence[int]) -> tuple[float, float]:
    """Wall seconds of the same films by one process, and by one a core."""
    os.sched_setaffinity(0, set(cores))
    times = []
    for workers in (1, len(cores)):
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(_many, [1] * workers))
            begin = time.perf_counter()
            list(pool.map(_many, [films // workers] * workers))
            times.append(time.perf_counter() - begin)
    return times[0], times[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", type=Path, help="Python of the peers' environment; without it, scaling alone")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--radii", type=int, nargs="*", default=[1, 2, 5], help="of the windows of the maps")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    image, mask = case()
    plain = TextureSettings.pyradiomics(25.0)
    if arguments.peer is None:
        print("no --peer: PyRadiomics and flash-radiomics are not measured", file=sys.stderr)
    else:
        hold_to_one_core()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "case.npz"
            np.savez(path, image=image, mask=mask)
            rows = {
                "93 features": (
                    partial(features, image, mask, plain),
                    20,
                    partial(peer, arguments.peer, "features", path),
                )
            }
            for radius in arguments.radii:
                work = partial(feature_maps, image, mask, map_names(), plain, radius=radius)
                rows[f"93 maps, radius {radius}"] = (work, 1, partial(peer, arguments.peer, "maps", path, radius))
            for name, (ours, repeats, theirs) in rows.items():
                taken = alternate({"peer": theirs, "carina": partial(product, ours, repeats)}, arguments.runs)
                peers, product_s = (median_and_spread(taken[side], 1, 1e3) for side in ("peer", "carina"))
                times = median_and_spread(ratios(taken["peer"], taken["carina"]), 1)
                print(f"{name:20} peer {peers} ms, carina {product_s} ms: {times} x", flush=True)
    if len(cores) > 1:
        found = [scaling(120, cores[:2]) for _ in range(arguments.runs)]
        print(f"two processes         {median_and_spread([one / two for one, two in found])} x one")
    print(f"memory, at most       {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
