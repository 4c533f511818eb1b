"""`carina atlas`: what texture features look like on films, and one film's texture sheet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["atlas"]


def atlas(
    features: Annotated[Path, typer.Argument(help="Features, as `carina texture` writes them.")],
    data: Annotated[Path, typer.Option("--data", help="Film table that says where the films lie.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for atlas.html, or film.html with --film.")],
    film: Annotated[str | None, typer.Option(help="image_id: write this film's texture sheet instead.")] = None,
    signature: Annotated[
        Path | None, typer.Option(help="Folder of `carina signature`: its figures, and its strongest features.")
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Feature to show, with or without its region; may be given again.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=200, help="Features shown where none is named.")] = 12,
    radius: Annotated[int, typer.Option(min=1, max=32, help="Of the window of a map, pixels.")] = 3,
    reference_label: Annotated[
        str | None, typer.Option(help="With --film: only films of this label are the reference.")
    ] = None,
    reference_source: Annotated[
        str | None, typer.Option(help="With --film: only films of this source are the reference.")
    ] = None,
    task: Annotated[Path | None, typer.Option(help="Task file; the default task if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written.")] = False,
) -> None:
    """Show texture: of each feature the lowest, median and highest film with its map, and the mean by lung zone.

    The page needs no other file. It holds pictures of films: keep it where the films may be.

    Example: carina atlas features.parquet --data films.csv --signature signature --out atlas
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - verbs import inside their function

    require_extra("study", "matplotlib", verb="atlas")
    require_extra("texture", "numba", verb="atlas")
    from carina.cli.progress import counting  # noqa: PLC0415 - as above
    from carina.evidence.signature_table import read_feature_table, texture_settings_of  # noqa: PLC0415 - as above
    from carina.inference.lungs import LungFinder  # noqa: PLC0415 - as above
    from carina.report.atlas_films import FilmShelf, choose_shown  # noqa: PLC0415 - as above
    from carina.report.atlas_page import AtlasOptions, write_atlas, write_sheet  # noqa: PLC0415 - as above
    from carina.report.atlas_signature import read_signature  # noqa: PLC0415 - as above
    from carina.sampling import read_film_table  # noqa: PLC0415 - as above
    from carina.tasks import default_task, load_task  # noqa: PLC0415 - as above

    table = read_feature_table(features)
    found = None if signature is None else read_signature(signature)
    films = read_film_table(data, default_task() if task is None else load_task(task))
    paths = dict(zip(films.image_ids, films.paths, strict=True))
    shelf = FilmShelf(paths, texture_settings_of(features), LungFinder.load())
    options = AtlasOptions(
        features=tuple(feature or ()),
        most=most,
        radius=radius,
        reference_label=reference_label,
        reference_source=reference_source,
    )
    absent = [name for name in table.column("image_id").tolist() if name not in paths]
    if absent:
        sys.stderr.write(f"{len(absent)} of {len(table)} films of the features are not in the film table\n")
    if film is not None:
        page = write_sheet(table, shelf, film, out, options)
    else:
        shown = choose_shown(table, options.features, [] if found is None else found.strongest, most)
        with counting(len(shown), "features") as done:
            page = write_atlas(table, shelf, out, options, signature=found, done=done)
    typer.echo(json.dumps({"page": str(page)}) if as_json else str(page))
