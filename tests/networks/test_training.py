"""Training end to end on phantom films: restart, refusals, bundle."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from carina.errors import TrainingError
from carina.networks.classifier import FilmClassifier
from carina.networks.film_data import Batch
from carina.networks.recipe import Recipe
from carina.networks.training import Machine, Trained, fit, prepare
from carina.sampling import read_film_table
from carina.tasks import default_task

_RECIPE = Recipe(
    network="seed_cnn",
    pretrained=False,
    hierarchical=False,
    convolutions=2,
    size=32,
    epochs=3,
    batch=8,
    augmentation="basic",
    averaging=0.9,
    seed=11,
)
_MACHINE = Machine(accelerator="cpu", threads=1, workers=1)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film table of 60 pictures, a bright disc at another place for each class."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(5)
    rows = ["path,label,patient_id,source"]
    for number in range(60):
        label = number % 4
        picture = rng.integers(0, 120, (64, 64), dtype=np.uint8)
        cv2.circle(picture, (12 + 13 * label, int(rng.integers(20, 44))), 7, 255, -1)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        rows.append(f"{number}.png,{default_task().classes[label]},p{number},made")
    (folder / "films.csv").write_text("\n".join(rows) + "\n")
    return folder / "films.csv"


def _train(table: Path, out: Path) -> Trained:
    out.mkdir(exist_ok=True)
    task = default_task()
    prepared = prepare(read_film_table(table, task), _RECIPE, out)
    return fit(prepared, task, _RECIPE, out, _MACHINE)


def _weights(trained: Trained) -> np.ndarray:
    return torch.cat([value.flatten() for value in trained.network.state_dict().values()]).numpy()


def test_killed_training_ends_with_the_same_weights_bit_for_bit(films: Path, tmp_path: Path) -> None:
    whole = _train(films, tmp_path / "whole")
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_train, args=(films, tmp_path / "killed"))
    process.start()
    checkpoint = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.is_file() and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert checkpoint.is_file()
    resumed = _train(films, tmp_path / "killed")
    assert whole.epochs == resumed.epochs == 3
    assert np.array_equal(_weights(whole), _weights(resumed))


def test_a_training_goes_on_from_its_last_epoch_though_that_was_not_its_best(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(self: FilmClassifier, batch: Batch, _number: int) -> None:
        self.log("tune_loss", float(self.current_epoch), batch_size=len(batch[0]))

    monkeypatch.setattr(FilmClassifier, "validation_step", worse)
    _train(films, tmp_path)
    kept = {
        name: torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", map_location="cpu", weights_only=True)["epoch"]
        for name in ("best", "last")
    }
    assert kept == {"best": 0, "last": 2}


def test_a_training_of_ten_steps_has_a_schedule(films: Path, tmp_path: Path) -> None:
    # 60 films, 42 of them to train: 5 steps of 8 films an epoch
    task = default_task()
    recipe = _RECIPE.changed({"epochs": 2})
    prepared = prepare(read_film_table(films, task), recipe, tmp_path)
    assert prepared.proof.films["train"] // recipe.batch * recipe.epochs == 10
    assert fit(prepared, task, recipe, tmp_path, _MACHINE).epochs == 2


def test_folder_of_another_training_is_refused(films: Path, tmp_path: Path) -> None:
    _train(films, tmp_path)
    task = default_task()
    other = _RECIPE.changed({"learning_rate": 0.1})
    prepared = prepare(read_film_table(films, task), other, tmp_path)
    with pytest.raises(TrainingError, match=r"holds another training \(different: recipe\)"):
        fit(prepared, task, other, tmp_path, _MACHINE)


def test_splits_are_written_and_proved_disjoint(films: Path, tmp_path: Path) -> None:
    task = default_task()
    prepared = prepare(read_film_table(films, task), _RECIPE, tmp_path)
    proof = json.loads((tmp_path / "disjoint.json").read_text())
    assert proof["shared_patients"] == 0
    assert proof["cross_split_pairs"] == 0
    patients_of = prepared.table.frame.group_by("split").agg("patient_id")["patient_id"].to_list()
    assert sum(len(set(people)) for people in patients_of) == len(set(prepared.table.patients))
