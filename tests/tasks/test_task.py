"""Task files: classes, label sets, contrasts (M2, M37)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carina.errors import TaskError
from carina.tasks import default_task, load_task

_TASK = default_task()
_P = np.array([[0.5, 0.2, 0.1, 0.2]])

_OTHER = """
name = "effusion"
version = 1
input = "chest_radiograph"
classes = ["none", "effusion"]
[contrasts.effusion]
positive = ["effusion"]
negative = ["none"]
[decision]
otherwise = "indeterminate"
[[decision.rules]]
contrast = "effusion"
above = "effusion"
below = "none"
specificity = 0.9
"""


# by hand from M2: N 0.5, B 0.2, V 0.1, C 0.2
@pytest.mark.parametrize(
    ("contrast", "expected"),
    [
        ("pneumonia", 0.5),
        ("covid19_given_pneumonia", 0.4),
        ("bacterial_given_pneumonia", 0.4),
        ("bacterial_given_pneumonia_without_covid19", 2 / 3),
    ],
)
def test_contrasts_sum_and_renormalise(contrast: str, expected: float) -> None:
    assert _TASK.contrast_probability(contrast, _P)[0] == pytest.approx(expected)


def test_contrast_without_mass_is_even() -> None:
    certain = np.array([1.0, 0.0, 0.0, 0.0])
    assert float(_TASK.contrast_probability("covid19_given_pneumonia", certain)) == 0.5


def test_label_set_takes_part_where_its_side_is_decided() -> None:
    labels = ["normal", "pneumonia", "pneumonia_non_covid19", "covid19", "viral"]
    expected = {
        "pneumonia": [0, 1, 1, 1, 1],
        "covid19_given_pneumonia": [np.nan, np.nan, 0, 1, 0],
        "bacterial_given_pneumonia_without_covid19": [np.nan, np.nan, np.nan, np.nan, 0],
    }
    for contrast, truth in expected.items():
        np.testing.assert_array_equal(_TASK.contrast_truth(contrast, labels), truth)


def test_targets_mark_every_class_of_a_set() -> None:
    found = _TASK.targets(["pneumonia_non_covid19", "normal"])
    np.testing.assert_array_equal(found, [[False, True, True, False], [True, False, False, False]])


def test_label_outside_the_task_is_named() -> None:
    with pytest.raises(TaskError, match="'effusion' is outside task 'pneumonia'"):
        _TASK.targets(["effusion"])


def test_another_task_is_a_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "effusion.toml"
    path.write_text(_OTHER)
    assert load_task(path).classes == ("none", "effusion")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('positive = ["effusion"]', 'positive = ["fluid"]', "names classes the task does not have"),
        ('negative = ["none"]', 'negative = ["effusion"]', "on both sides"),
        ('classes = ["none", "effusion"]', 'classes = ["none", "none"]', "must differ"),
        ('contrast = "effusion"', 'contrast = "fluid"', "reads contrasts that the task does not have"),
        ("specificity = 0.9", "specificity = 1.5", "decision.rules.0.specificity"),
        ("version = 1", "", "version: Field required"),
        ("[decision]", "[[decision", "must be readable TOML"),
    ],
)
def test_wrong_task_files_are_refused_with_the_reason(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "task.toml"
    path.write_text(_OTHER.replace(old, new))
    with pytest.raises(TaskError, match=message):
        load_task(path)


def test_missing_task_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="must be readable TOML"):
        load_task(tmp_path / "absent.toml")
