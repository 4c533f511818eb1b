"""Four-way split by patient, near-duplicate films kept together, and the proof of it (M10, M11)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from carina.errors import TableError
from carina.sampling.duplicates import DEFAULT_BITS, near_duplicates, nearest_across
from carina.sampling.groups import UnionFind
from carina.sampling.table import SPLITS, FilmTable, check_patients_apart

__all__ = ["DEFAULT_FRACTIONS", "DisjointProof", "prove_disjoint", "split_by_patient"]

DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.7, "tune": 0.1, "calibrate": 0.1, "test": 0.1}
"""Shares of the patients."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class DisjointProof:
    """Evidence that no patient and no near-duplicate film is in two splits (M11).

    Attributes
    ----------
    films, patients : dict of str to int
        Per split.
    shared_patients : int
        Patients in two splits: 0.
    threshold_bits : int
        Films whose perceptual hashes differ in at most so many bits count as the same picture.
    nearest_bits : int or None
        Fewest differing bits between hashes of two splits; `None` without hashes, or with one split.
    cross_split_pairs : int or None
        Pairs of films from two splits within the threshold: 0; `None` without hashes.
    """

    films: dict[str, int]
    patients: dict[str, int]
    shared_patients: int
    threshold_bits: int
    nearest_bits: int | None
    cross_split_pairs: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def split_by_patient(
    table: FilmTable,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    *,
    seed: int,
    hashes: Sequence[str] | None = None,
    threshold_bits: int = DEFAULT_BITS,
    held_out: Collection[str] = (),
) -> FilmTable:
    """Give every film a split: patients disjoint, drawn at random within source and label.

    Patients that share a near-duplicate film are one unit. Units are shuffled within their stratum, the set of (source,
    label) of their films, and dealt to the split that is furthest behind its share, so that each stratum keeps the
    shares as far as its size allows. The result depends on the patients and the seed, not on the order of the rows.

    Parameters
    ----------
    table : FilmTable
        A complete `split` column is kept as it is.
    fractions : mapping of split to float
        Shares of the patients, summing to 1.
    seed : int
        Of the draw; keep it with the result.
    hashes : sequence of str, optional
        Perceptual hash of each film (`carina.sampling.duplicates.perceptual_hash`), in the table's order.
    threshold_bits : int
        Hashes that differ in at most so many bits are one picture.
    held_out : collection of str
        Image ids or patient ids whose units go to `test` whatever the draw says.

    Returns
    -------
    FilmTable
        With a filled `split` column.

    Raises
    ------
    TableError
        If the fractions are not shares of the four splits, the `split` column is filled in part or puts a film that is
        held out elsewhere than in `test`, or the table has none of the films held out.

    Examples
    --------
    >>> from pathlib import Path
    >>> frame = pl.DataFrame({"image_id": list("abcd"), "path": list("abcd"), "label": ["x"] * 4,
    ...                       "patient_id": list("1123")})
    >>> halves = split_by_patient(FilmTable(frame, Path("."), ""), {"train": 0.5, "test": 0.5}, seed=1)
    >>> halves.frame["split"][0] == halves.frame["split"][1]
    True
    """
    _check_fractions(fractions)
    forced_films = [
        image in held_out or patient in held_out for image, patient in zip(table.image_ids, table.patients, strict=True)
    ]
    if held_out and not any(forced_films):
        raise TableError(f"films held out must be in the table; none of the {len(held_out)} ids given is")
    if "split" in table.frame.columns and table.frame["split"].null_count() < len(table):
        if not table.has_split:
            raise TableError(
                f"the `split` column must be filled for every film or for none; "
                f"{table.frame['split'].null_count()} of {len(table)} films have none"
            )
        _check_held_out(table, forced_films)
        return table
    units = _units(table, hashes, threshold_bits)
    strata = _strata(table, units)
    forced = {unit for unit, chosen in zip(units, forced_films, strict=True) if chosen}
    dealt = dict.fromkeys(forced, "test") | _deal(strata, forced, fractions, seed)
    return table.with_frame(
        table.frame.with_columns(pl.Series("split", [dealt[unit] for unit in units], dtype=pl.String))
    )


def prove_disjoint(
    table: FilmTable, hashes: Sequence[str] | None = None, *, threshold_bits: int = DEFAULT_BITS
) -> DisjointProof:
    """Prove that no patient and no near-duplicate film is in two splits.

    Parameters
    ----------
    table : FilmTable
        With a filled `split` column.
    hashes : sequence of str, optional
        Perceptual hash of each film, in the table's order; without them only patients are compared.
    threshold_bits : int
        Hashes that differ in at most so many bits are one picture.

    Returns
    -------
    DisjointProof

    Raises
    ------
    TableError
        If a split is missing, a patient is in two splits, or two splits share a near-duplicate film.
    """
    if not table.has_split:
        raise TableError("the table must have its `split` column filled to prove its splits disjoint")
    check_patients_apart(table.frame)
    counts = table.frame.group_by("split").agg(pl.len().alias("films"), pl.col("patient_id").n_unique().alias("people"))
    films = dict(zip(counts["split"].to_list(), counts["films"].to_list(), strict=True))
    people = dict(zip(counts["split"].to_list(), counts["people"].to_list(), strict=True))
    nearest, pairs = None, None
    if hashes is not None:
        _check_hashes(table, hashes)
        groups = np.array([SPLITS.index(split) for split in table.frame["split"].to_list()])
        across = nearest_across(hashes, groups, threshold_bits)
        nearest, pairs = across.nearest_bits, across.pairs
        if pairs and across.example is not None:
            one, other = (table.image_ids[row] for row in across.example)
            raise TableError(
                f"no picture may be in two splits; {pairs} pairs of films in different splits are near-duplicates "
                f"(at most {threshold_bits} bits apart), for example {one!r} and {other!r}; split with their hashes"
            )
    order = [split for split in SPLITS if split in films]
    return DisjointProof(
        films={split: films[split] for split in order},
        patients={split: people[split] for split in order},
        shared_patients=0,
        threshold_bits=threshold_bits,
        nearest_bits=nearest,
        cross_split_pairs=pairs,
    )


def _check_fractions(fractions: Mapping[str, float]) -> None:
    sound = set(fractions) <= set(SPLITS) and all(share >= 0 for share in fractions.values())
    if not sound or abs(sum(fractions.values()) - 1.0) > _TOLERANCE:
        raise TableError(f"the fractions must be shares of {', '.join(SPLITS)} summing to 1; found {dict(fractions)!r}")


def _check_held_out(table: FilmTable, held_out: Sequence[bool]) -> None:
    splits = table.frame["split"].to_list()
    if wrong := [split for split, film in zip(splits, held_out, strict=True) if film and split != "test"]:
        raise TableError(
            f"films held out must be in `test`; the table's `split` column puts {len(wrong)} films held out elsewhere, "
            f"the first in {wrong[0]!r}; correct the column or leave it out"
        )


def _check_hashes(table: FilmTable, hashes: Sequence[str]) -> None:
    if len(hashes) != len(table):
        raise TableError(f"every film must have one hash; found {len(hashes)} hashes for {len(table)} films")


def _units(table: FilmTable, hashes: Sequence[str] | None, threshold_bits: int) -> list[str]:
    """Name of the unit of each film: patients, joined where they share a near-duplicate film."""
    patients, sets = table.patients, UnionFind()
    if hashes is not None:
        _check_hashes(table, hashes)
        for one, other in near_duplicates(hashes, threshold_bits).tolist():
            sets.join(patients[one], patients[other])
    return [sets.find(patient) for patient in patients]


def _strata(table: FilmTable, units: Sequence[str]) -> dict[tuple[tuple[str, str], ...], list[str]]:
    kinds: dict[str, set[tuple[str, str]]] = {}
    for unit, source, label in zip(units, table.sources, table.labels, strict=True):
        kinds.setdefault(unit, set()).add((source, label))
    strata: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for unit in sorted(kinds):
        strata.setdefault(tuple(sorted(kinds[unit])), []).append(unit)
    return dict(sorted(strata.items()))


def _deal(
    strata: Mapping[tuple[tuple[str, str], ...], Sequence[str]],
    forced: Collection[str],
    fractions: Mapping[str, float],
    seed: int,
) -> dict[str, str]:
    """Deal units to the split furthest behind; what a stratum owes is carried to the next."""
    rng = np.random.default_rng(seed)
    names = [split for split in SPLITS if fractions.get(split, 0.0) > 0]
    shares = np.array([fractions[split] for split in names])
    owed = np.zeros(len(names))
    chosen: dict[str, str] = {}
    for units in strata.values():
        free = [unit for unit in units if unit not in forced]
        for position in rng.permutation(len(free)).tolist():
            owed += shares
            turn = int(np.argmax(owed))
            owed[turn] -= 1.0
            chosen[free[position]] = names[turn]
    return chosen
