"""What `carina signature` leaves behind: signature.json, features.csv, scores.csv and the model as data."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carina import __version__
from carina.errors import OutputError
from carina.evidence.signature import Signature
from carina.evidence.signature_effects import Effect
from carina.evidence.signature_parts import Part
from carina.evidence.signature_table import feature_code
from carina.statistics import Estimate

__all__ = ["as_signature", "signature_sentences", "write_signature"]

SCHEMA = 1
_FEATURES = ("feature", "ibsi", "kept", "why", *(one.name for one in fields(Effect) if one.name != "feature"), "folds")
_LISTED = 20


def write_signature(found: Signature, out: Path, now: datetime | None = None) -> dict[str, Any]:
    """Write everything.

    Parameters
    ----------
    found : Signature
    out : Path
        Folder; gets ``signature.json``, ``features.csv`` (every feature), ``scores.csv`` (every film's scores by models
        that were not fitted to its patient) and ``model.json``.
    now : datetime or None
        The present when left out.

    Returns
    -------
    dict
        As ``signature.json`` holds it.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    values = as_signature(found, now)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "features.csv").write_text(_csv(_FEATURES, _feature_rows(found)), "utf-8")
        (out / "scores.csv").write_text(_csv(*_score_rows(found)), "utf-8")
        (out / "model.json").write_text(_json(_model(found)), "utf-8")
        (out / "signature.json").write_text(_json(values), "utf-8")
    except OSError as error:
        raise OutputError(
            f"a signature must go to a folder that can be written; {str(out)!r}: {error.strerror}"
        ) from error
    return values


def as_signature(found: Signature, now: datetime | None = None) -> dict[str, Any]:
    """Everything as ``signature.json`` holds it; see `write_signature`."""
    options, models = found.options, found.options.models
    strongest = sorted(found.effects, key=lambda one: one.p if one.p is not None else 2.0)[:_LISTED]
    inside = sorted((one for one in found.effects if one.within_p is not None), key=lambda one: one.within_p or 0.0)[
        :_LISTED
    ]
    values = {
        "schema": SCHEMA,
        "carina": __version__,
        "created": f"{now or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "task": found.task.name,
        "contrast": found.contrast,
        "verdict": asdict(found.verdict),
        "sentences": signature_sentences(found),
        "table": {"sha256": found.table.sha256, "films": len(found.table), **_counts(found)},
        "features": {
            "measured": len(found.effects),
            "kept": len(found.kept),
            "left_out_as_unstable": len(found.effects) - len(found.kept),
            "left_out_as_unusable": found.table.left_out,
            "differing": sum(one.q is not None and one.q <= 0.05 for one in found.effects),  # noqa: PLR2004 - the rate
            "differing_within_sources": sum(
                one.within_q is not None and one.within_q <= 0.05  # noqa: PLR2004 - as above
                for one in found.effects
            ),
        },
        "strongest": [asdict(one) for one in strongest],
        "strongest_within_sources": [asdict(one) for one in inside],
        "parts": [_part(one) for one in found.parts],
        "options": {
            "seed": models.seed, "folds": models.folds, "inner_folds": models.inner_folds, "most": models.most,
            "alike": models.alike, "kinds": list(models.kinds), "harmonised": models.harmonise is not None,
            "permutations": options.permutations, "level": options.level,
        },
    }  # fmt: skip
    return dict(_plain(values))


def signature_sentences(found: Signature) -> list[str]:
    """Say what was found, the verdict first."""
    verdict = found.verdict
    first = f"A texture signature of {found.contrast} is {verdict.verdict}"
    first += f" in {', '.join(verdict.sources)}" if verdict.sources else ""
    if verdict.verdict == "shown" and not _carries_over(found.parts):
        first += ", each by itself: it does not carry over to another source"
    first += "."
    sentences = [first, *verdict.because, *found.notes]
    for part in found.parts:
        for kind, fusion in part.fusion.items():
            if kind != "elastic_net" or fusion.gain.value is None:
                continue
            said = {
                True: "adds to the network",
                False: "does not show that it adds to the network",
                None: "cannot be compared",
            }
            p = "" if fusion.gain_p is None else f", p = {fusion.gain_p:.3g}"
            sentences.append(
                f"Texture {said[fusion.adds]} in {_where(part.name)}: AUC {fusion.other.value:.3f} to "
                f"{fusion.fused.value:.3f}, gain {_interval(fusion.gain)}{p}, {fusion.films} films."
            )
    return sentences


def _carries_over(parts: Sequence[Part]) -> bool:
    """Whether models fitted to other sources hold in every source left out; true where none was."""
    areas = [next(iter(part.areas.values())) for part in parts if part.name.startswith("left_out=")]
    return all(area.low is not None and area.low > 0.5 for area in areas)  # noqa: PLR2004 - chance


def _where(name: str) -> str:
    return "all films" if name == "all" else name.partition("=")[2]


def _counts(found: Signature) -> dict[str, Any]:
    people, sources = found.table.column("patient_id"), found.table.column("source")
    return {
        "patients": len(set(people.tolist())),
        "positive": int(found.positive.sum()),
        "negative": int((~found.positive).sum()),
        "sources": {
            str(name): {
                "positive": int((found.positive & (sources == name)).sum()),
                "negative": int((~found.positive & (sources == name)).sum()),
            }
            for name in sorted(set(sources.tolist()))
        },
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "part": part.name,
        "sources": part.scope,
        "films": part.films,
        "patients": part.patients,
        "positive": part.positives,
        "auc": {kind: one.to_dict() for kind, one in part.areas.items()},
        "chosen": part.chosen,
        "used": dict(list(part.used.items())[:_LISTED]),
        "permutation": None if part.permutation is None else asdict(part.permutation),
        "views": None if part.views is None else {name: one.to_dict() for name, one in part.views.items()},
        "control": None if part.control is None else asdict(part.control),
        "fusion": {kind: asdict(one) for kind, one in part.fusion.items()},
    }


def _model(found: Signature) -> dict[str, Any]:
    """Logistic regression as data: scaled = (value or median - mean) / spread, cut at 5; log odds = their sum."""
    model = found.model
    if model is None:
        return {"schema": SCHEMA, "contrast": found.contrast, "verdict": found.verdict.verdict, "features": []}
    rows = zip(
        found.model_features, model.scaling.median.tolist(), model.scaling.mean.tolist(), model.scaling.spread.tolist(),
        model.coefficients.tolist(), strict=True,
    )  # fmt: skip
    return {
        "schema": SCHEMA,
        "contrast": found.contrast,
        "verdict": found.verdict.verdict,
        "fitted_to": found.model_films,
        "formula": "log odds = intercept + sum of coefficient * clip((value or median - mean) / spread, -5, 5)",
        "intercept": model.intercept,
        "features": [
            {
                "feature": name,
                "ibsi": feature_code(name),
                "median": median,
                "mean": mean,
                "spread": spread,
                "coefficient": c,
            }
            for name, median, mean, spread, c in rows
            if c != 0.0
        ],
    }


def _feature_rows(found: Signature) -> list[dict[str, Any]]:
    kept, why = set(found.kept), {} if found.stability is None else found.stability.why
    used: dict[str, int] = {}
    for part in found.parts:
        for name, count in part.used.items() if part.name.startswith("source=") else ():
            used[name] = used.get(name, 0) + count
    return [
        asdict(one)
        | {
            "ibsi": feature_code(one.feature),
            "kept": one.feature in kept,
            "why": why.get(one.feature, ""),
            "folds": used.get(one.feature, 0),
        }
        for one in found.effects
    ]


def _score_rows(found: Signature) -> tuple[Sequence[str], list[dict[str, Any]]]:
    kinds = found.options.models.kinds
    names, labels = found.table.column("image_id"), found.table.column("label")
    rows = [
        {
            "part": part.name,
            "image_id": names[row],
            "label": labels[row],
            "positive": int(found.positive[row]),
            **{kind: part.scores[kind][place] for kind in kinds},
        }
        for part in found.parts
        for place, row in enumerate(part.rows.tolist())
    ]
    return ("part", "image_id", "label", "positive", *kinds), rows


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(target, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(_plain(values), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _plain(value: Any) -> Any:
    """As JSON has it: numbers that are not finite become null, sequences lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _interval(found: Estimate) -> str:
    if found.value is None:
        return "not estimable"
    if found.low is None or found.high is None:
        return f"{found.value:+.3f} (no interval)"
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
