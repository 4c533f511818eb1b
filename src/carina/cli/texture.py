"""`carina texture`: films in, a table of texture features out; `carina texture-stability`: which of them to trust."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carina.cli.extras import require_extra

if TYPE_CHECKING:
    from carina.evidence.texture_run import TextureSummary

__all__ = ["texture"]

_LISTED = 20
_INTERRUPTED = 130


class LungsName(StrEnum):
    """Where lung fields come from."""

    found = "found"
    given = "given"


def texture(
    films: Annotated[list[Path], typer.Argument(help="A film table (.csv, .parquet), or films and folders.")],
    out: Annotated[Path, typer.Option("--out", help="The feature table, .parquet; a .json file goes beside it.")],
    regions: Annotated[
        str | None, typer.Option(help="Comma-separated: lungs,right,left,right_upper,...; else all nine.")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file of texture settings.")] = None,
    lungs: Annotated[
        LungsName, typer.Option(help="Found by the lung network, or given by the column lung_mask.")
    ] = LungsName.found,
    doubtful: Annotated[
        bool, typer.Option("--doubtful-lungs", help="Measure films with implausible lung fields too.")
    ] = False,
    maps: Annotated[
        str | None, typer.Option(help="Comma-separated features to draw, such as glcm_Contrast: maps/ID.npz and .png.")
    ] = None,
    task: Annotated[Path | None, typer.Option(help="Task file that says which labels a table may hold.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes of one thread each.")] = 1,
    ray: Annotated[
        str | None, typer.Option("--ray", help="Address of a Ray cluster's head, HOST:PORT, auto or local.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Throw away a table that is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Measure the texture of films: over a thousand features in each region of the lungs, one row a film.

    A film that cannot be measured gets a row with its reason and never stops the rest. Run the same command again to go
    on after an interruption: measured films are kept. Exit status: 0 all films measured, 3 some not, 2 wrong usage, 130
    interrupted.

    Example: carina texture films.csv --out features.parquet --workers 2
    """
    require_extra("texture", "numba")
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.evidence.texture_films import MeasureOptions, read_texture_settings  # noqa: PLC0415 - as above
    from carina.evidence.texture_maps import write_maps  # noqa: PLC0415 - as above
    from carina.evidence.texture_rows import film_rows  # noqa: PLC0415 - as above
    from carina.evidence.texture_run import extract_texture  # noqa: PLC0415 - as above
    from carina.tasks import default_task, load_task  # noqa: PLC0415 - as above
    from carina.texture import REGIONS  # noqa: PLC0415 - as above

    rows = film_rows(films, default_task() if task is None else load_task(task))
    options = MeasureOptions(
        settings=read_texture_settings(settings),
        regions=REGIONS if regions is None else tuple(part.strip() for part in regions.split(",")),
        lungs="given" if lungs is LungsName.given else "found",
        doubtful=doubtful,
    )
    try:
        with counting(len(rows), "films") as done:
            summary = extract_texture(rows, out, options, workers=workers, ray=ray, overwrite=overwrite, on_film=done)
        if maps is not None:
            names = [part.strip() for part in maps.split(",")]
            with counting(len(rows), "maps") as done:
                write_maps(rows, out.parent / "maps", options, names, on_film=done)
    except KeyboardInterrupt:
        sys.stderr.write("carina: interrupted; measured films are kept, run the same command again to go on\n")
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({"out": str(out), **summary.to_dict(), "notes": rows.notes}, ensure_ascii=False))
    else:
        _tell(summary, rows.notes, out)
    raise typer.Exit(summary.exit_status)


def _tell(summary: TextureSummary, notes: tuple[str, ...], out: Path) -> None:
    for note in notes:
        typer.echo(note)
    for image_id, why in summary.problems[:_LISTED]:
        typer.echo(f"{image_id}: {why}")
    if (more := len(summary.problems) - _LISTED) > 0:
        typer.echo(f"and {more} more: column error")
    if summary.same:
        typer.echo(f"{summary.same} films have the content of another film: column same_film_as; count each once")
    counts = ", ".join(f"{count} {status}" for status, count in sorted(summary.statuses.items()))
    kept = f", {summary.kept} of them by an earlier run" if summary.kept else ""
    typer.echo(f"{summary.films} films: {counts}{kept}; {summary.features} features each: {out}")
