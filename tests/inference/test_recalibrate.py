from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from carina.cli.main import app
from carina.errors import CalibrationError, CarinaError, FilmRejectedError, OutputError, TableError
from carina.imaging import read_film
from carina.imaging.standardise import Standardisation
from carina.inference.bundle import Bundle, load_bundle, write_bundle
from carina.inference.calibration import calibrated_probabilities
from carina.inference.recalibrate import judge_local_films, next_version, recalibrate
from carina.sampling import FilmTable, patient_key, perceptual_hash, read_film_table
from carina.tasks import default_task

_TASK = default_task()
_SIZE = 32


def _network(gain: float) -> bytes:
    """Logits: the mean grey of the film's four quarters, in the order of the classes, times `gain`."""
    nodes = [
        helper.make_node("AveragePool", ["film"], ["quarters"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["quarters"], ["features"], axis=1),
        helper.make_node("Mul", ["features", "gain"], ["logits"]),
        helper.make_node("Concat", ["quarters"] * 4, ["class_maps"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "quarters",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, ["B", 1, _SIZE, _SIZE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 4]),
            helper.make_tensor_value_info("class_maps", TensorProto.FLOAT, ["B", 4, 2, 2]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", 4]),
        ],
        [helper.make_tensor("gain", TensorProto.FLOAT, [], [gain])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(onnx.ModelProto.SerializeToString(model))


def _bundle(folder: Path, hashes: list[str], patients: list[str]) -> Bundle:
    description = {
        "name": "quarters",
        "version": "1.0.0",
        "task": _TASK.model_dump(mode="json"),
        "preprocessing": Standardisation(size=_SIZE).model_dump(mode="json"),
        "network": {"name": "quarters"},
        "calibration": None,
        "training": {
            "ages": {"covid19_given_pneumonia": [20.0, 80.0]},
            "films": {"perceptual_hashes": hashes, "patients": [patient_key(name) for name in patients]},
        },
    }
    return write_bundle(folder, _network(8.0), description, "# quarters 1.0.0\n")


def _film(path: Path, quarter: int, seed: int) -> None:
    """A smooth random picture, one quarter brighter, so that the network is right about four times in five."""
    rng = np.random.default_rng(seed)
    film = cv2.resize(rng.random((8, 8), dtype=np.float32), (96, 96), interpolation=cv2.INTER_CUBIC)
    row, column = divmod(quarter, 2)
    film[48 * row : 48 * row + 48, 48 * column : 48 * column + 48] += 0.22
    cv2.imwrite(str(path), np.rint(255 * np.clip(film / 1.3, 0, 1)).astype(np.uint8))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> FilmTable:
    folder = tmp_path_factory.mktemp("films")
    rows = []
    for number in range(120):
        label = _TASK.classes[number % 4]
        _film(folder / f"f{number}.png", number % 4, number)
        rows.append({"path": f"f{number}.png", "label": label, "patient_id": f"p{number // 8}-{number % 4}"})
    pl.DataFrame(rows).write_csv(folder / "films.csv")
    return read_film_table(folder / "films.csv", _TASK)


def _hash(table: FilmTable, row: int) -> str:
    return perceptual_hash(read_film(table.paths[row]).pixels)


def test_local_films_make_a_new_version_and_leave_the_old_one_untouched(films: FilmTable, tmp_path: Path) -> None:
    old = _bundle(tmp_path / "old", [], [])
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    local = judge_local_films(old, films, gate=None)
    new = recalibrate(old, local, tmp_path / "new", table_sha256=films.sha256, seed=1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before
    assert (new.version, new.model_sha256) == ("1.1.0", old.model_sha256)
    assert new.calibration is not None
    assert new.calibration.films == 120
    assert new.calibration.table_sha256 == films.sha256
    assert new.calibration.class_mix == pytest.approx(dict.fromkeys(_TASK.classes, 0.25))
    assert new.calibration.thresholds["covid19_given_pneumonia"].ages == (20.0, 80.0)
    assert new.description["calibrated_from"]["bundle_sha256"] == old.sha256
    assert "Calibrated anew from version 1.0.0" in new.card


def test_the_new_thresholds_keep_their_specificity_on_the_local_films(films: FilmTable, tmp_path: Path) -> None:
    old = _bundle(tmp_path / "old", [], [])
    local = judge_local_films(old, films, gate=None)
    new = recalibrate(old, local, tmp_path / "new", table_sha256="", seed=1)
    assert new.calibration is not None
    first = [local.patients.index(name) for name in dict.fromkeys(local.patients)]
    scores = _TASK.contrast_probability(
        "pneumonia", calibrated_probabilities(local.logits[first], _TASK, new.calibration)
    )
    normals = np.array([local.labels[row] == "normal" for row in first])
    assert (scores[normals] < new.calibration.thresholds["pneumonia"].low).mean() >= 0.95


def test_training_patients_and_near_duplicates_of_training_films_are_refused(films: FilmTable, tmp_path: Path) -> None:
    near = f"{int(_hash(films, 9), 16) ^ 0b111:064x}"  # film 9 is of patient p1-1, as film 13 is
    bundle = _bundle(tmp_path / "old", [near], ["p0-0"])
    local = judge_local_films(bundle, films, gate=None)
    assert set(local.left_out) == {"f0", "f4", "f9", "f13"}
    assert "its patient was in the training" in local.left_out["f4"]
    assert "near-duplicate" in local.left_out["f13"]
    assert len(local.labels) == 116
    assert not {"p0-0", "p1-1"} & set(local.patients)


def test_a_film_that_cannot_be_read_is_left_out_and_the_rest_goes_on(films: FilmTable, tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "old", [], [])
    (tmp_path / "broken.png").write_bytes(films.paths[0].read_bytes()[:200])
    frame = films.frame.with_columns(
        pl.when(pl.col("image_id") == "f0").then(pl.lit(str(tmp_path / "broken.png"))).otherwise("path").alias("path")
    )
    with pytest.raises(FilmRejectedError):
        read_film(tmp_path / "broken.png")
    local = judge_local_films(bundle, films.with_frame(frame), gate=None)
    assert list(local.left_out) == ["f0"]
    assert len(local.labels) == 119


def test_nothing_left_to_calibrate_on_is_an_error(films: FilmTable, tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "old", [], sorted(set(films.patients)))
    with pytest.raises(CalibrationError, match="none of 120 can be used"):
        judge_local_films(bundle, films, gate=None)


def test_too_few_films_are_an_error_that_says_what_is_missing(films: FilmTable, tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "old", [], [])
    local = judge_local_films(bundle, films.with_frame(films.frame.head(16)), gate=None)
    with pytest.raises(CalibrationError, match="needs at least 5 patients on each side"):
        recalibrate(bundle, local, tmp_path / "new", table_sha256="", seed=1)
    assert not (tmp_path / "new").exists()


def test_a_missing_film_is_found_before_any_is_read(films: FilmTable, tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "old", [], [])
    frame = films.frame.with_columns(pl.lit("absent.png").alias("path"))
    with pytest.raises(TableError, match="120 of 120 do not"):
        judge_local_films(bundle, films.with_frame(frame), gate=None)


def test_hashes_of_another_length_are_not_taken_for_safety(films: FilmTable, tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "old", ["0123456789abcdef"], [])
    with pytest.raises(CarinaError, match="does not say usably which films"):
        judge_local_films(bundle, films, gate=None)


@pytest.mark.parametrize(("old", "new"), [("1.0.0", "1.1.0"), ("2.9.7", "2.10.0"), ("3", "3.1"), ("a.1", "a.1.1")])
def test_the_version_grows(old: str, new: str) -> None:
    assert next_version(old) == new


def test_the_verb_uses_the_split_asked_for_and_lists_what_it_refuses(films: FilmTable, tmp_path: Path) -> None:
    _bundle(tmp_path / "old", [_hash(films, 60)], [])
    patients = films.frame["patient_id"].to_list()
    splits = ["train" if name in {"p14-0", "p14-1"} else "calibrate" for name in patients]
    frame = films.frame.select("image_id", "label", "patient_id").with_columns(
        pl.Series("path", [str(path) for path in films.paths]), pl.Series("split", splits)
    )
    frame.write_csv(tmp_path / "local.csv")
    out = tmp_path / "new"
    command = ["calibrate", str(tmp_path / "old"), str(tmp_path / "local.csv"), "--out", str(out), "--no-gate"]
    result = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    assert result.exit_code == 3, result.output
    assert "film 'f60' is refused" in result.stderr
    written = json.loads(result.stdout)
    assert written["films"] == 120 - 4 - 2  # two patients in train, and both films of the refused one
    assert load_bundle(out).version == "1.1.0"
    with pytest.raises(OutputError, match="does not exist yet"):
        CliRunner().invoke(app, command, catch_exceptions=False)
