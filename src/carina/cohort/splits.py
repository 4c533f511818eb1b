"""Patients dealt to train, tune, calibrate and test, and the proof that no two share one (M11, M25)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from carina.cohort.sections import SplitRules
from carina.sampling import (
    STUDY_SIZES,
    DisjointProof,
    FilmTable,
    draw_class_sizes,
    near_duplicates,
    prove_disjoint,
    split_by_patient,
)
from carina.sampling.groups import UnionFind
from carina.sampling.table import _ROW as ROW

__all__ = ["deal_patients"]

_CALIBRATE = 2


def deal_patients(films: pl.DataFrame, rules: SplitRules, seed: int) -> tuple[pl.DataFrame, DisjointProof]:
    """Give every film of the cohort a split.

    Parameters
    ----------
    films : polars.DataFrame
        `path`, `label`, `patient_id`, `image_id`, `source`, `perceptual_hash` (64 hex digits or null).
    rules : SplitRules
    seed : int

    Returns
    -------
    tuple of (polars.DataFrame, DisjointProof)
        The films with `split` and `study_draw` (whether the film is one of the paper's sizes of its split, M25), and
        the proof.
    """
    hashes = _hashes(films)
    table = FilmTable(films.with_row_index(ROW, offset=1), Path(), "")
    if rules.mode == "fractions":
        split = split_by_patient(
            table, rules.fractions(), seed=seed, hashes=hashes, threshold_bits=rules.near_duplicate_bits
        )
    else:
        units = _units(table.patients, hashes, rules.near_duplicate_bits)
        split = table.with_frame(
            table.frame.with_columns(pl.Series("split", _by_class_sizes(units, table.labels, seed), dtype=pl.String))
        )
    proof = prove_disjoint(split, hashes, threshold_bits=rules.near_duplicate_bits)
    dealt = split.frame.drop(ROW)
    drawn = _study_draw(dealt, seed) if rules.mode == "paper" else [False] * dealt.height
    return dealt.with_columns(pl.Series("study_draw", drawn, dtype=pl.Boolean)), proof


def _hashes(films: pl.DataFrame) -> list[str] | None:
    """Perceptual hashes; none where no film has one, and a single film without gets bits near no other film's."""
    if films["perceptual_hash"].null_count() == films.height:
        return None
    pairs = zip(films["perceptual_hash"].to_list(), films["image_id"].to_list(), strict=True)
    return [value if value is not None else hashlib.sha256(str(name).encode()).hexdigest() for value, name in pairs]


def _units(patients: Sequence[str], hashes: Sequence[str] | None, bits: int) -> list[str]:
    sets = UnionFind()
    for one, other in near_duplicates(hashes, bits).tolist() if hashes is not None else []:
        sets.join(patients[one], patients[other])
    return [sets.find(patient) for patient in patients]


def _by_class_sizes(units: Sequence[str], labels: Sequence[str], seed: int) -> list[str]:
    """Fill train, then tune and calibrate, to the paper's sizes with whole patients in random order; the rest is test.

    A patient enters a part only where all their films have room, so that no class exceeds its size.
    """
    held: dict[str, Counter[str]] = {}
    for unit, label in zip(units, labels, strict=True):
        held.setdefault(unit, Counter())[label] += 1
    rooms = dict(_rooms())
    order = np.random.default_rng(seed).permutation(sorted(held)).tolist()
    dealt: dict[str, str] = {}
    for unit in order:
        dealt[unit] = next((name for name, room in rooms.items() if held[unit] <= room), "test")
        if dealt[unit] in rooms:
            rooms[dealt[unit]] -= held[unit]
    return [dealt[unit] for unit in units]


def _rooms() -> Iterable[tuple[str, Counter[str]]]:
    """Films each part may still take, by class; `calibrate` is half of the paper's validation set (M25)."""
    tune = STUDY_SIZES["tune"]
    half = {name: size // _CALIBRATE for name, size in tune.items()}
    return (
        ("train", Counter(STUDY_SIZES["train"])),
        ("tune", Counter({name: size - half[name] for name, size in tune.items()})),
        ("calibrate", Counter(half)),
    )


def _study_draw(films: pl.DataFrame, seed: int) -> list[bool]:
    """Whether each film is one of the paper's: all of the filled parts, and 100 of each class of test."""
    splits, labels = films["split"].to_list(), films["label"].to_list()
    test = [row for row, split in enumerate(splits) if split == "test"]
    counts = Counter(labels[row] for row in test)
    sizes = {name: min(size, counts[name]) for name, size in STUDY_SIZES["test"].items()}
    drawn = draw_class_sizes([labels[row] for row in test], sizes, seed=seed).rows.tolist() if test else []
    chosen = {test[row] for row in drawn}
    return [split != "test" or row in chosen for row, split in enumerate(splits)]
