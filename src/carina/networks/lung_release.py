"""Make the shipped lung network: cross-validate the procedure, train on every mask, write bundle and card (M22).

``python -m carina.networks.lung_release --data DATA --out BUNDLE``: one seeded command. The figures of the card belong
to the procedure: networks trained in the same way without the patients they are measured on. The shipped network
learned from all masks and can be measured on none.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import torch

from carina.imaging.lung_fields import LungFields
from carina.inference import write_bundle
from carina.inference.lungs import LungFinder, open_lung_network
from carina.networks.lung_data import LungFilm, Sample, field_sample, masked_films, phantom_sample, read_fields
from carina.networks.lung_evaluation import Agreement, agreement, folds_by_patient, patient_interval
from carina.networks.lung_network import LungNetwork, export_lungs
from carina.networks.lung_training import LungRecipe, fit_lungs, lung_recipe
from carina.sampling.duplicates import perceptual_hash
from carina.tasks import load_task
from carina.types import Array

__all__ = ["Outlined", "cross_validated", "figures", "figures_table", "read_outlined", "release_lungs"]

_log = logging.getLogger(__name__)
_HOME, _APART = "cohen", "hannover"
_REGIONS = ("right", "left", "both")


@dataclass(frozen=True, slots=True)
class Outlined:
    """A film with its outlined fields, and the sample it makes."""

    film: LungFilm
    pixels: Array
    fields: LungFields
    sample: Sample


def read_outlined(data: Path) -> list[Outlined]:
    """Read every film that has a mask.

    Raises
    ------
    TableError, InputError
        Films or masks missing; a mask of another size than its film.
    """
    outlined = []
    for film in masked_films(data):
        pixels, fields = read_fields(film)
        outlined.append(Outlined(film, pixels, fields, field_sample(pixels, fields)))
    return outlined


def _trained(outlined: Sequence[Outlined], phantoms: Sequence[Sample], recipe: LungRecipe) -> bytes:
    share = recipe.phantom_share if phantoms else 0.0
    network: LungNetwork = fit_lungs([([one.sample for one in outlined], 1.0 - share), (phantoms, share)], recipe)
    return export_lungs(network, recipe.size)


def _agreements(model: bytes, recipe: LungRecipe, held: Sequence[Outlined]) -> list[Agreement]:
    finder = LungFinder(open_lung_network(model), recipe.standardisation())
    return [agreement(one.film, finder.find(one.pixels), one.fields) for one in held]


def cross_validated(
    outlined: Sequence[Outlined], phantoms: Sequence[Sample], recipe: LungRecipe, folds: int = 5
) -> dict[str, list[Agreement]]:
    """Measure the procedure on patients that its network did not see.

    Parameters
    ----------
    outlined : sequence of Outlined
    phantoms : sequence of Sample
    recipe : LungRecipe
    folds : int
        Networks for cohen's films; one more, trained on all of cohen, is measured on hannover's.

    Returns
    -------
    dict of str to list of Agreement
        ``"cohen"``: every film once, by the network of the fold that left its patient out. ``"hannover"``.
    """
    home = [one for one in outlined if one.film.source == _HOME]
    found: list[Agreement] = []
    for number, fold in enumerate(folds_by_patient([one.film for one in home], folds, recipe.seed)):
        away = {film.patient_id for film in fold}
        model = _trained([one for one in home if one.film.patient_id not in away], phantoms, recipe)
        found += _agreements(model, recipe, [one for one in home if one.film.patient_id in away])
        _log.info("fold %d of %d, mean Dice so far %.4f", number + 1, folds, _mean([one.dice[2] for one in found]))
    apart = [one for one in outlined if one.film.source == _APART]
    return {_HOME: found, _APART: _agreements(_trained(home, phantoms, recipe), recipe, apart) if apart else []}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def figures(found: Mapping[str, Sequence[Agreement]]) -> dict[str, Any]:
    """Dice and 95 % Hausdorff distance by source and region with patient-clustered intervals, and the flagged films."""
    result: dict[str, Any] = {}
    for source, films in found.items():
        if not films:
            continue
        patients = [one.film.patient_id for one in films]
        regions = {
            name: {
                "dice": [round(value, 4) for value in patient_interval([one.dice[at] for one in films], patients)],
                "least_dice": round(min(one.dice[at] for one in films), 4),
                "hausdorff_95": [
                    round(value, 2) for value in patient_interval([one.hausdorff[at] for one in films], patients)
                ],
            }
            for at, name in enumerate(_REGIONS)
        }
        result[source] = {
            "films": len(films),
            "patients": len(set(patients)),
            "flagged": sum(bool(one.flags) for one in films),
            **regions,
        }
    return result


def release_lungs(
    data: Path, out: Path, recipe: LungRecipe, *, folds: int = 5, report: Callable[[str], None] = _log.info
) -> dict[str, Any]:
    """Cross-validate, train on every mask, and write the bundle.

    Parameters
    ----------
    data : Path
        Folder of the real films, with ``cxr/images.csv``.
    out : Path
        The bundle's folder; must not exist.
    recipe : LungRecipe
    folds : int
        0 leaves the cross-validation out; the card then has no figures.
    report : callable
        Told what is going on.

    Returns
    -------
    dict
        What ``bundle.json`` holds.

    Raises
    ------
    TableError, InputError, TrainingError, OutputError
        Films missing; a mask of another size; the loss or the export not sound; the folder exists.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # averaged weights of dead units decay into denormals, ten times slower
    cv2.setNumThreads(1)
    outlined = read_outlined(data)
    phantoms = [phantom_sample(seed) for seed in range(recipe.phantoms)]
    report(f"{len(outlined)} masks, {len(phantoms)} phantoms")
    measured = figures(cross_validated(outlined, phantoms, recipe, folds)) if folds else {}
    report("training on every mask")
    description = _description(recipe, outlined, measured, folds)
    bundle = write_bundle(out, _trained(outlined, phantoms, recipe), description, "\n".join(_card(description)) + "\n")
    return bundle.description


def _description(
    recipe: LungRecipe, outlined: Sequence[Outlined], measured: Mapping[str, Any], folds: int
) -> dict[str, Any]:
    task = load_task(Path(str(files("carina.tasks"))) / "lungs.toml")
    patients = {hashlib.sha256(one.film.patient_id.encode()).hexdigest()[:16] for one in outlined}
    return {
        "name": "lungs",
        "version": 1,
        "task": task.model_dump(mode="json"),
        "preprocessing": recipe.standardisation().model_dump(),
        "network": {
            "name": "lung_unet_efficientnet_lite0",
            "parameters": sum(parameter.numel() for parameter in LungNetwork().parameters()),
        },
        "licence": "CC BY-NC-SA 4.0, research use",
        "training": {
            "recipe": recipe.model_dump(),
            "masks": {name: sum(one.film.source == name for one in outlined) for name in (_HOME, _APART)},
            "image_ids": [one.film.image_id for one in outlined],
            "films": {
                "perceptual_hashes": sorted({perceptual_hash(one.pixels) for one in outlined}),
                "patients": sorted(patients),
            },
            "versions": {name: version(name) for name in ("torch", "numpy", "opencv-python-headless", "onnx")},
        },
        "figures": {"folds": folds, **measured},
    }


def _card(description: Mapping[str, Any]) -> Iterator[str]:
    text = files("carina.networks").joinpath("recipes", "lungs_card.md").read_text("utf-8")
    training = description["training"]
    yield text.format(
        masks=len(training["image_ids"]),
        cohen=training["masks"][_HOME],
        hannover=training["masks"][_APART],
        phantoms=training["recipe"]["phantoms"],
        parameters=f"{description['network']['parameters']:,}",
        size=description["preprocessing"]["size"],
        intensity=description["preprocessing"]["intensity"],
        seed=training["recipe"]["seed"],
        steps=training["recipe"]["steps"],
        batch=training["recipe"]["batch"],
        figures="\n".join(figures_table(description["figures"])),
        ids=", ".join(f"`{one}`" for one in training["image_ids"]),
    ).rstrip()


def figures_table(measured: Mapping[str, Any]) -> Iterator[str]:
    """Write what `figures` gave, with the number of ``folds`` beside it, as lines of a Markdown table."""
    if not measured["folds"]:
        yield "Not measured."
        return
    yield "| films | region | Dice, mean (95 % interval) | lowest | 95 % Hausdorff distance, % of lung height |"
    yield "|---|---|---|---|---|"
    for source in (_HOME, _APART):
        if source not in measured:
            continue
        given = measured[source]
        who = f"{source}, {given['films']} films of {given['patients']} patients, {given['flagged']} flagged"
        for region in _REGIONS:
            share, distance = given[region]["dice"], given[region]["hausdorff_95"]
            yield (
                f"| {who} | {region} | {share[0]:.3f} ({share[1]:.3f} to {share[2]:.3f}) | "
                f"{given[region]['least_dice']:.3f} | {distance[0]:.1f} ({distance[1]:.1f} to {distance[2]:.1f}) |"
            )


def main() -> None:
    """Read the command line and make the bundle."""
    parser = argparse.ArgumentParser(description="Make the bundle of the lung network.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the real films, with cxr/images.csv")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder; must not exist")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation; 0 leaves it out")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    release_lungs(arguments.data, arguments.out, lung_recipe(), folds=arguments.folds)


if __name__ == "__main__":
    main()
