"""Share of a class map's mass inside a region (M3)."""

from __future__ import annotations

import numpy as np
import pytest

from carina.evidence import mass_share


def test_a_constant_gradient_is_shared_by_hand() -> None:
    # Same grid as the picture: mass 1 + 2 + 3 + 4 = 10 a row, the right half holds 7 of it.
    region = np.zeros((4, 4), bool)
    region[:, 2:] = True
    found = mass_share(np.array([[1, 2, 3, 4]] * 4), region)
    assert found is not None
    assert (found.share, found.area, found.enrichment) == pytest.approx((0.7, 0.5, 1.4))


def test_a_map_that_follows_the_region_on_the_pictures_grid_holds_all_of_it() -> None:
    region = np.zeros((8, 8), bool)
    region[2:5, 3:7] = True
    found = mass_share(region.astype(float), region)
    assert found is not None
    assert (found.share, found.reference) == pytest.approx((1.0, 1.0))


def test_a_coarse_grid_cannot_follow_the_region() -> None:
    region = np.zeros((60, 60), bool)
    region[20:40, 25:35] = True
    heat = np.zeros((3, 3))
    heat[1, 1] = 1.0
    found = mass_share(heat, region)
    assert found is not None
    assert found.reference == pytest.approx(found.share)  # the region lies in that one cell
    assert found.share < 0.5


@pytest.mark.parametrize("raw", [np.zeros((4, 4)), np.full((4, 4), 3.0)])
def test_a_flat_map_has_no_share(raw: np.ndarray) -> None:
    assert mass_share(raw, np.eye(8, dtype=bool)) is None


def test_an_empty_region_has_no_share() -> None:
    assert mass_share(np.eye(4), np.zeros((8, 8), bool)) is None


def test_random_maps_have_on_average_the_share_of_the_area() -> None:
    region = np.zeros((48, 48), bool)
    region[10:40, 6:20] = region[10:40, 28:42] = True
    rng = np.random.default_rng(1)
    ratios = [mass_share(rng.random((6, 6)), region).enrichment for _ in range(400)]  # type: ignore[union-attr]  # never flat
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)
