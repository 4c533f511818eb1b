"""`carina explain`: whether a model's decision rests on the lungs, measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carina.evidence import Explanation

__all__ = ["explain"]


def explain(
    model: Annotated[str, typer.Argument(help="Bundle, folder or zip, or the name of a shipped one.")],
    table: Annotated[Path, typer.Argument(help="Film table, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for explain.json, tables, figures and the page.")],
    boxes: Annotated[
        Path | None, typer.Option(help="Readers' boxes: CSV image_id,x,y,w,h, or COCO JSON; to evaluate only.")
    ] = None,
    lungs: Annotated[
        str | None, typer.Option(help="Bundle that finds lungs where the table has no lung_mask; else the shipped one.")
    ] = None,
    films: Annotated[
        int, typer.Option(min=1, help="Films drawn, evenly over source and label; boxed and masked ones come besides.")
    ] = 400,
    costly_films: Annotated[
        int, typer.Option(min=1, help="Of these, for deletion, insertion, occlusion, stability, shuffled weights.")
    ] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of every choice.")] = 1,
    with_training_films: Annotated[
        bool, typer.Option("--with-training-films", help="Also films of patients the model was trained on.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of one forward pass.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print explain.json.")] = False,
) -> None:
    """Measure where a model looks: lungs, readers' boxes, deletion, insertion, occlusion, shuffled weights, stability.

    Writes explain.json with every number and its interval, films.csv, measures.csv, figures and explain.html, which
    shows the worst films.

    Example: carina explain pneumonia films.csv --boxes boxes.csv --out relevance
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - verbs import inside their function

    require_extra("study", "matplotlib", verb="explain")
    require_extra("train", "onnx", verb="explain")
    from carina.cli.progress import counting  # noqa: PLC0415 - as above
    from carina.evidence import (  # noqa: PLC0415 - as above
        ExplainOptions,
        plan_films,
        read_boxes,
        write_explanation,
    )
    from carina.evidence import explain as measure  # noqa: PLC0415 - as above
    from carina.evidence.explain_files import as_json as to_json  # noqa: PLC0415 - as above
    from carina.inference import load_bundle  # noqa: PLC0415 - as above
    from carina.inference.lungs import LungFinder  # noqa: PLC0415 - as above
    from carina.report import write_explain_page  # noqa: PLC0415 - as above
    from carina.sampling import read_film_table  # noqa: PLC0415 - as above

    bundle = load_bundle(model)
    rows = read_film_table(table, bundle.task)
    drawn = None if boxes is None else read_boxes(boxes)
    finder = LungFinder.load(lungs, threads=threads)
    options = ExplainOptions(
        films=films,
        costly_films=costly_films,
        seed=seed,
        with_training_films=with_training_films,
        threads=threads,
    )
    plan = plan_films(bundle, rows, drawn, options)
    with counting(plan.steps, "steps") as done:
        found = measure(bundle, rows, boxes=drawn, finder=finder, options=options, plan=plan, done=done)
    write_explanation(found, out)
    page = write_explain_page(found, rows, out)
    if as_json:
        typer.echo(json.dumps(to_json(found), ensure_ascii=False, allow_nan=False))
        return
    _tell(found, page)


def _tell(found: Explanation, page: Path) -> None:
    from carina.evidence import findings  # noqa: PLC0415 - as above

    for note in found.notes:
        sys.stderr.write(f"{note}\n")
    for one in findings(found):
        typer.echo(f"{one.subject}: {one.sentence}")
    counts = found.counts
    typer.echo(
        f"{counts['measured']} films measured, {counts['costly']} of them at length, "
        f"{counts['with_boxes']} with boxes; page: {page}"
    )
