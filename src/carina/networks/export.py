"""From a trained network to ONNX, proved equal (bundle contract)."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from carina.errors import TrainingError
from carina.networks.film_network import ExportedNetwork, FilmNetwork

__all__ = ["export_onnx"]

_TOLERANCE = 1e-4
_NAMES = ["logits", "class_maps", "features"]


def export_onnx(network: FilmNetwork) -> bytes:
    """Write a network as ONNX and compare the two on random films.

    Parameters
    ----------
    network : FilmNetwork
        Set to evaluation and moved to the CPU.

    Returns
    -------
    bytes
        An ONNX model with input ``film`` ``(B, 1, S, S)`` and outputs ``logits`` ``(B, K)``, ``class_maps``
        ``(B, K, h, w)`` and ``features`` ``(B, C)``; B is free.

    Raises
    ------
    TrainingError
        If ONNX Runtime's logits or normalised class maps differ from torch's by more than 1e-4.
    """
    exported = ExportedNetwork(network.cpu()).eval()
    size = network.spec.size
    films = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            exported,
            (films,),
            str(path),
            input_names=["film"],
            output_names=_NAMES,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = path.read_bytes()
    _prove_equal(exported, model, films)
    return model


def _prove_equal(exported: ExportedNetwork, model: bytes, films: torch.Tensor) -> None:
    with torch.no_grad():
        expected = [value.numpy() for value in exported(films)]
    found = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(_NAMES, {"film": films.numpy()})
    for name, one, other in zip(_NAMES, expected, found, strict=True):
        scale = max(float(np.abs(one).max()), 1e-30) if name != "logits" else 1.0
        worst = float(np.abs(one - other).max()) / scale
        if not worst <= _TOLERANCE:
            raise TrainingError(
                f"the exported model must equal the trained one within {_TOLERANCE}; {name} differs by {worst:.2g}"
            )
