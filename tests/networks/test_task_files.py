"""A task is data (M37): each example task trains and predicts from its task file alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carina.errors import TrainingError
from carina.imaging.phantom_slices import SliceCollection, write_slices
from carina.inference import PredictOptions, predict_films
from carina.networks import Machine, Recipe, TrainingOrder, train_bundle
from carina.tasks import load_task

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "tasks"
_TINY = Recipe(network="seed_cnn", pretrained=False, convolutions=2, size=32, epochs=1, batch=16, averaging=0.0, seed=4)


def _order(table: Path, out: Path, task: str, recipe: Recipe = _TINY) -> TrainingOrder:
    machine = Machine(accelerator="cpu", threads=1, workers=1)
    return TrainingOrder(table=table, out=out, task=load_task(EXAMPLES / task), recipe=recipe, machine=machine)


def _predictions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_ct_slices_train_and_predict_from_their_task_file(tmp_path: Path) -> None:
    table = write_slices(SliceCollection(tmp_path / "slices", 150, size=64))
    bundle = train_bundle(_order(table, tmp_path / "run", "ct_slice.toml"))
    options = PredictOptions(model=str(bundle), layers=False)
    summary = predict_films([tmp_path / "slices" / "films"], tmp_path / "out", options)
    assert (summary.films, summary.judged) == (150, 150)
    first = _predictions(tmp_path / "out")[0]
    assert set(first["probabilities"]) == {"clear", "ground_glass", "consolidation"}
    assert set(first["contrasts"]) == {"opacity", "consolidation_given_opacity"}
    assert first["decision"] in {"clear", "ground_glass", "consolidation", "opacity_undetermined"}
    assert first["lungs"] is None


@pytest.mark.parametrize("changes", [{"framing": "lung_centred"}, {"planted": 0.2}, {"surroundings": 0.2}])
def test_what_rests_on_lung_fields_is_refused_where_there_are_none(tmp_path: Path, changes: dict[str, object]) -> None:
    recipe = _TINY.changed(changes)
    with pytest.raises(TrainingError, match="not looked for on the input 'ct_slice'"):
        train_bundle(_order(tmp_path / "films.csv", tmp_path / "run", "ct_slice.toml", recipe))


@pytest.mark.slow
def test_effusion_trains_and_predicts_from_its_task_file(films_folder: Path, tmp_path: Path) -> None:
    # With effusion so rare not every split leaves five such patients to calibrate on, and the training then says so.
    recipe = _TINY.changed({"seed": 0})
    bundle = train_bundle(_order(films_folder / "cxr" / "images.csv", tmp_path / "run", "findings.toml", recipe))
    films = sorted((films_folder / "cxr" / "images" / "nih").glob("*.jpg"))[:4]
    predict_films(films, tmp_path / "out", PredictOptions(model=str(bundle), layers=False, gate=False, lungs=False))
    assert all(
        set(row["probabilities"]) == {"none", "other_finding", "effusion"} for row in _predictions(tmp_path / "out")
    )


def test_too_few_films_for_a_contrast_is_said_in_a_sentence(tmp_path: Path) -> None:
    table = write_slices(SliceCollection(tmp_path / "slices", 150, size=64))
    order = _order(table, tmp_path / "run", "ct_slice.toml")
    card = (train_bundle(replace(order, open_test=True)) / "MODEL_CARD.md").read_text()
    # A tenth of 150 patients, a third of each class: five consolidations in `test`.
    assert "consolidation_given_opacity: not estimable, too few films" in card
