"""Films that lend each other their looks in training, so that the looks stop naming the hospital (M36).

What tells two hospitals apart is mostly how much of each spatial frequency a film holds (sharpness, noise, grids,
resolution) and the mean and spread of early feature channels. Both are mixed here between films of a batch, whatever
their labels; phases and normalised features, which hold the anatomy, stay a film's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

__all__ = ["StyleMixing", "hide_lungs", "mix_spectra"]

_BETA = 0.1
_EPS = 1e-6


def mix_spectra(films: Tensor, share: float) -> Tensor:
    """Blend the amplitude spectra of films with those of other films of the batch; each keeps its own phases.

    Parameters
    ----------
    films : Tensor, (B, 1, S, S)
        In [0, 1].
    share : float
        Probability that a film is changed, in [0, 1].

    Returns
    -------
    Tensor, (B, 1, S, S)
        In [0, 1]. Draws come from torch's global generator.

    References
    ----------
    Q. Xu et al., CVPR 2021, doi:10.1109/CVPR46437.2021.01415.
    """
    chosen = torch.rand(len(films), device=films.device) < share
    if not chosen.any():
        return films
    spectra = torch.fft.rfft2(films)
    amplitude, phase = spectra.abs(), spectra.angle()
    part = torch.rand(len(films), 1, 1, 1, device=films.device) * chosen.view(-1, 1, 1, 1)
    other = amplitude[torch.randperm(len(films), device=films.device)]
    mixed = torch.polar(amplitude + part * (other - amplitude), phase)
    back = torch.fft.irfft2(mixed, s=films.shape[-2:]).clamp(0.0, 1.0)
    return torch.where(chosen.view(-1, 1, 1, 1), back, films)


def hide_lungs(films: Tensor, without: Tensor, *, lungless: float, surroundings: float) -> tuple[Tensor, Tensor]:
    """Show some films without their lungs, and some lungs in the surroundings of another film.

    The first say nothing of the disease, and the loss draws them towards even; the second keep their label, though
    what lies around the lungs is another patient's, another hospital's.

    Parameters
    ----------
    films : Tensor of uint8, (B, S, S)
    without : Tensor of uint8, (B, 2, S, S)
        Film with its lungs blacked out, and the cover; a film whose cover is empty stays as it is.
    lungless, surroundings : float
        Probabilities, in [0, 1]; the first is drawn first, and the second among the films left.

    Returns
    -------
    tuple of Tensor
        Films (B, S, S), and bool (B,): those without lungs. Draws come from torch's global generator.

    References
    ----------
    Backgrounds exchanged: K. Xiao et al., ICLR 2021, arXiv:2006.09994.
    """
    black, cover = without[:, 0], without[:, 1] > 0
    known = cover.flatten(1).any(1)
    silent = (torch.rand(len(films), device=films.device) < lungless) & known
    order = torch.randperm(len(films), device=films.device)
    moved = (torch.rand(len(films), device=films.device) < surroundings) & known & known[order] & ~silent
    elsewhere = torch.where(cover, films, black[order])
    shown = torch.where(moved.view(-1, 1, 1), elsewhere, films)
    return torch.where(silent.view(-1, 1, 1), black, shown), silent


class StyleMixing(nn.Module):
    """Blend the mean and deviation of each channel with another film's.

    In evaluation nothing happens.

    Parameters
    ----------
    share : float
        Probability that a batch is changed at one place, in [0, 1].

    Notes
    -----
    ``handles`` of `put_behind` must be removed before the network is exported.

    References
    ----------
    MixStyle: K. Zhou et al., ICLR 2021, arXiv:2104.02008.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, maps: Tensor) -> Tensor:
        """Mix maps ``(B, C, h, w)`` in training; in evaluation they pass as they are."""
        if not self.training or float(torch.rand(())) >= self.share:
            return maps
        mean = maps.mean((2, 3), keepdim=True).detach()
        deviation = (maps.var((2, 3), keepdim=True) + _EPS).sqrt().detach()
        order = torch.randperm(len(maps), device=maps.device)
        blend = torch.distributions.Beta(_BETA, _BETA).sample((len(maps), 1, 1, 1)).to(maps)
        new_mean = blend * mean + (1 - blend) * mean[order]
        new_deviation = blend * deviation + (1 - blend) * deviation[order]
        return (maps - mean) / deviation * new_deviation + new_mean

    def put_behind(self, layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Mix what these layers put out, until the handles are removed."""
        return [layer.register_forward_hook(lambda _layer, _given, maps: self(maps)) for layer in layers]
