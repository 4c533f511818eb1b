"""The expanding path: maps of the same depth joined, upsampled four times to a score map (M22).

A U-shaped network on a classifier's trunk: from stride 32 the path is upsampled to the strides 16, 8, 4 and 2 and at
each of them joins the trunk's map of the same depth. Its maps at strides 16 and 8 are the pyramid that the box branch
reads; its end is the opacity map.

References
----------
Long 2015 (FCN), doi:10.1109/CVPR.2015.7298965; Ronneberger 2015 (U-Net), doi:10.1007/978-3-319-24574-4_28;
Lin 2017 (FPN), doi:10.1109/CVPR.2017.106.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["WIDTHS", "ExpandingPath", "ScoreMapHead", "separable"]

WIDTHS = (16, 32, 64, 64, 64)
"""Channels of the path at strides 2, 4, 8, 16 and 32: thin where the maps are large, for there the time goes.

Multiples of 16, which inference engines compute in blocks."""

_DEPTHS = 5


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """Depthwise 3x3 convolution, then 1x1, norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class _Join(nn.Module):
    """Upsample what comes from below by two, join the map of the same depth, mix.

    Adding two 1x1 projections is a 1x1 convolution of the two maps side by side; the one from below is projected before
    it is upsampled, where it is small.
    """

    def __init__(self, below: int, beside: int, outputs: int) -> None:
        super().__init__()
        self.below = nn.Conv2d(below, outputs, 1, bias=False)
        self.beside = nn.Conv2d(beside, outputs, 1)
        self.mix = separable(outputs, outputs)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        # by the factor, not to the size: an engine then keeps its blocked layout
        grown = functional.interpolate(self.below(below), scale_factor=2.0, mode="bilinear", align_corners=False)
        grown = grown[..., : beside.shape[-2], : beside.shape[-1]]
        mixed: Tensor = self.mix(functional.relu(grown + self.beside(beside)))
        return mixed


class ExpandingPath(nn.Module):
    """From the trunk's maps at strides 2 to 32 to the path's own.

    Parameters
    ----------
    channels : sequence of int
        Of the trunk's maps at strides 2, 4, 8, 16 and 32.
    widths : sequence of int
        Of the path's maps at the same strides.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        if len(channels) != _DEPTHS or len(widths) != _DEPTHS:
            raise ValueError(
                f"the path joins {_DEPTHS} depths; found {len(channels)} and {len(widths)} channel numbers"
            )
        self.bottom = nn.Sequential(
            nn.Conv2d(channels[-1], widths[-1], 1, bias=False), nn.BatchNorm2d(widths[-1]), nn.ReLU()
        )
        self.joins = nn.ModuleList(
            _Join(widths[depth + 1], channels[depth], widths[depth]) for depth in reversed(range(_DEPTHS - 1))
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Trunk's maps, strides 2 to 32, to the path's maps, strides 2 to 32 likewise."""
        found: list[Tensor] = [self.bottom(maps[-1])]
        for join, beside in zip(self.joins, reversed(maps[:-1]), strict=True):
            found.append(join(found[-1], beside))
        return tuple(reversed(found))


class ScoreMapHead(nn.Module):
    """From the path's last map ``(B, C, S/2, S/2)`` to one logit a pixel ``(B, S/2, S/2)``."""

    def __init__(self, width: int = WIDTHS[0], prior: float = -3.0) -> None:
        super().__init__()
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.last.bias, prior)  # type: ignore[arg-type] # the layer has a bias

    def forward(self, last: Tensor) -> Tensor:
        """Return the map's logits; their sigmoid is the opacity in [0, 1]."""
        result: Tensor = self.last(last)[:, 0]
        return result
