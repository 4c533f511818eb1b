"""The box branch: per cell a class score, four distances and a centre-ness (M21).

For each cell of a map the distances from its centre to the four sides of the box that holds it, and how near the
middle of that box the cell lies. score = class x centre-ness. No anchors.

References
----------
Tian 2019 (FCOS), doi:10.1109/ICCV.2019.00972.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from carina.networks.score_map import separable

__all__ = ["FcosHead", "boxes_of", "cell_centres", "centre_ness", "distances_to_sides"]

_PRIOR = 0.01
_LARGEST_EXPONENT = 4.0


def cell_centres(cells: int, stride: int) -> Tensor:
    """Centres of a square grid of cells.

    Parameters
    ----------
    cells : int
        A side of the grid.
    stride : int
        A side of a cell, pixels of the network's input.

    Returns
    -------
    Tensor, (cells * cells, 2)
        x, y in pixels, row by row.

    Examples
    --------
    >>> cell_centres(2, 8).tolist()
    [[4.0, 4.0], [12.0, 4.0], [4.0, 12.0], [12.0, 12.0]]
    """
    along = (torch.arange(cells, dtype=torch.float32) + 0.5) * stride
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def distances_to_sides(centres: Tensor, boxes: Tensor) -> Tensor:
    """Distances from every point to the sides of every box.

    Parameters
    ----------
    centres : Tensor, (N, 2)
    boxes : Tensor, (M, 4)
        x0, y0, x1, y1, same unit.

    Returns
    -------
    Tensor, (N, M, 4)
        To the left, top, right and bottom side; all above 0 where the point lies within the box.

    Examples
    --------
    >>> distances_to_sides(torch.tensor([[4.0, 4.0]]), torch.tensor([[1.0, 2.0, 9.0, 10.0]])).tolist()
    [[[3.0, 2.0, 5.0, 6.0]]]
    """
    low, high = boxes[None, :, :2], boxes[None, :, 2:]
    point = centres[:, None]
    return torch.cat([point - low, high - point], 2)


def boxes_of(centres: Tensor, distances: Tensor) -> Tensor:
    """Points ``(N, 2)`` and distances ``(..., N, 4)`` back to boxes ``(..., N, 4)`` as x0, y0, x1, y1."""
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], -1)


def centre_ness(distances: Tensor) -> Tensor:
    """How near the middle of its box a point lies: equation 3 of Tian 2019.

    Parameters
    ----------
    distances : Tensor, (..., 4)
        Left, top, right, bottom, above 0.

    Returns
    -------
    Tensor, (...)
        ``sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))``, 1 in the middle, towards 0 at a side.

    Examples
    --------
    >>> round(float(centre_ness(torch.tensor([1.0, 2.0, 4.0, 2.0]))), 3)
    0.5
    """
    across, down = distances[..., 0::2], distances[..., 1::2]
    share = across.amin(-1) / across.amax(-1) * (down.amin(-1) / down.amax(-1))
    return share.clamp(min=0.0).sqrt()


class FcosHead(nn.Module):
    """One light head shared by all levels: depthwise-separable convolutions, three outputs.

    Parameters
    ----------
    width : int
        Channels of every level.
    size : int
        Side of the network's input, pixels.
    strides : sequence of int
        Side of a cell of each level, pixels, finest first.
    """

    def __init__(self, width: int, size: int, strides: Sequence[int]) -> None:
        super().__init__()
        cells = [-(-size // stride) for stride in strides]
        self.classes = nn.Sequential(separable(width, width), separable(width, width))
        self.sides = nn.Sequential(separable(width, width), separable(width, width))
        self.score = nn.Conv2d(width, 1, 1)
        self.distance = nn.Conv2d(width, 4, 1)
        self.middle = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.score.bias, math.log(_PRIOR / (1 - _PRIOR)))  # type: ignore[arg-type] # it has a bias
        nn.init.constant_(self.distance.bias, 1.0)  # type: ignore[arg-type] # as above
        self.scales = nn.Parameter(torch.ones(len(cells)))
        self.centres: Tensor
        self.strides: Tensor
        centres = [cell_centres(count, stride) for count, stride in zip(cells, strides, strict=True)]
        sides = [torch.full((len(part),), float(stride)) for part, stride in zip(centres, strides, strict=True)]
        self.register_buffer("centres", torch.cat(centres), persistent=False)
        self.register_buffer("strides", torch.cat(sides), persistent=False)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Read every level.

        Parameters
        ----------
        levels : sequence of Tensor, (B, C, cells, cells)
            Finest first.

        Returns
        -------
        class_logits : Tensor, (B, N)
            N cells of all levels.
        distances : Tensor, (B, N, 4)
            Left, top, right, bottom, pixels of the network's input, above 0.
        centre_logits : Tensor, (B, N)
        """
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for number, level in enumerate(levels):
            of_sides = self.sides(level)
            exponent = (self.scales[number] * self.distance(of_sides)).clamp(max=_LARGEST_EXPONENT)
            found.append(
                (
                    self.score(self.classes(level)).flatten(1),
                    exponent.exp().flatten(2).transpose(1, 2),
                    self.middle(of_sides).flatten(1),
                )
            )
        logits, distances, middles = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        return logits, distances * self.strides[:, None], middles
