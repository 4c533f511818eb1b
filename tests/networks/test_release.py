"""From a table to a bundle: what is chosen, written and said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from carina.errors import CalibrationError, TableError, TrainingError
from carina.networks import Machine, Recipe, TrainingOrder, load_recipe, train_bundle
from carina.networks.model_card import model_card
from carina.sampling import read_film_table
from carina.tasks import default_task

_RECIPE = Recipe(
    network="seed_cnn",
    pretrained=False,
    hierarchical=False,
    convolutions=2,
    size=32,
    epochs=1,
    batch=8,
    augmentation="basic",
    averaging=0.0,
    seed=3,
)


def _order(table: Path, out: Path, **changes: object) -> TrainingOrder:
    values: dict[str, object] = {
        "table": table,
        "out": out,
        "task": default_task(),
        "recipe": _RECIPE,
        "machine": Machine(accelerator="cpu", threads=1, workers=1),
    }
    return TrainingOrder(**{**values, **changes})  # type: ignore[arg-type] # a test's mixed values


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Film table of 200 noise pictures, four classes, one patient each."""
    import cv2  # noqa: PLC0415 -- only here

    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(8)
    rows = []
    for number in range(200):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (40, 40), dtype=np.uint8))
        label = default_task().classes[number % 4]
        rows.append((f"{number}.png", label, f"p{number}", "made", 30 + number % 5, "yes" if number else "no"))
    columns = ["path", "label", "patient_id", "source", "age", "usable"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "films.csv")
    return folder / "films.csv"


def test_a_training_ends_in_a_calibrated_bundle_that_names_its_inputs(films: Path, tmp_path: Path) -> None:
    held = tmp_path / "held.csv"
    held.write_text("image_id\n7\n")
    order = _order(films, tmp_path / "run", where=("usable=yes",), hold_out=held, open_test=True)
    bundle = train_bundle(order)
    written = json.loads((bundle / "bundle.json").read_text())
    split = pl.read_csv(tmp_path / "run" / "split.csv", infer_schema=False)
    assert all(name.isprintable() for name in split.columns)
    assert split.height == 199  # film 0 is not usable
    again = read_film_table(tmp_path / "run" / "split.csv", default_task())
    assert (len(again), all(path.is_file() for path in again.paths)) == (199, True)
    assert split.filter(pl.col("image_id") == "7")["split"].to_list() == ["test"]
    assert written["calibration"]["model_sha256"] == written["sha256"]["model.onnx"]
    assert written["training"]["recipe"]["seed"] == 3
    assert written["calibration"]["thresholds"]["covid19_given_pneumonia"]["ages"] == [30.0, 34.0]
    opened = (tmp_path / "run" / "test_openings.jsonl").read_text().splitlines()
    assert len(opened) == 1
    assert "Research use only" in (bundle / "MODEL_CARD.md").read_text()
    with pytest.raises(TrainingError, match="is there already"):
        train_bundle(order)


def test_learning_curve_grows_with_the_shares_asked_for(films: Path, tmp_path: Path) -> None:
    bundle = train_bundle(_order(films, tmp_path / "run", learning_curve="0.25,1"))
    points = json.loads((bundle / "bundle.json").read_text())["training"]["learning_curve"]
    assert [point["share"] for point in points] == [0.25, 1.0]
    people = pl.read_csv(tmp_path / "run" / "split.csv").filter(pl.col("split") == "train").height
    assert [point["patients"] for point in points] == [round(people / 4), people]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"where": ("colour=red",)}, TableError, "COLUMN=VALUE"),
        ({"where": ("source=mars",)}, TableError, "no film of the table meets"),
        ({"hold_out": Path("absent.csv")}, TableError, "column image_id"),
        ({"learning_curve": "0.5,2"}, TrainingError, "above 0 and at most 1"),
        ({"learning_curve": "some"}, TrainingError, "takes shares"),
        ({"where": ("label=normal",)}, TrainingError, "at least two labels"),
    ],
)
def test_orders_that_cannot_be_carried_out_are_refused(
    films: Path, tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_bundle(_order(films, tmp_path / "run", **changes))


def test_too_few_films_to_calibrate_are_told_before_anything_is_trained(films: Path, tmp_path: Path) -> None:
    few = pl.read_csv(films, infer_schema=False).filter((pl.col("label") != "viral") | (pl.col("patient_id") < "p12"))
    few.write_csv(films.with_name("few.csv"))
    with pytest.raises(
        CalibrationError, match=r"'bacterial_given_pneumonia_without_covid19' needs at least 5 patients"
    ):
        train_bundle(_order(films.with_name("few.csv"), tmp_path / "run"))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_packaged_recipes_are_valid() -> None:
    assert load_recipe("pneumonia").network == "efficientnet_lite0"
    seed = load_recipe("pneumonia-seed")
    assert (seed.network, seed.hierarchical, seed.pretrained) == ("seed_cnn", False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [("size = 8\n", "setting 'size'"), ("sise = 64\n", "setting 'sise'"), ("size = ", "readable TOML")],
)
def test_wrong_recipes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_recipe(str(path))


def test_unknown_network_and_missing_weights_are_errors(films: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="must be one of"):
        train_bundle(_order(films, tmp_path / "a", recipe=_RECIPE.changed({"network": "resnet"})))
    with pytest.raises(TrainingError, match="no pretrained ones"):
        train_bundle(_order(films, tmp_path / "b", recipe=_RECIPE.changed({"pretrained": True})))


def test_card_calls_a_contrast_confounded_that_no_source_can_show() -> None:
    described = {
        "name": "m",
        "version": "1",
        "network": {"name": "seed_cnn", "parameters": 10},
        "preprocessing": {"framing": "whole", "size": 32, "intensity": "local"},
        "calibration": {"films": 1, "class_mix": {}, "temperature": {}, "thresholds": {}},
        "training": {
            "recipe": {},
            "seed": 1,
            "epochs": 1,
            "table_sha256": "",
            "versions": {},
            "notes": [],
            "where": [],
            "split": {"shared_patients": 0, "threshold_bits": 1, "cross_split_pairs": 0, "nearest_bits": 9},
            "labels": {"train": {"home/normal": 3, "home/viral": 3, "web/covid19": 4}},
        },
    }
    card = model_card(described, default_task())
    assert "**covid19_given_pneumonia: no source has films on both sides.**" in card
    assert "**pneumonia: no source" not in card
    assert "Boxes and opacity map" not in card
    assert "`test` has not been opened." in card
