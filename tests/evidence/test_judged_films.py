"""A model judges a table's films as `carina predict` does, and predictions come back as they were written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from carina.errors import CarinaError, InputError, TableError
from carina.evidence.judged import contrast_scores, judge_changes, judge_films, read_predictions
from carina.imaging.lung_fields import LungFields
from carina.inference import PredictOptions, load_bundle, predict_films
from carina.sampling import FilmTable, read_film_table
from carina.tasks import default_task

_TASK = default_task()
_HEADER = ["image_id", *(f"probabilities.{name}" for name in _TASK.classes)]


def inverted(pixels: np.ndarray, _: LungFields | None) -> np.ndarray:
    """Of a module, so that it reaches other processes."""
    return 1.0 - pixels


def _table(path: Path) -> FilmTable:
    return read_film_table(path, _TASK)


def _predictions(folder: Path, rows: Sequence[Sequence[object]], header: list[str] = _HEADER) -> Path:
    path = folder / "predictions.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_judges_as_predict_does(tiny_bundle: Path, make_table: Callable[..., Path], tmp_path: Path) -> None:
    table = make_table(6)
    predict_films([table], tmp_path / "out", PredictOptions(str(tiny_bundle), gate=False, lungs=False, layers=False))
    lines = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").read_text("utf-8").splitlines()]
    judged = judge_films(tiny_bundle, _table(table), gate=False)
    expected = [[line["probabilities"][name] for name in _TASK.classes] for line in lines]
    assert np.allclose(judged.probabilities, expected, atol=1e-6)
    assert judged.decisions == tuple(line["decision"] for line in lines)
    assert judged.prediction_sets == tuple(frozenset(line["prediction_set"]) for line in lines)


def test_two_processes_judge_as_one(tiny_bundle: Path, make_table: Callable[..., Path]) -> None:
    table = _table(make_table(20))
    changes = {"as it is": None, "inverted": inverted}
    one = judge_changes(tiny_bundle, table, changes, gate=False)
    two = judge_changes(tiny_bundle, table, changes, gate=False, workers=2)
    for name in changes:
        assert np.array_equal(one[name].probabilities, two[name].probabilities)
        assert two[name].table.image_ids == table.image_ids


def test_change_reaches_the_network(tiny_bundle: Path, make_table: Callable[..., Path]) -> None:
    # the tiny network's features are the film's mean and one minus it
    table = _table(make_table(4))
    found = judge_changes(tiny_bundle, table, {"plain": None, "inverted": inverted}, gate=False)
    plain, other = found["plain"].features, found["inverted"].features
    assert plain is not None
    assert other is not None
    assert np.allclose(plain[:, 0], 1.0 - other[:, 0], atol=0.02)


def test_film_that_is_no_film_is_refused_alone(tiny_bundle: Path, make_table: Callable[..., Path]) -> None:
    path = make_table(5)
    (path.parent / "films/2.png").write_bytes(b"no picture")
    judged = judge_films(tiny_bundle, _table(path), gate=False)
    assert judged.table.image_ids == ["0", "1", "3", "4"]
    assert list(judged.refused) == ["2"]
    assert judged.probabilities.shape == (4, 4)


def test_no_film_that_can_be_judged_is_a_sentence(tiny_bundle: Path, make_table: Callable[..., Path]) -> None:
    path = make_table(2)
    for name in ("0", "1"):
        (path.parent / f"films/{name}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of 2 could"):
        judge_films(tiny_bundle, _table(path), gate=False)


def test_contrast_is_renormalised_over_its_classes(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows = [[str(number), 0.4, 0.3, 0.2, 0.1] for number in range(4)]
    judged = read_predictions(_predictions(tmp_path, rows), _table(make_table(4)), _TASK)
    scores, positive, films = contrast_scores(judged, "covid19_given_pneumonia")
    # labels of films 0 to 3: normal, bacterial, viral, covid19; C / (B + V + C) = 0.1 / 0.6
    assert scores == pytest.approx([1 / 6] * 3)
    assert positive.tolist() == [False, False, True]
    assert films.tolist() == [1, 2, 3]


def test_label_set_takes_part_where_its_side_is_decided(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "path,label,patient_id\na.png,pneumonia,1\nb.png,pneumonia_non_covid19,2\nc.png,normal,3\n", "utf-8"
    )
    rows = [[name, 0.25, 0.25, 0.25, 0.25] for name in "abc"]
    judged = read_predictions(_predictions(tmp_path, rows), _table(table), _TASK)
    assert contrast_scores(judged, "pneumonia")[2].tolist() == [0, 1, 2]
    assert contrast_scores(judged, "covid19_given_pneumonia")[2].tolist() == [1]
    assert contrast_scores(judged, "bacterial_given_pneumonia_without_covid19")[2].tolist() == []


def test_predictions_of_predict_are_matched_by_file(
    tiny_bundle: Path, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_table(6)
    predict_films([path], tmp_path / "out", PredictOptions(str(tiny_bundle), gate=False, lungs=False, layers=False))
    table = _table(path)
    judged = judge_films(tiny_bundle, table, gate=False)
    for name in ("predictions.csv", "predictions.jsonl"):
        read = read_predictions(tmp_path / "out" / name, table, _TASK)
        assert read.table.image_ids == table.image_ids
        assert np.allclose(read.probabilities, judged.probabilities, atol=1e-5)
        assert read.prediction_sets == judged.prediction_sets
        assert read.decisions == judged.decisions
        assert read.model is not None
        assert read.model.name == load_bundle(tiny_bundle).name


def test_films_and_predictions_without_the_other_are_listed(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows = [[name, 0.25, 0.25, 0.25, 0.25] for name in ("2", "0", "stranger")]
    judged = read_predictions(_predictions(tmp_path, rows), _table(make_table(4)), _TASK)
    assert judged.table.image_ids == ["0", "2"]
    assert list(judged.unmatched) == ["1", "3"]
    assert list(judged.unlabelled) == ["stranger"]


def test_refused_prediction_keeps_its_reason(make_table: Callable[..., Path], tmp_path: Path) -> None:
    rows: list[list[object]] = [["0", 0.25, 0.25, 0.25, 0.25, ""], ["1", "", "", "", "", "this is no chest film"]]
    path = _predictions(tmp_path, rows, [*_HEADER, "reason"])
    judged = read_predictions(path, _table(make_table(2)), _TASK)
    assert judged.refused == {"1": "this is no chest film"}


def test_parquet_of_another_system(make_table: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "others.parquet"
    values = {f"probabilities.{name}": [0.25, 0.25] for name in _TASK.classes}
    pl.DataFrame({"image_id": ["0", "1"], **values}).write_parquet(path)
    judged = read_predictions(path, _table(make_table(2)), _TASK)
    assert judged.model is None
    assert judged.decisions is None
    assert judged.probabilities.tolist() == [[0.25] * 4] * 2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([["0", 0.5, 0.5, 0.5, 0.5]], "must sum to one"),
        ([["0", 0.25, 0.25, 0.25, "nan"]], "must be numbers; row 1"),
        ([["0", 0.25, 0.25, 0.25, "many"]], "must be numbers"),
        ([["0", -0.5, 0.5, 0.5, 0.5]], r"must lie in \[0, 1\]"),
        ([["0", 0.25, 0.25, 0.25, 0.25]] * 2, "names one in rows 1 and 2"),
        ([["stranger", 0.25, 0.25, 0.25, 0.25]], "none of the 1 predictions"),
        ([["0", "", "", "", ""]], "none of 1 has any"),
        ([], "must have rows"),
    ],
)
def test_bad_predictions_are_a_sentence(
    rows: Sequence[Sequence[object]], sentence: str, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = _table(make_table(2))
    with pytest.raises(TableError, match=sentence):
        read_predictions(_predictions(tmp_path, rows), table, _TASK)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("p.csv", "image_id,probabilities.normal\n0,1\n", "lacks bacterial, viral, covid19"),
        ("p.csv", "film,probabilities.normal\n0,1\n", "image_id or file"),
        ("p.csv", "", "must have rows"),
        ("p.jsonl", "{broken\n", "readable JSONL"),
        ("p.jsonl", "[1]\n", "readable JSONL"),
        ("p.parquet", "no parquet", "readable JSONL, CSV or Parquet"),
        ("absent.csv", None, "readable JSONL, CSV or Parquet"),
    ],
)
def test_unreadable_predictions_are_a_sentence(
    name: str, content: str | None, sentence: str, make_table: Callable[..., Path], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(CarinaError, match=sentence):
        read_predictions(tmp_path / name, _table(make_table(2)), _TASK)


def test_taking_films_keeps_all_that_belongs_to_them(tiny_bundle: Path, make_table: Callable[..., Path]) -> None:
    judged = judge_films(tiny_bundle, _table(make_table(6)), gate=False)
    some = judged.take([4, 1])
    assert some.table.image_ids == ["4", "1"]
    assert np.array_equal(some.probabilities, judged.probabilities[[4, 1]])
    assert judged.decisions is not None
    assert some.decisions == (judged.decisions[4], judged.decisions[1])
