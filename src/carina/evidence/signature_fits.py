"""A texture model fitted to scaled features: logistic regression with an elastic net, and boosted trees (M27)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

__all__ = ["LinearModel", "Scaling", "Trees", "fit_linear", "fit_scaling", "fit_trees"]

_Floats = NDArray[np.float64]
_CLIP = 5.0
_TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Medians for missing values, means and spreads of training films; no label is looked at."""

    median: _Floats
    mean: _Floats
    spread: _Floats

    def apply(self, values: _Floats) -> _Floats:
        """Fill, centre, scale, and cut at five spreads."""
        filled = np.where(np.isfinite(values), values, self.median)
        return np.asarray(np.clip((filled - self.mean) / self.spread, -_CLIP, _CLIP))


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A logistic regression as data: needs no program of ours to be applied.

    Attributes
    ----------
    columns : ndarray of int, (K,)
        Features it looks at.
    scaling : Scaling
        Of these.
    coefficients : ndarray, (K,)
        Of scaled values.
    intercept : float
    """

    columns: NDArray[np.intp]
    scaling: Scaling
    coefficients: _Floats
    intercept: float

    def score(self, values: _Floats) -> _Floats:
        """Log odds, (N,)."""
        scaled = self.scaling.apply(values[:, self.columns])
        return np.asarray(scaled @ self.coefficients + self.intercept)


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Gradient-boosted trees and what they look at; attributes as those of `LinearModel`."""

    columns: NDArray[np.intp]
    scaling: Scaling
    trees: HistGradientBoostingClassifier

    def score(self, values: _Floats) -> _Floats:
        """Log odds, (N,)."""
        chances = self.trees.predict_proba(self.scaling.apply(values[:, self.columns]))[:, 1]
        return _log_odds(chances)


def fit_scaling(values: _Floats) -> Scaling:
    """Medians, means and spreads of training films (N, F); a feature without spread becomes 0."""
    known = np.isfinite(values)
    empty = ~known.any(axis=0)
    held = np.where(empty, 0.0, values)
    median = np.nanmedian(held, axis=0)
    filled = np.where(np.isfinite(held), held, median)
    mean, spread = filled.mean(axis=0), filled.std(axis=0)
    flat = spread <= _TINY * np.maximum(np.abs(mean), _TINY)
    return Scaling(median, mean, np.where(flat, np.inf, spread))


def fit_linear(
    scaled: _Floats, positive: NDArray[np.bool_], settings: Mapping[str, float], seed: int
) -> tuple[_Floats, float]:
    """Coefficients (K,) and intercept of a logistic regression with an elastic net, on scaled values (N, K)."""
    model = LogisticRegression(
        C=settings["C"], l1_ratio=settings["l1_ratio"], solver="saga", tol=1e-3, max_iter=300, random_state=seed
    )
    with warnings.catch_warnings():
        # An optimum within a thousandth is as good a score; the model is judged on other films all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, positive)
    return np.ravel(model.coef_).astype(np.float64), float(model.intercept_[0])


def fit_trees(
    scaled: _Floats, positive: NDArray[np.bool_], settings: Mapping[str, float], seed: int
) -> HistGradientBoostingClassifier:
    """Fit boosted trees to scaled values (N, K)."""
    return HistGradientBoostingClassifier(
        max_iter=int(settings["max_iter"]),
        max_leaf_nodes=int(settings["max_leaf_nodes"]),
        learning_rate=0.1,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    ).fit(scaled, positive)


def _log_odds(chances: _Floats) -> _Floats:
    held = np.clip(chances, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(held / (1.0 - held)))
