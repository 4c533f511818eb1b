"""Batches of films with made opacities: the same seed the same films, boxes where the opacity is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks are built with the extra 'train'")

from carina.imaging import Standardisation  # noqa: E402 -- after the skip
from carina.imaging.lung_fields import LungFields  # noqa: E402
from carina.networks.branch_films import (  # noqa: E402
    WORKING_SIDE,
    BranchFilms,
    PlainFilm,
    phantom_plain_films,
    plain_film,
)

_SPEC = Standardisation(size=64, intensity="window")


def _lungs(shape: tuple[int, int] = (200, 160)) -> LungFields:
    mask = np.zeros(shape, np.uint8)
    rows, columns = shape
    mask[rows // 5 : 4 * rows // 5, columns // 8 : 3 * columns // 8] = 1
    mask[rows // 5 : 4 * rows // 5, 5 * columns // 8 : 7 * columns // 8] = 2
    return LungFields(mask, medial=np.zeros((2, 24), np.float32))


def _plain(source: str = "home") -> PlainFilm:
    fields = _lungs()
    return plain_film(np.where(fields.mask > 0, 0.3, 0.7).astype(np.float32), fields, source)


def test_films_are_kept_at_the_working_size_with_their_lungs() -> None:
    film = _plain()
    assert film.pixels.shape == film.fields.mask.shape == (WORKING_SIDE, round(160 / 200 * WORKING_SIDE))
    assert set(np.unique(film.fields.mask)) == {0, 1, 2}
    assert film.pixels[film.fields.mask > 0].mean() < 80 < film.pixels[film.fields.mask == 0].mean()


def test_the_same_seed_draws_the_same_films() -> None:
    films = BranchFilms([_plain()], _SPEC)
    one, again, other = (films.batch(6, seed) for seed in (3, 3, 4))
    assert torch.equal(one.films, again.films)
    assert torch.equal(one.opacity, again.opacity)
    assert not torch.equal(one.films, other.films)


@pytest.mark.parametrize("framing", ["whole", "lung_centred"])
def test_boxes_lie_around_the_opacity_map(framing: str) -> None:
    spec = Standardisation(size=64, intensity="window", framing=framing)  # type: ignore[arg-type] # a parameter
    drawn = BranchFilms([_plain()], spec).batch(24, 0)
    assert drawn.films.shape == (24, 64, 64)
    assert drawn.opacity.shape == (24, 32, 32)
    with_opacity = 0
    for boxes, opacity in zip(drawn.boxes, drawn.opacity.numpy(), strict=True):
        covered = np.zeros((32, 32), bool)
        for x0, y0, x1, y1 in boxes.numpy() / 2:
            covered[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
        # all but specks of the opacity lies within the boxes
        assert (opacity * ~covered).sum() <= 0.1 * max(opacity.sum(), 20.0)
        with_opacity += len(boxes) > 0
    assert 10 < with_opacity < 24  # three films in ten go without


def test_sources_are_drawn_evenly() -> None:
    film = _plain()
    clear = PlainFilm(film.pixels, film.fields, "home", np.zeros(film.pixels.shape, bool))
    opaque = PlainFilm(film.pixels, film.fields, "other", film.fields.mask > 0)
    films = BranchFilms([*[clear] * 30, opaque], _SPEC, augment=False)
    assert films.counts() == {"home": 30, "other": 1}
    assert 10 < sum(len(boxes) > 0 for boxes in films.batch(40, 1).boxes) < 30


def test_films_in_order_do_not_hang_on_the_batch() -> None:
    films = BranchFilms([_plain(), _plain("b"), _plain("c")], _SPEC, augment=False)
    by_two = torch.cat([batch.films for batch in films.in_order(2, 5)])
    at_once = torch.cat([batch.films for batch in films.in_order(9, 5)])
    assert torch.equal(by_two, at_once)


def test_phantoms_bring_their_own_opacity() -> None:
    bacterial, normal = (list(phantom_plain_films(4, 7))[number] for number in (0, 3))
    assert bacterial.extent is not None
    assert bacterial.extent.any()
    assert normal.extent is not None
    assert not normal.extent.any()
    drawn = BranchFilms([normal], _SPEC).batch(8, 0)
    assert all(len(boxes) == 0 for boxes in drawn.boxes)


def test_a_flip_takes_lungs_and_opacity_along() -> None:
    fields = _lungs((WORKING_SIDE, WORKING_SIDE))
    disc = np.zeros(fields.mask.shape, np.uint8)
    cv2.circle(disc, (WORKING_SIDE // 4, WORKING_SIDE // 2), 20, 1, -1)
    film = PlainFilm(np.asarray(np.where(disc > 0, 250, 40), np.uint8), fields, "home", disc > 0)
    drawn = BranchFilms([film], _SPEC).batch(16, 2)
    sides = set()
    for picture, (box,) in zip(drawn.films.numpy(), [part.numpy() for part in drawn.boxes], strict=True):
        x, y = (box[:2] + box[2:]) / 2
        sides.add("left" if x < 32 else "right")
        inside = picture[int(box[1]) + 3 : int(box[3]) - 3, int(box[0]) + 3 : int(box[2]) - 3]
        assert inside.mean() > picture.mean() + 40, "the box must lie on the bright disc"
        assert 20 < y < 44
    assert sides == {"left", "right"}


def test_no_film_is_an_error() -> None:
    with pytest.raises(ValueError, match="found none"):
        BranchFilms([], _SPEC)
