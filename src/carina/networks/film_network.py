"""A classifier of films: normalisation, trunk and head as one module, and its exported form (M20, M23)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from carina.errors import TrainingError
from carina.networks.branch_network import Branches
from carina.networks.efficientnet_lite import PYRAMID_CHANNELS, EfficientNetLite0Trunk
from carina.networks.heads import FlatLogits, FlattenedLinear, HierarchicalLogits, PooledLinear

__all__ = ["ExportedNetwork", "FilmNetwork", "NetworkSpec"]


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """What is needed to build the same network again.

    Attributes
    ----------
    name : str
        As in the registry.
    size : int
        Side of the input, pixels.
    hierarchical : bool
        Whether logits follow the task's groups.
    convolutions : int
        Number of convolutions, for ``seed_cnn``.
    pooling : str
        ``"max"`` or ``"average"``, for ``seed_cnn``.
    """

    name: str
    size: int
    hierarchical: bool
    convolutions: int = 4
    pooling: str = "max"


class FilmNetwork(nn.Module):
    """Normalisation, trunk, head.

    Input ``(B, 1, S, S)`` in [0, 1]; output class logits ``(B, K)``, whose softmax is the class probabilities before
    calibration.

    Parameters
    ----------
    spec : NetworkSpec
    trunk : Module
        ``(B, channels_in, S, S)`` to the last activation map ``(B, C, h, w)``, after norm and activation.
    head : PooledLinear or FlattenedLinear
    logits : FlatLogits or HierarchicalLogits
    mean, deviation : float
        Of the input, on its [0, 1] scale.
    channels_in : int
        The film is repeated over this many input channels.

    Attributes
    ----------
    branches : Branches or None
        Box branch and score map, once `add_branches` has put them on the trunk's maps.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        trunk: nn.Module,
        head: PooledLinear | FlattenedLinear,
        logits: FlatLogits | HierarchicalLogits,
        *,
        mean: float,
        deviation: float,
        channels_in: int,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.trunk, self.head, self.logits = trunk, head, logits
        self.mean, self.deviation, self.channels_in = mean, deviation, channels_in
        self.branches: Branches | None = None

    def activation(self, films: Tensor) -> Tensor:
        """Last activation map ``(B, C, h, w)`` of films ``(B, 1, S, S)``."""
        result: Tensor = self.trunk(self._normalised(films))
        return result

    def add_branches(self) -> Branches:
        """Put a box branch and a score map on the trunk's maps, with new weights (M21, M22).

        Raises
        ------
        TrainingError
            If the trunk hands out no maps of the depths needed.
        """
        if not isinstance(self.trunk, EfficientNetLite0Trunk):
            raise TrainingError(
                f"boxes and opacity map need the network 'efficientnet_lite0'; found {self.spec.name!r}"
            )
        self.branches = Branches(PYRAMID_CHANNELS, self.spec.size)
        return self.branches

    def maps(self, films: Tensor) -> tuple[Tensor, ...]:
        """Trunk's maps at strides 2, 4, 8, 16 and 32 of films ``(B, 1, S, S)``; the last is the last activation map."""
        if not isinstance(self.trunk, EfficientNetLite0Trunk):
            raise TrainingError(f"maps of all depths need the network 'efficientnet_lite0'; found {self.spec.name!r}")
        return self.trunk.pyramid(self._normalised(films))

    def early_layers(self) -> tuple[nn.Module, ...]:
        """Return the last layers of strides 2, 4 and 8; their channel statistics are a film's looks more than content.

        Raises
        ------
        TrainingError
            If the network is not EfficientNet-Lite0.
        """
        if not isinstance(self.trunk, EfficientNetLite0Trunk):
            raise TrainingError(f"style mixing needs the network 'efficientnet_lite0'; found {self.spec.name!r}")
        return self.trunk.early()

    def _normalised(self, films: Tensor) -> Tensor:
        return ((films - self.mean) / self.deviation).expand(-1, self.channels_in, -1, -1)

    def forward(self, films: Tensor) -> Tensor:
        """Films ``(B, 1, S, S)`` to logits ``(B, K)``."""
        _, scores = self.head(self.activation(films))
        result: Tensor = self.logits(scores)
        return result


class ExportedNetwork(nn.Module):
    """What a bundle's ``model.onnx`` computes, in one forward pass.

    Input films ``(B, 1, S, S)`` in [0, 1]; outputs logits ``(B, K)``, class maps ``(B, K, h, w)`` (Grad-CAM after ReLU,
    before normalisation) and features ``(B, C)``; of a network with branches also box scores ``(B, N)``, boxes
    ``(B, N, 4)`` and opacity ``(B, S/2, S/2)``, as `Branches.exported` gives them.
    """

    def __init__(self, network: FilmNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, films: Tensor) -> tuple[Tensor, ...]:
        """Return logits, class maps, features and what the branches say."""
        branches = self.network.branches
        maps = self.network.maps(films) if branches is not None else (self.network.activation(films),)
        activation = maps[-1]
        features, scores = self.network.head(activation)
        logits = self.network.logits(scores)
        gradients = self.network.head.mean_gradients(activation.shape[2], activation.shape[3])
        weights = self.network.logits.jacobian(scores) @ gradients
        class_maps = torch.relu(torch.einsum("bkc,bchw->bkhw", weights, activation))
        return (logits, class_maps, features, *(branches.exported(maps) if branches is not None else ()))
