"""Box branch and score map as one module on a classifier's maps (M21, M22).

One network, one forward pass: the classifier's trunk hands out its maps, and what stands here reads them. The
classifier's own logits do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from carina.networks.fcos import FcosHead, boxes_of
from carina.networks.score_map import WIDTHS, ExpandingPath, ScoreMapHead

__all__ = ["BOX_STRIDES", "BranchOutputs", "Branches"]

BOX_STRIDES = (8, 16)
"""Strides of the levels that the box branch reads, finest first."""

_BOX_DEPTHS = (2, 3)


class BranchOutputs(NamedTuple):
    """What the branches say, before any sigmoid.

    Attributes
    ----------
    class_logits : Tensor, (B, N)
        "opacity", for each of N cells.
    distances : Tensor, (B, N, 4)
        To the left, top, right and bottom side, pixels of the network's input, above 0.
    centre_logits : Tensor, (B, N)
    opacity_logits : Tensor, (B, S/2, S/2)
    """

    class_logits: Tensor
    distances: Tensor
    centre_logits: Tensor
    opacity_logits: Tensor


class Branches(nn.Module):
    """Box branch and score map.

    Parameters
    ----------
    channels : sequence of int
        Of the trunk's maps at strides 2, 4, 8, 16 and 32.
    size : int
        Side of the network's input, pixels.
    """

    def __init__(self, channels: Sequence[int], size: int) -> None:
        super().__init__()
        self.path = ExpandingPath(channels)
        self.boxes = FcosHead(WIDTHS[_BOX_DEPTHS[0]], size, BOX_STRIDES)
        self.opacity = ScoreMapHead()

    def forward(self, maps: Sequence[Tensor]) -> BranchOutputs:
        """Trunk's maps, strides 2 to 32, to what the branches say."""
        path = self.path(maps)
        logits, distances, middles = self.boxes([path[depth] for depth in _BOX_DEPTHS])
        return BranchOutputs(logits, distances, middles, self.opacity(path[0]))

    def exported(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute what ``model.onnx`` gives of the branches.

        Returns
        -------
        box_scores : Tensor, (B, N)
            Class score times centre-ness, in [0, 1].
        boxes : Tensor, (B, N, 4)
            x0, y0, x1, y1 in network pixels, before non-maximum suppression; they may reach beyond the input.
        opacity : Tensor, (B, S/2, S/2)
            In [0, 1].
        """
        found = self(maps)
        scores = found.class_logits.sigmoid() * found.centre_logits.sigmoid()
        return scores, boxes_of(self.boxes.centres, found.distances), found.opacity_logits.sigmoid()
