"""How alike two maps are: rank correlation and structural similarity."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from scipy.stats import rankdata

from carina.evidence.localisation import is_flat

__all__ = ["rank_correlation", "structural_similarity"]

_SIGMA, _WINDOW = 1.5, 11
_C1, _C2 = 0.01**2, 0.03**2


def rank_correlation(first: Any, second: Any) -> float | None:
    """Spearman's rank correlation of two maps, cell by cell, ties sharing their mean rank.

    Parameters
    ----------
    first, second : array_like
        Of one shape.

    Returns
    -------
    float or None
        In [-1, 1]; `None` where a map is constant.

    Examples
    --------
    >>> rank_correlation([1, 2, 3], [10, 20, 30])
    1.0
    """
    one, two = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    if is_flat(one) or is_flat(two):
        return None
    left, right = rankdata(one), rankdata(two)
    left, right = left - left.mean(), right - right.mean()
    return float(np.clip((left @ right) / np.sqrt((left @ left) * (right @ right)), -1.0, 1.0))


def structural_similarity(first: Any, second: Any) -> float:
    """Structural similarity (SSIM) of two maps in [0, 1].

    Gaussian window of 11 x 11 pixels, sigma 1.5, K1 0.01, K2 0.03, averaged where the window fits inside.

    Parameters
    ----------
    first, second : array_like, (H, W)
        Values in [0, 1]; at least 11 x 11.

    Returns
    -------
    float
        At most 1, which only equal maps reach.

    References
    ----------
    Z. Wang et al., IEEE Trans. Image Process. 13 (2004) 600-612, doi:10.1109/TIP.2003.819861.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or min(one.shape) < _WINDOW:
        raise ValueError(
            f"two maps of one shape, at least {_WINDOW} x {_WINDOW}, are needed; found {one.shape}, {two.shape}"
        )

    def mean(values: Any) -> Any:
        return cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT)

    mean_one, mean_two = mean(one), mean(two)
    spread_one = mean(one * one) - mean_one**2
    spread_two = mean(two * two) - mean_two**2
    shared = mean(one * two) - mean_one * mean_two
    above = (2 * mean_one * mean_two + _C1) * (2 * shared + _C2)
    below = (mean_one**2 + mean_two**2 + _C1) * (spread_one + spread_two + _C2)
    edge = _WINDOW // 2
    return float((above / below)[edge:-edge, edge:-edge].mean())
