"""Augmentation for the lung network: the film and its maps move together (M24), and disease hides parts of lungs.

Order: geometry (scale and aspect, for children's squashed films; rotation, shear, shift; a mirror that swaps right and
left), then white-out (opacity laid over a part of a lung while the truth stays), then appearance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["augmented_batch"]

_MIRRORED = (1, 0, 2)  # right and left swap, aerated stays


def _uniform(count: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(count)


def _chance(count: int, p: float) -> Tensor:
    return torch.rand(count) < p


def _grid(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Draw the sampling grid (B, size, size, 2) and which films are mirrored (B,)."""
    far = _chance(count, 0.15)
    angle = torch.where(far, _uniform(count, -40, 40), _uniform(count, -14, 14)) * (math.pi / 180)
    zoom = torch.exp(_uniform(count, math.log(0.78), math.log(1.35)))
    aspect = torch.exp(torch.randn(count) * 0.13)
    mirrored = _chance(count, 0.5)
    x, y = zoom * aspect, zoom / aspect
    cos, sin, shear = torch.cos(angle), torch.sin(angle), torch.randn(count) * 0.05
    side = torch.where(mirrored, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = side * x * cos, x * (shear - sin)
    theta[:, 1, 0], theta[:, 1, 1] = side * y * sin, y * cos
    theta[:, :, 2] = torch.randn(count, 2) * 0.09
    return functional.affine_grid(theta, [count, 1, size, size], align_corners=False), mirrored


def _noise(count: int, cells: int, size: int) -> Tensor:
    """Smooth noise (B, 1, size, size), about normal."""
    return functional.interpolate(
        torch.randn(count, 1, cells, cells), (size, size), mode="bicubic", align_corners=False
    )


def _whitened(films: Tensor, truth: Tensor, p: float) -> Tensor:
    """Hide parts of the lungs behind opacities as bright as the mediastinum."""
    count, _, size, _ = films.shape
    fields = truth[:, :2]
    down = torch.linspace(-1, 1, size).view(1, 1, size, 1)
    level = _uniform(count, -1.1, 0.8).view(-1, 1, 1, 1)
    fluid = torch.sigmoid((down - level + 0.15 * _noise(count, 5, size)) * _uniform(count, 4, 30).view(-1, 1, 1, 1))
    cells = int(torch.randint(3, 9, ()))
    cloud = torch.sigmoid((_noise(count, cells, size) - _uniform(count, -0.5, 0.8).view(-1, 1, 1, 1)) * 4)
    shape = torch.where(_chance(count, 0.45).view(-1, 1, 1, 1), fluid, cloud)
    gone = _chance(count, 0.2).view(-1, 1, 1, 1)
    shape = torch.where(gone, torch.ones(()), shape)
    sides = _chance(2 * count, 0.6).view(count, 2, 1, 1).float()
    reach = 2 * int(torch.randint(1, 10, ())) + 1
    place = functional.avg_pool2d((fields * sides).amax(1, keepdim=True), reach, 1, reach // 2)
    place = torch.where(gone, (1.5 * place).clamp(max=1.0), place)
    strength = torch.where(gone.flatten(), _uniform(count, 0.85, 1.0), _uniform(count, 0.4, 1.0))
    strength = strength * _chance(count, p).float()
    brightness = torch.quantile(films.flatten(1), 0.8, dim=1) * _uniform(count, 0.8, 1.15)
    target = brightness.view(-1, 1, 1, 1) + 0.03 * _noise(count, 12, size)
    share = shape * place * strength.view(-1, 1, 1, 1)
    return films + share * (target - films)


def _appearance(films: Tensor) -> Tensor:
    """Gamma, a grey gradient, blur or lost resolution, noise, bars and markers."""
    count, _, size, _ = films.shape
    films = films.clamp(0, 1) ** torch.exp(torch.randn(count) * 0.35).view(-1, 1, 1, 1)
    ramp = _noise(count, 2, size) * 0.12 * _chance(count, 0.5).view(-1, 1, 1, 1)
    films = films + ramp
    if torch.rand(()) < 0.4:  # noqa: PLR2004 - share of batches
        small = functional.interpolate(
            films, scale_factor=float(_uniform(1, 0.35, 0.8)), mode="bilinear", antialias=True
        )
        soft = functional.interpolate(small, (size, size), mode="bilinear")
        films = torch.where(_chance(count, 0.5).view(-1, 1, 1, 1), soft, films)
    films = films + torch.randn_like(films) * (0.04 * torch.rand(count) * _chance(count, 0.5)).view(-1, 1, 1, 1)
    for number in torch.flatten(torch.nonzero(_chance(count, 0.5))).tolist():
        for _ in range(int(torch.randint(1, 4, ()))):
            high, wide = int(torch.randint(3, size // 6, ())), int(torch.randint(3, size // 6, ()))
            top, left = int(torch.randint(0, size - high, ())), int(torch.randint(0, size - wide, ()))
            films[number, :, top : top + high, left : left + wide] = float(torch.rand(()))
    return films.clamp(0, 1)


def _framed(films: Tensor, inside: Tensor) -> Tensor:
    """Fill what lies beyond the film's edge: mostly its continued edge, else black or another grey."""
    count = len(films)
    fill = torch.where(_chance(count, 0.7), torch.zeros(count), torch.rand(count)).view(-1, 1, 1, 1)
    continued = _chance(count, 0.4).view(-1, 1, 1, 1)
    return torch.where((inside > 0.5) | continued, films, fill)  # noqa: PLR2004 - half of the pixel


@torch.no_grad()
def augmented_batch(
    films: Tensor, truth: Tensor, known: Tensor, size: int, *, whiteout: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one batch anew; draws come from torch's global generator.

    Parameters
    ----------
    films : Tensor, (B, 1, W, W)
        In [0, 1].
    truth, known : Tensor of float, (B, 3, W, W)
        0 or 1, after `CHANNELS`.
    size : int
        Side S of the network's input, pixels, even.
    whiteout : float
        Share of films that get an opacity.

    Returns
    -------
    films : Tensor, (B, 1, S, S)
        In [0, 1], not standardised.
    truth, known : Tensor, (B, 3, S/2, S/2)
        In [0, 1].
    """
    count = len(films)
    grid, mirrored = _grid(count, size)
    everything = torch.cat([films, torch.ones_like(films)], 1)
    moved = functional.grid_sample(everything, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    edge = functional.grid_sample(films, grid, mode="bilinear", padding_mode="border", align_corners=False)
    maps = functional.grid_sample(
        torch.cat([truth, known], 1), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    inside = moved[:, 1:2]
    truth, known = maps[:, :3], torch.where(inside > 0.99, maps[:, 3:], torch.ones(()))  # noqa: PLR2004 - nearly all of it
    truth = torch.where(mirrored.view(-1, 1, 1, 1), truth[:, _MIRRORED], truth)
    known = torch.where(mirrored.view(-1, 1, 1, 1), known[:, _MIRRORED], known)
    films = _appearance(_framed(_whitened(edge, truth, whiteout), inside))
    return films, functional.avg_pool2d(truth, 2), (functional.avg_pool2d(known, 2) > 0.99).float()  # noqa: PLR2004
