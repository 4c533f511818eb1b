"""Sources brought together inside each fold, fitted to its training films alone (M27)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError
from carina.evidence.signature_models import Sample
from carina.texture import Combat, fit_combat

__all__ = ["Together", "fit_together"]

_Floats = NDArray[np.float64]
_LEAST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """A fitted harmonisation that asks for no label of the films it is applied to.

    Attributes
    ----------
    combat : Combat or None
        `None` where fewer than two sources have three films.
    share : float or None
        Share of positive training films, put in the place of every film's side; `None` where sides and sources could
        not be parted.
    """

    combat: Combat | None
    share: float | None

    def __call__(self, values: _Floats, sources: NDArray[Any]) -> _Floats:
        """Bring films (N, F) together; those of a source it was not fitted to stay as they are."""
        if self.combat is None:
            return values
        known = np.flatnonzero(np.isin(sources, self.combat.sources))
        sides = None if self.share is None else np.full((len(known), 1), self.share)
        result = np.array(values, np.float64)
        result[known] = self.combat.apply(values[known], [str(name) for name in sources[known]], sides)
        return result


def fit_together(train: Sample) -> Callable[[_Floats, NDArray[Any]], _Floats]:
    """Fit ComBat to training films.

    The sides are allowed for in the fit, so that a source with more disease is not made healthier; where every source
    has one side only, side and source cannot be parted and disease is taken out with the source.

    Parameters
    ----------
    train : Sample

    Returns
    -------
    Together

    References
    ----------
    See `carina.texture.fit_combat`.
    """
    names, counts = np.unique(train.sources.astype(str), return_counts=True)
    rows = np.flatnonzero(np.isin(train.sources.astype(str), names[counts >= _LEAST]))
    if (counts >= _LEAST).sum() < 2:  # noqa: PLR2004 - to bring together
        return Together(None, None)
    part = train.take(rows)
    sources = [str(name) for name in part.sources]
    sides = part.positive.astype(np.float64)[:, None]
    try:
        return Together(fit_combat(part.values, sources, sides), float(part.positive.mean()))
    except TextureError:  # every source has one side only
        return Together(fit_combat(part.values, sources), None)
