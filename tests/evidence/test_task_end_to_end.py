"""A task is data (M37): evaluation and audit of a CT-slice task, from its task file alone."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from carina.cli import app
from carina.imaging.phantom_slices import SliceCollection, write_slices
from carina.tasks import load_task

pytest.importorskip("lightning", reason="training needs the extra 'train'")

TASK = Path(__file__).resolve().parents[2] / "examples" / "tasks" / "ct_slice.toml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bundle, and the table of its slices with the split it was trained on."""
    from carina.networks import Machine, Recipe, TrainingOrder, train_bundle  # noqa: PLC0415 - needs the extra

    folder = tmp_path_factory.mktemp("ct")
    table = write_slices(SliceCollection(folder, 240, size=64))
    recipe = Recipe(
        network="seed_cnn", pretrained=False, convolutions=2, size=32, epochs=1, batch=16, averaging=0.0, seed=4
    )
    machine = Machine(accelerator="cpu", threads=1, workers=1)
    order = TrainingOrder(table=table, out=folder / "run", task=load_task(TASK), recipe=recipe, machine=machine)
    bundle = train_bundle(order)
    split = pl.read_csv(folder / "run" / "split.csv", infer_schema=False).select("image_id", "split")
    pl.read_csv(table, infer_schema=False).join(split, on="image_id").write_csv(folder / "split.csv")
    return bundle, folder / "split.csv"


def _typed(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_slices_are_evaluated_with_the_contrasts_of_their_task(trained: tuple[Path, Path], tmp_path: Path) -> None:
    _typed("evaluate", *trained, "--out", tmp_path / "evaluation", "--no-audit")
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert metrics["task"]["name"] == "ct_lung"
    # A tenth of 240 patients is in `test`: eight of each class, as the table deals them out in turn.
    assert metrics["films"]["judged"] == 24
    found = {number["contrast"]: number["n"] for number in metrics["numbers"] if number["measure"] == "auc"}
    assert {"opacity", "consolidation_given_opacity"} <= set(found)
    assert found["opacity"] == 24


def test_slices_are_audited_and_too_few_are_said(trained: tuple[Path, Path], tmp_path: Path) -> None:
    said = _typed("audit", *trained, "--out", tmp_path / "audit")
    audit = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert set(audit["verdicts"]) == {"opacity", "consolidation_given_opacity"}
    assert all(one["verdict"] == "not shown" for one in audit["verdicts"].values())
    assert "too few" in said
