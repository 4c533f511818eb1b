"""`carina page`: one HTML file of films with heatmaps from a folder of readings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["page"]


def page(
    predictions: Annotated[Path, typer.Argument(help="Folder that `carina predict --out` wrote.")],
    out: Annotated[Path | None, typer.Option(help="HTML file; page.html in the folder if left out.")] = None,
    title: Annotated[str, typer.Option(help="Heading.")] = "Chest film readings",
    start: Annotated[int, typer.Option(min=1, help="First film shown.")] = 1,
    most: Annotated[int, typer.Option(min=1, max=5000, help="Most films shown; each takes some 40 kB.")] = 500,
    side: Annotated[int, typer.Option(min=128, max=2048, help="Longest side of a film on the page, pixels.")] = 448,
) -> None:
    """Show films, heatmaps, probabilities and refusals on one page that needs no other file.

    Example: carina page readings --out page.html
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.report import PageOptions, read_readings, write_page  # noqa: PLC0415 - as above

    path = out if out is not None else predictions / "page.html"
    shown = len(read_readings(predictions, start=start, most=most).shown)
    with counting(shown, "films on the page") as done:
        readings = write_page(predictions, path, PageOptions(title=title, start=start, most=most, side=side), done=done)
    if readings.total > shown:
        typer.echo(f"shown are {shown} of {readings.total} films; use --start and --most for others")
    typer.echo(f"page: {path}")
