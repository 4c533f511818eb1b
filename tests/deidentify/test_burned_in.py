"""Text in the pixels is found and blanked; the film beside it stays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from carina.deidentify import Policy
from carina.deidentify import burned_in as module
from carina.deidentify.burned_in import clean_pixels
from carina.deidentify.ocr import has_tesseract
from carina.deidentify.regions import find_lines
from carina.errors import RemovalError
from carina.imaging.phantom import phantom_film

Samples = NDArray[np.uint16]
reads_pixels = pytest.mark.skipif(not has_tesseract(), reason="tesseract is not installed")


@pytest.fixture(scope="module")
def film() -> Samples:
    return np.rint(phantom_film(3, size=512).pixels * 4095).astype(np.uint16)


def drawn(
    film: NDArray[Any],
    text: str = "ZZZ0016 TESTCASE",
    *,
    at: tuple[int, int] = (20, 480),
    size: float = 0.8,
    value: int = 4095,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A film with a line of writing, and where its strokes are."""
    ink = np.zeros(film.shape[:2], np.uint8)
    cv2.putText(ink, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, max(1, round(2 * size)), cv2.LINE_AA)
    written = film.copy()
    written[ink > 100] = value
    return written, ink > 100


@reads_pixels
@pytest.mark.parametrize("at", [(20, 40), (20, 480), (120, 260)])
def test_a_name_and_a_number_go_wherever_they_stand(film: Samples, at: tuple[int, int]) -> None:
    written, ink = drawn(film, at=at)
    made = clean_pixels(written, 12, Policy())
    assert made.blanked
    assert (made.samples[ink] == film.min()).mean() > 0.95


@reads_pixels
def test_what_is_not_writing_stays_as_it_is(film: Samples) -> None:
    written, _ = drawn(film)
    made = clean_pixels(written, 12, Policy())
    outside = np.ones(film.shape, bool)
    for x, y, wide, high in made.blanked:
        outside[y : y + high, x : x + wide] = False
    assert outside.mean() > 0.9
    assert np.array_equal(made.samples[outside], written[outside])


@reads_pixels
@pytest.mark.parametrize("seed", range(4))
def test_clean_films_with_a_side_marker_stay_as_they_are(seed: int) -> None:
    film = np.rint(phantom_film(seed, size=512).pixels * 4095).astype(np.uint16)
    assert clean_pixels(film, 12, Policy()).blanked == ()


@reads_pixels
@pytest.mark.parametrize("turned", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_writing_that_runs_up_or_down_goes(film: Samples, turned: int) -> None:
    written, ink = drawn(film)
    made = clean_pixels(cv2.rotate(written, turned), 12, Policy())
    assert (made.samples[cv2.rotate(ink.astype(np.uint8), turned) > 0] == film.min()).mean() > 0.9


@reads_pixels
def test_monochrome1_is_blanked_with_its_own_black(film: Samples) -> None:
    written, ink = drawn(film)
    made = clean_pixels((4095 - written).astype(np.uint16), 12, Policy(), inverted=True)
    assert (made.samples[ink] == 4095 - film.min()).mean() > 0.95


@reads_pixels
def test_dark_writing_on_a_white_label_goes(film: Samples) -> None:
    film = film.copy()
    film[440:, :400] = 4000
    written, ink = drawn(film, at=(10, 480), value=100)
    made = clean_pixels(written, 12, Policy())
    assert (made.samples[ink] == written.min()).mean() > 0.95
    assert made.blanked


@reads_pixels
def test_eight_bits_and_colour_are_read_too(film: Samples) -> None:
    grey = (film >> 4).astype(np.uint8)
    written, ink = drawn(grey, value=255)
    assert (clean_pixels(written, 8, Policy()).samples[ink] == grey.min()).mean() > 0.95
    colour = np.repeat(written[..., None], 3, axis=2)
    assert (clean_pixels(colour, 8, Policy(), photometric="RGB").samples[ink] == 0).mean() > 0.95


@reads_pixels
def test_small_writing_on_a_large_film_goes(film: Samples) -> None:
    large = cv2.resize(film, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    written, ink = drawn(large, at=(60, 1980), size=1.0)
    made = clean_pixels(written, 12, Policy())
    assert (made.samples[ink] == large.min()).mean() > 0.95


@reads_pixels
def test_writing_brighter_than_all_else_is_seen_beside_a_narrow_scale(film: Samples) -> None:
    narrow = (film // 40 + 100).astype(np.uint16)
    written, ink = drawn(narrow, value=220)
    written[0, 0] = 65535
    made = clean_pixels(written, 16, Policy())
    assert (made.samples[ink] == narrow.min()).mean() > 0.95


@reads_pixels
def test_technical_words_stay_or_go_by_policy(film: Samples) -> None:
    written, ink = drawn(film, "AP ERECT")
    assert clean_pixels(written, 12, Policy(markers="keep")).blanked == ()
    assert (clean_pixels(written, 12, Policy(markers="blank")).samples[ink] == film.min()).mean() > 0.9


@reads_pixels
def test_a_technical_word_does_not_protect_the_name_beside_it(film: Samples) -> None:
    written, ink = drawn(film, "AP ERECT TESTCASE")
    assert (clean_pixels(written, 12, Policy()).samples[ink] == film.min()).mean() > 0.9


@reads_pixels
def test_a_film_with_writing_is_sent_to_a_person_where_the_policy_says_so(film: Samples) -> None:
    written, _ = drawn(film)
    assert clean_pixels(written, 12, Policy()).review is None
    review = clean_pixels(written, 12, Policy(burned_in="review")).review
    assert review is not None
    assert "ZZZ0016" not in review
    assert clean_pixels(film, 12, Policy(burned_in="review")).review is None


def test_without_tesseract_films_are_refused_or_sent_on(film: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_tesseract", lambda: False)
    written, ink = drawn(film)
    with pytest.raises(RemovalError, match="install tesseract-ocr"):
        clean_pixels(written, 12, Policy())
    made = clean_pixels(written, 12, Policy(without_ocr="review"))
    assert made.review is not None
    assert (made.samples[ink] == film.min()).mean() > 0.95


def test_an_empty_film_holds_no_lines() -> None:
    assert find_lines(np.zeros((300, 300), np.uint8)) == []
    assert clean_pixels(np.zeros((300, 300), np.uint16), 12, Policy(without_ocr="review")).blanked == ()
