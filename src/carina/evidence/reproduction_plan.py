"""Published protocols as data, and which film goes where in each run of one (M25)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from carina.errors import InputError, TableError
from carina.sampling import FilmTable, near_duplicates
from carina.sampling.groups import UnionFind
from carina.tasks import Task, default_task, task_from_dict

__all__ = ["ARMS", "Protocol", "Run", "plan_runs", "protocols", "same_film_units"]

ARMS = ("as_published", "by_patient")
"""Films dealt one by one, as the papers did or may have done; and patients, near-duplicates too, kept together."""

_PARTS = ("train", "tune", "calibrate", "test")
_QUICK = 8


class _Published(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    figure: str
    value: float
    on: str
    source: str
    checked: str | None = None  # what the figure was compared with; None: nothing was to be had


class Protocol(BaseModel):
    """What a published study did, and what it reported.

    Attributes
    ----------
    title, doi : str
    recipe : str
        Packaged training recipe.
    repeats : {"seeds", "folds"}
    folds : int
    what, absent : tuple of str
        What is repeated, and what cannot be.
    sources : tuple of str
        Only films of these sources, where the table has any of them.
    official : tuple of str
        Columns that may name the official test part (value ``"test"``).
    shares : dict of part to float
    sizes : dict of part to dict of class to int
        Most films of a class; ``all`` draws before films are dealt.
    definition : dict or None
        Task; `None` for the default one.
    published : tuple
        Reported figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    title: str
    doi: str
    recipe: str
    repeats: Literal["seeds", "folds"]
    folds: int = 5
    what: tuple[str, ...]
    absent: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    official: tuple[str, ...] = ()
    shares: dict[str, float]
    sizes: dict[str, dict[str, int]] = Field(default_factory=dict)
    definition: dict[str, Any] | None = Field(None, alias="task")
    published: tuple[_Published, ...] = ()

    @property
    def task(self) -> Task:
        """What is told apart."""
        return default_task() if self.definition is None else task_from_dict(self.definition, "the protocol's task")


@dataclass(frozen=True, slots=True)
class Run:
    """One training of a reproduction.

    Attributes
    ----------
    arm : str
        One of `ARMS`.
    number : int
        Seed or fold, from 1.
    seed : int
    rows : ndarray of int, (N,)
        Films of the table, from 0.
    parts : tuple of str, (N,)
        Part of each.
    """

    arm: str
    number: int
    seed: int
    rows: NDArray[np.intp]
    parts: tuple[str, ...]

    def count(self) -> dict[str, int]:
        """Films of each part."""
        return {part: self.parts.count(part) for part in _PARTS}


@cache
def protocols() -> dict[str, Protocol]:
    """Protocols by name: ``gao-wang``, ``kermany``, ``darkcovidnet``.

    Examples
    --------
    >>> protocols()["gao-wang"].sizes["train"]["covid19"]
    200
    """
    text = files("carina.evidence").joinpath("reproductions.toml").read_text("utf-8")
    return {name: Protocol.model_validate(values) for name, values in tomllib.loads(text).items()}


def same_film_units(table: FilmTable, hashes: Sequence[str]) -> NDArray[np.intp]:
    """Films that must stay together: of one patient, or near-duplicates, or joined by a chain of these.

    Returns
    -------
    ndarray of int, (N,)
        Number of each film's unit.
    """
    sets = UnionFind()
    for row, patient in enumerate(table.patients):
        sets.join(f"film {row}", f"patient {patient}")
    for one, other in near_duplicates(hashes).tolist():
        sets.join(f"film {one}", f"film {other}")
    found = [sets.find(f"film {row}") for row in range(len(table))]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(found))}
    return np.array([numbers[name] for name in found], dtype=np.intp)


def plan_runs(
    protocol: Protocol, table: FilmTable, units: NDArray[np.intp], *, seeds: int, quick: bool = False
) -> tuple[list[Run], list[str]]:
    """Deal the films of every run.

    Parameters
    ----------
    protocol : Protocol
    table : FilmTable
        Of the protocol's task.
    units : ndarray of int, (N,)
        Of `same_film_units`.
    seeds : int
        Runs of a protocol that repeats by seed; one that cross-validates has its folds.
    quick : bool
        An eighth of the films and two runs, to try it out.

    Returns
    -------
    runs : list of Run
        Arm by arm.
    sentences : list of str
        What of the protocol could not be done with these films.

    Raises
    ------
    TableError
        If a class has no film.
    """
    task = protocol.task
    alone = [row for row, label in enumerate(table.labels) if label in task.classes]
    sentences = [*protocol.absent]
    rows, said = _of_sources(protocol, table, np.array(alone, dtype=np.intp))
    official, told = _official(protocol, table)
    sentences += [*said, *told]
    labels = np.array(table.labels, dtype=object)
    if missing := [name for name in task.classes if not (labels[rows] == name).any()]:
        raise TableError(f"every class of {task.name!r} must have films; {missing!r} have none")
    runs: list[Run] = []
    count = min(2, seeds) if quick else seeds
    folds = min(2, protocol.folds) if quick else protocol.folds
    for arm in ARMS:
        own = units if arm == "by_patient" else np.arange(len(table))
        dealer = _Dealer(protocol, labels, own, official if arm == "as_published" else None, quick=quick)
        for number in range(1, (folds if protocol.repeats == "folds" else count) + 1):
            chosen, parts, few = dealer.run(rows, number)
            seed = number if protocol.repeats == "seeds" else 1
            runs.append(Run(arm, number, seed, chosen, parts))
            sentences += [f"{arm}: {sentence}" for sentence in few]
    return runs, list(dict.fromkeys(sentences))


class _Dealer:
    """Deals films to the parts of a run."""

    def __init__(
        self, protocol: Protocol, labels: NDArray[Any], units: NDArray[Any], official: NDArray[np.bool_] | None,
        *, quick: bool,
    ) -> None:  # fmt: skip
        self._protocol, self._labels, self._units, self._official = protocol, labels, units, official
        self._quick = quick

    def run(self, rows: NDArray[np.intp], number: int) -> tuple[NDArray[np.intp], tuple[str, ...], list[str]]:
        """Films of a run, their parts, and sentences about classes with too few."""
        protocol = self._protocol
        few: list[str] = []
        folds = protocol.repeats == "folds"
        rng = np.random.default_rng([2020, 1 if folds else number])
        if (whole := protocol.sizes.get("all")) is not None:
            rows, few = self._drawn(rows, whole, rng, "in all")
        elif self._quick:
            rows = rng.permutation(rows)[: max(len(rows) // _QUICK, 60)]
        if folds:
            dealt = self._dealt(rows, dict.fromkeys(map(str, range(protocol.folds)), 1 / protocol.folds), rng)
            test = dealt == str(number - 1)
        elif self._official is not None:
            test = self._official[rows]
        else:
            test = np.zeros(len(rows), dtype=np.bool_)
        parts = np.full(len(rows), "test", dtype=object)
        shares = {name: share for name, share in protocol.shares.items() if name != "test" or not test.any()}
        parts[~test] = self._dealt(rows[~test], shares, np.random.default_rng([2020, number, 1]))
        chosen, kept = [], []
        for part in _PARTS:
            here = rows[parts == part]
            if (sizes := protocol.sizes.get(part)) is not None:
                here, said = self._drawn(here, sizes, rng, f"in part {part!r}")
                few += said
            chosen += here.tolist()
            kept += [part] * len(here)
        return np.array(chosen, dtype=np.intp), tuple(kept), few

    def _drawn(
        self, rows: NDArray[np.intp], sizes: Mapping[str, int], rng: np.random.Generator, where: str
    ) -> tuple[NDArray[np.intp], list[str]]:
        """Draw up to `sizes` films a class, without replacement."""
        chosen, few = [], []
        for name, size in sizes.items():
            wanted = max(size // _QUICK, 6) if self._quick else size
            found = rng.permutation(rows[self._labels[rows] == name])[:wanted]
            chosen += found.tolist()
            if len(found) < wanted:
                few.append(f"{len(found)} films of class {name!r} instead of {wanted} {where}")
        return np.array(sorted(chosen), dtype=np.intp), few

    def _dealt(self, rows: NDArray[np.intp], shares: Mapping[str, float], rng: np.random.Generator) -> NDArray[Any]:
        """Part of each row: units in random order within their label go to the part furthest behind its share."""
        whole = sum(shares.values())
        parts = np.empty(len(rows), dtype=object)
        units: dict[tuple[str, int], list[int]] = {}
        label_of: dict[int, str] = {}
        for place, row in enumerate(rows.tolist()):
            unit = int(self._units[row])
            units.setdefault((label_of.setdefault(unit, str(self._labels[row])), unit), []).append(place)
        counts: dict[str, dict[str, float]] = {}
        for key in [list(units)[number] for number in rng.permutation(len(units))]:
            had = counts.setdefault(key[0], dict.fromkeys(shares, 0.0))
            part = min(shares, key=lambda name: had[name] / shares[name] * whole)
            had[part] += len(units[key])
            parts[units[key]] = part
        return parts


def _of_sources(protocol: Protocol, table: FilmTable, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[str]]:
    if not protocol.sources:
        return rows, []
    inside = np.array([source in protocol.sources for source in table.sources])[rows]
    if not inside.any():
        named = ", ".join(protocol.sources)
        return rows, [f"The table has no film of the sources {named}: films of all sources take part."]
    return rows[inside], []


def _official(protocol: Protocol, table: FilmTable) -> tuple[NDArray[np.bool_] | None, list[str]]:
    if not protocol.official:
        return None, []
    for name in protocol.official:
        if name in table.frame.columns:
            test = table.frame[name].cast(pl.String).fill_null("").str.to_lowercase() == "test"
            if not test.any():
                raise InputError(f"column {name!r} must name the official test part with 'test'; no row does")
            return test.to_numpy(), []
    absent = (
        f"The official test part is absent: the table has no column {' or '.join(protocol.official)}. A random part "
        "takes its place, by film in one arm and by patient in the other; published figures are of other films."
    )
    return None, [absent]
