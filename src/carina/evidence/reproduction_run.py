"""One run of a reproduction: train on its parts, calibrate, judge its test films, audit, evaluate."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import CalibrationError
from carina.evidence.audit import audit_films
from carina.evidence.audit_films import gather
from carina.evidence.audit_outcome import Audit
from carina.evidence.contrast_numbers import IntervalOptions
from carina.evidence.evaluation import EvaluationOptions, evaluate_judged
from carina.evidence.evaluation_files import write_evaluation
from carina.evidence.judged_films import JudgedFilms, ModelStamp
from carina.evidence.reproduction_decided import WAYS, decided
from carina.evidence.reproduction_plan import Run
from carina.inference import (
    Bundle,
    Calibration,
    calibrated_probabilities,
    fit_calibration,
    open_session,
    write_bundle,
)
from carina.sampling import (
    DisjointProof,
    FilmTable,
    contrast_ages,
    parameters_per_film_warning,
    patient_key,
    within_reach,
)
from carina.tasks import Task

if TYPE_CHECKING:
    from carina.networks import Recipe
    from carina.networks.film_cache import CachedFilms
    from carina.networks.training import Trained

__all__ = ["Films", "carry_out"]

_BATCH = 32
_SCHEMA = 2
_FIGURES = ("auc", "sensitivity", "specificity", "ppv", "npv", "accuracy", "f1", "mcc", "kappa")


@dataclass(frozen=True, slots=True)
class Films:
    """What all runs share.

    Attributes
    ----------
    table : FilmTable
    cache : CachedFilms
        Of the table's films, in its order.
    task : Task
    """

    table: FilmTable
    cache: CachedFilms
    task: Task


def carry_out(
    run: Run, films: Films, recipe: Recipe, out: Path, *, audit: bool, threads: int, repeats: int
) -> dict[str, Any]:
    """Train and evaluate one run, or take it from an earlier call; an interrupted training goes on.

    Parameters
    ----------
    run : Run
    films : Films
    recipe : Recipe
    out : Path
        Folder of the run; ``result.json`` is written last.
    audit : bool
        Whether the model is audited on its test films; without it numbers that need one are withheld.
    threads : int
    repeats : int
        Bootstrap draws.

    Returns
    -------
    dict
        Films, leaks, seconds, how films were called (withheld where a figure of the run is), figures; JSON.
    """
    result = out / "result.json"
    table = _parted(run, films.table)
    asked = {
        "schema": _SCHEMA,
        "recipe": recipe.model_dump(mode="json"),
        "films": _identity(run, table),
        "audit": audit,
        "repeats": repeats,
    }
    if result.is_file() and (before := json.loads(result.read_text("utf-8")))["asked"] == asked:
        return dict(before)
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    trained, model = _trained(table, run, films, recipe, out=out, threads=threads)
    seconds = _so_far(out / "seconds.json", time.perf_counter() - started)
    logits = _logits(model, films.cache, run.rows, threads)
    calibration, said = _calibrated(table, films.task, model, logits, recipe.seed + run.seed)
    bundle = _bundle(table, films.task, recipe, model=model, calibration=calibration, out=out)
    parameters = sum(value.numel() for value in trained.network.parameters())
    own = calibrated_probabilities(logits, films.task, None)
    calibrated = calibrated_probabilities(logits, films.task, calibration)
    test = np.flatnonzero(np.array(table.frame["split"].to_list()) == "test")
    stamp = ModelStamp(bundle.name, bundle.version, bundle.model_sha256)
    judged = JudgedFilms(table=table, task=films.task, probabilities=calibrated, model=stamp).take(test)
    found: Audit | None = None
    if audit:
        looked = gather(films.task, judged.table, bundle=bundle, workers=1)
        found = audit_films(looked, model=judged.model)
    options = EvaluationOptions(intervals=IntervalOptions(repeats=repeats))
    evaluation = evaluate_judged(judged, options, calibration=calibration, audit=found, said=said)
    metrics = write_evaluation(evaluation, {"seed": 1, "repeats": repeats}, out / "evaluation")
    figures = [number for number in metrics["numbers"] if _is_figure(number)]
    withheld = any(str(number.get("note") or "").startswith("withheld") for number in figures)
    values = {
        "asked": asked,
        "arm": run.arm,
        "run": run.number,
        "seed": run.seed,
        "films": run.count(),
        "leaks": _leaks(table, [films.cache.hashes[row] for row in run.rows]),
        "training_seconds": round(seconds, 1),
        "epochs": trained.epochs,
        "parameters": parameters,
        "warning": parameters_per_film_warning(parameters, run.count()["train"]),
        "model_sha256": bundle.model_sha256,
        "classes": list(films.task.classes),
        "decided": None
        if withheld
        else {
            way: decided(judged.table, films.task, chances[test])
            for way, chances in zip(WAYS, (own, calibrated), strict=True)
        },
        "figures": figures,
        "verdicts": None if found is None else {name: one.verdict for name, one in found.verdicts.items()},
        "sentences": said,
    }
    part = result.with_name(".result.part")
    part.write_text(json.dumps(values, indent=1, allow_nan=False), "utf-8")
    part.replace(result)
    return values


def _parted(run: Run, table: FilmTable) -> FilmTable:
    frame = table.frame[run.rows]
    return table.with_frame(frame.with_columns(pl.Series("split", list(run.parts), dtype=pl.String)))


def _identity(run: Run, table: FilmTable) -> str:
    text = "\n".join(f"{name} {part}" for name, part in zip(table.image_ids, run.parts, strict=True))
    return sha256(f"{table.sha256}\n{text}".encode()).hexdigest()


def _trained(
    table: FilmTable, run: Run, films: Films, recipe: Recipe, *, out: Path, threads: int
) -> tuple[Trained, bytes]:
    from carina.networks import Machine, export_onnx  # noqa: PLC0415 - torch, where a training is asked for
    from carina.networks.training import Prepared, fit  # noqa: PLC0415 - as above

    counts = run.count()
    leaks = _leaks(table, [films.cache.hashes[row] for row in run.rows])
    # Not a proof of disjointness but the count of what is shared: one arm splits by film on purpose.
    proof = DisjointProof(counts, {}, leaks["patients"], 0, None, leaks["near_duplicates"])
    prepared = Prepared(table=table, rows=run.rows, cache=films.cache, proof=proof, refused={})
    own = recipe.changed({"seed": recipe.seed + run.seed})
    trained = fit(prepared, films.task, own, out, Machine(accelerator="cpu", threads=threads))
    return trained, export_onnx(trained.network)


def _logits(model: bytes, cache: CachedFilms, rows: NDArray[np.intp], threads: int) -> NDArray[np.float64]:
    session = open_session(model, threads=threads)
    starts = range(0, len(rows), _BATCH)
    parts = [session.run(np.ascontiguousarray(cache.films[rows[start : start + _BATCH]])).logits for start in starts]
    return np.concatenate(parts).astype(np.float64)


def _calibrated(
    table: FilmTable, task: Task, model: bytes, logits: NDArray[np.float64], seed: int
) -> tuple[Calibration | None, list[str]]:
    chosen = np.array(table.frame["split"].to_list()) == "calibrate"
    part = table.with_frame(table.frame.filter(chosen))
    try:
        return fit_calibration(
            logits[chosen],
            part.labels,
            part.patients,
            task,
            sources=part.sources,
            ages=contrast_ages(table.part("train"), task),
            model_sha256=sha256(model).hexdigest(),
            table_sha256=table.sha256,
            seed=seed,
        ), []
    except CalibrationError as error:
        return None, [f"not calibrated, thresholds at even odds: {error}"]


def _bundle(
    table: FilmTable, task: Task, recipe: Recipe, *, model: bytes, calibration: Calibration | None, out: Path
) -> Bundle:
    folder = out / "bundle"
    if folder.exists():  # of a call that was interrupted after the training
        shutil.rmtree(folder)
    learned = table.with_frame(table.frame.filter(pl.col("split").is_in(["train", "tune"])))
    description = {
        "name": "reproduction",
        "version": "1.0.0",
        "task": task.model_dump(mode="json"),
        "preprocessing": recipe.standardisation().model_dump(mode="json"),
        "network": {"name": recipe.network},
        "calibration": None if calibration is None else calibration.to_dict(),
        "training": {
            "recipe": recipe.model_dump(mode="json"),
            "films": {"patients": sorted({patient_key(name) for name in learned.patients})},
        },
    }
    card = "# A reproduction's model\n\nIt repeats a published protocol and is for no other use.\n"
    return write_bundle(folder, model, description, card)


def _so_far(file: Path, seconds: float) -> float:
    """Add the seconds of this call to those of earlier ones that ended the training; a call that was killed is lost."""
    before = float(json.loads(file.read_text("utf-8"))) if file.is_file() else 0.0
    file.write_text(json.dumps(before + seconds), "utf-8")
    return before + seconds


def _leaks(table: FilmTable, hashes: Sequence[str]) -> dict[str, int]:
    """Patients of `test` that were learned from, and `test` films that are near-duplicates of films learned from."""
    parts = np.array(table.frame["split"].to_list())
    learned, test = np.flatnonzero(np.isin(parts, ("train", "tune"))), np.flatnonzero(parts == "test")
    people = np.array(table.patients, dtype=object)
    near = within_reach([hashes[row] for row in test.tolist()], [hashes[row] for row in learned.tolist()])
    return {
        "patients": len(set(people[test].tolist()) & set(people[learned].tolist())),
        "near_duplicates": int(near.sum()),
    }


def _is_figure(number: dict[str, Any]) -> bool:
    return (
        number["group"] == "contrast"
        and number["measure"] in _FIGURES
        and number["cell"] == "all"
        and number["films_used"] == "first_films"
    )
