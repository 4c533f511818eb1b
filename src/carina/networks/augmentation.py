"""Augmentation drawn on the fly, film and labels transformed together (M24), and what hides the hospital (M36).

Two kinds of change, in this order: geometric (M24: scale, shift, rotation, horizontal flip; here also aspect, because
sources differ in it), which lung labels follow, left and right swapped by a flip; and appearance (grey curve, contrast,
local histogram, blur, resolution, salt-and-pepper noise, erased patches), which makes exposure, sharpness, scanner and
markers useless as a sign of where a film was taken.
"""

from __future__ import annotations

from typing import Literal

import kornia.augmentation as kornia
import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Augmentation", "Strength"]

Strength = Literal["none", "basic", "strong"]
_LEFT, _RIGHT = 1, 2


class _LowerResolution(nn.Module):
    """Shrink by a drawn factor and grow back, so that sharpness stops naming the source."""

    def __init__(self, least: float, p: float) -> None:
        super().__init__()
        self.least, self.p = least, p

    def forward(self, films: Tensor) -> Tensor:
        chosen = torch.rand(len(films)) < self.p
        factor = self.least + (1.0 - self.least) * float(torch.rand(()))
        if not chosen.any():
            return films
        side = max(8, int(films.shape[-1] * factor))
        small = functional.interpolate(films[chosen], size=(side, side), mode="bilinear", antialias=True)
        result = films.clone()
        result[chosen] = functional.interpolate(small, size=films.shape[-2:], mode="bilinear")
        return result


class Augmentation(nn.Module):
    """Batched augmentation of films ``(B, 1, S, S)`` in [0, 1].

    Parameters
    ----------
    strength : {"none", "basic", "strong"}
        ``"basic"`` is M24; ``"strong"`` adds aspect and appearance.

    Notes
    -----
    Draws come from torch's global generator; the training seeds it at the start of every epoch, so that a restarted
    epoch draws the same.
    """

    def __init__(self, strength: Strength) -> None:
        super().__init__()
        self.strength = strength
        strong = strength == "strong"
        scale = (0.82, 1.18, 0.82, 1.18) if strong else (0.9, 1.1)
        self.affine = kornia.RandomAffine(degrees=12.0, translate=(0.07, 0.07), scale=scale, p=0.9)
        self.flip = kornia.RandomHorizontalFlip(p=0.5)
        salt = kornia.RandomSaltAndPepperNoise(amount=(0.002, 0.02), p=0.2)
        appearance: list[nn.Module] = [salt]
        if strong:
            appearance = [
                kornia.RandomEqualize(p=0.15),
                kornia.RandomClahe(clip_limit=(1.0, 4.0), grid_size=(4, 4), p=0.15),
                kornia.RandomGamma((0.6, 1.65), p=0.6),
                kornia.RandomContrast((0.65, 1.4), p=0.5),
                kornia.RandomBrightness((0.85, 1.15), p=0.4),
                kornia.RandomGaussianBlur((7, 7), (0.3, 1.6), p=0.3),
                kornia.RandomSharpness(3.0, p=0.2),
                _LowerResolution(0.4, p=0.4),
                kornia.RandomGaussianNoise(std=0.03, p=0.3),
                salt,
                kornia.RandomErasing(scale=(0.005, 0.05), ratio=(0.3, 3.3), value=0.0, p=0.3),
                kornia.RandomErasing(scale=(0.005, 0.03), ratio=(0.3, 3.3), value=1.0, p=0.2),
            ]
        self.appearance = nn.Sequential(*appearance)

    @torch.no_grad()
    def forward(self, films: Tensor, lungs: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Transform films and, with the same draws, lung labels.

        Parameters
        ----------
        films : Tensor, (B, 1, S, S)
            In [0, 1].
        lungs : Tensor of int64 or None, (B, 1, S, S)
            0 outside, 1 the patient's left lung, 2 the right.

        Returns
        -------
        tuple of Tensor
            Films in [0, 1] and lungs with left and right swapped where the film was flipped.
        """
        if self.strength == "none":
            return films, lungs
        films = self.flip(films)
        flipped = self.flip._params["batch_prob"] > 0.5  # noqa: PLR2004, SLF001 -- kornia keeps its last draw only here
        films = self.affine(films)
        if lungs is not None:
            lungs = self._follow(lungs, flipped)
        changed: Tensor = self.appearance(films)
        return changed.clamp(0.0, 1.0), lungs

    def _follow(self, lungs: Tensor, flipped: Tensor) -> Tensor:
        mirrored = lungs.flip(-1)
        swapped = torch.where(mirrored == _LEFT, _RIGHT, torch.where(mirrored == _RIGHT, _LEFT, mirrored))
        lungs = torch.where(flipped.to(lungs.device).view(-1, 1, 1, 1), swapped, lungs)
        matrices = self.affine.transform_matrix[:, :2]
        moved: Tensor = warp_affine(lungs.float(), matrices, (lungs.shape[-2], lungs.shape[-1]), mode="nearest")
        return moved.round().long()
