"""From a film table to a calibrated bundle: prepare, fit, export, calibrate, judge, describe (M4, M5, M11)."""

from __future__ import annotations

import csv
import json
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import onnxruntime
import polars as pl
import torch
from numpy.typing import NDArray

from carina import __version__
from carina.errors import TableError, TrainingError
from carina.inference import Calibration, calibrated_probabilities, fit_calibration, open_session, write_bundle
from carina.inference.calibrate import require_sides
from carina.inference.lungs import LungFinder
from carina.networks.branch_training import fit_branches
from carina.networks.export import export_onnx
from carina.networks.judgement import judge
from carina.networks.model_card import model_card
from carina.networks.recipe import Recipe
from carina.networks.training import Machine, Prepared, Trained, fit, prepare
from carina.sampling import (
    FilmTable,
    contrast_ages,
    parameters_per_film_warning,
    patient_key,
    read_film_table,
    require_two_classes,
)
from carina.tasks import Task

__all__ = ["TrainingOrder", "train_bundle"]

_BATCH = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class TrainingOrder:
    """Everything that decides a training.

    Attributes
    ----------
    table : Path
        Film table.
    out : Path
        Run folder; the bundle is written to its ``bundle``.
    task : Task
    recipe : Recipe
    machine : Machine
    where : tuple of str
        ``COLUMN=VALUE`` conditions that every row must meet.
    hold_out : Path or None
        CSV with a column `image_id`; these films' patients go to `test` only.
    strict : bool
        Refuse labels outside the task.
    name, version : str
        Of the bundle.
    learning_curve : str or None
        Shares of the training patients, comma-separated.
    open_test : bool
        Judge the finished model on `test`; every opening is logged.
    """

    table: Path
    out: Path
    task: Task
    recipe: Recipe
    machine: Machine
    where: tuple[str, ...] = ()
    hold_out: Path | None = None
    strict: bool = False
    name: str = "model"
    version: str = "1.0.0"
    learning_curve: str | None = None
    open_test: bool = False


def train_bundle(order: TrainingOrder, progress: Callable[[int, int], None] | None = None) -> Path:
    """Carry out a training.

    Parameters
    ----------
    order : TrainingOrder
    progress : callable, optional
        Called with (films read, films in all).

    Returns
    -------
    Path
        Folder of the bundle.

    Raises
    ------
    TableError, TrainingError, CalibrationError, WeightsError, OutputError
    """
    target = order.out / "bundle"
    if target.exists():
        raise TrainingError(f"{str(target)!r} is there already; a finished run is not changed, choose another folder")
    if not _NAME.fullmatch(order.name):
        raise TrainingError(f"the name of a bundle is letters, digits, dots, dashes, underscores; found {order.name!r}")
    _check_input(order)
    shares = _shares(order.learning_curve) if order.learning_curve is not None else []
    order.out.mkdir(parents=True, exist_ok=True)
    table = _chosen_rows(read_film_table(order.table, order.task, strict=order.strict), order.where)
    for note in table.notes():
        sys.stderr.write(f"{note}\n")
    prepared = prepare(
        table,
        order.recipe,
        order.out,
        held_out=_held_out(order.hold_out),
        workers=order.machine.workers,
        progress=progress,
    )
    for image, reason in list(prepared.refused.items())[:10]:
        sys.stderr.write(f"film {image} left out: {reason}\n")
    require_two_classes(prepared.table.part("train").labels, order.task)
    calibrating = prepared.table.part("calibrate")
    require_sides(calibrating.labels, calibrating.patients, order.task)
    curve = _learning_curve(order, prepared, shares)
    trained = fit(prepared, order.task, order.recipe, order.out, order.machine)
    branches = None
    if order.recipe.branches:
        branches = fit_branches(
            trained.network,
            prepared.table,
            order.recipe,
            order.out,
            finder=LungFinder.load(),
            accelerator=order.machine.accelerator,
        )
    model = export_onnx(trained.network)
    logits = _logits(model, prepared, order.machine.threads or 1)
    calibration = _calibrate(order, prepared, model, logits)
    figures = judge(
        calibrated_probabilities(logits, order.task, calibration),
        prepared.table,
        order.task,
        calibration,
        order.out,
        open_test=order.open_test,
    )
    description = _description(order, prepared, trained, calibration)
    description["training"]["learning_curve"] = curve
    description["figures"] = figures
    if branches is not None:
        description["branches"] = branches.to_dict()
    write_bundle(target, model, description, model_card(description, order.task))
    return target


def _check_input(order: TrainingOrder) -> None:
    """Refuse what rests on lung fields where the task's input has none."""
    if order.task.kind.lungs:
        return
    if order.recipe.needs_lungs:
        raise TrainingError(
            f"lung fields are not looked for on the input {order.task.input!r} of task {order.task.name!r}; "
            "train with framing = 'whole', without branches, and with lungless, surroundings and planted at 0"
        )


def _chosen_rows(table: FilmTable, where: tuple[str, ...]) -> FilmTable:
    frame = table.frame
    for condition in where:
        column, equals, value = condition.partition("=")
        if not equals or column not in frame.columns:
            raise TableError(f"--where takes COLUMN=VALUE with a column of the table; found {condition!r}")
        frame = frame.filter(pl.col(column).cast(pl.String) == value)
    if frame.height == 0:
        raise TableError(f"no film of the table meets {' and '.join(where)}")
    return table.with_frame(frame)


def _held_out(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return frozenset(row["image_id"] for row in csv.DictReader(file))
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise TableError(f"--hold-out takes a CSV with a column image_id; {str(path)!r} is not one: {error}") from error


def _logits(model: bytes, prepared: Prepared, threads: int) -> NDArray[np.float64]:
    """Logits ``(N, K)`` of every film of the table, by the exported model."""
    session = open_session(model, threads=threads)
    rows = prepared.rows
    parts = [
        session.run(np.ascontiguousarray(prepared.cache.films[rows[start : start + _BATCH]])).logits
        for start in range(0, len(rows), _BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def _calibrate(order: TrainingOrder, prepared: Prepared, model: bytes, logits: NDArray[np.float64]) -> Calibration:
    split = np.array(prepared.table.frame["split"].to_list())
    films = split == "calibrate"
    return fit_calibration(
        logits[films],
        list(np.array(prepared.table.labels)[films]),
        list(np.array(prepared.table.patients)[films]),
        order.task,
        sources=list(np.array(prepared.table.sources)[films]),
        ages=contrast_ages(prepared.table.part("train"), order.task),
        model_sha256=sha256(model).hexdigest(),
        table_sha256=prepared.table.sha256,
        seed=order.recipe.seed,
    )


def _learning_curve(order: TrainingOrder, prepared: Prepared, shares: list[float]) -> list[dict[str, float]]:
    """Train on growing shares of the training patients and note the tune loss (M5)."""
    points = []
    for share in shares:
        people = sorted(set(prepared.table.part("train").patients))
        rng = np.random.default_rng(order.recipe.seed)
        kept = set(rng.permutation(people)[: max(1, round(share * len(people)))].tolist())
        frame = prepared.table.frame
        stays = (pl.col("split") != "train") | pl.col("patient_id").is_in(list(kept))
        mask = frame.select(stays).to_series().to_numpy()
        smaller = replace(prepared, table=prepared.table.with_frame(frame.filter(stays)), rows=prepared.rows[mask])
        run = order.out / f"learning_curve_{share:g}"
        run.mkdir(exist_ok=True)
        trained = fit(smaller, order.task, order.recipe, run, order.machine)
        points.append({"share": share, "patients": len(kept), "epochs": trained.epochs, "tune_loss": trained.tune_loss})
        (order.out / "learning_curve.json").write_text(json.dumps(points, indent=1), "utf-8")
    return points


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise TrainingError(f"--learning-curve takes shares such as 0.25,0.5,1; found {text!r}") from error
    if not all(0 < share <= 1 for share in shares):
        raise TrainingError(f"shares of a learning curve lie above 0 and at most 1; found {text!r}")
    return shares


def _description(
    order: TrainingOrder, prepared: Prepared, trained: Trained, calibration: Calibration
) -> dict[str, Any]:
    train = prepared.table.part("train")
    parameters = sum(value.numel() for value in trained.network.parameters())
    seen = prepared.table.frame["split"].is_in(["train", "tune"]).to_numpy()
    return {
        "name": order.name,
        "version": order.version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": order.task.model_dump(mode="json"),
        "preprocessing": order.recipe.standardisation().model_dump(mode="json"),
        "network": {
            "name": order.recipe.network,
            "parameters": parameters,
            "hierarchical": order.recipe.hierarchical,
        },
        "calibration": calibration.to_dict(),
        "training": {
            "recipe": order.recipe.model_dump(mode="json"),
            "seed": order.recipe.seed,
            "epochs": trained.epochs,
            "tune_loss": trained.tune_loss,
            "versions": _versions(),
            "table_sha256": prepared.table.sha256,
            "where": list(order.where),
            "notes": [*prepared.table.notes(), parameters_per_film_warning(parameters, len(train))],
            "refused": len(prepared.refused),
            "split": prepared.proof.to_dict(),
            "labels": _counts(prepared.table),
            "ages": {name: record.ages for name, record in calibration.thresholds.items()},
            "films": {
                "perceptual_hashes": sorted({found for found, used in zip(prepared.hashes, seen, strict=True) if used}),
                "patients": sorted(
                    {patient_key(name) for name, used in zip(prepared.table.patients, seen, strict=True) if used}
                ),
            },
        },
    }


def _counts(table: FilmTable) -> dict[str, dict[str, int]]:
    """Films by split and ``source/label``."""
    result: dict[str, dict[str, int]] = {}
    for split, source, label in zip(table.frame["split"].to_list(), table.sources, table.labels, strict=True):
        part = result.setdefault(split, {})
        part[f"{source}/{label}"] = part.get(f"{source}/{label}", 0) + 1
    return {split: dict(sorted(part.items())) for split, part in sorted(result.items())}


def _versions() -> dict[str, str]:
    return {
        "carina": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
    }
