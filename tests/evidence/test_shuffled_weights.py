"""Weights shuffled in an ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carina.errors import BundleError
from carina.evidence import shuffled_weights, weight_layers
from carina.inference import load_bundle, open_session

onnx = pytest.importorskip("onnx", reason="shuffling needs the extra 'train'")


@pytest.fixture
def model(tiny_bundle: Path) -> bytes:
    return load_bundle(tiny_bundle).model


def _numbers(model: bytes) -> dict[str, np.ndarray]:
    from onnx import numpy_helper  # noqa: PLC0415 - only where the extra is installed

    return {one.name: numpy_helper.to_array(one) for one in onnx.load_model_from_string(model).graph.initializer}


def test_layers_are_named_from_the_input_to_the_output(model: bytes) -> None:
    layers = weight_layers(model)
    assert layers[0] == ["blocks", "offsets"]
    assert sorted(map(tuple, layers[1:])) == [("kernel",), ("weights", "bias")]


def test_every_tensor_keeps_its_numbers_and_loses_their_places(model: bytes) -> None:
    before, after = _numbers(model), _numbers(shuffled_weights(model, 1.0, seed=2))
    for name, values in before.items():
        assert sorted(after[name].ravel()) == sorted(values.ravel())
        assert after[name].shape == values.shape
    assert (after["blocks"] != before["blocks"]).any()


def test_a_small_share_leaves_the_first_layer_alone(model: bytes) -> None:
    before, after = _numbers(model), _numbers(shuffled_weights(model, 0.3, seed=2))
    assert (after["blocks"] == before["blocks"]).all()
    assert [name for name in before if (after[name] != before[name]).any()]


def test_the_same_seed_shuffles_alike(model: bytes) -> None:
    assert shuffled_weights(model, 1.0, seed=2) == shuffled_weights(model, 1.0, seed=2)
    assert shuffled_weights(model, 1.0, seed=2) != shuffled_weights(model, 1.0, seed=3)


def test_the_shuffled_network_still_answers(model: bytes) -> None:
    answer = open_session(shuffled_weights(model, 1.0, seed=2)).run(np.full((1, 32, 32), 90, np.uint8))
    assert answer.logits.shape == (1, 4)
    assert np.isfinite(answer.class_maps).all()


def test_a_share_outside_its_range_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="share of layers"):
        shuffled_weights(model, 0.0, seed=1)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(BundleError, match="must be an ONNX network"):
        shuffled_weights(b"\x01not a network", 1.0, seed=1)


def test_shipped_weights_of_the_head_stay_the_same_in_logits_and_maps() -> None:
    stored = _numbers(shuffled_weights(load_bundle("pneumonia").model, 1.0, seed=1))
    head = [values for values in stored.values() if values.shape == (5, 1280)]
    ratio = [one / head[0] for one in head[1:]]
    assert all(np.ptp(one) < 1e-3 * abs(one.mean()) for one in ratio)
