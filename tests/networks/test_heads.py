"""Grad-CAM in closed form against MONAI's, by backward pass (M23)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.visualize import GradCAM

from carina.networks.film_network import ExportedNetwork, FilmNetwork, NetworkSpec
from carina.networks.heads import HierarchicalLogits
from carina.networks.registry import build_network
from carina.tasks import default_task

_SPECS = [
    NetworkSpec("seed_cnn", 64, hierarchical=False, convolutions=3, pooling="max"),
    NetworkSpec("seed_cnn", 64, hierarchical=False, convolutions=3, pooling="average"),
    NetworkSpec("efficientnet_lite0", 96, hierarchical=True),
    NetworkSpec("efficientnet_lite0", 96, hierarchical=False),
    NetworkSpec("densenet121", 96, hierarchical=True),
]


def _network(spec: NetworkSpec) -> FilmNetwork:
    torch.manual_seed(1)
    return build_network(default_task(), spec, pretrained=False).eval()


def _peer_map(network: FilmNetwork, films: torch.Tensor, number: int) -> np.ndarray:
    peer = GradCAM(nn_module=network, target_layers="trunk")
    return np.asarray(peer.compute_map(films, class_idx=number).detach())[:, 0]


@pytest.mark.parametrize("spec", _SPECS, ids=lambda spec: f"{spec.name}-{spec.pooling}-{spec.hierarchical}")
def test_class_maps_equal_grad_cam_by_backward_pass(spec: NetworkSpec) -> None:
    network = _network(spec)
    films = torch.rand(2, 1, spec.size, spec.size).requires_grad_()  # MONAI's hooks want an input with a gradient
    with torch.no_grad():
        _, maps, _ = ExportedNetwork(network)(films)
    for number in range(4):
        for film in range(2):
            peer = _peer_map(network, films[film : film + 1], number)[0]
            np.testing.assert_allclose(maps[film, number].numpy(), peer, atol=2e-6 * max(1.0, float(peer.max())))


def test_hierarchical_logits_multiply_along_the_path() -> None:
    task = default_task()
    head = HierarchicalLogits(task.classes, task.groups)
    # root: normal 1/4, pneumonia 3/4; within pneumonia 1/2, 1/4, 1/4
    scores = torch.log(torch.tensor([[1.0, 3.0, 2.0, 1.0, 1.0]]))
    np.testing.assert_allclose(head(scores).softmax(1).numpy(), [[0.25, 0.375, 0.1875, 0.1875]], rtol=1e-6)


def test_hierarchical_jacobian_equals_autograd() -> None:
    task = default_task()
    head = HierarchicalLogits(task.classes, task.groups)
    scores = torch.randn(3, head.units, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    head = head.double()
    expected = torch.stack([torch.autograd.functional.jacobian(lambda s: head(s[None])[0], row) for row in scores])
    np.testing.assert_allclose(head.jacobian(scores).numpy(), expected.numpy(), atol=1e-12)
