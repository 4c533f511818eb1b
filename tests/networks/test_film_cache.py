"""Films cached for training: as they are, and with their lungs blacked out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carina.imaging import Standardisation
from carina.imaging.phantom import Collection, write_phantoms
from carina.networks.film_cache import cache_films
from carina.sampling import FilmTable, read_film_table
from carina.tasks import default_task

SPEC = Standardisation(size=96, framing="lung_centred", intensity="window")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FilmTable:
    written = write_phantoms(Collection(tmp_path_factory.mktemp("phantoms") / "p", films=4, size=256, seed=3))
    return read_film_table(written, default_task())


def test_black_lungs_differ_from_the_film_only_under_the_cover(table: FilmTable, tmp_path: Path) -> None:
    cache = cache_films(table, SPEC, tmp_path, lungless=True)
    assert cache.lungless is not None
    black, cover = cache.lungless[:, 0], cache.lungless[:, 1] > 0
    share = cover.mean(axis=(1, 2))
    assert (share > 0.2).all()
    assert (share < 0.95).all()
    # `window` clips at quantiles of the film, so that greys outside shift a little; black stays black.
    assert np.mean(black[cover] < 20) > 0.95
    assert np.mean(cache.films[cover] < 20) < 0.5


def test_a_cache_without_black_lungs_is_made_anew_when_they_are_wanted(table: FilmTable, tmp_path: Path) -> None:
    assert cache_films(table, SPEC, tmp_path).lungless is None
    assert not (tmp_path / "lungless.npy").exists()
    again = cache_films(table, SPEC, tmp_path, lungless=True)
    assert again.lungless is not None
    assert cache_films(table, SPEC, tmp_path).lungless is None
