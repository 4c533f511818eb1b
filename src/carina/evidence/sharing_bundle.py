"""A bundle as it may leave the house: model and calibration, without a word of a film, a person or a small cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carina.evidence.sharing_aggregates import LEAST
from carina.inference import Bundle, write_bundle

__all__ = ["SENTENCES", "write_shared_bundle"]

_OLDEST = 89.0
_KEPT = ("name", "version", "task", "preprocessing", "network")
_TRAINING = ("recipe", "seed", "epochs", "tune_loss", "versions", "table_sha256")
_BRANCHES = ("score_threshold", "nms_iou", "nms_inside", "most_boxes", "labels", "backbone")

_NO_FILMS = (
    "No film is in the package, and no row or hash of a film or person; the hashes by which a bundle recognises its "
    "training films are left out, so that the receiver must know by other means that its films were not trained on."
)
_SUPPRESSED = (
    f"Numbers are of the first film of each person; a cell of fewer than {LEAST} people is suppressed, and so is every "
    "number from which one could be computed."
)
_ROUNDED = (
    "Counts of films in the bundle are rounded down to tens or left out, class shares rounded to hundredths, ages "
    f"above {_OLDEST:g} set to {_OLDEST:g}."
)
SENTENCES = (
    _NO_FILMS,
    _SUPPRESSED,
    _ROUNDED,
    "Curves, confusion tables, the failure gallery and predictions are left out.",
)
"""What is done to a shared package, in sentences."""


def write_shared_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """Write a bundle without what tells of films or people.

    The network and its thresholds stay as they are, so that its decisions do; probabilities corrected for another
    prevalence may differ in the third digit, for the class mix is rounded.

    Parameters
    ----------
    bundle : Bundle
    folder : Path
        Must not exist.

    Returns
    -------
    Bundle
        As written and read back.

    Raises
    ------
    OutputError
    """
    said = bundle.description
    training = said.get("training") or {}
    description: dict[str, Any] = {name: said[name] for name in _KEPT if name in said}
    description |= {"created": said.get("created"), "carina_version": said.get("carina_version")}
    description = {name: value for name, value in description.items() if value is not None}
    description["training"] = {name: training[name] for name in _TRAINING if name in training}
    description["calibration"] = _calibration(said.get("calibration"))
    if isinstance(said.get("branches"), Mapping):
        description["branches"] = {name: said["branches"][name] for name in _BRANCHES if name in said["branches"]}
    description["shared_from"] = {"bundle_sha256": bundle.sha256, "sentences": list(SENTENCES)}
    return write_bundle(folder, bundle.model, description, _card(bundle))


def _calibration(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if said is None:
        return None
    shares = {name: max(round(float(share), 2), 0.01) for name, share in said["class_mix"].items()}
    whole = sum(shares.values())
    conformal = dict(said["conformal"])
    conformal["patients"] = {name: _tens(count) for name, count in conformal["patients"].items()}
    return {
        "model_sha256": said["model_sha256"],
        "temperature": said["temperature"],
        "class_mix": {name: share / whole for name, share in shares.items()},
        "thresholds": {name: _threshold(record) for name, record in said["thresholds"].items()},
        "conformal": conformal,
        "table_sha256": said["table_sha256"],
        "films": max(_tens(said["films"]), LEAST),
    }


def _threshold(record: Mapping[str, Any]) -> dict[str, Any]:
    ages = record.get("ages")
    return {**record, "ages": None if ages is None else [min(float(age), _OLDEST) for age in ages]}


def _tens(count: int) -> int:
    return int(count) // LEAST * LEAST


def _card(bundle: Bundle) -> str:
    task = bundle.task
    what = (
        f"Task `{task.name}` version {task.version}: {', '.join(task.classes)}; input `{task.input}`. "
        f"Model sha-256 `{bundle.model_sha256}`."
    )
    lines = [
        f"# {bundle.name} {bundle.version}, as shared",
        "",
        "**Research use only.** Not a medical device. The doctor decides.",
        "",
        what,
        "",
        "Validate it on your own films before anyone relies on it: `carina evaluate` with your film table.",
        "",
        *(f"- {sentence}" for sentence in SENTENCES),
        "",
    ]
    return "\n".join(lines)
