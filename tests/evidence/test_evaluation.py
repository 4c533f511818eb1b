"""An evaluation's numbers (M10, M28, M29, M30, M31) against counts made by hand; its sentences where there are none."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from carina.errors import SettingsError, TableError
from carina.evidence.audit_outcome import Audit, Verdict
from carina.evidence.contrast_numbers import IntervalOptions
from carina.evidence.evaluation import Evaluation, EvaluationOptions, evaluate_judged
from carina.evidence.evaluation_files import write_evaluation
from carina.evidence.evaluation_films import choose_evaluation_films, first_films, source_scope
from carina.evidence.evaluation_runs import EvaluationOrder, evaluate_predictions, parse_thresholds
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number
from carina.evidence.operating import operating_thresholds, primary_contrasts
from carina.sampling import FilmTable
from carina.tasks import default_task, task_from_dict

_TASK = default_task()
_QUICK = EvaluationOptions(intervals=IntervalOptions(repeats=100))


def judged_films(
    labels: Sequence[str],
    probabilities: Sequence[Sequence[float]] | np.ndarray,
    *,
    patients: Sequence[str] | None = None,
    sources: Sequence[str] | None = None,
    **columns: Any,
) -> JudgedFilms:
    """Films with probabilities, of one source and each of its own patient unless said."""
    count = len(labels)
    frame = pl.DataFrame(
        {
            "image_id": [f"f{number}" for number in range(count)],
            "path": [f"f{number}.png" for number in range(count)],
            "label": list(labels),
            "patient_id": list(patients) if patients is not None else [f"p{number}" for number in range(count)],
            "source": list(sources) if sources is not None else ["here"] * count,
            **columns,
        }
    )
    ages = {name: pl.Series(name, [None] * count, dtype=pl.Float64) for name in ("age", "age_low", "age_high")}
    frame = frame.with_columns(**{name: values for name, values in ages.items() if name not in frame.columns})
    return JudgedFilms(FilmTable(frame, Path(), "0" * 64), _TASK, np.asarray(probabilities, dtype=np.float64))


def passed() -> Audit:
    """An audit that supports every contrast."""
    verdicts = {name: Verdict("supported", ("as it should be [all]",)) for name in _TASK.contrasts}
    return Audit(None, "0" * 64, 1, 1, (), verdicts)


def cohort(seed: int = 3, patients: int = 120) -> JudgedFilms:
    """Two films a patient, all four classes in both of two sources, a model that is mostly right."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(patients) % 4
    rows = np.repeat(kinds, 2)
    logits = rng.normal(0, 1, (len(rows), 4))
    logits[np.arange(len(rows)), rows] += 2.0
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return judged_films(
        [_TASK.classes[kind] for kind in rows],
        values,
        patients=[f"p{number}" for number in np.repeat(np.arange(patients), 2)],
        sources=["east" if (number // 8) % 2 else "west" for number in range(len(rows))],
        sex=["F" if (number // 2) % 3 else "M" for number in range(len(rows))],
        film_order=[str(number % 2) for number in range(len(rows))],
    )


@cache
def evaluated(*, audited: bool = True) -> Evaluation:
    """The cohort's evaluation."""
    return evaluate_judged(cohort(), _QUICK, audit=passed() if audited else None)


def number(found: Evaluation, number_id: str) -> Number:
    """The number of an id."""
    one = found.find(number_id)
    assert one is not None, number_id
    return one


def test_ppv_among_pneumonia_is_exact_at_the_family_level() -> None:
    # 9 films called covid19, 8 rightly; 6 not called, 5 rightly
    labels = ["covid19"] * 8 + ["bacterial"] + ["viral"] * 5 + ["covid19"] + ["normal"] * 5
    rows = [[0.0, 0.1, 0.1, 0.8]] * 9 + [[0.0, 0.5, 0.4, 0.1]] * 6 + [[0.9, 0.1, 0.0, 0.0]] * 5
    found = evaluate_judged(judged_films(labels, rows), _QUICK, audit=passed())
    ppv = number(found, "covid19_given_pneumonia.ppv.among_pneumonia.first_films")
    assert (ppv.events, ppv.n, ppv.family, ppv.level) == (8, 9, 4, 0.9875)
    assert ppv.low == pytest.approx(beta.ppf(0.00625, 8, 2))
    assert ppv.high == pytest.approx(beta.ppf(0.99375, 9, 1))
    assert ppv.method == "Clopper-Pearson, Bonferroni m=4"
    assert ppv.headline
    npv = number(found, "covid19_given_pneumonia.npv.among_pneumonia.first_films")
    assert (npv.events, npv.n) == (5, 6)
    sensitivity = number(found, "covid19_given_pneumonia.sensitivity.among_pneumonia.first_films")
    assert (sensitivity.events, sensitivity.n, sensitivity.level) == (8, 9, 0.95)


def test_normal_called_covid_is_false_positive_among_all_films() -> None:
    labels = ["covid19"] * 8 + ["normal"] * 4 + ["viral"] * 8
    rows = [[0.0, 0.1, 0.1, 0.8]] * 8 + [[0.1, 0.0, 0.0, 0.9]] * 4 + [[0.0, 0.3, 0.7, 0.0]] * 8
    found = evaluate_judged(judged_films(labels, rows), _QUICK, audit=passed())
    among = number(found, "covid19_given_pneumonia.ppv.among_pneumonia.first_films")
    whole = number(found, "covid19_given_pneumonia.ppv.all_films.first_films")
    assert (among.events, among.n) == (8, 8)
    assert (whole.events, whole.n, whole.family) == (8, 12, 4)


def test_auc_is_that_of_scikit_learn() -> None:
    films = cohort()
    found = evaluated()
    truth = np.array(films.table.labels) != "normal"
    whole = number(found, "pneumonia.auc.all_films.all_films.bootstrap")
    assert whole.value == pytest.approx(roc_auc_score(truth, 1.0 - films.probabilities[:, 0]))
    first = number(found, "pneumonia.auc.all_films.first_films")
    assert first.value == pytest.approx(roc_auc_score(truth[::2], 1.0 - films.probabilities[::2, 0]))
    assert (first.n, first.patients) == (120, 120)
    assert (whole.n, whole.patients) == (240, 120)


def test_first_film_is_by_order_not_by_row() -> None:
    order = np.array([5.0, 1.0, np.nan, np.nan, 2.0])
    assert first_films(np.array(["a", "a", "b", "b", "b"]), order).tolist() == [1, 4]


def test_ids_are_unique_and_every_number_has_its_place() -> None:
    found = evaluated()
    ids = [one.id for one in found.numbers]
    assert len(ids) == len(set(ids))
    assert {one.group for one in found.numbers} >= {
        *("contrast", "class", "proportion", "calibration", "subgroup", "association", "pairs"),
    }
    for one in found.numbers:
        assert one.value is not None or one.note, one.id
        if one.low is not None and one.high is not None:
            assert one.low < one.high, one.id


def test_covid_numbers_are_withheld_without_an_audit() -> None:
    found = evaluated(audited=False)
    mine = [one for one in found.numbers if one.contrast == "covid19_given_pneumonia"]
    assert mine
    assert all(one.value is None and one.low is None and one.events is None for one in mine)
    assert {one.note for one in mine} == {"withheld: no shortcut audit"}
    assert "covid19_given_pneumonia" not in found.curves
    assert number(found, "class.sensitivity.class=covid19.first_films").value is None
    assert any("withheld" in sentence for sentence in found.sentences)
    # of a contrast within sources the numbers stand
    assert number(found, "pneumonia.auc.all_films.first_films").value is not None


def test_withheld_counts_do_not_come_back_by_another_way(tmp_path: Path) -> None:
    found = evaluated(audited=False)
    write_evaluation(found, {"seed": 1}, tmp_path)
    stored = json.loads((tmp_path / "metrics.json").read_text())
    # a row or column left out of a matrix is its total less the rest
    assert "matrix" not in stored["confusion"]
    assert "decision" not in stored["confusion"]
    assert stored["confusion"]["withheld"] == "withheld: no shortcut audit of covid19_given_pneumonia"
    assert {entry["contrast"] for entry in stored["gallery"]}.isdisjoint({"covid19_given_pneumonia"})
    assert "covid19_given_pneumonia" not in (tmp_path / "gallery" / "films.csv").read_text()
    with (tmp_path / "numbers.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["contrast"] == "covid19_given_pneumonia"]
    assert {"tp", "fp", "tn", "fn"} <= {row["measure"] for row in rows}
    assert all(not row[name] for row in rows for name in ("value", "low", "high", "events"))
    # what a predictive value is a share of are the films called so
    assert all(not row["n"] for row in rows if row["measure"].startswith(("ppv", "npv")))
    # and a class's own share of right calls is the mean over all less the others
    whole = [one for one in found.numbers if one.group == "class" and one.cell in {"all", "class=covid19"}]
    assert whole
    assert all(one.value is None for one in whole)
    assert number(found, "class.sensitivity.class=viral.first_films").value is not None


def test_both_classes_of_a_withheld_contrast_are_withheld() -> None:
    films = cohort()
    sources = ["ward" if label == "normal" else "clinic" for label in films.table.labels]
    apart = judged_films(films.table.labels, films.probabilities, patients=films.table.patients, sources=sources)
    found = evaluate_judged(apart, _QUICK)
    assert number(found, "class.sensitivity.class=normal.first_films").note == "withheld: no shortcut audit"
    assert number(found, "class.sensitivity.class=viral.first_films").value is not None


def test_with_an_audit_matrix_and_gallery_stand() -> None:
    found = evaluated()
    assert found.confusion["matrix"]
    assert "covid19_given_pneumonia" in {entry["contrast"] for entry in found.gallery}


def test_cross_source_contrast_is_withheld_without_an_audit_and_said_with_one() -> None:
    films = cohort()
    sources = ["ward" if label == "normal" else "clinic" for label in films.table.labels]
    apart = judged_films(films.table.labels, films.probabilities, patients=films.table.patients, sources=sources)
    assert number(evaluate_judged(apart, _QUICK), "pneumonia.auc.all_films.first_films").value is None
    found = evaluate_judged(apart, _QUICK, audit=passed())
    area = number(found, "pneumonia.auc.all_films.first_films")
    assert area.value is not None
    assert area.sources == "cross-source"
    assert any(text.startswith("pneumonia: its positives and negatives share no source") for text in found.sentences)


def test_verdict_stands_beside_every_headline() -> None:
    audit = Audit(None, "0" * 64, 1, 1, (), {"pneumonia": Verdict("not supported", ("a border [border]",))})
    found = evaluate_judged(cohort(), _QUICK, audit=audit)
    told = {one.contrast: one.verdict for one in found.headlines}
    assert told["pneumonia"] == "not supported"
    assert told["covid19_given_pneumonia"] == "not shown"


def test_within_source_values_stand_beside_the_pooled() -> None:
    found = evaluated()
    assert number(found, "pneumonia.auc.all_films.first_films").sources == "within sources"
    for source in ("east", "west"):
        one = number(found, f"pneumonia.auc.all_films.source={source}.first_films")
        assert one.sources == "one source"
        assert one.headline


@pytest.mark.parametrize(
    ("sources", "positive", "scope"),
    [
        (["a", "a"], [True, False], "one source"),
        (["a", "b", "a", "b"], [True, True, False, False], "within sources"),
        (["a", "a", "b"], [True, False, True], "mixed"),
        (["a", "b"], [True, False], "cross-source"),
        (["", ""], [True, False], None),
    ],
)
def test_scope_of_a_comparison(sources: list[str], positive: list[bool], scope: str | None) -> None:
    assert source_scope(sources, np.array(positive)) == scope


def test_primary_family_is_of_the_conditional_contrasts() -> None:
    assert len(primary_contrasts(_TASK)) * 2 == 4  # M31: PPV and NPV of both
    two = task_from_dict(
        {
            "name": "effusion",
            "version": 1,
            "input": "chest_radiograph",
            "classes": ["none", "effusion"],
            "contrasts": {"effusion": {"positive": ["effusion"], "negative": ["none"]}},
            "decision": {
                "otherwise": "none",
                "rules": [{"contrast": "effusion", "above": "effusion", "specificity": 0.9}],
            },
        }
    )
    assert primary_contrasts(two) == ("effusion",)


def test_threshold_that_nobody_fixed_is_said() -> None:
    found = evaluated(audited=False)
    assert "pneumonia is called at 0.500, one half, for none was set beforehand" in found.sentences
    given = EvaluationOptions(intervals=_QUICK.intervals, thresholds={"pneumonia": 0.3})
    said = evaluate_judged(cohort(), given).sentences
    assert "pneumonia is called at 0.300, given as an option" in said


@pytest.mark.parametrize("thresholds", [{"sickness": 0.5}, {"pneumonia": 1.5}])
def test_wrong_threshold_is_a_sentence(thresholds: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="threshold"):
        operating_thresholds(_TASK, None, thresholds)


@pytest.mark.parametrize("texts", [["pneumonia"], ["pneumonia=much"], ["pneumonia=0.1", "pneumonia=0.2"]])
def test_threshold_written_wrongly_is_a_sentence(texts: list[str]) -> None:
    with pytest.raises(SettingsError, match="threshold"):
        parse_thresholds(texts)


def test_mercaldo_at_the_prevalence_asked() -> None:
    shares = {"normal": 0.7, "bacterial": 0.1, "viral": 0.1, "covid19": 0.1}
    options = EvaluationOptions(intervals=_QUICK.intervals, prevalence=shares)
    found = evaluate_judged(cohort(), options, audit=passed())
    sens = number(found, "pneumonia.sensitivity.all_films.first_films").value
    spec = number(found, "pneumonia.specificity.all_films.first_films").value
    assert sens is not None
    assert spec is not None
    ppv = number(found, "pneumonia.ppv_at_prevalence.all_films.first_films")
    assert ppv.value == pytest.approx(0.3 * sens / (0.3 * sens + 0.7 * (1 - spec)))  # Bayes
    covid = number(found, "covid19_given_pneumonia.ppv_at_prevalence.among_pneumonia.first_films")
    assert "prevalence 0.333" in covid.method


def test_one_class_gives_sentences() -> None:
    rows = [[0.2, 0.4, 0.3, 0.1]] * 6 + [[0.6, 0.2, 0.1, 0.1]] * 6
    found = evaluate_judged(judged_films(["normal"] * 12, rows), _QUICK, audit=passed())
    area = number(found, "pneumonia.auc.all_films.first_films")
    assert (area.value, area.note) == (None, "not estimable: one class only")
    assert "pneumonia is not estimable: all its 12 films are negative" in found.sentences
    assert "covid19_given_pneumonia is not evaluated: no film's label decides it" in found.sentences


def test_constant_predictions_are_said() -> None:
    films = cohort()
    same = judged_films(films.table.labels, np.full((len(films), 4), 0.25), patients=films.table.patients)
    found = evaluate_judged(same, _QUICK, audit=passed())
    area = number(found, "pneumonia.auc.all_films.first_films")
    assert area.value == 0.5
    assert area.low is None
    assert "constant" in str(area.note)
    assert any(sentence.startswith("the predictions are constant") for sentence in found.sentences)


def test_perfect_separation_is_never_a_silent_one() -> None:
    labels = ["normal"] * 20 + ["bacterial"] * 20
    rows = [[0.9, 0.1, 0.0, 0.0]] * 20 + [[0.1, 0.9, 0.0, 0.0]] * 20
    found = evaluate_judged(judged_films(labels, rows), _QUICK, audit=passed())
    area = number(found, "pneumonia.auc.all_films.first_films")
    assert area.value == 1.0
    assert area.low is None
    assert "perfect separation" in str(area.note)
    slope = number(found, "pneumonia.calibration.slope.all_films.all_films")
    assert slope.value is None
    for one in found.numbers:
        if one.value == 1.0 and one.group in {"contrast", "class", "subgroup"}:
            assert one.low is not None or one.note, one.id


def test_ten_films_are_said_to_be_few() -> None:
    films = cohort().take(range(0, 20, 2))
    found = evaluate_judged(films, _QUICK, audit=passed())
    assert "10 patients are few: intervals are wide, and none of this can be relied on" in found.sentences
    assert "every film has its own patient: first films and all films are the same" in found.sentences


def test_label_set_films_take_no_part_in_classes() -> None:
    films = cohort()
    labels = ["pneumonia_non_covid19" if label == "viral" else label for label in films.table.labels]
    found = evaluate_judged(
        judged_films(labels, films.probabilities, patients=films.table.patients), _QUICK, audit=passed()
    )
    assert number(found, "class.accuracy.first_films").n == 90
    macro = number(found, "class.macro_sensitivity.first_films")
    assert (macro.value, macro.note) == (None, "not estimable for viral, so that the mean is not")
    assert number(found, "pneumonia.auc.all_films.first_films").n == 120


def test_proportions_stand_beside_the_gold_standard() -> None:
    labels = ["normal"] * 6 + ["bacterial"] * 2 + ["viral"] * 2
    rows = [[0.8, 0.1, 0.1, 0.0]] * 5 + [[0.2, 0.8, 0.0, 0.0]] * 5
    found = evaluate_judged(judged_films(labels, rows), _QUICK)
    assert number(found, "proportion.gold_share.class=normal.all_films").value == pytest.approx(0.6)
    assert number(found, "proportion.predicted_share.class=normal.all_films").value == pytest.approx(0.5)
    assert number(found, "proportion.called_share.class=normal.all_films").value == pytest.approx(0.5)
    assert number(found, "proportion.gold_share.group=pneumonia.all_films").value == pytest.approx(0.4)


def test_coverage_of_prediction_sets_by_class() -> None:
    films = cohort()
    sets = tuple(frozenset(_TASK.classes[:2]) for _ in range(len(films)))
    with_sets = JudgedFilms(films.table, films.task, films.probabilities, prediction_sets=sets)
    found = evaluate_judged(with_sets, _QUICK, audit=passed())
    normal = number(found, "conformal.coverage.class=normal.first_films")
    viral = number(found, "conformal.coverage.class=viral.first_films")
    assert (normal.events, normal.n) == (30, 30)
    assert (viral.events, viral.n) == (0, 30)
    assert number(found, "conformal.set_size.class=viral.first_films").value == 2.0


def test_gallery_shows_the_surest_wrong_first() -> None:
    labels = ["normal"] * 3 + ["viral"] * 3
    rows = [
        [0.4, 0.6, 0, 0],
        [0.1, 0.9, 0, 0],
        [0.9, 0.1, 0, 0],
        [0.8, 0.2, 0, 0],
        [0.99, 0.01, 0, 0],
        [0.1, 0.9, 0, 0],
    ]
    found = evaluate_judged(judged_films(labels, rows), _QUICK)
    mine = [(one["kind"], one["image_id"]) for one in found.gallery if one["contrast"] == "pneumonia"]
    assert mine == [
        ("false_positive", "f1"),
        ("false_positive", "f0"),
        ("false_negative", "f4"),
        ("false_negative", "f3"),
    ]


def test_matched_pairs_are_ordered_by_hand() -> None:
    # three episodes: pneumonia first, normal last; P(pneumonia) changes by 0.6, 0.2 and -0.1
    labels = ["viral", "normal"] * 3
    sick = [0.9, 0.3, 0.6, 0.4, 0.3, 0.4]
    rows = [[1 - value, value, 0.0, 0.0] for value in sick]
    films = judged_films(
        labels,
        rows,
        patients=["a", "a", "b", "b", "c", "c"],
        episode_id=["a", "a", "b", "b", "c", "c"],
        film_order=["1", "2"] * 3,
    )
    options = EvaluationOptions(intervals=_QUICK.intervals, minimum_cell=1)
    found = evaluate_judged(films, options)
    change = number(found, "pneumonia.pairs.change.all_films.matched_pairs.all_films")
    assert change.value == pytest.approx(0.7 / 3)
    ordered = number(found, "pneumonia.pairs.ordered.all_films.matched_pairs.all_films")
    assert (ordered.events, ordered.n) == (2, 3)


def _chosen(splits: list[str | None]) -> FilmTable:
    films = judged_films(["normal"] * len(splits), [[1.0, 0, 0, 0]] * len(splits))
    return films.table.with_frame(films.table.frame.with_columns(pl.Series("split", splits, dtype=pl.String)))


def test_films_of_the_training_splits_are_left_out() -> None:
    found = choose_evaluation_films(_chosen(["train", "tune", "calibrate", "test", None]), None)
    assert found.table.image_ids == ["f3", "f4"]
    assert sum(found.left_out.values()) == 3


def test_table_of_training_films_alone_is_refused() -> None:
    with pytest.raises(TableError, match="outside train, tune and calibrate"):
        choose_evaluation_films(_chosen(["train", "tune"]), None)


def test_split_asked_for_is_said_not_to_be_performance() -> None:
    found = choose_evaluation_films(_chosen(["train", "test"]), None, "train")
    assert found.table.image_ids == ["f0"]
    assert any("not performance" in sentence for sentence in found.sentences)


def test_predictions_cannot_be_spoiled(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs the model itself"):
        evaluate_predictions(tmp_path / "p.csv", _chosen(["test"]), _TASK, EvaluationOrder(robustness=True))


def test_audit_of_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "image_id," + ",".join(f"probabilities.{name}" for name in _TASK.classes) + "\nf0,1,0,0,0\n", "utf-8"
    )
    other = Audit(None, "1" * 64, 1, 1, (), {})
    with pytest.raises(SettingsError, match="of the table that is evaluated"):
        evaluate_predictions(path, _chosen(["test"]), _TASK, EvaluationOrder(audit=other))
    with pytest.raises(SettingsError, match="of the model that is evaluated"):
        evaluate_predictions(path, _chosen(["test"]), _TASK, EvaluationOrder(audit=passed()))


def test_training_again_needs_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "image_id," + ",".join(f"probabilities.{name}" for name in _TASK.classes) + "\nf0,1,0,0,0\n", "utf-8"
    )
    with pytest.raises(SettingsError, match="--recipe"):
        evaluate_predictions(path, _chosen(["test"]), _TASK, EvaluationOrder(folds=3))


def test_planned_films_stand_beside_those_there_are(tmp_path: Path) -> None:
    plan: dict[str, Any] = {"level": 0.9875, "films": {"pneumonia": 100, "covid19_given_pneumonia": 500}}
    plan |= {"test_pneumonia_patients": 500, "eligible_patients": 1000, "months": 11.1}
    plan["decided_by"] = dict.fromkeys(["pneumonia", "covid19_given_pneumonia"], "ppv")
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**plan, "calls_for_power": {}}))
    films = cohort()
    rows = {"image_id": films.table.image_ids} | {
        f"probabilities.{name}": films.probabilities[:, place].tolist() for place, name in enumerate(_TASK.classes)
    }
    pl.DataFrame(rows).write_csv(tmp_path / "predictions.csv")
    order = EvaluationOrder(options=_QUICK, sample_size=path)
    found = evaluate_predictions(tmp_path / "predictions.csv", films.table, _TASK, order)
    assert found.planned is not None
    assert found.planned["films"]["pneumonia"] == 100
    # 120 patients, 90 of them with pneumonia
    assert "pneumonia: 100 films, one a patient, were planned and 120 are there, as planned" in found.sentences
    assert any(said.startswith("covid19_given_pneumonia: 500 films") and "fewer" in said for said in found.sentences)
    path.write_text(json.dumps({**plan, "films": {"tumour": 3}}))
    with pytest.raises(TableError, match="names 'tumour'"):
        evaluate_predictions(tmp_path / "predictions.csv", films.table, _TASK, order)
