"""`carina calibrate`: a bundle and local films in, a new bundle version out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["calibrate"]

_SOME_REFUSED = 3


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Bundle, folder or zip, or the name of a shipped one.")],
    table: Annotated[Path, typer.Argument(help="Film table of local films, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new bundle; must not exist.")],
    split: Annotated[
        str, typer.Option("--split", help="Films used, where the table has a `split` column; else all are.")
    ] = "calibrate",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse labels outside the task.")] = False,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Whether the quality gate judges the films.")] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of one film per patient.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, max=256, help="Threads of one forward pass.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the new calibration as JSON.")] = False,
) -> None:
    """Calibrate a bundle on local films: temperature, thresholds, class mix. Writes a new version; the old one stays.

    Films of patients the bundle was trained on, and near-duplicates of its training films, are refused and listed; the
    exit status is then 3.

    Example: carina calibrate pneumonia local.csv --out local-bundle
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - verbs import inside their function
    from carina.inference.bundle import load_bundle  # noqa: PLC0415 - as above
    from carina.inference.gate import QualityGate  # noqa: PLC0415 - as above
    from carina.inference.recalibrate import judge_local_films, recalibrate, require_new  # noqa: PLC0415 - as above
    from carina.sampling import read_film_table  # noqa: PLC0415 - as above

    require_new(out)
    old = load_bundle(bundle)
    films = read_film_table(table, old.task, strict=strict)
    if "split" in films.frame.columns:
        films = films.part(split)
    for note in films.notes():
        sys.stderr.write(f"{note}\n")
    with counting(len(films), "films") as progress:
        local = judge_local_films(
            old,
            films,
            gate=QualityGate.load(threads=threads) if gate and old.task.kind.gated else None,
            threads=threads,
            progress=progress,
        )
    for name, reason in local.left_out.items():
        sys.stderr.write(f"film {name!r} is refused: {' '.join(reason.split())}\n")
    new = recalibrate(old, local, out, table_sha256=films.sha256, seed=seed)
    if as_json and new.calibration is not None:
        typer.echo(json.dumps(new.calibration.to_dict(), indent=1))
    else:
        typer.echo(
            f"{new.name} {new.version} written to {out}: calibrated on {len(local.labels)} films of "
            f"{len(set(local.patients))} patients, {len(local.left_out)} refused; {old.name} {old.version} is unchanged"
        )
    raise typer.Exit(_SOME_REFUSED if local.left_out else 0)
