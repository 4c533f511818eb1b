"""An evaluation of invented films, as `carina evaluate` stores one: small, with each kind of number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONTRASTS = {
    "pneumonia": ("supported", 0.951),
    "covid19_given_pneumonia": ("not supported", 0.962),
    "bacterial_given_pneumonia": ("not shown", 0.812),
}
GROUPS = {
    "sex": ("F", "M"),
    "age_band": ("0-17", "18-39", "40-64", "65+"),
    "source": ("east", "west"),
    "view": ("AP", "PA"),
}


def number(
    identity: str, group: str, measure: str, value: float | None, half: float = 0.04, **more: Any
) -> dict[str, Any]:
    """One number; its interval is the value, `half` to each side, inside [0, 1]."""
    return {
        "id": identity,
        "group": group,
        "contrast": None,
        "measure": measure,
        "cell": "all",
        "denominator": None,
        "films_used": "first_films",
        "value": value,
        "low": None if value is None else round(max(0.0, value - half), 6),
        "high": None if value is None else round(min(1.0, value + half), 6),
        "level": 0.95,
        "family": None,
        "method": "Clopper-Pearson",
        "events": None if value is None else round(120 * value),
        "n": 120,
        "patients": 120,
        "threshold": None,
        "rule": "M29",
        "headline": False,
        "verdict": None,
        "note": None,
        **more,
    }


def numbers() -> list[dict[str, Any]]:
    """Every number of the evaluation."""
    return [one for contrast in CONTRASTS for one in (*_overall(contrast), *_parts(contrast))] + _classes()


def _overall(contrast: str) -> list[dict[str, Any]]:
    (verdict, area), found = CONTRASTS[contrast], []
    own: dict[str, Any] = {"contrast": contrast, "verdict": verdict}
    for measure, value in (
        *(
            ("auc", area),
            ("average_precision", area - 0.02),
            ("sensitivity", area - 0.08),
            ("specificity", area - 0.03),
        ),
        *(("accuracy", area - 0.05), ("f1", area - 0.06), ("mcc", area - 0.15), ("kappa", area - 0.16)),
    ):
        found.append(number(f"{contrast}.{measure}.first_films", "contrast", measure, value, threshold=0.42, **own))
    family = {
        "level": 0.9875,
        "family": 4,
        "method": "Clopper-Pearson, Bonferroni m=4",
        "rule": "M30",
        "threshold": 0.42,
    }
    for denominator in ("among_pneumonia", "all_films"):
        for measure, value in (("ppv", area - 0.1), ("npv", area - 0.02)):
            identity = f"{contrast}.{measure}.{denominator}.first_films"
            head = denominator == "among_pneumonia" and contrast != "pneumonia"
            extra = {**family, "headline": head, "denominator": denominator}
            found.append(number(identity, "contrast", measure, value, 0.07, **extra, **own))
    for measure, value in (
        ("slope", 0.91),
        ("intercept", -0.12),
        ("ece", 0.034),
        ("brier", 0.081),
    ):
        found.append(number(f"{contrast}.{measure}", "calibration", measure, value, 0.02, low=value - 0.02, **own))
    return found


def _parts(contrast: str) -> list[dict[str, Any]]:
    (verdict, area), found = CONTRASTS[contrast], []
    own: dict[str, Any] = {"contrast": contrast, "verdict": verdict}
    for factor, levels in GROUPS.items():
        for place, level in enumerate(levels):
            for measure, less in (("auc", 0.0), ("sensitivity", 0.08), ("specificity", 0.03)):
                cell = f"{factor}={level}"
                one = number(
                    f"{contrast}.{measure}.{cell}",
                    "subgroup",
                    measure,
                    area - less - 0.02 * place,
                    0.06,
                    cell=cell,
                    n=31 + place,
                    **own,
                )
                if level == "65+" and contrast == "bacterial_given_pneumonia":
                    one.update(value=None, low=None, high=None, note="not estimable: one class only")
                found.append(one)
    for change, drop in (("noise", 0.01), ("jpeg", 0.004), ("rotation", 0.03)):
        found.append(
            number(f"{contrast}.auc.{change}", "robustness", "auc", area - drop, cell=f"change={change}", **own)
        )
    for covariate, p in (("age", 0.03), ("sex", 0.61), ("bmi", 0.44), ("ethnicity", 0.0002)):
        found.append(
            number(
                f"{contrast}.p.{covariate}",
                "association",
                "interaction_p_holm",
                p,
                low=None,
                high=None,
                cell=f"covariate={covariate}",
                rule="M32",
                **own,
            )
        )
    return found


def _classes() -> list[dict[str, Any]]:
    found = []
    for name, gold, said in (
        ("normal", 0.41, 0.38),
        ("bacterial", 0.28, 0.31),
        ("viral", 0.2, 0.19),
        ("covid19", 0.11, 0.12),
    ):
        found.append(
            number(f"proportion.gold.{name}", "proportion", "gold_share", gold, cell=f"class={name}", rule="M28")
        )
        found.append(
            number(
                f"proportion.predicted.{name}",
                "proportion",
                "predicted_share",
                said,
                cell=f"class={name}",
                rule="M28",
            )
        )
        found.append(number(f"coverage.{name}", "conformal", "coverage", 0.95, cell=f"class={name}"))
    return found


def curves() -> dict[str, Any]:
    """Curves of each contrast."""
    steps = [place / 20 for place in range(21)]
    return {
        contrast: {
            "roc": {
                "points": [[x, x**0.25, 1 - x] for x in steps],
                "band": [[x, max(0.0, x**0.25 - 0.06), min(1.0, x**0.25 + 0.05)] for x in steps],
            },
            "pr": {"points": [[x, 1 - 0.5 * x**4, 1 - x] for x in steps]},
            "calibration": [
                {
                    "predicted": x,
                    "observed": min(1.0, x * 0.93 + 0.04),
                    "low": max(0.0, x - 0.1),
                    "high": min(1.0, x + 0.1),
                    "n": 40 - abs(place - 10),
                }
                for place, x in enumerate(steps[1:20:2])
            ],
            "decision": [
                {"threshold": t, "net_benefit": 0.4 * (1 - t**3), "treat_all": (0.45 - t) / (1 - t)}
                for t in steps[1:20]
            ],
        }
        for contrast in CONTRASTS
    }


def metrics() -> dict[str, Any]:
    """`metrics.json`."""
    classes = ["normal", "bacterial", "viral", "covid19"]
    return {
        "schema": 1,
        "carina": "0.1.0",
        "created": "2020-08-20T09:30:00+00:00",
        "options": {"split": None, "repeats": 2000},
        "seed": 20200820,
        "task": {"name": "pneumonia", "version": 1, "classes": classes},
        "model": {"name": "pneumonia", "version": "1.1.0", "model_sha256": "ab" * 32, "path": "no/such/bundle"},
        "table": {"sha256": "cd" * 32, "films": 260, "patients": 240},
        "films": {
            "given": 260,
            "judged": 240,
            "refused": {"too dark": 3},
            "left_out": {"patient of the training": 15, "label outside the task: other": 2},
        },
        "numbers": numbers(),
        "curves": curves(),
        "confusion": {
            "labels": classes,
            "classes": classes,
            "matrix": [[90, 4, 2, 1], [6, 50, 10, 2], [4, 12, 30, 3], [1, 0, 3, 22]],
        },
        "gallery": [
            {
                "image_id": "film-7",
                "path": "films/7.png",
                "label": "normal",
                "source": "east",
                "decision": "covid19",
                "probabilities": {"normal": 0.08, "bacterial": 0.1, "viral": 0.11, "covid19": 0.71},
                "reason": "called covid19, is normal",
            }
        ],
        "audit": {
            contrast: {"verdict": verdict, "because": [f"{contrast}: without lungs it still tells them apart [P3]"]}
            for contrast, (verdict, _) in CONTRASTS.items()
        },
        "sentences": ["Two sources, east and west."],
    }


def audit() -> dict[str, Any]:
    """`audit/audit.json`."""
    return {
        "schema": 1,
        "model": "pneumonia 1.1.0",
        "table_sha256": "cd" * 32,
        "films": 240,
        "patients": 240,
        "criteria_version": 1,
        "probes": [
            {
                "id": "P3",
                "name": "lungs blacked out",
                "contrast": "covid19_given_pneumonia",
                "criterion": "AUC on films without lungs at most 0.65.",
                "describes": "model",
                "measured": {"auc": {"value": 0.81, "low": 0.75, "high": 0.86, "n": 120}},
                "outcome": "failed",
                "sentence": "Without lungs the model still tells COVID-19 from others.",
            },
            {
                "id": "P7",
                "name": "near-duplicates across the split",
                "contrast": None,
                "criterion": "None.",
                "describes": "data",
                "measured": {"pairs": {"value": 0, "low": None, "high": None, "n": 240}},
                "outcome": "passed",
                "sentence": "No film is nearly one of the training.",
            },
            {
                "id": "P8",
                "name": "heatmap inside the lungs",
                "contrast": None,
                "criterion": "Share of the map inside the lungs at least their area's.",
                "describes": "model",
                "measured": {"share": {"value": 0.61, "low": 0.57, "high": 0.66, "n": 200}},
                "outcome": "passed",
                "sentence": "The map's mass lies in the lungs more than by chance.",
            },
        ],
        "verdicts": metrics()["audit"],
        "films_listed": [],
    }


def write_run(folder: Path, **changes: Any) -> Path:
    """Write the evaluation into a folder; a change replaces a part of `metrics.json`."""
    (folder / "audit").mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({**metrics(), **changes}), "utf-8")
    (folder / "audit" / "audit.json").write_text(json.dumps(audit()), "utf-8")
    return folder
