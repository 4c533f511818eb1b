"""`carina signature`: whether texture tells a contrast apart, and whether that can be believed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from carina.evidence.signature_table import SignatureTable
    from carina.tasks import Task

__all__ = ["signature"]


def signature(
    features: Annotated[Path, typer.Argument(help="Features, Parquet or CSV, as `carina texture` writes them.")],
    contrast: Annotated[str, typer.Option(help="Contrast of the task, such as covid19_given_pneumonia.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for signature.json, features.csv and model.json.")],
    stability: Annotated[
        Path | None, typer.Option(help="Stability of each feature; unstable ones stay out of models.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="A network's predictions, or films.parquet of an evaluation: does texture add?")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Bundle that predicted, if none that ships: its training films leave fusion.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Film table: how films were made is held against texture; else none is shown.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Only films with COLUMN=VALUE; may be given again.")
    ] = None,
    hold_out: Annotated[
        Path | None, typer.Option("--hold-out", help="CSV with image_id: films whose patients stay out.")
    ] = None,
    task: Annotated[Path | None, typer.Option(help="Task file; the default task if left out.")] = None,
    harmonise: Annotated[
        bool, typer.Option("--harmonise", help="Bring sources together (ComBat), fitted inside each fold.")
    ] = False,
    permutations: Annotated[
        int, typer.Option(min=0, max=10_000, help="Times labels are dealt anew in each source.")
    ] = 99,
    folds: Annotated[int, typer.Option(min=2, max=20, help="Outer folds, by patient.")] = 5,
    most: Annotated[int, typer.Option(min=1, max=1000, help="Features a model may use at most.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of folds, models and permutations.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print signature.json.")] = False,
) -> None:
    """Look for a signature of texture, with effects, false discovery rate, nested models, a null and a verdict.

    Writes signature.json, features.csv with every feature, scores.csv with every film's scores and model.json with the
    coefficients. "shown" needs films of both sides from one source, and the films themselves.

    Example: carina signature features.parquet --contrast covid19_given_pneumonia --data films.csv --out signature
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - verbs import inside their function
    from carina.evidence.signature import SignatureOptions, find_signature  # noqa: PLC0415 - as above
    from carina.evidence.signature_files import write_signature  # noqa: PLC0415 - as above
    from carina.evidence.signature_harmonise import fit_together  # noqa: PLC0415 - as above
    from carina.evidence.signature_models import ModelOptions  # noqa: PLC0415 - as above
    from carina.evidence.signature_other import network_scores  # noqa: PLC0415 - as above
    from carina.evidence.signature_table import read_feature_table, read_stability  # noqa: PLC0415 - as above
    from carina.tasks import default_task, load_task  # noqa: PLC0415 - as above

    chosen = default_task() if task is None else load_task(task)
    table = read_feature_table(features, where or (), hold_out)
    stable = None if stability is None else read_stability(stability)
    other = None if predictions is None else network_scores(predictions, table, chosen, contrast, data, model=model)
    models = ModelOptions(folds=folds, most=most, seed=seed, harmonise=fit_together if harmonise else None)
    options = SignatureOptions(models, permutations)
    control = None if data is None else _controls(table, data, chosen, contrast)
    finished: list[str] = []
    with counting(2 + 2 * len(set(table.column("source").tolist())), "parts") as done:

        def tell(what: str) -> None:
            finished.append(what)
            done(len(finished))

        found = find_signature(
            table, contrast, chosen, options,
            stability=stable, other=None if other is None else other.scores, control=control,
            notes=() if other is None else (other.sentence,), done=tell,
        )  # fmt: skip
    values = write_signature(found, out)
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False, allow_nan=False))
        return
    if table.left_out:
        sys.stderr.write(f"{len(table.left_out)} features are constant or empty and were left out\n")
    for sentence in values["sentences"]:
        typer.echo(sentence)
    typer.echo(f"{len(found.effects)} features in {out / 'features.csv'}")


def _controls(table: SignatureTable, data: Path, task: Task, contrast: str) -> NDArray[np.float64]:
    """How each film was made, outside its lungs; NaN for films whose making is not asked about."""
    import numpy as np  # noqa: PLC0415 - verbs import inside their function

    from carina.cli.progress import counting  # noqa: PLC0415 - as above
    from carina.evidence.signature import controlled_films  # noqa: PLC0415 - as above
    from carina.evidence.signature_control import film_controls  # noqa: PLC0415 - as above
    from carina.inference.lungs import LungFinder  # noqa: PLC0415 - as above
    from carina.sampling import read_film_table  # noqa: PLC0415 - as above

    films = read_film_table(data, task)
    paths = dict(zip(films.image_ids, films.paths, strict=True))
    rows = controlled_films(table, contrast, task)
    names = [str(name) for name in table.column("image_id")[rows].tolist()]
    if not names:
        return np.full((len(table), 1), np.nan)
    with counting(len(names), "films") as done:
        found = film_controls(paths, names, LungFinder.load(), done)
    every = np.full((len(table), found.shape[1]), np.nan)
    every[rows] = found
    return every
