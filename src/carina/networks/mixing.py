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

__all__ = ["StyleMixing", "mix_spectra"]

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
