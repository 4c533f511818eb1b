from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.errors import TableError
from carina.sampling import FilmTable, prove_disjoint, read_film_table, split_by_patient
from carina.tasks import default_task


def _table(patients: list[int], labels: list[str] | None = None, split: list[str | None] | None = None) -> FilmTable:
    count = len(patients)
    frame = pl.DataFrame(
        {
            "image_id": [f"f{number}" for number in range(count)],
            "path": [f"f{number}.png" for number in range(count)],
            "label": labels or ["normal"] * count,
            "patient_id": [f"p{patient}" for patient in patients],
            "source": ["here"] * count,
        }
    )
    if split is not None:
        frame = frame.with_columns(pl.Series("split", split, dtype=pl.String))
    return FilmTable(frame, Path(), "0" * 64)


def _hashes(count: int, seed: int = 1) -> list[str]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(32).hex() for _ in range(count)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.integers(0, 10_000))
def test_no_patient_is_in_two_splits(patients: list[int], seed: int) -> None:
    done = split_by_patient(_table(patients), seed=seed)
    proof = prove_disjoint(done)
    assert sum(proof.films.values()) == len(patients)
    assert sum(proof.patients.values()) == len(set(patients))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(60)), st.integers(0, 100))
def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_rows(order: list[int], seed: int) -> None:
    table = _table([number // 2 for number in range(60)])
    one = split_by_patient(table, seed=seed).frame.sort("image_id")["split"]
    other = split_by_patient(table.with_frame(table.frame[order]), seed=seed).frame.sort("image_id")["split"]
    assert one.equals(other)


def test_another_seed_gives_another_split() -> None:
    table = _table(list(range(200)))
    one, other = (split_by_patient(table, seed=seed).frame["split"] for seed in (1, 2))
    assert not one.equals(other)


def test_each_label_keeps_the_shares() -> None:
    labels = ["normal"] * 100 + ["viral"] * 50 + ["covid19"] * 10
    done = split_by_patient(_table(list(range(160)), labels), seed=4).frame
    counts = done.group_by("label", "split").len()
    found = {(label, split): count for label, split, count in counts.iter_rows()}
    for label, size in (("normal", 100), ("viral", 50), ("covid19", 10)):
        for split, share in (("train", 0.7), ("tune", 0.1), ("calibrate", 0.1), ("test", 0.1)):
            assert abs(found.get((label, split), 0) - share * size) <= 2


def test_patients_that_share_a_picture_stay_together() -> None:
    hashes = _hashes(40)
    for one, other in ((0, 39), (39, 20), (5, 6)):  # a chain of three patients, and a pair
        hashes[other] = f"{int(hashes[one], 16) ^ 0b1011:064x}"
    for seed in range(20):
        split = split_by_patient(_table(list(range(40))), seed=seed, hashes=hashes).frame["split"].to_list()
        assert split[0] == split[39] == split[20]
        assert split[5] == split[6]


def test_held_out_films_and_patients_go_to_test_with_all_their_films() -> None:
    table = _table([0, 0, 1, 1, *range(2, 40)])
    for seed in range(10):
        split = split_by_patient(table, seed=seed, held_out={"f0", "p1"}).frame["split"].to_list()
        assert split[:4] == ["test"] * 4


def test_a_complete_split_is_kept() -> None:
    given_split: list[str | None] = ["test", "train", "calibrate"]
    assert split_by_patient(_table([1, 2, 3], split=given_split), seed=1).frame["split"].to_list() == given_split


def test_a_given_split_that_puts_a_held_out_film_elsewhere_is_refused() -> None:
    table = _table([1, 2, 3], split=["test", "train", "calibrate"])
    assert split_by_patient(table, seed=1, held_out={"f0"}) is table
    with pytest.raises(TableError, match="1 films held out"):
        split_by_patient(table, seed=1, held_out={"f0", "p2"})


def test_held_out_films_that_the_table_lacks_altogether_are_refused() -> None:
    with pytest.raises(TableError, match="none of the 2"):
        split_by_patient(_table([1, 2, 3]), seed=1, held_out={"f0.png", "f1.png"})


def test_a_half_filled_split_is_refused() -> None:
    with pytest.raises(TableError, match="1 of 2 films have none"):
        split_by_patient(_table([1, 2], split=["train", None]), seed=1)


@pytest.mark.parametrize("fractions", [{"train": 0.5}, {"train": 1.5, "test": -0.5}, {"fit": 1.0}])
def test_fractions_must_be_shares_of_the_four_splits(fractions: dict[str, float]) -> None:
    with pytest.raises(TableError, match="must be shares"):
        split_by_patient(_table([1, 2]), fractions, seed=1)


def test_the_proof_refuses_a_patient_in_two_splits() -> None:
    with pytest.raises(TableError, match="rows 1 and 2 are one patient"):
        prove_disjoint(_table([1, 1], split=["train", "test"]))


def test_the_proof_refuses_a_picture_in_two_splits() -> None:
    hashes = _hashes(3)
    hashes[2] = f"{int(hashes[0], 16) ^ 1:064x}"
    with pytest.raises(TableError, match=r"1 pairs .* 'f0' and 'f2'"):
        prove_disjoint(_table([1, 2, 3], split=["train", "train", "test"]), hashes)


def test_the_proof_states_the_nearest_pair() -> None:
    hashes = ["00" * 32, "00" * 26 + "ff" * 6, "ff" * 32]
    proof = prove_disjoint(_table([1, 2, 3], split=["train", "test", "train"]), hashes)
    assert (proof.nearest_bits, proof.cross_split_pairs, proof.shared_patients) == (48, 0, 0)
    assert proof.to_dict()["patients"] == {"train": 2, "test": 1}


def test_a_hash_too_few_is_refused() -> None:
    with pytest.raises(TableError, match="found 2 hashes for 3 films"):
        split_by_patient(_table([1, 2, 3]), seed=1, hashes=_hashes(2))


def test_the_real_films_split_into_four_parts_with_every_source_in_each(films_folder: Path) -> None:
    table = read_film_table(films_folder / "cxr" / "images.csv", default_task())
    boxes = pl.read_csv(films_folder / "cxr" / "boxes.csv", infer_schema=False)["image_id"].to_list()
    done = split_by_patient(table, seed=7, held_out=set(boxes))
    assert sum(prove_disjoint(done).films.values()) == len(table)
    assert done.frame.select("source", "split").unique().height == 5 * 4
    assert set(done.frame.filter(pl.col("image_id").is_in(boxes))["split"].to_list()) == {"test"}
