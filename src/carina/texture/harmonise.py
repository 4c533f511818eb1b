"""Sources brought together: location and scale of each feature in each source, shrunk by empirical Bayes (ComBat).

It is fitted on training films alone and then applied to others of the same sources. It takes out whatever sets the
sources apart, disease included where disease and source are confounded: name what must stay as covariates, and where a
source has one class only, believe nothing that comes out about that class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carina.errors import TextureError

__all__ = ["Combat", "fit_combat"]

_Floats = NDArray[np.float64]
_LEAST = 3
_FLAT = 1e-12
_CLOSE = 1e-10
_ROUNDS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Combat:
    """A fitted harmonisation.

    Attributes
    ----------
    sources : tuple of str
        That it was fitted on, sorted.
    grand : ndarray of float64, (F,)
        Mean of each feature over the sources, each as heavy as its films, where every covariate is 0.
    slopes : ndarray of float64, (C, F)
        Of the covariates; their effect is kept.
    spread : ndarray of float64, (F,)
        Standard deviation within the sources.
    location, scale : ndarray of float64, (S, F)
        Of each source, in spreads; the scale is a standard deviation.
    adjusted : ndarray of bool, (F,)
        False for features that cannot be harmonised and stay as they are: constant within a source, or with fewer than
        three films of one.
    """

    sources: tuple[str, ...]
    grand: _Floats
    slopes: _Floats
    spread: _Floats
    location: _Floats
    scale: _Floats
    adjusted: NDArray[np.bool_]

    def apply(self, values: NDArray[Any], sources: Sequence[str], covariates: NDArray[Any] | None = None) -> _Floats:
        """Bring films together.

        Parameters
        ----------
        values : ndarray, (N, F)
            NaN stays NaN.
        sources : sequence of str, (N,)
        covariates : ndarray, (N, C), or None
            Those of the fit, in its order.

        Returns
        -------
        ndarray of float64, (N, F)

        Raises
        ------
        TextureError
            If the numbers of films, features or covariates do not fit, or a source was not there at the fit.
        """
        data, held, given = _checked(values, sources, covariates)
        if data.shape[1] != len(self.grand) or given.shape[1] != len(self.slopes):
            raise TextureError(
                f"harmonisation was fitted on {len(self.grand)} features and {len(self.slopes)} covariates; found "
                f"{data.shape[1]} and {given.shape[1]}"
            )
        if unknown := sorted(set(held.tolist()) - set(self.sources)):
            raise TextureError(
                f"harmonisation knows the sources it was fitted on, {', '.join(self.sources)}; found {unknown}: fit it "
                "on films of theirs too, or leave them out"
            )
        found = data.copy()
        expected = self.grand + given @ self.slopes
        for number, source in enumerate(self.sources):
            rows = np.flatnonzero(held == source)
            part = (data[rows] - expected[rows]) / self.spread
            part = (part - self.location[number]) / self.scale[number] * self.spread + expected[rows]
            found[np.ix_(rows, self.adjusted)] = part[:, self.adjusted]
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        numbers = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"sources": list(self.sources), "adjusted": self.adjusted.tolist(), **numbers}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Combat:
        """Read what `to_dict` gave."""
        numbers = {name: np.asarray(said[name], np.float64) for name in _ARRAYS}
        numbers["slopes"] = numbers["slopes"].reshape(-1, len(numbers["grand"]))
        return cls(sources=tuple(said["sources"]), adjusted=np.asarray(said["adjusted"], np.bool_), **numbers)


_ARRAYS = ("grand", "slopes", "spread", "location", "scale")


def fit_combat(
    values: NDArray[Any], sources: Sequence[str], covariates: NDArray[Any] | None = None, *, shrink: bool = True
) -> Combat:
    """Fit a harmonisation to training films.

    Parameters
    ----------
    values : ndarray, (N, F)
        NaN where not measured; infinities are refused.
    sources : sequence of str, (N,)
        Two or more, of three films or more each.
    covariates : ndarray, (N, C), or None
        What must stay, such as 0 and 1 for the sides of a contrast, or ages.
    shrink : bool
        Whether locations and scales are drawn towards what a source's features have in common (the empirical Bayes of
        the method); without, each feature stands alone.

    Returns
    -------
    Combat

    Raises
    ------
    TextureError
        If there is one source only, a source has fewer than three films, or covariates and sources cannot be told
        apart, as when each source has one class only.

    References
    ----------
    W. E. Johnson, C. Li, A. Rabinovic, Biostatistics 8 (2007) 118-127, doi:10.1093/biostatistics/kxj037.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> films = rng.normal(size=(40, 30))
    >>> held = ["a"] * 20 + ["b"] * 20
    >>> films[20:] = films[20:] * 3 + 5
    >>> together = fit_combat(films, held).apply(films, held)
    >>> bool(abs(together[:20].mean() - together[20:].mean()) < 0.05)
    True
    """
    data, held, given = _checked(values, sources, covariates)
    names, counts = np.unique(held, return_counts=True)
    if len(names) < 2 or counts.min() < _LEAST:  # noqa: PLR2004 - to bring together
        raise TextureError(
            f"harmonisation needs two sources of {_LEAST} films or more; found "
            f"{', '.join(f'{name} {count}' for name, count in zip(names, counts, strict=True))}"
        )
    member = np.stack([held == name for name in names], axis=1).astype(np.float64)
    design = np.hstack([member, given])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise TextureError(
            "covariates must vary within the sources, that both can be told apart; they do not, as where every source "
            "has one class only: leave the covariates out, and then believe nothing about that class"
        )
    there = np.isfinite(data)
    of_source = member.T @ there  # (S, F)
    slopes = _least_squares(data, there, design)
    grand = (of_source * slopes[: len(names)]).sum(axis=0) / np.maximum(of_source.sum(axis=0), 1)
    kept = slopes[len(names) :]
    rest = np.where(there, data - design @ slopes, 0.0)
    spread = np.sqrt(np.square(rest).sum(axis=0) / np.maximum(there.sum(axis=0), 1))
    size = np.abs(grand) + spread
    usable = (of_source >= _LEAST).all(axis=0) & (spread > _FLAT * np.maximum(size, 1e-300))
    safe = np.where(usable, spread, 1.0)
    standard = np.where(there, (data - grand - given @ kept) / safe, np.nan)
    location, scale = np.zeros((len(names), data.shape[1])), np.ones((len(names), data.shape[1]))
    for number in range(len(names)):
        part = standard[member[:, number] > 0][:, usable]
        location[number, usable] = np.nanmean(part, axis=0)
        scale[number, usable] = np.nanvar(part, axis=0, ddof=1)
    usable &= (scale > _FLAT).all(axis=0)
    if shrink and usable.sum() > 1:
        for number in range(len(names)):
            part = standard[member[:, number] > 0][:, usable]
            location[number, usable], scale[number, usable] = _shrunk(part)
    location[:, ~usable], scale[:, ~usable] = 0.0, 1.0
    return Combat(
        tuple(str(name) for name in names), grand, kept, safe, location, np.sqrt(scale), np.asarray(usable, np.bool_)
    )


def _shrunk(part: _Floats) -> tuple[_Floats, _Floats]:
    """Empirical Bayes: posterior means of location and variance (F,) of one source's standardised films (n, F)."""
    count = np.isfinite(part).sum(axis=0)
    location, variance = np.nanmean(part, axis=0), np.nanvar(part, axis=0, ddof=1)
    mean, wide = location.mean(), location.var(ddof=1)
    level, vary = variance.mean(), variance.var(ddof=1)
    if wide <= _FLAT or vary <= _FLAT:  # all features alike: nothing to learn from one another
        return location, variance
    shape, rate = (2 * vary + level**2) / vary, (level * vary + level**3) / vary
    new_location, new_variance = location, variance
    for _ in range(_ROUNDS):
        next_location = (wide * count * location + new_variance * mean) / (wide * count + new_variance)
        squares = np.nansum(np.square(part - next_location), axis=0)
        next_variance = (rate + squares / 2) / (count / 2 + shape - 1)
        moved = max(
            float(np.abs(next_location - new_location).max()), float(np.abs(next_variance / new_variance - 1).max())
        )
        new_location, new_variance = next_location, next_variance
        if moved < _CLOSE:
            break
    return new_location, new_variance


def _least_squares(data: _Floats, there: NDArray[np.bool_], design: _Floats) -> _Floats:
    """Coefficients (D, F), each feature over the films that have it."""
    found = np.zeros((design.shape[1], data.shape[1]))
    for films, which in _patterns(there):
        if films.any():
            found[:, which] = np.linalg.lstsq(design[films], data[np.ix_(films, which)], rcond=None)[0]
    return found


def _patterns(there: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
    """Features that the same films have: those films, and the features' numbers."""
    _, first, member = np.unique(np.packbits(there, axis=0).T, axis=0, return_index=True, return_inverse=True)
    for number, place in enumerate(first):
        yield there[:, place], np.flatnonzero(np.reshape(member, -1) == number)


def _checked(
    values: NDArray[Any], sources: Sequence[str], covariates: NDArray[Any] | None
) -> tuple[_Floats, NDArray[np.str_], _Floats]:
    data = np.asarray(values, np.float64)
    held = np.asarray([str(source) for source in sources], np.str_)
    given = np.zeros((len(data), 0)) if covariates is None else np.asarray(covariates, np.float64)
    given = given[:, None] if given.ndim == 1 else given
    if data.ndim != 2 or len(held) != len(data) or len(given) != len(data):  # noqa: PLR2004 - films and features
        raise TextureError(
            f"harmonisation needs a source, and each covariate, for every film; found {data.shape} values, {len(held)} "
            f"sources and {given.shape} covariates"
        )
    if np.isinf(data).any() or not np.isfinite(given).all():
        raise TextureError("harmonisation needs finite numbers (NaN where a feature is missing, none in covariates)")
    return data, held, given
