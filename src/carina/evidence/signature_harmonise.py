"""Sources brought together by location and scale (ComBat), fitted to training films alone (M27)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.evidence.signature_models import Sample, two_sided

__all__ = ["Combat", "fit_combat"]

_Floats = NDArray[np.float64]
_LEAST = 5
_ROUNDS = 30
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Combat:
    """Location and scale of every feature in every source.

    Attributes
    ----------
    mean, spread : ndarray, (F,)
        Over all sources, within them.
    shift, scale : dict of str to ndarray, (F,)
        Of each source, in spreads, shrunk towards what the source's features have in common.
    """

    mean: _Floats
    spread: _Floats
    shift: dict[str, _Floats]
    scale: dict[str, _Floats]

    def __call__(self, values: _Floats, sources: NDArray[Any]) -> _Floats:
        """Bring films (N, F) of these sources together; a source it was not fitted to stays as it is."""
        result = np.array(values, dtype=np.float64)
        for name, shift in self.shift.items():
            rows = np.flatnonzero(sources == name)
            scaled = (result[rows] - self.mean) / self.spread
            result[rows] = (scaled - shift) / self.scale[name] * self.spread + self.mean
        return result


def fit_combat(train: Sample) -> Callable[[_Floats, NDArray[Any]], _Floats]:
    """Fit to training films.

    The sides are allowed for where some source has both, so that a source with more disease is not made healthier.
    Where every source has one side only, side and source cannot be parted and disease is taken out with the source.

    Parameters
    ----------
    train : Sample

    Returns
    -------
    Combat

    References
    ----------
    W. E. Johnson et al., Biostatistics 8 (2007) 118-127, doi:10.1093/biostatistics/kxj037.
    """
    names = [str(name) for name in np.unique(train.sources)]
    names = [name for name in names if (train.sources == name).sum() >= _LEAST]
    used = np.isin(train.sources, names)
    values, sides, sources = train.values[used], train.positive[used].astype(np.float64), train.sources[used]
    if not names:
        return lambda shown, _: shown
    median = np.nanmedian(np.where(np.isfinite(values).any(axis=0), values, 0.0), axis=0)
    filled = np.where(np.isfinite(values), values, median)
    member = np.stack([sources == name for name in names], axis=1).astype(np.float64)
    both = any(two_sided(train.take(np.flatnonzero(train.sources == name))) for name in names)
    design = np.column_stack([member, sides]) if both else member
    found = np.linalg.lstsq(design, filled, rcond=None)[0]
    slope = found[len(names)] if both else np.zeros(filled.shape[1])
    cleaned = filled - sides[:, None] * slope
    mean = (member.mean(axis=0)[:, None] * found[: len(names)]).sum(axis=0)
    spread = np.sqrt(((cleaned - member @ found[: len(names)]) ** 2).mean(axis=0))
    spread = np.where(spread > _TINY, spread, 1.0)
    scaled = (cleaned - mean) / spread
    shift, scale = {}, {}
    for name in names:
        shift[name], scale[name] = _shrunk(scaled[sources == name])
    return Combat(mean, spread, shift, scale)


def _shrunk(scaled: _Floats) -> tuple[_Floats, _Floats]:
    """Shift and scale of one source (n, F), shrunk by empirical Bayes with normal and inverse gamma priors."""
    count = len(scaled)
    mean, variance = scaled.mean(axis=0), np.maximum(scaled.var(axis=0, ddof=1), _TINY)
    prior, width = float(mean.mean()), max(float(mean.var()), _TINY)
    centre, breadth = float(variance.mean()), max(float(variance.var()), _TINY)
    shape, rate = (2 * breadth + centre**2) / breadth, (centre * breadth + centre**3) / breadth
    shift, squared = mean, variance
    for _ in range(_ROUNDS):
        new = (count * width * mean + squared * prior) / (count * width + squared)
        total = ((scaled - new) ** 2).sum(axis=0)
        last, shift, squared = shift, new, (rate + 0.5 * total) / (count / 2.0 + shape - 1.0)
        if float(np.abs(shift - last).max()) < 1e-6:  # noqa: PLR2004 - of a spread
            break
    return np.asarray(shift), np.sqrt(squared)
