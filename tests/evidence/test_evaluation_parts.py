"""Subgroups, associations (M32), readers, robustness and folds of an evaluation, against counts made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from carina.errors import SettingsError, TableError
from carina.evidence.association import association_numbers
from carina.evidence.contrast_films import compared_films
from carina.evidence.contrast_numbers import IntervalOptions
from carina.evidence.cross_validation import fold_patients
from carina.evidence.evaluation import EvaluationOptions
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number
from carina.evidence.operating import OperatingThreshold
from carina.evidence.readers import read_readers, reader_numbers
from carina.evidence.robustness import STRENGTHS, Spoiled, robustness_numbers
from carina.evidence.subgroups import covariates, subgroup_numbers
from carina.inference import load_bundle
from carina.sampling import FilmTable, read_film_table
from carina.tasks import default_task

_TASK = default_task()
_HALF = OperatingThreshold(0.5, 0.5, "")
_QUICK = IntervalOptions(repeats=100)


def films(labels: list[str], sick: list[float], **columns: Any) -> JudgedFilms:
    """Films with P(viral) as given and the rest normal; each of its own patient."""
    count = len(labels)
    values = np.zeros((count, 4))
    values[:, 2] = sick
    values[:, 0] = 1.0 - values[:, 2]
    plain: dict[str, Any] = {
        "image_id": [f"f{number}" for number in range(count)],
        "path": [f"f{number}.png" for number in range(count)],
        "label": labels,
        "patient_id": [f"p{number}" for number in range(count)],
    }
    frame = pl.DataFrame({**plain, **columns})
    ages = columns.get("age", [None] * count)
    frame = frame.with_columns(pl.Series(name, ages, dtype=pl.Float64) for name in ("age", "age_low", "age_high"))
    return JudgedFilms(FilmTable(frame, Path(), "0" * 64), _TASK, values)


def by_id(numbers: list[Number]) -> dict[str, Number]:
    """Numbers under their ids."""
    return {one.id: one for one in numbers}


def _grouped() -> JudgedFilms:
    # F: 20 positives, 15 called; M: 20 positives, 10 called; 3 of neither sex known; negatives all rightly called
    labels = ["viral"] * 40 + ["normal"] * 40 + ["viral"] * 4
    sick = [0.9] * 15 + [0.1] * 5 + [0.9] * 10 + [0.1] * 10 + [0.1] * 40 + [0.9] * 4
    sex = ["F"] * 20 + ["M"] * 20 + ["F"] * 20 + ["M"] * 20 + ["X"] * 4
    return films(labels, sick, sex=sex)


def test_subgroup_is_counted_by_hand_at_its_family_level() -> None:
    judged = _grouped()
    parts, _ = covariates(judged.table)
    found = by_id(subgroup_numbers(compared_films(judged, "pneumonia", _HALF), parts, _QUICK))
    women = found["pneumonia.subgroup.sensitivity.all_films.sex=F.first_films"]
    men = found["pneumonia.subgroup.sensitivity.all_films.sex=M.first_films"]
    assert (women.events, women.n, men.events, men.n) == (15, 20, 10, 20)
    assert (women.family, women.level) == (2, 0.975)
    interval = binomtest(15, 20).proportion_ci(0.975, "exact")
    assert (women.low, women.high) == pytest.approx((interval.low, interval.high))
    gap = found["pneumonia.subgroup.gap_sensitivity.all_films.sex.first_films"]
    assert gap.value == pytest.approx(0.25)


def test_small_cell_is_suppressed_with_its_count() -> None:
    judged = _grouped()
    parts, _ = covariates(judged.table)
    found = subgroup_numbers(compared_films(judged, "pneumonia", _HALF), parts, _QUICK)
    small = [one for one in found if one.cell == "sex=X"]
    assert len(small) == 1
    assert (small[0].value, small[0].n, small[0].patients, small[0].events) == (None, None, None, None)
    assert small[0].note == "suppressed: fewer than 10 patients"


def test_subgroup_of_one_class_says_so() -> None:
    judged = films(["viral"] * 12 + ["normal"] * 12, [0.9] * 12 + [0.1] * 12, sex=["F"] * 12 + ["M"] * 12)
    parts, _ = covariates(judged.table)
    found = by_id(subgroup_numbers(compared_films(judged, "pneumonia", _HALF), parts, _QUICK))
    area = found["pneumonia.subgroup.auc.all_films.sex=F.first_films"]
    assert (area.value, area.note) == (None, "not estimable: one class only")


def test_ages_fall_into_the_cohorts_bands() -> None:
    judged = films(["viral"] * 4, [0.9] * 4, age=[4.9, 5.0, 64.0, None])
    parts, sentences = covariates(judged.table)
    assert parts[0].values.tolist() == ["0 to <5", "5 to <15", "45 to <65", ""]
    assert any("bmi, ethnicity" in sentence for sentence in sentences)


def test_association_is_found_where_it_was_made() -> None:
    rng = np.random.default_rng(5)
    count = 400
    positive = np.arange(count) % 2 == 0
    men = (np.arange(count) // 2) % 2 == 0
    # the output tells the sides apart among men only
    logits = rng.normal(0, 1, count) + np.where(positive & men, 3.0, 0.0)
    judged = films(
        ["viral" if one else "normal" for one in positive],
        (1 / (1 + np.exp(-logits))).tolist(),
        sex=["M" if one else "F" for one in men],
        age=rng.uniform(20, 80, count).round().tolist(),
    )
    numbers, said = association_numbers(compared_films(judged, "pneumonia", _HALF), judged.table, _QUICK)
    found = by_id(numbers)
    sex = found["pneumonia.association.interaction_p.all_films.covariate=sex.first_films"]
    age = found["pneumonia.association.interaction_p.all_films.covariate=age.first_films"]
    assert sex.value is not None
    assert age.value is not None
    assert sex.value < 1e-4 < age.value
    adjusted = found["pneumonia.association.interaction_p_holm.all_films.covariate=sex.first_films"]
    assert adjusted.value == pytest.approx(2 * sex.value)  # Holm: the smallest of two
    assert adjusted.family == 2
    assert "shows no equality" in str(age.note)
    assert any("bmi, ethnicity" in sentence for sentence in said)
    right = found["pneumonia.association.right_among_positives_p.all_films.covariate=sex.first_films"]
    assert right.value is not None
    assert right.value < 0.01


def _study(folder: Path, text: str) -> Path:
    path = folder / "readers.csv"
    path.write_text(text, "utf-8")
    return path


def test_reader_beside_the_model_by_hand(tmp_path: Path) -> None:
    # the model: 10 of 20 positives, all negatives; the reader: 18 of 20 positives, 15 of 20 negatives
    labels = ["viral"] * 20 + ["normal"] * 20
    judged = films(labels, [0.9] * 10 + [0.1] * 10 + [0.1] * 20)
    calls = ["viral"] * 18 + ["normal"] * 2 + ["bacterial"] * 5 + ["normal"] * 15
    lines = [f"r1,f{number},{call},0.8" for number, call in enumerate(calls)]
    study = read_readers(_study(tmp_path, "reader,image_id,call,confidence\n" + "\n".join(lines)), _TASK)
    options = EvaluationOptions(intervals=_QUICK, thresholds={"pneumonia": 0.5})
    numbers, said = reader_numbers(study, judged, options, None)
    found = by_id([one for one in numbers if one.contrast == "pneumonia"])
    start = "pneumonia.readers."
    cell = ".all_films.reader=r1.first_films"
    assert (found[f"{start}sensitivity{cell}"].events, found[f"{start}specificity{cell}"].events) == (18, 15)
    assert (found[f"{start}model_sensitivity{cell}"].events, found[f"{start}model_specificity{cell}"].events) == (
        10,
        20,
    )
    more = found["pneumonia.readers.right_more.all_films.reader=r1.all_films"]
    # the model alone right on 5 negatives, the reader alone on 8 positives
    assert more.value == pytest.approx((5 - 8) / 40)
    exact = binomtest(5, 13).pvalue
    assert f"exact p {exact:.3g}" in str(more.note)
    assert found["pneumonia.readers.auc_more.all_films.reader=r1.all_films"].value is not None
    assert said == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("reader,image_id\nr,f0\n", "lacks call"),
        ("reader,image_id,call\nr,f0,flu\n", "'flu'"),
        ("reader,image_id,call\nr,f0,viral\nr,f0,viral\n", "calls a film once; row 2"),
        ("reader,image_id,call\nr,,viral\n", "every row of a reader study has a image_id"),
        ("reader,image_id,call,confidence\nr,f0,viral,2\n", "confidence lies in"),
        ("reader,image_id,call,confidence\nr,f0,viral,sure\n", "confidence lies in"),
        ("", "readable CSV"),
    ],
)
def test_bad_reader_study_is_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=sentence):
        read_readers(_study(tmp_path, text), _TASK)


def test_readers_of_other_films_are_said(tmp_path: Path) -> None:
    study = read_readers(_study(tmp_path, "reader,image_id,call\nr,elsewhere,viral\n"), _TASK)
    numbers, said = reader_numbers(study, films(["viral"], [0.9]), EvaluationOptions(intervals=_QUICK), None)
    assert numbers == []
    assert len(said) == 2


@pytest.mark.parametrize("kind", sorted(STRENGTHS))
def test_spoiled_film_keeps_shape_and_range_and_is_the_same_again(kind: str) -> None:
    film = cv2.GaussianBlur(np.random.default_rng(1).random((60, 50)).astype(np.float32), (5, 5), 0)
    for strength in STRENGTHS[kind]:
        spoiled = Spoiled(kind, strength)(film, None)
        assert spoiled.shape == film.shape
        assert spoiled.dtype == np.float32
        assert 0.0 <= spoiled.min() <= spoiled.max() <= 1.0
        assert not np.array_equal(spoiled, film)
        assert np.array_equal(spoiled, Spoiled(kind, strength)(film, None))


def test_stronger_spoiling_changes_a_film_more() -> None:
    film = cv2.GaussianBlur(np.random.default_rng(1).random((60, 50)).astype(np.float32), (5, 5), 0)
    for kind, harder in (("noise", True), ("rotation", True), ("jpeg", True), ("resolution", True)):
        change = [float(np.abs(Spoiled(kind, one)(film, None) - film).mean()) for one in STRENGTHS[kind]]
        assert (change == sorted(change)) is harder, kind


def test_rotation_turns_counterclockwise() -> None:
    film = np.zeros((41, 41), np.float32)
    film[20, 36] = 1.0  # right of the middle
    turned = cv2.GaussianBlur(Spoiled("rotation", 15.0)(film, None), (3, 3), 0)
    row, column = np.unravel_index(int(turned.argmax()), turned.shape)
    assert (row, column) == (round(20 - 16 * np.sin(np.radians(15))), round(20 + 16 * np.cos(np.radians(15))))


def test_robustness_of_a_network_that_sees_brightness_alone(
    tiny_bundle: Path, make_table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carina.evidence.robustness.STRENGTHS", {"brightness": (0.2,), "noise": (0.02,)})
    table = read_film_table(make_table(12), _TASK)
    numbers = by_id(robustness_numbers(load_bundle(tiny_bundle), table, _QUICK, gate=False))
    plain = numbers["pneumonia.robustness.auc.all_films.as it is.all_films.bootstrap"]
    assert plain.n == 12
    brighter = numbers["pneumonia.robustness.change.all_films.brightness=0.2.all_films"]
    noisy = numbers["pneumonia.robustness.change.all_films.noise=0.02.all_films"]
    assert brighter.value is not None
    assert noisy.value is not None
    assert brighter.value > 0.0 < noisy.value


def test_folds_keep_patients_whole_and_take_every_film_once() -> None:
    labels = ["viral", "normal"] * 30
    judged = films(labels, [0.5] * 60)
    frame = judged.table.frame.with_columns(pl.Series("patient_id", [f"p{number // 3}" for number in range(60)]))
    table = judged.table.with_frame(frame)
    parts = fold_patients(table, 4, seed=1)
    assert sorted(row for part in parts for row in part) == list(range(60))
    owners = [{table.patients[row] for row in part} for part in parts]
    assert sum(map(len, owners)) == 20
    assert {len(one) for one in owners} == {5}


@pytest.mark.parametrize("folds", [1, 50])
def test_impossible_folds_are_a_sentence(folds: int) -> None:
    with pytest.raises(SettingsError, match="folds"):
        fold_patients(films(["viral"] * 5, [0.5] * 5).table, folds, seed=1)
