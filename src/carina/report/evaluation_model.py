"""What a bundle says of its model and training, and where a run comes from, as pairs for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carina.inference import Bundle
from carina.report.evaluation_run import EvaluationRun
from carina.report.page import words

__all__ = ["made_by", "model_facts"]


def model_facts(bundle: Bundle | None, why: str | None) -> dict[str, Any]:
    """Tell what a bundle says of its model.

    Parameters
    ----------
    bundle : Bundle or None
    why : str or None
        Why there is none.

    Returns
    -------
    dict
        `why`, `facts` (name and text), `splits` and `rows`: films of the training by source and label in each split.
    """
    if bundle is None:
        return {"why": why, "facts": [], "splits": [], "rows": []}
    training = bundle.description.get("training", {})
    labels = training.get("labels", {})
    names = sorted({name for counts in labels.values() for name in counts})
    return {
        "why": None,
        "facts": [*_network(bundle.description), *_training(training), *_calibration(bundle.description)],
        "splits": list(labels),
        "rows": [(name.replace("/", " / "), [labels[part].get(name, 0) for part in labels]) for name in names],
    }


def made_by(run: EvaluationRun) -> list[tuple[str, str]]:
    """Tell where a run comes from: hashes, seed, versions, options."""
    model, table, metrics = run.model or {}, run.metrics.get("table") or {}, run.metrics
    options = ", ".join(
        f"{name} {value}" for name, value in (metrics.get("options") or {}).items() if value not in (None, False)
    )
    pairs = [
        ("Model sha-256", model.get("model_sha256")),
        ("Film table sha-256", table.get("sha256")),
        ("Evaluated", metrics.get("created")),
        ("Carina", metrics.get("carina")),
        ("Seed", metrics.get("seed")),
        ("Options", options),
        ("Criteria of the audit", (run.audit or {}).get("criteria_version")),
    ]
    return [(name, str(value)) for name, value in pairs if value not in {None, ""}]


def _network(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    network, spec = told.get("network", {}), told.get("preprocessing", {})
    framing = str(spec.get("framing")).replace("_", " ")
    return [
        (
            "Network",
            f"{network.get('name')}, {network.get('parameters', 0):,} parameters; one network, nothing combined",
        ),
        ("Sees", f"the {framing} film at {spec.get('size')} px, grey scale {spec.get('intensity')}"),
    ]


def _training(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    recipe, split = training.get("recipe", {}), training.get("split", {})
    parts = [
        f"{name.replace('_', ' ')} {recipe.get(name)}" for name in ("epochs", "batch", "learning_rate", "augmentation")
    ]
    versions = ", ".join(f"{name} {value}" for name, value in training.get("versions", {}).items())
    apart = f"{split.get('shared_patients')}; nearest films of two parts {split.get('nearest_bits')} of 256 bits apart"
    return [
        ("First weights", "ImageNet" if recipe.get("pretrained") else "random"),
        ("Training", f"{', '.join(parts)}, seed {training.get('seed')}; the epoch with the least loss on tune films"),
        ("Patients in two parts", apart),
        ("Libraries", versions),
    ]


def _calibration(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = told.get("calibration") or {}
    if not found:
        return [("Calibrated on", "no films: its probabilities are the network's own")]
    mix = ", ".join(f"{words(name)} {share:.0%}" for name, share in found.get("class_mix", {}).items())
    return [
        ("Calibrated on", f"{found.get('films', 0):,} films of {found.get('patients', 0):,} patients; class mix {mix}")
    ]
