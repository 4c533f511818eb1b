"""What the reader is built for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carina.errors import BundleError
from carina.inference import PredictOptions, load_bundle, make_reader
from carina.tasks import default_task


def test_the_gate_refuses_a_bundle_for_another_kind_of_picture(
    make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    task = {**default_task().model_dump(mode="json"), "input": "hip_radiograph"}
    bundle = load_bundle(make_bundle(tmp_path / "hip", task=task))
    with pytest.raises(BundleError, match="takes 'hip_radiograph'"):
        make_reader(bundle, PredictOptions(), tmp_path)
    make_reader(bundle, PredictOptions(gate=False), tmp_path)
