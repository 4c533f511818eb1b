"""Rank correlation and SSIM against SciPy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity as peer

from carina.evidence import rank_correlation, structural_similarity


def test_rank_correlation_with_ties_is_scipys() -> None:
    rng = np.random.default_rng(2)
    one, two = rng.integers(0, 5, (6, 6)), rng.integers(0, 5, (6, 6))
    assert rank_correlation(one, two) == pytest.approx(spearmanr(one.ravel(), two.ravel()).statistic)


def test_a_constant_map_has_no_rank_correlation() -> None:
    assert rank_correlation(np.zeros((3, 3)), np.arange(9.0)) is None


def test_structural_similarity_is_scikit_images() -> None:
    rng = np.random.default_rng(3)
    one = rng.random((40, 40))
    two = np.clip(one + rng.normal(0, 0.2, one.shape), 0, 1)
    expected = peer(one, two, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0)
    assert structural_similarity(one, two) == pytest.approx(expected, abs=1e-6)


def test_equal_maps_are_alike_by_one() -> None:
    one = np.random.default_rng(3).random((20, 20))
    assert structural_similarity(one, one) == pytest.approx(1.0)


def test_maps_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="two maps of one shape"):
        structural_similarity(np.zeros((20, 20)), np.zeros((20, 21)))
