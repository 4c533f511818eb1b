"""The quality gate's network as it is exported."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from carina.networks.gate_network import GateNetwork, export_gate


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[GateNetwork, Path, float]:
    torch.manual_seed(3)
    network = GateNetwork()
    path = tmp_path_factory.mktemp("gate") / "gate.onnx"
    return network, path, export_gate(network, path)


def test_the_export_equals_torch(exported: tuple[GateNetwork, Path, float]) -> None:
    assert exported[2] < 1e-4


def test_any_number_of_films_goes_in(exported: tuple[GateNetwork, Path, float]) -> None:
    session = onnxruntime.InferenceSession(exported[1], providers=["CPUExecutionProvider"])
    for count in (1, 5):
        state, kind, distance = session.run(None, {"film": torch.zeros(count, 1, 96, 96).numpy()})
        assert (state.shape, kind.shape, distance.shape) == ((count, 8), (count, 3), (count,))


def test_the_export_names_no_source_file(exported: tuple[GateNetwork, Path, float]) -> None:
    assert b".py" not in exported[1].read_bytes()
    onnx.checker.check_model(onnx.load(exported[1]), full_check=True)


def test_the_distance_is_that_of_mahalanobis() -> None:
    torch.manual_seed(4)
    network = GateNetwork().eval()
    features = torch.randn(4000, 128) * torch.linspace(0.5, 3, 128)
    network.fit_distance(features)
    away = (features[:50] - network.centre) @ network.whitening
    # independent features: the whitened ones have unit variance, so the mean square is 1 on average
    assert float(away.square().mean()) == pytest.approx(1.0, abs=0.1)
