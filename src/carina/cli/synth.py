"""`carina synth`: synthetic sources whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["hospital", "synth"]

synth = typer.Typer(
    name="synth",
    help="Make synthetic sources whose truth is known.\n\nExample: carina synth hospital --patients 60 --out hospital",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@synth.callback()
def _synth() -> None:
    """Hold the options that belong to no source."""


@synth.command("hospital")
def hospital(
    out: Annotated[Path, typer.Option(help="Folder to fill; made when missing, refused when anything is in it.")],
    patients: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many patients.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=128, max=2048, help="Side of a film, pixels.")] = 256,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write the extracts, films and truth of a hospital that does not exist.

    Admissions, vitals, reads and microbiology as CSV with a mapping, DICOM films in folders, zips and on a DICOMDIR
    medium, bad rows in every table, and the answers in truth/. No patient is in it.

    Example: carina synth hospital --patients 60 --seed 1 --out demo/hospital
    """
    from carina.cli.progress import growing  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.synthesis import write_hospital  # noqa: PLC0415 - as above

    with growing("files of films") as done:
        made = write_hospital(out, patients=patients, seed=seed, size=size, workers=workers, done=done)
    if as_json:
        typer.echo((out / "truth" / "hospital.json").read_text("utf-8"), nl=False)
        return
    match = made.agreement
    rows = ", ".join(f"{name} {count} rows ({made.dirty[name]} bad)" for name, count in made.rows.items())
    typer.echo(f"{made.patients} patients, {made.films} films in {made.files} files; {rows}")
    typer.echo(
        f"gold standard expected of {made.in_cohort} films in the cohort: "
        + ", ".join(f"{count} {name}" for name, count in made.gold.items())
    )
    typer.echo(
        f"agreement of the gold standard with the simulated disease: {match.both + match.neither} of {match.films} "
        f"films ({match.share:.1%}), kappa {match.kappa:.2f}; pneumonia by the gold standard alone {match.gold_only}, "
        f"by the disease alone {match.disease_only}"
    )
    typer.echo(f"truth: {out / 'truth'}")
