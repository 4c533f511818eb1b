"""`carina ingest`: films into a study."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carina.ingest import IngestSummary

__all__ = ["ingest"]

_LISTED = 20
_INTERRUPTED = 130


class Review(StrEnum):
    """What happens to films that a person should look at."""

    refuse = "refuse"
    accept = "accept"


def ingest(
    folder: Annotated[Path, typer.Argument(help="The study, made by `carina init`.")],
    sources: Annotated[
        list[Path] | None, typer.Argument(help="Films, folders walked at any depth, zips, DICOMDIRs.")
    ] = None,
    service: Annotated[
        Path | None,
        typer.Option("--from", help="Service study whose films pass, de-identified, into this research one."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    review: Annotated[
        Review,
        typer.Option(help="Films whose de-identification asks for a person's look: leave them out, or take them."),
    ] = Review.refuse,
    gate: Annotated[
        bool, typer.Option(help="Judge films with the learned quality gate, not by the rules alone.")
    ] = True,
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Take films into a study; in a research study they are de-identified first.

    Run the same command again to go on after an interruption: what is stored stays, and nothing is taken twice. Exit
    status: 0 all films accepted, 3 some refused, 2 wrong usage, 130 interrupted.

    Example: carina ingest study export/ more.zip --workers 2
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.cli.progress import growing  # noqa: PLC0415 - as above
    from carina.errors import InputError  # noqa: PLC0415 - as above
    from carina.settings import load_settings  # noqa: PLC0415 - as above

    require_extra("study", "sqlalchemy", "alembic", "fsspec", verb="ingest")
    from carina.archive import open_study  # noqa: PLC0415 - as above
    from carina.ingest import ingest_films  # noqa: PLC0415 - as above

    if not sources and service is None:
        raise InputError("films to take in must be named: give files, folders or zips, or --from a service study")
    try:
        with open_study(folder) as study, growing("films") as done:
            summary = ingest_films(
                study,
                sources or [],
                service=service,
                workers=workers,
                progress=done,
                review="accept" if review is Review.accept else "refuse",
                gate=gate,
                settings=load_settings(settings),
            )
    except KeyboardInterrupt:
        sys.stderr.write("carina: interrupted; what is stored stays, run the same command again to go on\n")
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({"study": str(folder), **summary.to_dict()}, ensure_ascii=False))
    else:
        _tell(summary)
    raise typer.Exit(summary.exit_status)


def _tell(summary: IngestSummary) -> None:
    for each in summary.listed[:_LISTED]:
        typer.echo(f"{each.place}: {each.outcome}: {each.reason} [{each.code}]")
    if len(summary.listed) > _LISTED:
        typer.echo(f"and {len(summary.listed) - _LISTED} more; --json lists all")
    counts = {
        "refused": summary.refused,
        "duplicate": summary.duplicates,
        "changed under a known UID": summary.changed,
        "of another patient's picture": summary.conflicts,
        "for review": summary.review,
        "unreadable": summary.unreadable,
        "known from earlier": summary.known,
    }
    said = ", ".join([f"{summary.accepted} accepted", *(f"{n} {name}" for name, n in counts.items() if n)])
    typer.echo(f"{summary.sources} files: {said}; {summary.films_per_second:.1f} films a second")
    if summary.reasons:
        typer.echo("Refusals: " + ", ".join(f"{count} {code}" for code, count in summary.reasons.items()))
    if summary.ignored:
        typer.echo(f"{summary.ignored} files in the folders do not look like films and were passed over")
