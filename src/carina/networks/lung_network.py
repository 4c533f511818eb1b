"""The lung network: a truncated ImageNet encoder and a light decoder with skips (M22).

The encoder is the stem and the first blocks of EfficientNet-Lite0 down to a sixteenth of the input; the decoder joins
the feature maps of the same depth on its way up and ends at half the input's size. The last doubling to the film is a
bilinear one, made outside the network at the film's own size.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

from carina.errors import TrainingError
from carina.networks.efficientnet_lite import EfficientNetLite0Trunk, imagenet_weights
from carina.networks.export import without_traces

__all__ = ["CHANNELS", "LungNetwork", "export_lungs"]

CHANNELS = ("right", "left", "aerated")
"""The patient's right field, left field, and the part of both that lies beside heart and mediastinum."""
_BLOCKS = 8
_DEEP, _EIGHTH, _QUARTER = 80, 40, 24  # channels of the encoder's maps
_WIDE, _MIDDLE, _NARROW = 96, 48, 32  # channels of the decoder's
_DEPTH = 3  # mixing steps at the smallest maps, where a lung's whole shape is in reach and a step costs little
_MEAN, _DEVIATION = 127 / 255, 128 / 255
_TOLERANCE = 1e-4


class _Join(nn.Module):
    """Maps of half the size, doubled, joined with the encoder's of the same depth, then mixed with their neighbours.

    The maps are narrowed before they are doubled, which is the same and four times cheaper.
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.below = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.beside = nn.Conv2d(skip, outputs, 1, bias=False)
        self.after = nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU(), _Mix(outputs))

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        doubled = functional.interpolate(self.below(below), scale_factor=2.0, mode="nearest")
        joined: Tensor = self.after(doubled + self.beside(beside))
        return joined


class _Mix(nn.Module):
    """A 5 x 5 neighbourhood in each channel, then all channels, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.layers(maps))


class LungNetwork(nn.Module):
    """Films ``(B, 1, S, S)`` in [0, 1] to logits ``(B, 3, S/2, S/2)``, channels after `CHANNELS`; S a multiple of 16.

    Right and left are the patient's: the right lung lies on the film's left.
    """

    def __init__(self) -> None:
        super().__init__()
        whole = EfficientNetLite0Trunk()
        self.stem = whole.stem
        self.blocks = nn.Sequential(*list(whole.blocks)[:_BLOCKS])
        self.neck = nn.Sequential(
            nn.Conv2d(_DEEP, _WIDE, 1, bias=False),
            nn.BatchNorm2d(_WIDE),
            nn.ReLU(),
            *[_Mix(_WIDE) for _ in range(_DEPTH)],
        )
        self.context = nn.Linear(_WIDE, _WIDE)
        self.eighth = _Join(_WIDE, _EIGHTH, _MIDDLE)
        self.quarter = _Join(_MIDDLE, _QUARTER, _NARROW)
        # four values a cell: the cell's four quarters, so that edges are drawn at half the input's size
        self.fine = nn.Conv2d(_NARROW, 4 * len(CHANNELS), 1)

    def load_imagenet(self) -> None:
        """Start the encoder from the packaged ImageNet weights.

        Raises
        ------
        MissingExtraError, WeightsError
            If the package is missing or its file altered.
        """
        weights = imagenet_weights()
        for part, name in ((self.stem, "stem."), (self.blocks, "blocks.")):
            own = part.state_dict()
            part.load_state_dict({key: weights[name + key] for key in own})

    def encoder(self) -> Sequence[nn.Parameter]:
        """Return the pretrained parameters, which learn more slowly."""
        return [*self.stem.parameters(), *self.blocks.parameters()]

    def forward(self, films: Tensor) -> Tensor:
        """Films ``(B, 1, S, S)`` to logits ``(B, 3, S/2, S/2)``."""
        x = self.stem(((films - _MEAN) / _DEVIATION).expand(-1, 3, -1, -1))
        quarter = self.blocks[:3](x)
        eighth = self.blocks[3:5](quarter)
        deep = self.neck(self.blocks[5:](eighth))
        deep = deep + self.context(deep.mean((2, 3)))[:, :, None, None]
        up = self.quarter(self.eighth(deep, eighth), quarter)
        logits: Tensor = functional.pixel_shuffle(self.fine(up), 2)
        return logits


class _Probabilities(nn.Module):
    """What is exported: probabilities instead of logits."""

    def __init__(self, network: LungNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, films: Tensor) -> Tensor:
        return torch.sigmoid(self.network(films))


def export_lungs(network: LungNetwork, size: int) -> bytes:
    """Write the network as ONNX and compare the two on random films.

    Parameters
    ----------
    network : LungNetwork
    size : int
        Side S of the input, pixels.

    Returns
    -------
    bytes
        An ONNX model with input ``film`` ``(B, 1, S, S)`` and output ``fields`` ``(B, 3, S/2, S/2)``, probabilities
        after `CHANNELS`; B is free.

    Raises
    ------
    TrainingError
        If ONNX Runtime's probabilities differ from torch's by more than 1e-4.
    """
    exported = _Probabilities(network.cpu()).eval()
    films = torch.rand((8, 1, size, size), generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            exported,
            (films[:2],),
            input_names=["film"],
            output_names=["fields"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise TrainingError("the lung network must export to ONNX; the exporter returned nothing")
    model: bytes = without_traces(program.model_proto).SerializeToString()
    with torch.no_grad():
        expected = exported(films).numpy()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    worst = float(np.abs(session.run(["fields"], {"film": films.numpy()})[0] - expected).max())
    if not worst <= _TOLERANCE:
        raise TrainingError(
            f"the exported lung network must equal torch within {_TOLERANCE}; it differs by {worst:.1e}"
        )
    return model
