"""Losses of box branch and score map (M21, M22).

References
----------
Focal loss: Lin 2017, doi:10.1109/ICCV.2017.324. Generalised IoU: Rezatofighi 2019, doi:10.1109/CVPR.2019.00075.
Centre-ness and their sum: Tian 2019, doi:10.1109/ICCV.2019.00972. Dice: Milletari 2016, doi:10.1109/3DV.2016.79.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from carina.networks.branch_films import BranchBatch
from carina.networks.branch_network import Branches, BranchOutputs
from carina.networks.branch_targets import BoxTargets, box_targets

__all__ = ["BranchLoss", "branch_loss", "branch_step", "focal_loss", "giou_of_distances", "score_map_loss"]

_ALPHA, _GAMMA = 0.25, 2.0
_SMOOTH = 1.0


class BranchLoss(NamedTuple):
    """Parts of the branches' loss, scalars: classes, sides, centre-ness, opacity."""

    classes: Tensor
    sides: Tensor
    middles: Tensor
    opacity: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.classes + self.sides + self.middles + self.opacity


def focal_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Sum of the focal loss over all elements, alpha 0.25, gamma 2.

    Parameters
    ----------
    logits : Tensor
    positive : Tensor of bool
        Same shape.

    Returns
    -------
    Tensor
        Scalar.

    Examples
    --------
    >>> round(float(focal_loss(torch.tensor([0.0]), torch.tensor([True]))), 4)  # 0.25 * 0.5**2 * ln 2
    0.0433
    """
    truth = positive.to(logits.dtype)
    cross = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    missed = (truth - logits.sigmoid()).abs()
    weight = _ALPHA * truth + (1 - _ALPHA) * (1 - truth)
    return (weight * missed**_GAMMA * cross).sum()


def giou_of_distances(found: Tensor, wanted: Tensor) -> Tensor:
    """Generalised intersection over union of boxes that share the point they are measured from.

    Parameters
    ----------
    found, wanted : Tensor, (..., 4)
        Distances to left, top, right and bottom side, above 0.

    Returns
    -------
    Tensor, (...)
        In (-1, 1]; 1 where they agree.

    Examples
    --------
    >>> one, other = torch.tensor([1.0, 1.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 3.0, 1.0])
    >>> float(giou_of_distances(one, other))  # 4 of 8 square pixels, nothing between them
    0.5
    """
    both = torch.minimum(found, wanted)
    hull = torch.maximum(found, wanted)
    shared, around = _area(both), _area(hull)
    union = _area(found) + _area(wanted) - shared
    return shared / union - (around - union) / around


def _area(distances: Tensor) -> Tensor:
    return (distances[..., 0] + distances[..., 2]) * (distances[..., 1] + distances[..., 3])


def score_map_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy a pixel plus soft Dice loss a film, the latter over films that have an opacity.

    Parameters
    ----------
    logits : Tensor, (B, s, s)
    wanted : Tensor, (B, s, s)
        In [0, 1].

    Returns
    -------
    Tensor
        Scalar.
    """
    cross = functional.binary_cross_entropy_with_logits(logits, wanted)
    found = logits.sigmoid()
    shared = (found * wanted).sum((1, 2))
    dice = 1 - (2 * shared + _SMOOTH) / (found.sum((1, 2)) + wanted.sum((1, 2)) + _SMOOTH)
    held = (wanted.amax((1, 2)) > 0).to(dice.dtype)
    return cross + (dice * held).sum() / held.sum().clamp(min=1.0)


def branch_loss(found: BranchOutputs, boxes: BoxTargets, opacity: Tensor) -> BranchLoss:
    """Loss of a batch.

    Parameters
    ----------
    found : BranchOutputs
    boxes : BoxTargets
    opacity : Tensor, (B, s, s)
        Wanted opacity map, in [0, 1].

    Returns
    -------
    BranchLoss
        Classes: focal loss over positives counted. Sides: 1 - GIoU over positives, weighted by the wanted centre-ness.
        Middles: cross-entropy over positives. Opacity: `score_map_loss`.
    """
    positive = boxes.positive
    count = positive.sum().clamp(min=1).to(found.class_logits.dtype)
    weight = boxes.centre_ness[positive]
    giou = giou_of_distances(found.distances[positive], boxes.distances[positive])
    middles = functional.binary_cross_entropy_with_logits(
        found.centre_logits[positive], boxes.centre_ness[positive], reduction="sum"
    )
    return BranchLoss(
        classes=focal_loss(found.class_logits, positive) / count,
        sides=((1 - giou) * weight).sum() / weight.sum().clamp(min=1e-6),
        middles=middles / count,
        opacity=score_map_loss(found.opacity_logits, opacity),
    )


def branch_step(branches: Branches, maps: tuple[Tensor, ...], batch: BranchBatch) -> Tensor:
    """Loss of one batch of films with known opacities, from the trunk's maps of them: scalar."""
    where = maps[0].device
    targets = box_targets(batch.boxes, branches.boxes.centres.cpu(), branches.boxes.strides.cpu())
    moved = BoxTargets(*(part.to(where) for part in targets))
    return branch_loss(branches(maps), moved, batch.opacity.to(where)).total
