"""`carina train` with branches, from a table to a bundle that finds boxes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch", reason="networks are built with the extra 'train'")

from carina.inference import load_bundle, open_session
from carina.inference.boxes import BoxRules
from carina.networks import Machine, Recipe, TrainingOrder, train_bundle
from carina.tasks import default_task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film table of 240 noise pictures, four classes; no lungs in them, so that opacities go to phantoms alone."""
    folder = tmp_path_factory.mktemp("films")
    draw = np.random.default_rng(8)
    rows = []
    for number in range(240):
        cv2.imwrite(str(folder / f"{number}.png"), draw.integers(0, 255, (72, 72), dtype=np.uint8))
        rows.append((f"{number}.png", default_task().classes[number % 4], f"p{number}", "made"))
    columns = ["path", "label", "patient_id", "source"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "films.csv")
    return folder / "films.csv"


@pytest.mark.parametrize("backbone", ["frozen", "joint"])
def test_one_command_ends_in_one_bundle_with_all_outputs(films: Path, tmp_path: Path, backbone: str) -> None:
    recipe = Recipe(
        pretrained=False,
        size=64,
        epochs=1,
        averaging=0.9,
        branches=True,
        branch_backbone=backbone,  # type: ignore[arg-type] # a parameter
        branch_phantoms=8,
        branch_epochs=1,
        branch_films=8,
        branch_batch=4,
        seed=4,
    )
    machine = Machine(accelerator="cpu", threads=1, workers=1)
    written = train_bundle(
        TrainingOrder(table=films, out=tmp_path / "run", task=default_task(), recipe=recipe, machine=machine)
    )
    bundle = load_bundle(written)
    said = bundle.description["branches"]
    assert said["backbone"] == backbone
    assert said["films"]["phantom"] == 8
    assert BoxRules.of_description(bundle.description) == BoxRules(said["score_threshold"])
    outputs = open_session(bundle.model).run(np.zeros((1, 64, 64), np.uint8))
    assert outputs.boxes is not None
    assert outputs.boxes.shape == (1, 80, 4)
    assert "no real box" in bundle.card
    assert json.loads((tmp_path / "run" / "branches.json").read_text())["summary"] == said
