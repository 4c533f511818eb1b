"""Published studies repeated on films at hand, as published and with patients kept apart (M25, M36)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from carina import __version__
from carina.errors import InputError, OutputError, TableError
from carina.evidence.reproduction_decided import WAYS
from carina.evidence.reproduction_plan import ARMS, Protocol, plan_runs, protocols, same_film_units
from carina.evidence.reproduction_run import Films, carry_out
from carina.evidence.reproduction_table import markdown
from carina.sampling import FilmTable, read_film_table

__all__ = ["ReproductionOrder", "reproduce"]

_QUICK = {"size": 32, "epochs": 1, "convolutions": 2}


@dataclass(frozen=True, slots=True)
class ReproductionOrder:
    """What to repeat, on what.

    Attributes
    ----------
    name : str
        ``"gao-wang"``, ``"kermany"`` or ``"darkcovidnet"``.
    table : Path
        Film table.
    out : Path
        Folder; runs that are finished there are kept.
    seeds : int
        Runs of a protocol that repeats by seed.
    quick : bool
        Few small films, one epoch: to try it out; its figures mean nothing, and say so.
    audit : bool
    hold_out : Path or None
        CSV with a column image_id: films of these patients take no part.
    threads, workers : int
    """

    name: str
    table: Path
    out: Path
    seeds: int = 5
    quick: bool = False
    audit: bool = True
    hold_out: Path | None = None
    threads: int = 1
    workers: int = 1


def reproduce(order: ReproductionOrder, watched: Callable[[str, int, int], None] | None = None) -> dict[str, Any]:
    """Carry out a reproduction.

    Parameters
    ----------
    order : ReproductionOrder
    watched : callable, optional
        Called with what is counted, the number done and the number in all.

    Returns
    -------
    dict
        As in ``reproduction.json``; ``reproduction.md`` beside it says the same as tables.

    Raises
    ------
    InputError
        If there is no such protocol.
    TableError, TrainingError, OutputError
    """
    from carina.networks import load_recipe  # noqa: PLC0415 - torch, where a training is asked for
    from carina.networks.film_cache import cache_films  # noqa: PLC0415 - as above

    tell = watched or (lambda *_: None)
    if order.name not in protocols():
        raise InputError(f"reproductions are {', '.join(protocols())}; found {order.name!r}")
    protocol = protocols()[order.name]
    recipe = load_recipe(protocol.recipe)
    if order.quick:
        recipe = recipe.changed(_QUICK)
    table = _without(read_film_table(order.table, protocol.task), order.hold_out)
    table.require_files()
    spec = recipe.standardisation()

    def read(done: int, total: int) -> None:
        tell("films read", done, total)

    cache = cache_films(table, spec, order.out / f"cache_{spec.size}", workers=order.workers, progress=read)
    if cache.refused:
        raise TableError(
            f"every film of the table must be readable; {len(cache.refused)} are not, the first: "
            f"{next(iter(cache.refused.values()))}"
        )
    runs, sentences = plan_runs(
        protocol, table, same_film_units(table, cache.hashes), seeds=order.seeds, quick=order.quick
    )
    films = Films(table, cache, protocol.task)
    found = []
    for done, run in enumerate(runs):
        tell("runs", done, len(runs))
        folder = order.out / run.arm / f"{'fold' if protocol.repeats == 'folds' else 'seed'}-{run.number}"
        repeats = 50 if order.quick else 500
        found.append(carry_out(run, films, recipe, folder, audit=order.audit, threads=order.threads, repeats=repeats))
    tell("runs", len(runs), len(runs))
    values = _values(order, protocol, table, found, sentences)
    try:
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (order.out / "reproduction.json").write_text(text, "utf-8")
        (order.out / "reproduction.md").write_text(markdown(values), "utf-8")
    except OSError as error:
        raise OutputError(f"the reproduction cannot be written to {str(order.out)!r}: {error.strerror}") from error
    return values


def _without(table: FilmTable, hold_out: Path | None) -> FilmTable:
    """Leave out every film of the patients whose films are named."""
    if hold_out is None:
        return table
    try:
        with hold_out.open(newline="", encoding="utf-8-sig") as file:
            names = {row["image_id"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise TableError(f"--hold-out takes a CSV with a column image_id; {str(hold_out)!r} is not one") from error
    people = set(table.frame.filter(pl.col("image_id").is_in(list(names)))["patient_id"].to_list())
    return table.with_frame(table.frame.filter(pl.col("patient_id").is_in(list(people)).not_()))


def _values(
    order: ReproductionOrder,
    protocol: Protocol,
    table: FilmTable,
    runs: list[dict[str, Any]],
    sentences: list[str],
) -> dict[str, Any]:
    quick = ["This was a quick try with few small films and one epoch: none of its figures means anything."]
    return {
        "schema": 2,
        "carina": __version__,
        "name": order.name,
        "title": protocol.title,
        "doi": protocol.doi,
        "quick": order.quick,
        "table": {"sha256": table.sha256, "films": len(table), "patients": len(set(table.patients))},
        "what": list(protocol.what),
        "sentences": [*(quick if order.quick else ()), *sentences, *table.notes()],
        "published": [one.model_dump(mode="json") for one in protocol.published],
        "summary": [line for arm in ARMS for line in _summary(arm, [run for run in runs if run["arm"] == arm])],
        "runs": runs,
    }


def _summary(arm: str, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and range over the runs of every figure of an arm."""
    values: dict[tuple[str, str, str], list[float | None]] = {}
    verdicts: dict[str, set[str]] = {}
    first: dict[tuple[str, str, str], dict[str, Any]] = {}
    for run in runs:
        for way in WAYS:
            of_classes = ("classes", f"accuracy, {way}", "all_films")
            told = run["decided"][way]["accuracy"] if run["decided"] else dict.fromkeys(("value", "low", "high", "n"))
            values.setdefault(of_classes, []).append(told["value"])
            first.setdefault(of_classes, {name: told[name] for name in ("value", "low", "high", "n")})
        for number in run["figures"]:
            key = (str(number["contrast"]), str(number["measure"]), str(number["denominator"]))
            values.setdefault(key, []).append(number["value"])
            verdicts.setdefault(key[0], set()).add(_verdict(number))
            first.setdefault(key, {name: number[name] for name in ("value", "low", "high", "level", "n")})
    verdicts["classes"] = {said for found in verdicts.values() for said in found}
    lines = []
    for (contrast, measure, denominator), found in values.items():
        known = [value for value in found if value is not None]
        lines.append(
            {
                "arm": arm,
                "contrast": contrast,
                "measure": measure,
                "denominator": denominator,
                "runs": len(found),
                "estimable": len(known),
                "mean": sum(known) / len(known) if known else None,
                "least": min(known, default=None),
                "most": max(known, default=None),
                "first_run": first[(contrast, measure, denominator)],
                "verdicts": sorted(verdicts.get(contrast, set())),
            }
        )
    return lines


def _verdict(number: dict[str, Any]) -> str:
    if number.get("verdict"):
        return str(number["verdict"])
    note = str(number.get("note") or "")
    return note if note.startswith("withheld") else "not audited"
