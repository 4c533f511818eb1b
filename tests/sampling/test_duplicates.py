from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.errors import TableError
from carina.sampling import (
    DEFAULT_BITS,
    hamming,
    near_duplicates,
    nearest_across,
    perceptual_hash,
    within_reach,
)


def _picture(seed: int, height: int = 300, width: int = 260) -> np.ndarray:
    rough = np.random.default_rng(seed).random((12, 10), dtype=np.float32)
    return np.clip(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def test_a_hash_is_64_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", perceptual_hash(_picture(1)))


@pytest.mark.parametrize(
    "change",
    [
        lambda film: film**1.5,
        lambda film: 0.2 + 0.5 * film,
        lambda film: cv2.resize(film, (128, 128), interpolation=cv2.INTER_AREA),
        lambda film: np.rint(film * 15) / 15,
    ],
    ids=["gamma", "window", "squash", "4 bits"],
)
def test_the_same_picture_is_found_after_a_change(change: object) -> None:
    film = _picture(2)
    assert callable(change)
    assert hamming(perceptual_hash(film), perceptual_hash(np.asarray(change(film), dtype=np.float32))) <= DEFAULT_BITS


def test_other_pictures_are_far() -> None:
    hashes = [perceptual_hash(_picture(seed)) for seed in range(20)]
    assert near_duplicates(hashes).shape == (0, 2)


@pytest.mark.parametrize("shape", [(0, 5), (4, 4, 3), (7,)])
def test_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        perceptual_hash(np.zeros(shape, dtype=np.float32))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.integers(60, 200))
def test_pairs_are_those_of_a_plain_double_loop(values: list[bytes], threshold: int) -> None:
    hashes = [value.hex() for value in values]
    numbers = [int.from_bytes(value) for value in values]
    expected = [
        [one, other]
        for one in range(len(numbers))
        for other in range(one + 1, len(numbers))
        if (numbers[one] ^ numbers[other]).bit_count() <= threshold
    ]
    assert near_duplicates(hashes, threshold).tolist() == expected


def test_pairs_are_found_across_the_blocks_of_a_large_table() -> None:
    rng = np.random.default_rng(3)
    hashes = [rng.bytes(32).hex() for _ in range(2500)]
    hashes[2400] = hashes[10]
    hashes[1500] = f"{int(hashes[1100], 16) ^ 7:064x}"
    assert near_duplicates(hashes).tolist() == [[10, 2400], [1100, 1500]]
    groups = np.zeros(2500, dtype=int)
    groups[2400] = 1
    across = nearest_across(hashes, groups)
    assert (across.nearest_bits, across.pairs, across.example) == (0, 1, (10, 2400))


def test_one_group_has_no_nearest_pair() -> None:
    across = nearest_across(["00" * 32, "00" * 32], np.zeros(2, dtype=int))
    assert (across.nearest_bits, across.pairs) == (None, 0)


def test_known_pictures_are_recognised() -> None:
    known = ["00" * 32, "0f" * 32]
    asked = ["00" * 31 + "03", "ff" * 32, "0f" * 32]
    assert within_reach(asked, known).tolist() == [True, False, True]
    assert within_reach(asked, []).tolist() == [False] * 3


@pytest.mark.parametrize("value", ["zz" * 32, "00" * 8, "0"])
def test_a_text_that_is_no_hash_is_refused(value: str) -> None:
    with pytest.raises(TableError, match="must be 64 hex digits"):
        near_duplicates([value, value])


def test_the_known_copies_among_the_real_films_are_found_and_no_others(films_folder: Path) -> None:
    films = pl.read_csv(films_folder / "cxr" / "images.csv", infer_schema=False)
    copies = films.filter(pl.col("duplicate_of").is_not_null())
    names = [*copies["image_id"].to_list(), *copies["duplicate_of"].unique(maintain_order=True).to_list()]
    chosen = films.filter(pl.col("image_id").is_in(names))
    place = {name: row for row, name in enumerate(chosen["image_id"].to_list())}
    hashes = []
    for path in chosen["path"].to_list():
        film = cv2.imread(str(films_folder / "cxr" / path), cv2.IMREAD_GRAYSCALE)
        hashes.append(perceptual_hash(film.astype(np.float32) / 255))
    found = sum(
        hamming(hashes[place[one]], hashes[place[other]]) <= DEFAULT_BITS
        for one, other in copies.select("image_id", "duplicate_of").iter_rows()
    )
    assert found >= 98  # of 103; the others are crops
    patients = chosen["patient_id"].to_list()
    assert all(patients[one] == patients[other] for one, other in near_duplicates(hashes).tolist())
