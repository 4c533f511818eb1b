from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from carina.errors import CalibrationError
from carina.inference.calibrate import fit_calibration, least_patients
from carina.inference.calibration import Calibration, calibrated_probabilities, prediction_set
from carina.inference.coverage import coverage_report
from carina.statistics import log_loss
from carina.tasks import default_task

_TASK = default_task()
_AGES: dict[str, tuple[float, float] | None] = {"covid19_given_pneumonia": (18.0, 90.0)}


def _films(count: int, seed: int, sharpness: float = 1.0, spread: float = 2.5) -> tuple[np.ndarray, list[str]]:
    """Logits whose softmax is the truth, times `sharpness`, and the labels drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (count, 4))
    drawn = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return logits * sharpness, [_TASK.classes[min(number, 3)] for number in drawn]


def _fit(logits: np.ndarray, labels: list[str], patients: list[str] | None = None, **options: Any) -> Calibration:
    return fit_calibration(
        logits,
        labels,
        patients or [f"p{row}" for row in range(len(labels))],
        _TASK,
        ages=_AGES,
        model_sha256="ab" * 32,
        table_sha256="cd" * 32,
        **{"seed": 1, **options},
    )


def test_59_patients_are_the_fewest_with_a_guarantee_at_95_percent() -> None:
    assert least_patients(0.95) == 59  # 0.95**59 <= 0.05 < 0.95**58
    assert least_patients(0.90) == 22


def test_overconfident_logits_are_cooled_to_the_truth() -> None:
    logits, labels = _films(6000, 1, sharpness=2.5)
    fitted = _fit(logits, labels)
    assert fitted.temperature["pneumonia"] == pytest.approx(2.5, rel=0.1)
    fresh, names = _films(6000, 2, sharpness=2.5)
    targets = _TASK.targets(names)
    assert log_loss(targets, calibrated_probabilities(fresh, _TASK, fitted)) < log_loss(targets, softmax(fresh, axis=1))


def test_label_sets_and_single_labels_fit_the_same_temperatures_as_the_best_of_a_grid() -> None:
    logits, labels = _films(400, 3, sharpness=1.7)
    labels = [
        "pneumonia_non_covid19" if name in {"bacterial", "viral"} and row % 2 else name
        for row, name in enumerate(labels)
    ]
    labels = ["pneumonia" if name == "covid19" and row % 3 == 0 else name for row, name in enumerate(labels)]
    fitted, targets = _fit(logits, labels), _TASK.targets(labels)
    best = log_loss(targets, calibrated_probabilities(logits, _TASK, fitted))
    for root in np.exp(np.linspace(-1.5, 1.5, 25)):
        for group in np.exp(np.linspace(-1.5, 1.5, 25)):
            other = calibrated_probabilities(logits, _TASK, {"root": root, "pneumonia": group})
            assert log_loss(targets, other) >= best - 1e-9


def test_the_class_mix_counts_each_patient_once() -> None:
    logits, labels = _films(300, 4)
    patients = [f"p{row}" for row in range(300)]
    again = np.concatenate([logits, *([logits[:1]] * 50)])
    one = _fit(logits, labels, patients)
    other = _fit(again, [*labels, *([labels[0]] * 50)], [*patients, *(["p0"] * 50)])
    assert other.class_mix == pytest.approx(one.class_mix)
    counts = {name: labels.count(name) / 300 for name in _TASK.classes}
    assert one.class_mix == pytest.approx(counts)
    assert other.patients == 300


def test_a_label_set_is_shared_out_by_the_posterior() -> None:
    logits, labels = _films(400, 5)
    labels = [
        "pneumonia_non_covid19" if name in {"bacterial", "viral"} and row % 2 else name
        for row, name in enumerate(labels)
    ]
    fitted = _fit(logits, labels)
    posterior = calibrated_probabilities(logits, _TASK, fitted)
    share = 0.0
    for row, name in enumerate(labels):
        if name == "bacterial":
            share += 1
        elif name == "pneumonia_non_covid19":
            share += posterior[row, 1] / (posterior[row, 1] + posterior[row, 2])
    assert fitted.class_mix["bacterial"] == pytest.approx(share / 400)
    assert sum(fitted.class_mix.values()) == pytest.approx(1.0)


def test_thresholds_aim_at_the_rules_and_operating_points_are_counted_from_them() -> None:
    logits, labels = _films(900, 6, spread=1.5)
    fitted = _fit(logits, labels)
    probabilities = calibrated_probabilities(logits, _TASK, fitted)
    for name in ("pneumonia", "covid19_given_pneumonia"):
        threshold, point = fitted.thresholds[name], fitted.operating_points[name]
        truth = _TASK.contrast_truth(name, labels)
        scores = _TASK.contrast_probability(name, probabilities)
        assert threshold.low == threshold.high
        assert (scores[truth == 0] < threshold.low).mean() >= 0.95
        assert point.specificity.trials == int((truth == 0).sum())
        assert point.sensitivity.events == int(((truth == 1) & (scores >= threshold.high)).sum())
        assert point.right_above.trials == int(((scores >= threshold.high) & ~np.isnan(truth)).sum())
        assert point.indeterminate.events == 0
    band = fitted.operating_points["bacterial_given_pneumonia_without_covid19"]
    for side in (band.right_above, band.right_below):
        assert side.estimate is not None
        assert side.estimate >= 0.9
    assert band.indeterminate.events > 0
    assert fitted.thresholds["covid19_given_pneumonia"].ages == (18.0, 90.0)
    assert fitted.thresholds["pneumonia"].ages is None


def test_operating_points_use_the_first_film_of_a_patient() -> None:
    logits, labels = _films(600, 7)
    patients = [f"p{row // 2}" for row in range(600)]
    names = [labels[row - row % 2] for row in range(600)]
    point = _fit(logits, names, patients).operating_points["pneumonia"]
    assert point.specificity.trials + point.sensitivity.trials == 300


def test_operating_points_within_sources_add_up_to_the_pooled_ones() -> None:
    logits, labels = _films(600, 12)
    fitted = _fit(logits, labels, sources=["near" if row % 3 else "far" for row in range(600)])
    for contrast, pooled in fitted.operating_points.items():
        parts = [points[contrast] for points in fitted.operating_points_by_source.values()]
        assert len(parts) == 2
        for name in ("sensitivity", "specificity", "right_above", "right_below"):
            assert getattr(pooled, name).events == sum(getattr(part, name).events for part in parts)
            assert getattr(pooled, name).trials == sum(getattr(part, name).trials for part in parts)
    assert _fit(logits, labels).operating_points_by_source == {}


def test_specificity_is_kept_within_the_hardest_source() -> None:
    logits, labels = _films(600, 12)
    hard = [row % 3 == 0 for row in range(600)]
    logits[hard, 0] -= 2.0  # this source's normal films look like pneumonia
    places = ["far" if one else "near" for one in hard]
    fitted = _fit(logits, labels, sources=places)
    for points in fitted.operating_points_by_source.values():
        specificity = points["pneumonia"].specificity.estimate
        assert specificity is not None
        assert specificity >= 0.95
    pooled_only = _fit(logits, labels).thresholds["pneumonia"].high
    assert fitted.thresholds["pneumonia"].high > pooled_only


def test_comparisons_between_sources_do_not_sharpen_the_probabilities() -> None:
    logits, labels = _films(3000, 21, sharpness=1.5)
    inside = [name != "covid19" for name in labels]
    logits, labels = logits[inside], [name for name in labels if name != "covid19"]
    logits[:, 3] = logits[:, 1:3].max(axis=1) - 4.0
    # a second source of COVID-19 alone, which the network tells apart by the source, if not with great logits
    other = np.tile([-2.0, 0.0, 0.0, 4.0], (3000, 1))
    both, names = np.concatenate([logits, other]), [*labels, *["covid19"] * 3000]
    places = ["home"] * len(labels) + ["web"] * 3000
    fitted = _fit(both, names, sources=places)
    assert fitted.temperature["pneumonia"] == pytest.approx(1.5, rel=0.15)
    assert _fit(both, names).temperature["pneumonia"] < 0.9 * fitted.temperature["pneumonia"]


def test_conformal_ranks_are_finite_sample_ones() -> None:
    logits, labels = _films(4000, 8)
    keep: dict[str, list[int]] = {
        name: [row for row, label in enumerate(labels) if label == name] for name in _TASK.classes
    }
    rows = [*keep["normal"][:100], *keep["bacterial"][:59], *keep["viral"][:58], *keep["covid19"][:18]]
    fitted = _fit(logits[rows], [labels[row] for row in rows])
    probabilities = calibrated_probabilities(logits[rows], _TASK, fitted)
    scores = np.sort(1 - probabilities[:100, 0])
    assert fitted.conformal.quantiles["normal"] == scores[95]  # rank ceil(101 x 0.95) = 96
    assert fitted.conformal.quantiles["bacterial"] == np.sort(1 - probabilities[100:159, 1])[56]  # 60 x 0.95 = 57
    assert fitted.conformal.quantiles["covid19"] == 1.0  # 19 x 0.95 = 18.05, rank 19 of 18
    assert fitted.conformal.guaranteed == {"normal": True, "bacterial": True, "viral": False, "covid19": False}
    assert fitted.conformal.patients == {"normal": 100, "bacterial": 59, "viral": 58, "covid19": 18}


def test_prediction_sets_cover_each_class_as_promised_in_simulation() -> None:
    held = {name: [0, 0] for name in _TASK.classes}
    for seed in range(30):
        logits, labels = _films(600, 100 + seed)
        fitted = _fit(logits[:300], labels[:300], seed=seed)
        for row, name in zip(calibrated_probabilities(logits[300:], _TASK, fitted), labels[300:], strict=True):
            held[name][0] += name in prediction_set(row, fitted, _TASK)
            held[name][1] += 1
    for name, (inside, films) in held.items():
        # about 2,250 films a class; rank / (n + 1) lies between 0.95 and 0.97 for n near 75
        assert 0.94 <= inside / films <= 0.98, name


def test_the_conformal_film_of_a_patient_is_drawn_with_the_seed() -> None:
    logits, labels = _films(400, 9)
    patients = [f"p{row % 100}" for row in range(400)]
    one, same, other = (_fit(logits, labels, patients, seed=seed).conformal for seed in (1, 1, 2))
    assert one == same != other
    assert max(one.patients.values()) <= 100


def test_too_few_patients_on_a_side_are_refused() -> None:
    logits, labels = _films(200, 10)
    rows = [row for row, name in enumerate(labels) if name != "covid19"]
    with pytest.raises(CalibrationError, match=r"'covid19_given_pneumonia' needs at least 5 .* found 0 positive"):
        _fit(logits[rows], [labels[row] for row in rows])


@pytest.mark.parametrize("labels", [[], ["normal"]])
def test_films_labels_and_patients_must_belong_together(labels: list[str]) -> None:
    with pytest.raises(CalibrationError, match="needs films"):
        _fit(np.zeros((0, 4)), labels)


def test_coverage_is_reported_by_class_and_source_on_one_film_a_patient() -> None:
    logits, labels = _films(500, 11)
    fitted = _fit(logits, labels)
    probabilities = calibrated_probabilities(logits, _TASK, fitted)
    sources = ["near" if row < 250 else "far" for row in range(500)]
    rows = coverage_report(
        probabilities, labels, [f"p{row}" for row in range(500)], sources=sources, calibration=fitted, task=_TASK
    )
    assert [(row.label, row.source) for row in rows[:3]] == [("normal", "all"), ("normal", "far"), ("normal", "near")]
    every = {row.label: row for row in rows if row.source == "all"}
    assert {name: row.covered.trials for name, row in every.items()} == {
        name: labels.count(name) for name in _TASK.classes
    }
    expected = sum(
        "viral" in prediction_set(row, fitted, _TASK)
        for row, name in zip(probabilities, labels, strict=True)
        if name == "viral"
    )
    assert every["viral"].covered.events == expected
    one = coverage_report(probabilities, labels, ["p"] * 500, sources=sources, calibration=fitted, task=_TASK)
    assert all(row.covered.trials == 1 for row in one)
