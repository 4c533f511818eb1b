"""From the last activation map to class logits, with Grad-CAM in closed form (M20, M23).

Between the last activation map and the class logits lie only pooling or flattening, one linear layer and, for a
hierarchical head, log-softmaxes. The gradient of a logit by the map, averaged over the map, is then known without a
backward pass: the linear layer's (averaged) weights, times the Jacobian of the log-softmaxes, which is written out.

References
----------
Grad-CAM: Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["FlatLogits", "FlattenedLinear", "HierarchicalLogits", "PooledLinear"]


class PooledLinear(nn.Module):
    """Global average pooling, dropout, one linear layer.

    Input ``(B, C, h, w)``; `forward` gives pooled features ``(B, C)`` and scores ``(B, U)``.
    """

    def __init__(self, channels: int, units: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, units)

    def forward(self, activation: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``(B, C)`` and scores ``(B, U)``."""
        features = activation.mean((2, 3))
        return features, self.linear(self.dropout(features))

    def mean_gradients(self, height: int, width: int) -> Tensor:
        """Gradient of each score by the map, averaged over it: ``(U, C)``."""
        return self.linear.weight / (height * width)


class FlattenedLinear(nn.Module):
    """Pooling by 2, dropout, flatten, one fully connected layer, as M20 has it.

    Input ``(B, C, h, w)``; `forward` gives globally averaged features ``(B, C)`` and scores ``(B, U)``.
    """

    def __init__(self, channels: int, side: int, units: int, dropout: float, pooling: nn.Module) -> None:
        super().__init__()
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.channels, self.pooled_side = channels, side // 2
        self.linear = nn.Linear(channels * self.pooled_side**2, units)

    def forward(self, activation: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``(B, C)`` and scores ``(B, U)``."""
        flat = self.pooling(activation).flatten(1)
        return activation.mean((2, 3)), self.linear(self.dropout(flat))

    def mean_gradients(self, height: int, width: int) -> Tensor:
        """Gradient of each score by the map, averaged over it: ``(U, C)``.

        Pooling hands each weight on to the cells under it, split evenly (average) or to one of them (maximum): the sum
        over the map is the sum of the weights either way.
        """
        weights = self.linear.weight.view(-1, self.channels, self.pooled_side**2)
        return weights.sum(2) / (height * width)


class FlatLogits(nn.Module):
    """Class logits are the scores themselves."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.units = classes

    def forward(self, scores: Tensor) -> Tensor:
        """Scores ``(B, K)`` to logits ``(B, K)``."""
        return scores

    def jacobian(self, scores: Tensor) -> Tensor:
        """Return the derivative of each logit by each score: ``(B, K, U)``."""
        return torch.eye(self.units, dtype=scores.dtype, device=scores.device).expand(scores.shape[0], -1, -1)


class HierarchicalLogits(nn.Module):
    """Class logits that follow the task's groups.

    The first scores tell the units of the root (each group and each ungrouped class) apart, the others the classes
    within each group. A class's logit is the sum of the log-probabilities along its path, so that ``softmax(logits)``
    is P(group) x P(class | group), and what tells the classes of a group apart cannot leak into whether it holds.

    Parameters
    ----------
    classes : sequence of str
    groups : mapping of str to sequence of str
        Disjoint sets of classes.
    """

    def __init__(self, classes: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        group_of = {name: group for group, members in groups.items() for name in members}
        roots = list(dict.fromkeys(group_of.get(name, name) for name in classes))
        levels = [list(range(len(roots)))]
        path = torch.zeros(len(classes), len(roots) + sum(map(len, groups.values())))
        for number, name in enumerate(classes):
            path[number, roots.index(group_of.get(name, name))] = 1.0
        start = len(roots)
        for members in groups.values():
            levels.append(list(range(start, start + len(members))))
            for offset, name in enumerate(members):
                path[list(classes).index(name), start + offset] = 1.0
            start += len(members)
        same_level = torch.zeros(start, start)
        for level in levels:
            same_level[torch.tensor(level)[:, None], torch.tensor(level)[None]] = 1.0
        self.units, self.levels = start, levels
        self.path: Tensor
        self.same_level: Tensor
        self.register_buffer("path", path, persistent=False)
        self.register_buffer("same_level", same_level, persistent=False)

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """Log-probability of each unit within its level: ``(B, U)``."""
        return torch.cat([scores[:, level[0] : level[-1] + 1].log_softmax(1) for level in self.levels], 1)

    def forward(self, scores: Tensor) -> Tensor:
        """Scores ``(B, U)`` to logits ``(B, K)``."""
        return self.log_probabilities(scores) @ self.path.T

    def jacobian(self, scores: Tensor) -> Tensor:
        """Return the derivative of each logit by each score: ``(B, K, U)``.

        On a class's path a level contributes ``1 - p`` for its own unit and ``-p`` for the others of that level.
        """
        share = self.log_probabilities(scores).exp()
        touched = self.path @ self.same_level
        return self.path - touched * share[:, None, :]
