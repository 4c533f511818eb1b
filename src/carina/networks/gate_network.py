"""The quality gate's network: small, early ImageNet layers and three answers about a film.

It sees the whole film squashed to a small square and says in which of eight states the film is (four quarter turns,
inverted or not), whether it is a whole chest, a cropped chest or something else, and how far it lies from the films of
its fitting.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from carina.errors import TrainingError
from carina.networks.efficientnet_lite import EfficientNetLite0Trunk, imagenet_weights
from carina.networks.export import without_traces

__all__ = ["KINDS", "STATES", "GateNetwork", "export_gate"]

STATES = 8
"""``2 * turns + inverted``: turns counter-clockwise by 90 degrees from upright, 0 to 3; inverted 0 or 1."""
KINDS = 3
"""0 a whole frontal chest, 1 a cropped chest, 2 something else."""
_BLOCKS = 7
_CHANNELS = 80
_NECK = 64
FEATURES = 2 * _NECK
_TOLERANCE = 1e-4


class GateNetwork(nn.Module):
    """Films ``(B, 1, S, S)`` in [0, 1] to states ``(B, 8)``, kinds ``(B, 3)`` (both logits) and features ``(B, 128)``.

    The trunk is the stem and the first seven blocks of EfficientNet-Lite0 (stride 16). Half of the features are the
    mean of the neck's map, half weigh every position by itself, because whether lungs are cut off is a matter of where
    they lie.

    Parameters
    ----------
    size : int
        Side S of the input, pixels, a multiple of 16.
    """

    def __init__(self, size: int = 96) -> None:
        super().__init__()
        whole = EfficientNetLite0Trunk()
        self.stem = whole.stem
        self.blocks = nn.Sequential(*list(whole.blocks)[:_BLOCKS])
        self.neck = nn.Sequential(nn.Conv2d(_CHANNELS, _NECK, 1, bias=False), nn.BatchNorm2d(_NECK), nn.ReLU())
        self.place = nn.Conv2d(_NECK, _NECK, size // 16, groups=_NECK)
        self.dropout = nn.Dropout(0.2)
        self.state = nn.Linear(FEATURES, STATES)
        self.kind = nn.Linear(FEATURES, KINDS)
        # identity until `fit_distance`: the distance is |whitening (features - centre)| / sqrt(FEATURES)
        self.register_buffer("centre", torch.zeros(FEATURES))
        self.register_buffer("whitening", torch.eye(FEATURES))

    def load_imagenet(self) -> None:
        """Start the trunk from the packaged ImageNet weights (`WeightsError` where one does not fit)."""
        weights = imagenet_weights()
        for part in ("stem", "blocks"):
            own = getattr(self, part).state_dict()
            getattr(self, part).load_state_dict({name: weights[f"{part}.{name}"] for name in own})

    def features(self, films: Tensor) -> Tensor:
        """Films ``(B, 1, S, S)`` in [0, 1] to features ``(B, 128)``."""
        scaled = (films * 255.0 - 127.0) / 128.0
        neck = self.neck(self.blocks(self.stem(scaled.expand(-1, 3, -1, -1))))
        return torch.cat([neck.mean((2, 3)), self.place(neck).flatten(1)], dim=1)

    def forward(self, films: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """State logits ``(B, 8)``, kind logits ``(B, 3)`` and distance ``(B,)``, about 1 for films like the fitted."""
        found = self.features(films)
        kept = self.dropout(found)
        away = (found - self.centre) @ self.whitening
        return self.state(kept), self.kind(kept), (away.square().mean(1)).sqrt()

    def fit_distance(self, features: Tensor) -> None:
        """Fit the Mahalanobis distance to the features ``(N, 128)`` of upright training films.

        The covariance is shrunk by a tenth towards its diagonal, so that a direction in which the films hardly differ
        does not rule the distance.
        """
        samples = features.detach().double().numpy()
        covariance = np.cov(samples, rowvar=False)
        diagonal = np.diag(np.diag(covariance))
        shrunk = 0.9 * covariance + 0.1 * diagonal + 1e-3 * np.trace(covariance) / FEATURES * np.eye(FEATURES)
        values, vectors = np.linalg.eigh(shrunk)
        self.centre = torch.as_tensor(samples.mean(0), dtype=torch.float32)
        self.whitening = torch.as_tensor(vectors / np.sqrt(values), dtype=torch.float32)


def export_gate(network: GateNetwork, path: Path, size: int = 96) -> float:
    """Write the network as ONNX and prove it equal to torch.

    Parameters
    ----------
    network : GateNetwork
    path : Path
        Of the ONNX file; input ``film`` (B, 1, S, S), outputs ``state``, ``kind`` and ``distance``, B dynamic.
    size : int
        Side S of the input, pixels.

    Returns
    -------
    float
        Largest absolute difference between torch and ONNX Runtime over 32 random films.

    Raises
    ------
    TrainingError
        If the difference exceeds 1e-4.
    """
    network.eval()
    films = torch.rand((32, 1, size, size), generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        # torch 2.13 warns about its own use of a deprecated tree type while it exports
        warnings.filterwarnings("ignore", category=FutureWarning)
        program = torch.onnx.export(
            network,
            (films[:2],),
            input_names=["film"],
            output_names=["state", "kind", "distance"],
            dynamic_shapes=({0: torch.export.Dim("films", min=1)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise TrainingError("the gate's network must export to ONNX; the exporter returned nothing")
    onnx.save(without_traces(program.model_proto), path)
    with torch.no_grad():
        expected = network(films)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"film": films.numpy()})
    worst = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(expected, found, strict=True))
    if worst > _TOLERANCE:
        raise TrainingError(f"the exported gate must equal torch within {_TOLERANCE}; it differs by {worst:.1e}")
    return worst
