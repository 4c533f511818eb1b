"""What the reader is built for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carina.errors import BundleError
from carina.inference import PredictOptions, load_bundle, make_reader
from carina.tasks import default_task


def test_the_kind_of_input_decides_about_gate_and_lungs(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    task = {**default_task().model_dump(mode="json"), "input": "ct_slice"}
    reader = make_reader(load_bundle(make_bundle(tmp_path / "ct", task=task)), PredictOptions(), tmp_path)
    assert reader.gate is None
    assert reader.lungs is None
    film = make_reader(load_bundle(make_bundle(tmp_path / "film")), PredictOptions(), tmp_path)
    assert film.gate is not None
    assert film.lungs is not None


def test_a_bundle_for_a_kind_of_picture_that_nothing_describes_is_refused(
    make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    task = {**default_task().model_dump(mode="json"), "input": "hip_radiograph"}
    with pytest.raises(BundleError, match=r"input must be one of .* found 'hip_radiograph'"):
        make_bundle(tmp_path / "hip", task=task)
    own = {**task, "input_rules": {"noun": "film"}}
    assert make_reader(load_bundle(make_bundle(tmp_path / "own", task=own)), PredictOptions(), tmp_path).gate is None
