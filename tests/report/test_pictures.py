"""Pictures on the page are those of the film that was judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from carina.report.pictures import film_picture
from carina.report.readings import FilmReading


def _reading(path: Path) -> FilmReading:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FilmReading.model_validate({"file": path.name, "film": {"sha256": digest, "rows": 40, "columns": 48}})


def test_the_judged_film_is_shown(make_film: Callable[..., Path], tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.png", seed=1, shape=(80, 96))
    assert str(film_picture(_reading(path), tmp_path, 64)).startswith("data:image/")


def test_a_film_replaced_since_is_not_shown(make_film: Callable[..., Path], tmp_path: Path) -> None:
    reading = _reading(make_film(tmp_path / "film.png", seed=1, shape=(80, 96)))
    make_film(tmp_path / "film.png", seed=2, shape=(80, 96))
    assert film_picture(reading, tmp_path, 64) is None
