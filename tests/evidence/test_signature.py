"""Signatures: planted ones are found, null tables are silent, and what crosses sources is never shown."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import polars as pl
import pytest
from scipy.stats import mannwhitneyu
from signature_films import made_up
from sklearn.metrics import roc_auc_score

from carina.errors import SettingsError, TableError, TaskError
from carina.evidence.signature import Signature, SignatureOptions, find_signature
from carina.evidence.signature_control import control_signs
from carina.evidence.signature_effects import feature_effects, hedges_g, rank_test
from carina.evidence.signature_files import write_signature
from carina.evidence.signature_harmonise import fit_together
from carina.evidence.signature_models import ModelOptions, Sample, cross_validate, deal_patients
from carina.evidence.signature_other import network_scores
from carina.evidence.signature_permutation import exchanged
from carina.evidence.signature_table import (
    SignatureTable,
    StableFeatures,
    feature_code,
    read_feature_table,
    read_stability,
)
from carina.imaging.lung_fields import from_mask
from carina.sampling import patient_key
from carina.tasks import default_task

QUICK = SignatureOptions(ModelOptions(folds=4, inner_folds=3, most=10, kinds=("elastic_net",)), permutations=19)
ONE = {"a": ("bacterial", "viral")}
CONTRAST = "bacterial_given_pneumonia_without_covid19"


def found(table: SignatureTable, contrast: str = CONTRAST, **changes: object) -> Signature:
    made = np.random.default_rng(9).normal(size=(len(table), 3))
    changes = {"control": made} | changes
    return find_signature(table, contrast, default_task(), QUICK, **changes)  # type: ignore[arg-type]  # of one test each


def test_a_planted_signature_is_shown_in_its_source_and_its_features_are_named() -> None:
    signature = found(made_up(ONE, planted=1.5))
    assert signature.verdict.verdict == "shown"
    assert signature.verdict.sources == ("a",)
    assert {f"lungs.original_firstorder_Made{number}" for number in range(3)} <= set(signature.verdict.features)


def test_a_table_without_a_signature_shows_none() -> None:
    assert found(made_up(ONE, seed=4)).verdict.verdict == "not supported"


def test_a_contrast_across_sources_is_not_shown_however_well_it_separates() -> None:
    table = made_up({"a": ("bacterial", "viral"), "b": ("covid19", "covid19")}, source_shift=3.0)
    table = table.take(np.unique(table.column("image_id").astype(str), return_index=True)[1])
    signature = found(table, "covid19_given_pneumonia")
    area = signature.parts[0].areas["elastic_net"].value
    assert area is not None
    assert area > 0.95
    assert signature.verdict.verdict == "not shown"
    assert signature.verdict.sources == ()


def test_a_view_that_only_the_sick_have_does_not_pass_for_a_disease() -> None:
    table = made_up(ONE, planted=1.5)
    films = table.films.with_columns(
        view=pl.when(pl.col("label") == "viral").then(pl.lit("AP")).otherwise(pl.lit("PA"))
    )
    verdict = found(SignatureTable(films, table.names, table.values)).verdict
    assert verdict.verdict == "not supported"
    assert "the view may be all that is seen" in verdict.because[0]


def test_a_signature_that_says_no_more_than_how_the_film_was_made_is_not_supported() -> None:
    table = made_up(ONE, planted=1.0)
    sharp = np.random.default_rng(3).normal(size=len(table)) * 0.3 + (table.column("label") == "viral")
    verdict = found(table, control=sharp[:, None]).verdict
    assert verdict.verdict == "not supported"
    assert "does not show that it adds" in verdict.because[0]


def test_without_the_films_nothing_is_shown() -> None:
    verdict = found(made_up(ONE, planted=1.5), control=None).verdict
    assert verdict.verdict == "not shown"
    assert "give the films" in verdict.because[0]


def test_signs_of_how_a_film_was_made_do_not_change_with_its_lungs() -> None:
    film = np.random.default_rng(4).uniform(0.2, 0.8, (256, 256)).astype(np.float32)
    mask = np.zeros((256, 256), bool)
    mask[40:210, 30:110] = mask[40:210, 146:226] = True
    fields = from_mask(mask)
    other = np.where(mask, np.float32(0.9) - film, film)
    one, two = control_signs(film, fields), control_signs(other, fields)
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one, two, atol=1e-6)
    blurred = control_signs(np.asarray(cv2.GaussianBlur(film, (0, 0), 2.0)), fields)
    assert blurred is not None
    assert (blurred[-8:-4] < one[-8:-4] - 0.5).all()


def test_the_rank_test_keeps_its_level_where_there_is_nothing() -> None:
    rng = np.random.default_rng(7)
    people = np.repeat(np.arange(60), 2)
    sides = np.repeat(rng.permutation(60) < 30, 2)
    values = np.repeat(rng.normal(size=(60, 4000)), 2, axis=0) + 0.3 * rng.normal(size=(120, 4000))
    p = rank_test(values, sides, people, np.zeros(120, np.intp))
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.012)
    naive = rank_test(values, sides, np.arange(120), np.zeros(120, np.intp))
    assert np.mean(naive < 0.05) > 0.1  # films taken for patients find twice too much


def test_the_rank_test_agrees_with_mann_whitney_for_one_film_a_patient() -> None:
    rng = np.random.default_rng(3)
    values, sides = rng.normal(size=300), np.arange(300) < 140
    values[sides] += 0.25
    ours = rank_test(values[:, None], sides, np.arange(300), np.zeros(300, np.intp))[0]
    assert ours == pytest.approx(mannwhitneyu(values[sides], values[~sides]).pvalue, rel=0.1)


def test_hedges_g_has_the_textbook_value_and_nearly_its_variance() -> None:
    rng = np.random.default_rng(2)
    values, sides = rng.normal(size=400), np.arange(400) < 200
    values[sides] += 0.5
    g, low, high = hedges_g(values, sides, np.arange(400))
    spread = np.sqrt((values[sides].var(ddof=1) + values[~sides].var(ddof=1)) / 2)
    d = (values[sides].mean() - values[~sides].mean()) / spread
    assert g == pytest.approx(d * (1 - 3 / (4 * 398 - 1)))
    assert low is not None
    assert high is not None
    textbook = np.sqrt(400 / (200 * 200) + d**2 / (2 * 400))
    assert (high - low) / (2 * 1.966) == pytest.approx(textbook, rel=0.06)


def test_two_films_a_patient_alike_widen_no_interval_less_than_one() -> None:
    table = made_up(ONE, planted=0.5)
    sides = table.column("label") == "bacterial"
    once = hedges_g(table.values[:, 0], sides, table.column("patient_id").astype(str))
    twice = hedges_g(np.repeat(table.values[:, 0], 2), np.repeat(sides, 2), np.repeat(table.column("patient_id"), 2))
    assert once[1] is not None
    assert once[2] is not None
    assert twice[1] is not None
    assert twice[2] is not None
    assert twice[2] - twice[1] == pytest.approx(once[2] - once[1], rel=0.02)


def test_effects_carry_the_auc_of_scikit_learn_and_the_difference_of_sources_only_without_strata() -> None:
    table = made_up({"a": ("bacterial", "viral"), "b": ("bacterial", "viral")}, patients=30, source_shift=2.0)
    table = table.take(np.arange(20, len(table) - 20))  # a loses bacterial films, b viral ones
    sides = table.column("label") == "bacterial"
    effects = feature_effects(
        table.values, table.names, sides, table.column("patient_id").astype(str), table.column("source").astype(str)
    )
    assert effects[0].auc == pytest.approx(roc_auc_score(sides, table.values[:, 0]))
    assert sum(one.q is not None and one.q < 0.05 for one in effects) > 20
    assert sum(one.within_q is not None and one.within_q < 0.05 for one in effects) <= 2


def test_no_patient_is_in_two_folds_and_every_fold_has_both_sides() -> None:
    table = made_up(ONE, films=3)
    sample = Sample(table.values, table.column("label") == "viral", table.column("patient_id"), table.column("source"))
    fold = deal_patients(sample, 5, seed=3)
    owners = {(person, number) for person, number in zip(sample.patients.tolist(), fold.tolist(), strict=True)}
    assert len(owners) == len(set(sample.patients.tolist()))
    assert all(0 < sample.positive[fold == number].mean() < 1 for number in range(5))


def test_a_held_out_film_does_not_touch_the_model_that_scores_it() -> None:
    table = made_up(ONE, planted=1.0)
    sides = table.column("label") == "viral"
    options = ModelOptions(folds=4, inner_folds=3, most=5, kinds=("elastic_net",))
    one = cross_validate(Sample(table.values, sides, table.column("patient_id"), table.column("source")), options)
    changed = sides.copy()
    held = np.flatnonzero(one.fold == 0)
    flipped = held[:2]
    changed[flipped] = ~changed[flipped]
    values = table.values.copy()
    values[flipped] = values[flipped] * 50
    two = cross_validate(Sample(values, changed, table.column("patient_id"), table.column("source")), options)
    same = np.setdiff1d(held, flipped)
    if (one.fold == two.fold).all():  # sides take part in the dealing
        np.testing.assert_allclose(one.scores["elastic_net"][same], two.scores["elastic_net"][same])


def test_labels_are_exchanged_within_source_and_patients_keep_theirs_together() -> None:
    table = made_up({"a": ("bacterial", "viral"), "b": ("bacterial", "viral")}, films=2)
    sample = Sample(table.values, table.column("label") == "viral", table.column("patient_id"), table.column("source"))
    dealt = exchanged(sample, np.random.default_rng(1))
    assert (dealt != sample.positive).any()
    for source in ("a", "b"):
        assert dealt[sample.sources == source].sum() == sample.positive[sample.sources == source].sum()
    assert (dealt[0::2] == dealt[1::2]).all()


def test_combat_takes_the_shift_of_a_source_away_and_leaves_the_disease() -> None:
    table = made_up({"a": ("bacterial", "viral"), "b": ("bacterial", "viral")}, planted=2.0, source_shift=5.0)
    sample = Sample(table.values, table.column("label") == "viral", table.column("patient_id"), table.column("source"))
    together = fit_together(sample)(sample.values, sample.sources)
    gap = together[sample.sources == "b"].mean(axis=0) - together[sample.sources == "a"].mean(axis=0)
    assert np.abs(gap).max() < 0.4  # of 5: what is left is chance between 80 films, which is not taken for the source
    kept = together[sample.positive, 0].mean() - together[~sample.positive, 0].mean()
    assert kept == pytest.approx(2.0, abs=0.35)


def test_what_is_not_stable_has_an_effect_but_no_part_in_a_model() -> None:
    table = made_up(ONE, planted=1.5)
    stability = StableFeatures({table.names[0]: False}, {table.names[0]: "moves with a shift of one pixel"})
    signature = found(table, stability=stability)
    assert table.names[0] not in signature.kept
    assert table.names[0] not in signature.model_features
    assert table.names[0] in {one.feature for one in signature.effects}


def test_a_network_that_knows_more_gains_nothing_and_one_that_knows_less_gains() -> None:
    table = made_up(ONE, planted=1.2, patients=60)
    sides = table.column("label") == "bacterial"
    rng = np.random.default_rng(5)
    blind = found(table, other=rng.normal(size=len(table))).parts[0].fusion["elastic_net"]
    assert blind.adds is True
    assert blind.ratio_p is not None
    assert blind.ratio_p < 0.001
    seeing = found(table, other=np.where(sides, 3.0, -3.0) + rng.normal(size=len(table))).parts[0].fusion["elastic_net"]
    assert seeing.adds is not True


def test_the_files_hold_every_feature_every_film_and_a_model_that_can_be_applied_by_hand(tmp_path: Path) -> None:
    table = made_up(ONE, planted=1.5)
    signature = found(table)
    written = write_signature(signature, tmp_path)
    assert json.loads((tmp_path / "signature.json").read_text()) == written
    assert pl.read_csv(tmp_path / "features.csv").height == len(table.names)
    assert pl.read_csv(tmp_path / "scores.csv").filter(pl.col("part") == "source=a").height == len(table)
    model = json.loads((tmp_path / "model.json").read_text())
    first = dict(zip(table.names, table.values[0].tolist(), strict=True))
    by_hand = model["intercept"] + sum(
        one["coefficient"] * min(5, max(-5, (first[one["feature"]] - one["mean"]) / one["spread"]))
        for one in model["features"]
    )
    assert signature.model is not None
    narrow = table.with_features(signature.kept)
    assert by_hand == pytest.approx(signature.model.score(narrow.values[:1])[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.vstack(frame[:1]), "each film once"),
        (lambda frame: frame.drop("patient_id"), "lacks .'patient_id'."),
        (lambda frame: frame.select("image_id", "patient_id", "label"), "must have features"),
        (lambda frame: frame.with_columns(pl.lit(1.0).alias("lungs.a_b_C")), "features that vary"),
        (lambda frame: frame[:0], "has none"),
        (lambda frame: frame.with_columns(pl.lit("").alias("label")), "must have its label"),
    ],
)
def test_a_feature_table_that_breaks_its_contract_is_refused(tmp_path: Path, change: object, said: str) -> None:
    frame = pl.DataFrame({"image_id": ["1", "2"], "patient_id": ["p", "q"], "label": ["viral", "viral"]})
    frame = frame.with_columns(pl.lit(1.0).alias("lungs.a_b_C"))
    change(frame).write_parquet(tmp_path / "features.parquet")  # type: ignore[operator]  # a function of each case
    with pytest.raises(TableError, match=said):
        read_feature_table(tmp_path / "features.parquet")


def test_constant_and_empty_features_stay_out_with_the_reason(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "image_id": ["1", "2"], "patient_id": ["p", "q"], "label": ["viral", "viral"],
        "lungs.a_b_Flat": [2.0, 2.0], "lungs.a_b_Empty": [float("nan"), None], "lungs.a_b_Good": [1.0, float("inf")],
        "lungs.a_b_Fine": [1.0, 3.0],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "features.parquet")
    table = read_feature_table(tmp_path / "features.parquet")
    assert table.names == ("lungs.a_b_Fine",)
    assert table.left_out["lungs.a_b_Flat"] == "the same on every film"
    assert table.left_out["lungs.a_b_Empty"] == "no film has a value"


def test_too_few_patients_one_class_unknown_contrasts_and_too_few_deals_are_refused() -> None:
    with pytest.raises(TableError, match="10 patients"):
        found(made_up(ONE, patients=9))
    with pytest.raises(TableError, match="one class only"):
        found(made_up(ONE), "covid19_given_pneumonia")
    with pytest.raises(TaskError, match="found 'no_such'"):
        found(made_up(ONE), "no_such")
    with pytest.raises(SettingsError, match="at least 19 times"):
        find_signature(made_up(ONE), CONTRAST, default_task(), SignatureOptions(QUICK.models, permutations=5))


def test_stability_must_name_each_feature_once(tmp_path: Path) -> None:
    pl.DataFrame({"feature": ["a", "a"], "keep": [True, False]}).write_parquet(tmp_path / "stability.parquet")
    with pytest.raises(TableError, match="each feature once"):
        read_stability(tmp_path / "stability.parquet")


def test_the_code_of_the_reference_manual_stands_beside_a_feature() -> None:
    assert feature_code("left_upper.log-sigma-2-0-mm-2D_glcm_Contrast") == "ACUI"  # reference manual, section 3.6
    assert feature_code("lungs.original_fractal_Lacunarity") == ""


def test_conditions_and_patients_held_out_leave_films_out(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "image_id": list("12345"), "patient_id": ["p", "p", "q", "r", "s"], "label": ["viral"] * 5,
        "release": ["yes", "yes", "yes", "no", "yes"], "lungs.a_b_C": [1.0, 2.0, 3.0, 9.0, 5.0],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "features.parquet")
    (tmp_path / "boxes.csv").write_text("image_id,x\n2,5\n")
    table = read_feature_table(tmp_path / "features.parquet", ["release=yes"], tmp_path / "boxes.csv")
    assert table.column("image_id").tolist() == ["3", "5"]
    assert table.values.tolist() == [[3.0], [5.0]]
    assert table.films_left_out == {"of a patient held out": 2, "outside the conditions": 1}
    with pytest.raises(TableError, match="--where takes COLUMN=VALUE"):
        read_feature_table(tmp_path / "features.parquet", ["no_such=1"])


def test_a_network_is_judged_on_no_film_of_a_patient_it_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = made_up(ONE, patients=12)
    names = table.column("image_id").tolist()
    rows = {"image_id": names, "model.name": ["made"] * len(names), "model.sha256": ["ab12"] * len(names)}
    rows |= {f"probabilities.{name}": [0.25] * len(names) for name in default_task().classes}
    pl.DataFrame(rows).write_csv(tmp_path / "predictions.csv")
    learned = patient_key(str(table.column("patient_id")[0]))
    bundle = SimpleNamespace(
        model_sha256="ab12" + "0" * 60, training_films=SimpleNamespace(patients=frozenset({learned})),
        name="made", version="1",
    )  # fmt: skip
    monkeypatch.setattr("carina.evidence.signature_other.load_bundle", lambda _: bundle)
    held = network_scores(tmp_path / "predictions.csv", table, default_task(), CONTRAST, model="made.zip")
    assert held.learned == 1
    assert np.flatnonzero(np.isnan(held.scores)).tolist() == [0]
    assert network_scores(tmp_path / "predictions.csv", table, default_task(), CONTRAST).learned is None
    bundle.model_sha256 = "cd34" + "0" * 60
    with pytest.raises(TableError, match="of the model named"):
        network_scores(tmp_path / "predictions.csv", table, default_task(), CONTRAST, model="made.zip")
