"""From a film table to trained weights: split, cache, fit, restart (M11, M20, M24, M25)."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import lightning
import numpy as np
import polars as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from carina.errors import OutputError, TrainingError
from carina.inference.lungs import LungFinder
from carina.networks.branch_training import branch_films
from carina.networks.classifier import FilmClassifier
from carina.networks.film_cache import CachedFilms, cache_films
from carina.networks.film_data import FilmData, FilmPart
from carina.networks.film_network import FilmNetwork
from carina.networks.planted_films import PlantedFilms
from carina.networks.recipe import Recipe
from carina.sampling import (
    DEFAULT_FRACTIONS,
    DisjointProof,
    FilmTable,
    film_weights,
    matched_pairs,
    paper_draw,
    prove_disjoint,
    split_by_patient,
)
from carina.tasks import Task

__all__ = ["Machine", "Prepared", "Trained", "fit", "prepare"]


_DISK_WORDS = ("No space left", "PytorchStreamWriter", "file write failed")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a training runs on.

    Attributes
    ----------
    accelerator : str
        Lightning accelerator: ``"auto"``, ``"cpu"``, ``"gpu"``.
    devices : int
        GPUs, or processes on the CPU, a node.
    nodes : int
    threads : int or None
        Threads of one process on the CPU; `None` leaves torch's choice.
    workers : int
        Processes that read films into the cache.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int | None = None
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """A table ready to train on.

    Attributes
    ----------
    table : FilmTable
        Readable films, each with a split.
    rows : ndarray of int, (N,)
        Row of each film in `cache`.
    cache : CachedFilms
    proof : DisjointProof
    refused : dict of str to str
        Image id and reason of films that could not be read.
    """

    table: FilmTable
    rows: np.ndarray[tuple[int], np.dtype[np.intp]]
    cache: CachedFilms
    proof: DisjointProof
    refused: dict[str, str]

    @property
    def hashes(self) -> list[str]:
        """Perceptual hash of each film of `table`."""
        return [self.cache.hashes[row] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Trained:
    """Outcome of a training.

    Attributes
    ----------
    network : FilmNetwork
        With the best weights by tune loss, in evaluation, on the CPU.
    epochs : int
        Epochs run.
    tune_loss : float
        Of the best weights.
    """

    network: FilmNetwork
    epochs: int
    tune_loss: float


def prepare(
    table: FilmTable,
    recipe: Recipe,
    out: Path,
    *,
    held_out: Collection[str] = (),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Read the films, give each a split, and prove the splits disjoint.

    Parameters
    ----------
    table : FilmTable
    recipe : Recipe
    out : Path
        Run folder; the cache, ``split.csv`` (the film table with each film's split) and ``disjoint.json`` go there.
    held_out : collection of str
        Image or patient ids that go to `test`.
    workers : int
    progress : callable, optional
        Called with (films read, films in all).

    Returns
    -------
    Prepared

    Raises
    ------
    TableError
        If a patient or a near-duplicate is in two splits.
    TrainingError
        If no film can be read, or `train` or `tune` would be empty.
    """
    cache = cache_films(
        table,
        recipe.standardisation(),
        out / "cache",
        lungless=recipe.needs_lungless,
        workers=workers,
        progress=progress,
    )
    rows = np.array([row for row in range(len(table)) if row not in cache.refused], dtype=np.intp)
    refused = {table.image_ids[row]: reason for row, reason in cache.refused.items()}
    readable = table.with_frame(table.frame[rows])
    hashes = [cache.hashes[row] for row in rows]
    split = split_by_patient(readable, DEFAULT_FRACTIONS, seed=recipe.seed, hashes=hashes, held_out=held_out)
    proof = prove_disjoint(split, hashes)
    for part in ("train", "tune"):
        if not proof.films.get(part):
            raise TrainingError(f"training needs films in `train` and `tune`; the split {part!r} is empty")
    paths = [os.path.relpath(path, out.resolve()) for path in split.paths]
    shown = split.frame.drop("\x00row", strict=False)  # the reader's own count, no column of the user's
    shown.with_columns(pl.Series("path", paths, dtype=pl.String)).write_csv(out / "split.csv")
    (out / "disjoint.json").write_text(json.dumps(proof.to_dict(), indent=1), "utf-8")
    return Prepared(table=split, rows=rows, cache=cache, proof=proof, refused=refused)


def fit(prepared: Prepared, task: Task, recipe: Recipe, out: Path, machine: Machine) -> Trained:
    """Train, or go on from the last finished epoch of an earlier run in the same folder.

    Every epoch draws from its own seed, so that a run that was killed ends with the same weights, bit for bit on one
    CPU with the same threads.

    Parameters
    ----------
    prepared : Prepared
    task : Task
    recipe : Recipe
    out : Path
        Run folder; checkpoints, ``logs/`` (CSV and TensorBoard) and ``run.json`` go there.
    machine : Machine

    Returns
    -------
    Trained

    Raises
    ------
    TrainingError
        If the folder holds another training's checkpoints.
    """
    if machine.threads is not None:
        torch.set_num_threads(machine.threads)
    resume = _same_run(prepared, task, recipe, out)
    torch.manual_seed(recipe.seed)
    classifier = _classifier(prepared.table, task, recipe)
    data = _data(prepared, task, recipe)
    checkpoints = out / "checkpoints"
    keeper = ModelCheckpoint(checkpoints, "best", monitor="tune_loss", enable_version_counter=False)
    # By itself, for the keeper's own "last" is the last that was best; and after it, to know which was best.
    latest = ModelCheckpoint(checkpoints, "last", enable_version_counter=False)
    callbacks: list[Callback] = [EarlyStopping("tune_loss", patience=recipe.patience, mode="min"), keeper, latest]
    if recipe.averaging:
        callbacks.append(EMAWeightAveraging(decay=recipe.averaging))
    with _quiet(), _in_sentences(out):
        trainer = _trainer(recipe, machine, out, callbacks)
        trainer.fit(classifier, data, ckpt_path=str(resume) if resume else None, weights_only=True)
    best = torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)
    classifier.load_state_dict(best["state_dict"])
    return Trained(
        network=classifier.finished(),
        epochs=trainer.current_epoch,
        tune_loss=float(keeper.best_model_score if keeper.best_model_score is not None else float("nan")),
    )


def _classifier(table: FilmTable, task: Task, recipe: Recipe) -> FilmClassifier:
    """Build the network, with what makes opacities for it where the recipe asks for them."""
    finder = LungFinder.load() if recipe.joint or recipe.planted else None
    beside = branch_films(table, recipe, finder, "train", augment=True) if finder and recipe.joint else None
    planted = None
    if finder and recipe.planted:
        real = branch_films(table, recipe.changed({"branch_phantoms": 0}), finder, "train", augment=True)
        normal = torch.from_numpy(task.targets([recipe.branch_normal])[0])
        planted = PlantedFilms(real, normal, recipe.planted)
    return FilmClassifier(task, recipe, beside, planted)


def _trainer(recipe: Recipe, machine: Machine, out: Path, callbacks: list[Callback]) -> lightning.Trainer:
    try:
        return lightning.Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            precision=recipe.precision,
            max_epochs=recipe.epochs,
            callbacks=callbacks,
            logger=[CSVLogger(out / "logs", "csv"), TensorBoardLogger(out / "logs", "tensorboard")],
            log_every_n_steps=1,
            gradient_clip_val=5.0,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            deterministic=True,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError) as error:
        raise TrainingError(
            f"training on accelerator {machine.accelerator!r} with {machine.devices} devices and precision "
            f"{recipe.precision!r} is not possible here: {error}"
        ) from error


@contextmanager
def _in_sentences(out: Path) -> Iterator[None]:
    """Turn the engine's exit on an interruption, and torch's words for a full disk, into ours."""
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in _DISK_WORDS):
            raise
        raise OutputError(
            f"the run folder {str(out)!r} cannot be written: {error}; make room and give the same command again: it "
            "goes on from the last finished epoch"
        ) from error


def _data(prepared: Prepared, task: Task, recipe: Recipe) -> FilmData:
    parts = {}
    split = np.array(prepared.table.frame["split"].to_list())
    labels, sources = np.array(prepared.table.labels), np.array(prepared.table.sources)
    for name in ("train", "tune"):
        chosen = split == name
        weights = film_weights(list(labels[chosen]), list(sources[chosen]), task, one_sided=recipe.one_sided)
        without = prepared.cache.lungless if name == "train" and recipe.needs_lungless else None
        targets = task.targets(list(labels[chosen]))
        parts[name] = FilmPart(prepared.cache.films, prepared.rows[chosen], targets, weights, without)
    draw = None
    if recipe.paper_sizes:
        train = prepared.table.part("train")
        pairs = matched_pairs(train, task)

        def draw(seed: int) -> list[int]:
            return paper_draw(train.labels, task, seed, pairs)

    return FilmData(parts["train"], parts["tune"], recipe, draw)


def _same_run(prepared: Prepared, task: Task, recipe: Recipe, out: Path) -> Path | None:
    """Checkpoint to go on from; refuses a folder that holds another training."""
    now = {
        "recipe": recipe.of_classifier(),
        "task": task.model_dump(mode="json"),
        "table_sha256": prepared.table.sha256,
        "split_sha256": _split_sha256(prepared),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
    }
    note, last = out / "run.json", out / "checkpoints" / "last.ckpt"
    if last.is_file():
        before = json.loads(note.read_text("utf-8")) if note.is_file() else {}
        if before != now:
            changed = sorted(key for key in now if before.get(key) != now[key])
            raise TrainingError(
                f"{str(out)!r} holds another training (different: {', '.join(changed)}); choose another folder"
            )
        return last
    note.write_text(json.dumps(now, indent=1), "utf-8")
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice of the engine that does not apply: few batches, no loader processes (the films are in memory)."""
    engine = logging.getLogger("lightning.pytorch")
    level = engine.level
    engine.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
        try:
            yield
        finally:
            engine.setLevel(level)


def _split_sha256(prepared: Prepared) -> str:
    """Hash of which film is in which split."""
    return sha256(prepared.table.frame.select("image_id", "split").write_csv().encode()).hexdigest()
