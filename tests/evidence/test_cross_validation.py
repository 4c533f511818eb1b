"""Networks trained again, in folds by patient and without a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from carina.evidence.contrast_numbers import IntervalOptions
from carina.evidence.cross_validation import TrainingPlan, cross_validation_numbers, source_numbers
from carina.sampling import FilmTable, read_film_table
from carina.tasks import Task, task_from_dict

_RECIPE = """
network = "seed_cnn"
pretrained = false
convolutions = 1
size = 32
epochs = 4
batch = 16
learning_rate = 0.01
averaging = 0.0
augmentation = "none"
"""


def _task() -> Task:
    contrast = {"positive": ["bright"], "negative": ["dark"]}
    rules = [{"contrast": "brightness", "above": "bright", "specificity": 0.9}]
    return task_from_dict(
        {
            "name": "brightness",
            "version": 1,
            "input": "ct_slice",
            "classes": ["dark", "bright"],
            "contrasts": {"brightness": contrast},
            "decision": {"otherwise": "dark", "rules": rules},
        }
    )


@pytest.fixture
def table(tmp_path: Path, make_film: Callable[..., Path]) -> FilmTable:
    """240 films whose label is how bright a disc is; source north has both, south but one class."""
    lines = ["image_id,path,label,patient_id,source"]
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:40, :48]
    for number in range(240):
        bright = number % 2 == 0
        pixels = rng.integers(0, 90, (40, 48))
        x, y = rng.integers(12, 36), rng.integers(12, 28)
        pixels[(rows - y) ** 2 + (columns - x) ** 2 < 64] += 150 if bright else 20
        make_film(tmp_path / f"{number}.png", pixels.astype(np.uint8))
        source = "south" if bright and number % 8 == 0 else "north"
        lines.append(f"{number},{number}.png,{'bright' if bright else 'dark'},p{number},{source}")
    path = tmp_path / "films.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "recipe.toml").write_text(_RECIPE, "utf-8")
    return read_film_table(path, _task())


@pytest.mark.slow
def test_every_film_is_judged_by_a_network_that_did_not_see_it(table: FilmTable) -> None:
    pytest.importorskip("lightning", reason="cross-validation trains, with the extra 'train'")
    plan = TrainingPlan(_task(), str(table.folder / "recipe.toml"), table.folder / "runs")
    numbers = {one.id: one for one in cross_validation_numbers(table, 2, plan, IntervalOptions(repeats=100))}
    pooled = numbers["brightness.cross_validation.auc.all_films.all_films.bootstrap"]
    assert (pooled.n, pooled.patients) == (240, 240)
    folds = [numbers[f"brightness.cross_validation.auc.all_films.fold={fold}.all_films"] for fold in (1, 2)]
    assert sum(one.n or 0 for one in folds) == 240
    mean = numbers["brightness.cross_validation.mean_auc.all_films.all_films"]
    assert mean.value == pytest.approx(np.mean([one.value for one in folds]))
    assert mean.value is not None
    assert mean.value > 0.8  # a disc that bright is easily seen


def test_source_of_one_class_is_not_estimable(table: FilmTable) -> None:
    south = np.array(table.sources) == "south"
    part = table.with_frame(table.frame.filter(~(~south & (np.array(table.labels) == "bright"))))
    plan = TrainingPlan(_task(), "pneumonia-seed", table.folder / "runs")
    numbers, said = source_numbers(part, plan)
    assert numbers == []
    assert said == [
        "leave-one-source-out of brightness on north is not estimable: north has negative films alone",
        "leave-one-source-out of brightness on south is not estimable: south has positive films alone",
    ]


def test_one_source_cannot_be_left_out(table: FilmTable) -> None:
    part = table.with_frame(table.frame.drop("source"))
    assert source_numbers(part, TrainingPlan(_task(), "pneumonia-seed", table.folder))[1] == [
        "leave-one-source-out is not estimable: the table has fewer than two sources"
    ]


@pytest.mark.slow
def test_films_too_few_for_thresholds_are_enough_for_folds(table: FilmTable) -> None:
    pytest.importorskip("lightning", reason="cross-validation trains, with the extra 'train'")
    # a tenth of 30 patients calibrates: three, where a threshold needs five on each side
    few = table.with_frame(table.frame[:60])
    plan = TrainingPlan(_task(), str(table.folder / "recipe.toml"), table.folder / "few")
    numbers = {one.id: one for one in cross_validation_numbers(few, 2, plan, IntervalOptions(repeats=100))}
    assert numbers["brightness.cross_validation.auc.all_films.all_films.bootstrap"].n == 60
