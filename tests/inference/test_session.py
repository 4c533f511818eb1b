"""Engines: the same network, the same numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from carina.errors import BundleError, MissingExtraError
from carina.inference import load_bundle, open_session

_WEIGHTS = np.array([[-3.0, 2.0, 1.0, 0.5], [3.0, -1.0, 0.5, 0.0]])
_BIAS = np.array([0.1, 0.0, -0.1, 0.2])


@pytest.fixture
def films() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_outputs_are_those_computed_by_hand(tiny_bundle: Path, films: np.ndarray, engine: str) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    outputs = open_session(load_bundle(tiny_bundle).model, engine).run(films)  # type: ignore[arg-type]  # a parameter
    blocks = (films / 255.0).reshape(3, 4, 8, 4, 8).mean(axis=(2, 4))
    activations = np.stack([blocks, 1.0 - blocks], axis=1)
    features = activations.mean(axis=(2, 3))
    np.testing.assert_allclose(outputs.features, features, atol=1e-5)
    np.testing.assert_allclose(outputs.logits, features @ _WEIGHTS + _BIAS, atol=1e-5)
    maps = np.maximum(np.einsum("bfhw,fk->bkhw", activations, _WEIGHTS), 0.0)
    np.testing.assert_allclose(outputs.class_maps, maps, atol=1e-5)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_later_film_does_not_change_an_earlier_result(tiny_bundle: Path, films: np.ndarray, engine: str) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    session = open_session(load_bundle(tiny_bundle).model, engine)  # type: ignore[arg-type]  # a parameter
    first = session.run(films[:1])
    before = first.logits.copy()
    session.run(films[1:2])
    np.testing.assert_array_equal(first.logits, before)


def test_bytes_that_are_no_network_are_refused() -> None:
    with pytest.raises(BundleError, match=r"model\.onnx must be a network"):
        open_session(b"not a network")


def test_an_engine_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"carina-cxr\[openvino\]"):
        open_session(b"", "openvino")
