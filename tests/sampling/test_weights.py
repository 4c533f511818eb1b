"""Weights of training films (M25, M36)."""

from __future__ import annotations

import numpy as np
import pytest

from carina.sampling import film_weights
from carina.tasks import default_task

_LABELS = ["normal"] * 2 + ["viral"] * 6 + ["covid19"] * 4
_SOURCES = ["home"] * 8 + ["web"] * 4


def test_sides_of_a_source_count_the_same() -> None:
    weights = film_weights(_LABELS, _SOURCES, default_task(), one_sided=0.25)
    total = weights.root * weights.draw
    assert total[:2].sum() == pytest.approx(total[2:8].sum())


def test_source_of_one_class_has_little_say_at_the_root() -> None:
    weights = film_weights(_LABELS, _SOURCES, default_task(), one_sided=0.25)
    np.testing.assert_allclose((weights.root * weights.draw)[8:], 0.25, rtol=1e-5)


def test_labels_count_the_same_within() -> None:
    weights = film_weights(_LABELS, _SOURCES, default_task(), one_sided=0.25)
    total = weights.inner * weights.draw
    assert total[2:8].sum() == pytest.approx(total[8:].sum())
    assert total.mean() == pytest.approx(1.0)


def test_small_source_is_drawn_more_often() -> None:
    weights = film_weights(_LABELS, _SOURCES, default_task(), one_sided=0.25)
    # square root of the sizes' ratio, 8 to 4
    assert weights.draw[8] / weights.draw[0] == pytest.approx(2**0.5)
    assert weights.draw.mean() == pytest.approx(1.0)


def test_with_one_class_a_source_everywhere_nothing_is_turned_off() -> None:
    weights = film_weights(["normal", "covid19"], ["a", "b"], default_task(), one_sided=0.0)
    assert (weights.root > 0).all()
