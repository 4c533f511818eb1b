"""Networks by name (M20)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.networks.nets import DenseNet121
from torch import Tensor, nn

from carina.errors import TrainingError
from carina.networks.efficientnet_lite import FEATURES, EfficientNetLite0Trunk, imagenet_weights
from carina.networks.film_network import FilmNetwork, NetworkSpec
from carina.networks.heads import FlatLogits, FlattenedLinear, HierarchicalLogits, PooledLinear
from carina.tasks import Task

__all__ = ["NETWORKS", "build_network"]

_DROPOUT = 0.5
_SEED_FILTERS = 32
_SEED_MOST_FILTERS = 256
_DENSENET_FEATURES = 1024


def _logits(task: Task, spec: NetworkSpec) -> FlatLogits | HierarchicalLogits:
    if spec.hierarchical and task.groups:
        return HierarchicalLogits(task.classes, task.groups)
    return FlatLogits(len(task.classes))


def _seed_cnn(task: Task, spec: NetworkSpec, *, pretrained: bool) -> FilmNetwork:
    """Build M20's network: 3x3 convolutions from 32 filters, ReLU, pooling, dropout 0.5, flatten, one linear layer."""
    if pretrained:
        raise TrainingError("seed_cnn starts from random weights; there are no pretrained ones for it")
    side = spec.size // 2 ** (spec.convolutions - 1)
    if spec.convolutions < 1 or side < 2:  # noqa: PLR2004 -- pooling by two needs two pixels
        raise TrainingError(
            f"seed_cnn halves its input at each of its convolutions; {spec.convolutions} of them do not fit "
            f"{spec.size} px, choose fewer convolutions or a larger size"
        )
    pooling: Callable[[int], nn.Module] = nn.AvgPool2d if spec.pooling == "average" else nn.MaxPool2d
    layers: list[nn.Module] = []
    inputs = 1
    for number in range(spec.convolutions):
        outputs = min(_SEED_FILTERS * 2**number, _SEED_MOST_FILTERS)
        if number:
            layers.append(pooling(2))
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        inputs = outputs
    logits = FlatLogits(len(task.classes))
    head = FlattenedLinear(inputs, side, logits.units, _DROPOUT, pooling(2))
    return FilmNetwork(spec, nn.Sequential(*layers), head, logits, mean=0.5, deviation=0.25, channels_in=1)


def _efficientnet_lite0(task: Task, spec: NetworkSpec, *, pretrained: bool) -> FilmNetwork:
    trunk = EfficientNetLite0Trunk()
    if pretrained:
        weights = {name: value for name, value in imagenet_weights().items() if not name.startswith("classifier.")}
        trunk.load_state_dict(weights)
    logits = _logits(task, spec)
    head = PooledLinear(FEATURES, logits.units, _DROPOUT)
    return FilmNetwork(spec, trunk, head, logits, mean=127 / 255, deviation=128 / 255, channels_in=3)


class _DenseTrunk(nn.Module):
    """DenseNet-121's convolutions and final norm, then a ReLU that is not in place."""

    def __init__(self) -> None:
        super().__init__()
        self.features = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1).features

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.features(x))


def _densenet121(task: Task, spec: NetworkSpec, *, pretrained: bool) -> FilmNetwork:
    if pretrained:
        raise TrainingError("densenet121 starts from random weights; no package carries pretrained ones for it")
    logits = _logits(task, spec)
    head = PooledLinear(_DENSENET_FEATURES, logits.units, _DROPOUT)
    return FilmNetwork(spec, _DenseTrunk(), head, logits, mean=0.5, deviation=0.25, channels_in=1)


NETWORKS = {
    "densenet121": _densenet121,
    "efficientnet_lite0": _efficientnet_lite0,
    "seed_cnn": _seed_cnn,
}


def build_network(task: Task, spec: NetworkSpec, *, pretrained: bool) -> FilmNetwork:
    """Build a network for a task.

    Parameters
    ----------
    task : Task
    spec : NetworkSpec
    pretrained : bool
        Start from ImageNet weights; only ``efficientnet_lite0`` has them.

    Returns
    -------
    FilmNetwork

    Raises
    ------
    TrainingError
        If the name is unknown, the size does not fit, or no pretrained weights exist.
    WeightsError
        If pretrained weights are altered or do not fit.
    """
    if spec.name not in NETWORKS:
        raise TrainingError(f"the network must be one of {sorted(NETWORKS)!r}, found {spec.name!r}")
    return NETWORKS[spec.name](task, spec, pretrained=pretrained)
