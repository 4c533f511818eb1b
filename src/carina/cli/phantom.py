"""`carina phantom`: synthetic chest films with planted, exactly known opacities."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["phantom"]


class FilmFormat(StrEnum):
    """How films are written."""

    dicom = "dicom"
    png = "png"


class FilmLabel(StrEnum):
    """Classes a phantom can show."""

    normal = "normal"
    bacterial = "bacterial"
    viral = "viral"
    covid19 = "covid19"


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for films.csv, boxes.csv, films/ and masks/.")],
    films: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many films.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first patient; the next patient has the next.")] = 0,
    film_format: Annotated[FilmFormat, typer.Option("--format", help="DICOM, or PNG with 16 bits.")] = FilmFormat.dicom,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Side of a film, pixels.")] = 512,
    label: Annotated[
        list[FilmLabel] | None,
        typer.Option(help="Only this class; repeat for several. All four, in turn, if left out."),
    ] = None,
    pairs: Annotated[
        bool, typer.Option(help="Two films a patient: the class's, and a normal one of the same anatomy.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
) -> None:
    """Write phantom chest films, their lung and opacity masks, boxes and film table.

    No patient is in them. The same arguments give the same bytes.

    Example: carina phantom demo/films --films 240 --seed 1
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.imaging.phantom import LABELS, Collection, write_phantoms  # noqa: PLC0415 - as above

    wanted = Collection(
        folder=out,
        films=films,
        seed=seed,
        labels=tuple(item.value for item in label) if label else LABELS,
        format="dicom" if film_format is FilmFormat.dicom else "png",
        size=size,
        pairs=pairs,
    )
    with counting(films, "phantom films") as done:
        table = write_phantoms(wanted, workers=workers, done=done)
    typer.echo(f"{films} films; film table: {table}")
