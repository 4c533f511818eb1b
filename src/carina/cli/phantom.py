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


class PhantomKind(StrEnum):
    """What is drawn; the names are those of a task's `input`."""

    chest_radiograph = "chest_radiograph"
    ct_slice = "ct_slice"


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for films.csv, boxes.csv, films/ and masks/.")],
    films: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many films.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first patient; the next patient has the next.")] = 0,
    kind: Annotated[
        PhantomKind, typer.Option("--kind", help="Chest films, or axial CT slices (PNG with 16 bits, lung window).")
    ] = PhantomKind.chest_radiograph,
    film_format: Annotated[FilmFormat, typer.Option("--format", help="DICOM, or PNG with 16 bits.")] = FilmFormat.dicom,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Side of a film, pixels.")] = 512,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this class; repeat for several. All in turn if left out: normal, bacterial, viral, covid19; of "
            "slices clear, ground_glass, consolidation."
        ),
    ] = None,
    pairs: Annotated[
        bool, typer.Option(help="Two films a patient: the class's, and a normal one of the same anatomy.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
) -> None:
    """Write phantom chest films or CT slices, their lung and opacity masks, boxes and film table.

    No patient is in them. The same arguments give the same bytes.

    Example: carina phantom demo/films --films 240 --seed 1
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast

    if kind is PhantomKind.ct_slice:
        from carina.imaging.phantom_slices import SLICE_LABELS, SliceCollection, write_slices  # noqa: PLC0415 - as above

        slices = SliceCollection(out, films, seed, labels=_labels(label, SLICE_LABELS), size=min(size, 2048))
        with counting(films, "phantom slices") as done:
            table = write_slices(slices, done=done)
        typer.echo(f"{films} slices; film table: {table}")
        return
    from carina.imaging.phantom import LABELS, Collection, write_phantoms  # noqa: PLC0415 - as above

    wanted = Collection(
        folder=out,
        films=films,
        seed=seed,
        labels=_labels(label, LABELS),
        format="dicom" if film_format is FilmFormat.dicom else "png",
        size=size,
        pairs=pairs,
    )
    with counting(films, "phantom films") as done:
        table = write_phantoms(wanted, workers=workers, done=done)
    typer.echo(f"{films} films; film table: {table}")


def _labels(given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    from carina.errors import InputError  # noqa: PLC0415 - as above

    if unknown := [name for name in given or () if name not in known]:
        raise InputError(f"--label must be one of {', '.join(known)}; found {unknown[0]!r}")
    return tuple(given) if given else known
