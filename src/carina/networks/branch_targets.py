"""What each cell should say of a film whose boxes are known (M21).

References
----------
Tian 2019 (FCOS), doi:10.1109/ICCV.2019.00972, sections 3.1 to 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from carina.networks.fcos import centre_ness, distances_to_sides

__all__ = ["REACHES", "BoxTargets", "box_targets"]

REACHES = {8: (0.0, 32.0), 16: (32.0, float("inf"))}
"""Longest side distance, pixels of the network's input, that the cells of each stride answer for."""


class BoxTargets(NamedTuple):
    """Targets of a batch.

    Attributes
    ----------
    positive : Tensor of bool, (B, N)
        The cell's centre lies in a box that its level answers for.
    distances : Tensor, (B, N, 4)
        To the left, top, right and bottom side of that box; 1 where not positive.
    centre_ness : Tensor, (B, N)
        0 where not positive.
    """

    positive: Tensor
    distances: Tensor
    centre_ness: Tensor


def box_targets(boxes: Sequence[Tensor], centres: Tensor, strides: Tensor) -> BoxTargets:
    """Assign boxes to cells.

    A cell is positive where its centre lies strictly within a box whose farthest side is as far as the cell's level
    answers for; where several do, the smallest box by area counts.

    Parameters
    ----------
    boxes : sequence of Tensor, (M, 4)
        x0, y0, x1, y1 of each film, pixels of the network's input; M may be 0.
    centres : Tensor, (N, 2)
    strides : Tensor, (N,)
        Of each cell's level, one of `REACHES`.

    Returns
    -------
    BoxTargets
    """
    reach = torch.tensor([REACHES[int(stride)] for stride in strides.tolist()], dtype=torch.float32)
    films = [_of_film(part.to(torch.float32), centres, reach) for part in boxes]
    positive, distances, middles = (torch.stack(parts) for parts in zip(*films, strict=True))
    return BoxTargets(positive, distances, middles)


def _of_film(boxes: Tensor, centres: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    count = len(centres)
    if len(boxes) == 0:
        return torch.zeros(count, dtype=torch.bool), torch.ones(count, 4), torch.zeros(count)
    distances = distances_to_sides(centres, boxes)
    farthest = distances.amax(2)
    fits = (distances.amin(2) > 0) & (farthest > reach[:, :1]) & (farthest <= reach[:, 1:])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    chosen = torch.where(fits, area[None], torch.inf).argmin(1)
    positive = fits.any(1)
    picked = distances[torch.arange(count), chosen]
    picked = torch.where(positive[:, None], picked, torch.ones_like(picked))
    return positive, picked, centre_ness(picked) * positive
