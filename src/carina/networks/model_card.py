"""`MODEL_CARD.md` of a bundle, written from what the training recorded and nothing else (house rule 10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from carina.tasks import Task

__all__ = ["model_card"]


def model_card(description: Mapping[str, Any], task: Task) -> str:
    """Describe a bundle in Markdown.

    Parameters
    ----------
    description : mapping
        ``bundle.json`` as it will be written; its ``figures`` come from `carina.networks.judgement.judge`.
    task : Task

    Returns
    -------
    str
    """
    return "\n".join(
        [
            f"# {description['name']} {description['version']}",
            "",
            "**Research use only.** Not a medical device. The doctor decides.",
            "",
            *_what(description, task),
            *_films(description["training"]),
            *_confounding(description["training"]["labels"].get("train", {}), task),
            *_figures(description.get("figures", {})),
            *_calibration(description),
            *_branches(description.get("branches")),
            *_reproduce(description["training"]),
        ]
    )


def _what(description: Mapping[str, Any], task: Task) -> Iterator[str]:
    network, preprocessing = description["network"], description["preprocessing"]
    yield "## What it is"
    yield ""
    yield (
        f"Task `{task.name}` version {task.version}: {', '.join(task.classes)}. Network {network['name']} with "
        f"{network['parameters']:,} parameters; input the {preprocessing['framing']} film at {preprocessing['size']} x "
        f"{preprocessing['size']} px, grey scale by `{preprocessing['intensity']}`."
    )
    pretrained = description["training"]["recipe"].get("pretrained")
    yield ""
    yield f"First weights: {'ImageNet, by the package that carries them (Apache-2.0)' if pretrained else 'random'}."
    yield ""


def _films(training: Mapping[str, Any]) -> Iterator[str]:
    yield "## Films"
    yield ""
    yield "| split | source / label | films |"
    yield "|---|---|---|"
    for split, counts in training["labels"].items():
        for name, count in counts.items():
            yield f"| {split} | {name.replace('/', ' / ')} | {count} |"
    proof = training["split"]
    yield ""
    yield (
        f"Patients in two splits: {proof['shared_patients']}. Near-duplicate films across splits (at most "
        f"{proof['threshold_bits']} of 256 hash bits apart): {proof['cross_split_pairs']}; the nearest two are "
        f"{proof['nearest_bits']} bits apart."
    )
    yield ""
    yield from (f"- {note}" for note in training["notes"])
    if training["where"]:
        yield f"- only rows with {' and '.join(training['where'])}"
    yield ""


def _confounding(train: Mapping[str, int], task: Task) -> Iterator[str]:
    """Say which contrasts no source of the training films can teach without also teaching the source (M36)."""
    labels_of: dict[str, set[str]] = {}
    for name in train:
        source, _, label = name.rpartition("/")
        labels_of.setdefault(source, set()).add(label)
    confounded = []
    for contrast in task.contrasts:
        sides = {
            source: {float(side) for side in task.contrast_truth(contrast, sorted(labels)) if side == side}  # noqa: PLR0124 -- NaN differs from itself
            for source, labels in labels_of.items()
        }
        if not any(len(found) == 2 for found in sides.values()):  # noqa: PLR2004 -- two sides
            confounded.append(contrast)
    yield "## Confounding"
    yield ""
    if not confounded:
        yield "Every contrast has a source with films on both of its sides."
    for contrast in confounded:
        yield (
            f"- **{contrast}: no source has films on both sides.** What the network learned there may be the "
            "hospital, the age or the scanner instead of the disease. No "
            "performance within a hospital can be estimated from "
            "these films, none is given, and none should be believed before this model has been validated where "
            "you work."
        )
    yield ""


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "## Figures on `test`"
    yield ""
    if not figures:
        yield "`test` has not been opened."
        yield ""
        return
    yield (
        f"Opened {figures['test']['opened']}, {figures['test']['films']} films, model "
        f"{figures['test']['model_sha256'][:12]}. Within one source each; 95 % intervals: AUC by bootstrap over "
        "patients on all films, sensitivity and specificity at the shipped thresholds exact "
        "(Clopper-Pearson) on the first film of each patient."
    )
    yield ""
    yield "| contrast | source | films | patients | AUC | sensitivity | specificity |"
    yield "|---|---|---|---|---|---|---|"
    for row in figures["contrasts"]:
        cells = [row["contrast"], row["source"], str(row["films"]), str(row["patients"])]
        cells += [_interval(row.get(name)) for name in ("auc", "sensitivity", "specificity")]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from (f"- {sentence}" for sentence in figures.get("too_few", ()))
    yield ""
    yield "Coverage of the 95 % prediction sets, first film of each patient:"
    yield ""
    yield "| class | source | patients | covered | mean size | guaranteed |"
    yield "|---|---|---|---|---|---|"
    for row in figures["coverage"]:
        said = "yes" if row["guaranteed"] else "not guaranteed"
        covered = row["covered"]
        yield (
            f"| {row['label']} | {row['source']} | {covered['trials']} | {_interval(covered)} | "
            f"{row['mean_size']:.2f} | {said} |"
        )
    yield ""
    yield "Coverage is never claimed for a hospital that the calibration films do not come from."
    yield ""


def _calibration(description: Mapping[str, Any]) -> Iterator[str]:
    calibration = description["calibration"]
    temperatures = ", ".join(f"{name} {value:.2f}" for name, value in calibration["temperature"].items())
    mix = ", ".join(f"{name} {share:.1%}" for name, share in calibration["class_mix"].items())
    yield "## Calibration"
    yield ""
    yield (
        f"On {calibration['films']} `calibrate` films. Class mix: {mix}; `carina predict --prevalence` corrects for "
        f"another. Temperatures: {temperatures}."
    )
    for level, told in calibration.get("unshown", {}).items():
        parts = " from ".join(" or ".join(part) for part in reversed(told["parts"]))
        yield ""
        yield (
            f"No source of these films tells {parts} ({level}): what the network says of that is held within a "
            f"likelihood ratio of {told['ratio']:g} around their shares, and is not surer for being trained on (M36)."
        )
    yield ""
    yield "| contrast | low | high | ages |"
    yield "|---|---|---|---|"
    for name, record in calibration["thresholds"].items():
        ages = f"{record['ages'][0]:g} to {record['ages'][1]:g}" if record["ages"] else "no common age range"
        yield f"| {name} | {record['low']:.3f} | {record['high']:.3f} | {ages} |"
    yield ""


def _branches(branches: Mapping[str, Any] | None) -> Iterator[str]:
    if branches is None:
        return
    films = ", ".join(f"{count} {source}" for source, count in branches["films"].items())
    tune = branches["tune"]
    yield "## Boxes and opacity map"
    yield ""
    yield (
        f"Learned from {branches['labels']} ({films}); backbone {branches['backbone']}. Boxes are shown from a score "
        f"of {branches['score_threshold']:.3f}, the largest F1 at IoU 0.5 on made opacities in `tune` films; of two "
        f"that overlap by more than {branches['nms_iou']:g} (IoU), or of which more than {branches['nms_inside']:g} "
        f"lies in the other, the stronger stays; at most {branches['most_boxes']} a film."
    )
    yield ""
    yield (
        f"On those made opacities ({tune['boxes']:.0f} boxes, {tune['films']:.0f} film drawings): precision "
        f"{tune['precision']:.2f}, recall {tune['recall']:.2f}, {tune['false_boxes']:.2f} false boxes a film without "
        f"an opacity, Dice of the map {tune['dice']:.2f}. This says how well made opacities are found, not disease."
    )
    yield ""


def _reproduce(training: Mapping[str, Any]) -> Iterator[str]:
    yield "## Made by"
    yield ""
    yield f"Seed {training['seed']}, {training['epochs']} epochs, table sha-256 `{training['table_sha256']}`."
    versions = ", ".join(f"{name} {value}" for name, value in training["versions"].items())
    yield f"Versions: {versions}."
    yield ""


def _interval(value: Mapping[str, Any] | None) -> str:
    if value is None or value.get("estimate") is None:
        return "" if value is None else "not estimable"
    low, high = value.get("low"), value.get("high")
    if low is None or high is None:
        return f"{value['estimate']:.3f}"
    return f"{value['estimate']:.3f} ({low:.3f}-{high:.3f})"
