"""Exported heatmaps against MONAI's Grad-CAM on real films (M23)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from monai.visualize import GradCAM

from carina.imaging import Standardisation, read_film, standardise
from carina.inference import normalise_map, open_session
from carina.networks import FilmNetwork, NetworkSpec, build_network, export_onnx
from carina.tasks import default_task

_FILMS = 200


def _normalised(values: np.ndarray) -> np.ndarray:
    return np.asarray(normalise_map(np.maximum(values, 0).astype(np.float32)))


def _stirred(network: FilmNetwork, films: torch.Tensor) -> FilmNetwork:
    """Give the head weights of the size that training gives, and the norms the films' statistics."""
    torch.nn.init.normal_(network.head.linear.weight, std=0.05)
    network.train()
    with torch.no_grad():
        for start in range(0, len(films), 40):
            network(films[start : start + 40])
    return network.eval()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_exported_maps_equal_monai_grad_cam_on_200_real_films(films_folder: Path) -> None:
    table = pl.read_csv(films_folder / "cxr" / "images.csv", infer_schema=False)
    paths = [films_folder / "cxr" / path for path in table.sample(_FILMS, seed=1, shuffle=True)["path"]]
    spec = Standardisation(size=160, intensity="local")
    stack = np.stack([standardise(read_film(path).pixels, spec) for path in paths])
    films = torch.from_numpy(stack).float()[:, None] / 255
    torch.manual_seed(1)
    network = build_network(default_task(), NetworkSpec("efficientnet_lite0", 160, hierarchical=True), pretrained=True)
    network = _stirred(network, films)
    session = open_session(export_onnx(network))
    maps = np.concatenate([session.run(stack[start : start + 40]).class_maps for start in range(0, _FILMS, 40)])
    peer = GradCAM(nn_module=network, target_layers="trunk")
    worst = 0.0
    for row in range(_FILMS):
        film = films[row : row + 1].requires_grad_()
        for number in range(4):
            expected = _normalised(np.asarray(peer.compute_map(film, class_idx=number).detach())[0, 0])
            worst = max(worst, float(np.abs(_normalised(maps[row, number]) - expected).max()))
    assert worst <= 1e-3
