"""From a trained network to ONNX, proved equal (bundle contract)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnxruntime
import torch

from carina.errors import TrainingError
from carina.networks.film_network import ExportedNetwork, FilmNetwork

__all__ = ["export_onnx", "without_traces"]

_TOLERANCE = 1e-4
_NAMES = ["logits", "class_maps", "features"]
_BRANCH_NAMES = ["box_scores", "boxes", "opacity"]
_ABSOLUTE = ("logits", "box_scores", "opacity")


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
        ``(B, K, h, w)`` and ``features`` ``(B, C)``; with branches also ``box_scores`` ``(B, N)``, ``boxes``
        ``(B, N, 4)`` and ``opacity`` ``(B, S/2, S/2)``; B is free.

    Raises
    ------
    TrainingError
        If ONNX Runtime's logits, box scores or opacity differ from torch's by more than 1e-4, or the other outputs by
        more than 1e-4 of their largest value.
    """
    exported = ExportedNetwork(network.cpu()).eval()
    size = network.spec.size
    names = [*_NAMES, *(_BRANCH_NAMES if network.branches is not None else [])]
    films = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        try:
            program = torch.onnx.export(
                exported,
                (films,),
                input_names=["film"],
                output_names=names,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise TrainingError(f"the trained network cannot be written as ONNX: {error}") from error
    if program is None:
        raise TrainingError("the trained network cannot be written as ONNX: the exporter gave nothing")
    model: bytes = without_traces(program.model_proto).SerializeToString()
    _prove_equal(exported, model, films, names)
    return model


def without_traces(model: Any) -> Any:
    """Drop the exporter's notes from an ONNX model: they hold stack traces with the paths of the machine it ran on."""
    graph = model.graph
    parts = [model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for part in (*parts, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


def _prove_equal(exported: ExportedNetwork, model: bytes, films: torch.Tensor, names: list[str]) -> None:
    with torch.no_grad():
        expected = [value.numpy() for value in exported(films)]
    found = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(names, {"film": films.numpy()})
    for name, one, other in zip(names, expected, found, strict=True):
        scale = max(float(np.abs(one).max()), 1e-30) if name not in _ABSOLUTE else 1.0
        worst = float(np.abs(one - other).max()) / scale
        if not worst <= _TOLERANCE:
            raise TrainingError(
                f"the exported model must equal the trained one within {_TOLERANCE}; {name} differs by {worst:.2g}"
            )
