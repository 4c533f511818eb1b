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

__all__ = ["stability", "texture"]

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


def stability(
    table: Annotated[Path, typer.Argument(help="The film table that the features were measured from.")],
    out: Annotated[Path, typer.Option("--out", help="The stability table, .parquet; a .json file goes beside it.")],
    features: Annotated[
        Path | None, typer.Option(help="Feature table, for dependence on source and view; else the sample alone.")
    ] = None,
    films: Annotated[int, typer.Option(min=10, max=5000, help="Films to measure again after small changes.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the sample and of the noise.")] = 1,
    regions: Annotated[str | None, typer.Option(help="As for texture; of those of the feature table.")] = None,
    settings: Annotated[Path | None, typer.Option(help="As for texture, where no feature table is given.")] = None,
    lungs: Annotated[LungsName, typer.Option(help="As for texture.")] = LungsName.found,
    least_icc: Annotated[float, typer.Option(help="Lower limit of ICC(2,1) asked under every change.")] = 0.75,
    most_source: Annotated[float, typer.Option(help="Share of ranks from which a feature is source-bound.")] = 0.14,
    most_view: Annotated[float, typer.Option(help="Share of ranks from which a feature is view-bound.")] = 0.14,
    drop_view_bound: Annotated[
        bool, typer.Option("--drop-view-bound", help="Leave view-bound features out too.")
    ] = False,
    task: Annotated[Path | None, typer.Option(help="Task file that says which labels a table may hold.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes of one thread each.")] = 1,
    ray: Annotated[str | None, typer.Option("--ray", help="As for texture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Rank texture features by repeatability and by dependence on source and view, and mark those to trust.

    A sample of films is shifted, turned, made noisy and smaller, and its masks grown and shrunk; each feature's
    intraclass correlation says how far it stays itself. Among films of one label its ranks say how far it gives the
    source away.

    Example: carina texture-stability films.csv --features features.parquet --films 60 --out stability.parquet
    """
    require_extra("texture", "numba", verb="texture-stability")
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.evidence.texture_films import MeasureOptions, read_texture_settings  # noqa: PLC0415 - as above
    from carina.evidence.texture_repeats import measure_again, sample_films  # noqa: PLC0415 - as above
    from carina.evidence.texture_rows import film_rows  # noqa: PLC0415 - as above
    from carina.evidence.texture_stability import StabilityRules, judge_stability, write_stability  # noqa: PLC0415 - as above
    from carina.evidence.texture_table import measured_as, read_features  # noqa: PLC0415 - as above
    from carina.tasks import default_task, load_task  # noqa: PLC0415 - as above
    from carina.texture import REGIONS  # noqa: PLC0415 - as above

    rules = StabilityRules(least_icc, most_source, most_view, drop_view_bound)
    given = None if features is None else read_features(features)
    options = MeasureOptions(
        settings=read_texture_settings(settings),
        regions=REGIONS if regions is None else tuple(part.strip() for part in regions.split(",")),
        lungs="given" if lungs is LungsName.given else "found",
    )
    if given is not None:
        options = measured_as(given, options)
    sample = sample_films(film_rows([table], default_task() if task is None else load_task(task)), films, seed)
    with counting(len(sample), "films") as done:
        repeated = measure_again(sample, options, seed=seed, workers=workers, ray=ray, on_film=done)
    held = (repeated.rows.frame, repeated.values[:, 0]) if given is None else (given.films, given.of(options.columns))
    found = judge_stability(options.columns, repeated, *held, rules)
    found.about["seed"] = seed
    found.about["settings_sha256"] = options.settings.sha256
    write_stability(found, out)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **found.about}, ensure_ascii=False))
        return
    about = found.about
    for image_id, why in list(repeated.refused.items())[:_LISTED]:
        typer.echo(f"{image_id}: {why}")
    for line in about["sources_compared"]:
        typer.echo(f"sources compared among {line}")
    if not about["sources_compared"]:
        typer.echo("dependence on source not estimable: no label has ten films of each of two sources")
    typer.echo(
        f"{about['features']} features, measured again on {about['films_measured_again']} films: "
        f"{about['repeatable']} repeatable, {about['source_bound']} source-bound, {about['view_bound']} view-bound; "
        f"{about['keep']} kept: {out}"
    )
