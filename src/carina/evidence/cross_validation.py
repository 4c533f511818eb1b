"""Training again: cross-validation by patient, and each source left out (M5, M11, M33, M36)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl

from carina.errors import FilmRejectedError, SettingsError
from carina.evidence.contrast_films import Compared, compared_films
from carina.evidence.contrast_numbers import IntervalOptions, bootstrapped_auc
from carina.evidence.judged import judge_films
from carina.evidence.judged_films import JudgedFilms
from carina.evidence.numbers import Number
from carina.evidence.operating import OperatingThreshold
from carina.imaging import read_film
from carina.sampling import FilmTable, perceptual_hash, split_by_patient
from carina.statistics import Estimate, clustered_auc
from carina.tasks import Task

__all__ = ["Trained", "TrainingPlan", "cross_validation_numbers", "fold_patients", "source_numbers"]

_INSIDE = {"train": 0.8, "tune": 0.1, "calibrate": 0.1}
_HALF = OperatingThreshold(0.5, 0.5, "not used")


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How networks are trained again.

    Attributes
    ----------
    task : Task
    recipe : str
        Packaged name or TOML file.
    out : Path
        Folder of the runs; a finished one is not made again.
    seed : int
        Of the folds.
    workers : int
        Processes that judge.
    """

    task: Task
    recipe: str
    out: Path
    seed: int = 1
    workers: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Films judged by a network that was trained without them.

    Attributes
    ----------
    name : str
        Of the part held out.
    judged : JudgedFilms
    """

    name: str
    judged: JudgedFilms


def fold_patients(table: FilmTable, folds: int, *, seed: int, hashes: Sequence[str] | None = None) -> list[list[int]]:
    """Deal patients into folds, evenly within source and label; near-duplicates stay together.

    Parameters
    ----------
    table : FilmTable
        A `split` column is not looked at.
    folds : int
        At least 2.
    seed : int
    hashes : sequence of str, optional
        Perceptual hash of each film.

    Returns
    -------
    list of list of int
        Rows of each fold, disjoint, together all.

    Raises
    ------
    SettingsError
        If there are fewer than two folds, or a fold would be empty.
    """
    if folds < 2:  # noqa: PLR2004 - one fold leaves nothing to train on
        raise SettingsError(f"cross-validation needs at least 2 folds; found {folds}")
    rest = list(range(len(table)))
    found: list[list[int]] = []
    plain = table.frame.drop("split", strict=False)
    for left in range(folds, 1, -1):
        part = table.with_frame(plain[rest])
        own = None if hashes is None else [hashes[row] for row in rest]
        dealt = split_by_patient(part, {"test": 1 / left, "train": 1 - 1 / left}, seed=seed + left, hashes=own)
        splits = dealt.frame["split"].to_list()
        found.append([row for row, name in zip(rest, splits, strict=True) if name == "test"])
        rest = [row for row, name in zip(rest, splits, strict=True) if name == "train"]
    found.append(rest)
    if not all(found):
        raise SettingsError(f"{folds} folds need at least {folds} patients, with films of each; a fold would be empty")
    return found


def cross_validation_numbers(
    table: FilmTable,
    folds: int,
    plan: TrainingPlan,
    options: IntervalOptions,
    step: Callable[[str], None] | None = None,
) -> list[Number]:
    """Train without each fold in turn and judge its films.

    Parameters
    ----------
    table : FilmTable
    folds : int
    plan : TrainingPlan
    options : IntervalOptions
    step : callable, optional
        Called with what is trained next.

    Returns
    -------
    list of Number
        AUC of every contrast: each fold's (cell ``"fold=1"``), their mean, and of all films together, each scored by
        the network that was trained without it; intervals by patient.

    Raises
    ------
    SettingsError
        As `fold_patients`.
    TrainingError, TableError
        As training does.
    """
    hashes = _hashes(table)
    parts = fold_patients(table, folds, seed=plan.seed, hashes=hashes)
    names = [f"fold={number}" for number in range(1, folds + 1)]
    judged = [
        _trained_without(table, rows, name, plan=plan, hashes=hashes, step=step)
        for name, rows in zip(names, parts, strict=True)
    ]
    numbers = []
    for contrast in plan.task.contrasts:
        films = [compared_films(one.judged, contrast, _HALF) for one in judged]
        numbers += [_area(one, films_here, "cross_validation") for one, films_here in zip(judged, films, strict=True)]
        numbers += _together(films, options, folds)
    return numbers


def source_numbers(
    table: FilmTable, plan: TrainingPlan, step: Callable[[str], None] | None = None
) -> tuple[list[Number], list[str]]:
    """Train without each source that has both sides of a contrast, and judge its films.

    Parameters
    ----------
    table : FilmTable
    plan : TrainingPlan
    step : callable, optional
        Called with what is trained next.

    Returns
    -------
    numbers : list of Number
        AUC within the source held out.
    sentences : list of str
        One for every source and contrast that is not estimable.
    """
    sources, labels = np.array(table.sources), table.labels
    names = sorted(set(sources.tolist()) - {""})
    if len(names) < 2:  # noqa: PLR2004 - with one source nothing is left to train on
        return [], ["leave-one-source-out is not estimable: the table has fewer than two sources"]
    numbers: list[Number] = []
    sentences: list[str] = []
    hashes: list[str] | None = None
    for name in names:
        inside, outside = _sides(plan.task, labels, sources == name), _sides(plan.task, labels, sources != name)
        usable = []
        for contrast in plan.task.contrasts:
            if why := _why_not(inside[contrast], outside[contrast], name):
                sentences.append(f"leave-one-source-out of {contrast} on {name} is not estimable: {why}")
            else:
                usable.append(contrast)
        if usable:
            hashes = _hashes(table) if hashes is None else hashes
            rows = np.flatnonzero(sources == name).tolist()
            one = _trained_without(table, rows, f"source={name}", plan=plan, hashes=hashes, step=step)
            numbers += [
                _area(one, compared_films(one.judged, contrast, _HALF), "leave_one_source_out") for contrast in usable
            ]
    return numbers, sentences


def _sides(task: Task, labels: Sequence[str], here: np.ndarray) -> dict[str, set[float]]:
    chosen = [label for label, used in zip(labels, here.tolist(), strict=True) if used]
    return {
        name: {value for value in task.contrast_truth(name, chosen).tolist() if value in {0.0, 1.0}}
        for name in task.contrasts
    }


def _why_not(inside: set[float], outside: set[float], name: str) -> str | None:
    said = {
        frozenset(): "no film of it",
        frozenset({1.0}): "positive films alone",
        frozenset({0.0}): "negative films alone",
    }
    if len(inside) < 2:  # noqa: PLR2004 - an AUC needs both sides
        return f"{name} has {said[frozenset(inside)]}"
    if len(outside) < 2:  # noqa: PLR2004 - as above
        return f"all other sources have {said[frozenset(outside)]}"
    return None


def _trained_without(
    table: FilmTable,
    rows: Sequence[int],
    name: str,
    *,
    plan: TrainingPlan,
    hashes: Sequence[str],
    step: Callable[[str], None] | None,
) -> Trained:
    """Train on all other films, a tenth of their patients tuning and a tenth calibrating, and judge the rows."""
    from carina.networks.recipe import load_recipe  # noqa: PLC0415 - brings torch, which only this option needs
    from carina.networks.release import TrainingOrder, train_bundle  # noqa: PLC0415 - as above
    from carina.networks.training import Machine  # noqa: PLC0415 - as above

    if step is not None:
        step(name)
    folder = plan.out / name.replace("=", "-").replace("/", "-")
    held = set(rows)
    others = [row for row in range(len(table)) if row not in held]
    plain = table.frame.drop("split", "\x00row", "row", strict=False)
    rest = split_by_patient(
        table.with_frame(plain[others]), _INSIDE, seed=plan.seed, hashes=[hashes[row] for row in others]
    )
    if not (folder / "bundle").exists():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "films.csv"
        paths = pl.Series("path", [str(film) for film in rest.paths], dtype=pl.String)
        rest.frame.with_columns(paths).write_csv(path)
        order = TrainingOrder(
            table=path,
            out=folder,
            task=_without_rules(plan.task),
            recipe=load_recipe(plan.recipe),
            machine=Machine(accelerator="auto"),
            name=f"without-{name.partition('=')[2] or name}"[:60].replace(" ", "-"),
        )
        train_bundle(order)
    part = table.with_frame(table.frame[sorted(held)])
    return Trained(name, judge_films(folder / "bundle", part, workers=plan.workers, keep_features=False))


def _without_rules(task: Task) -> Task:
    """Return the task without its decision: AUCs need no threshold, and few films held apart could give none."""
    return task.model_copy(update={"decision": task.decision.model_copy(update={"rules": ()})})


def _area(trained: Trained, films: Compared, group: str) -> Number:
    place = films.place(group, cell=trained.name, rule="M33")
    return place.number("auc", clustered_auc(films.positive.astype(np.float64), films.scores, films.patients))


def _together(films: Sequence[Compared], options: IntervalOptions, folds: int) -> list[Number]:
    """Mean of the folds, and all films together."""
    areas = [clustered_auc(one.positive.astype(np.float64), one.scores, one.patients).value for one in films]
    known = [value for value in areas if value is not None]
    whole = films[0].joined(films[1:])
    place = whole.place("cross_validation", rule="M33")
    spread = f"folds from {min(known):.3f} to {max(known):.3f}" if known else "not estimable: no fold has both sides"
    left = f"; {folds - len(known)} of {folds} folds lack a side" if known and len(known) < folds else ""
    mean = Estimate(
        float(np.mean(known)) if known else None,
        None,
        None,
        len(whole.scores),
        whole.people,
        method="none",
        note=spread + left,
    )
    return [place.number("mean_auc", mean), bootstrapped_auc(whole, place, options)]


def _hashes(table: FilmTable) -> list[str]:
    """Perceptual hash of each film; one that cannot be read is like no other."""
    found = []
    for row, path in enumerate(table.paths):
        try:
            found.append(perceptual_hash(read_film(path).pixels))
        except (FilmRejectedError, OSError):
            found.append(sha256(str(row).encode()).hexdigest())
    return found
