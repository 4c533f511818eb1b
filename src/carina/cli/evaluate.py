"""`carina evaluate`: a model, or any system's predictions, against a table of films (M28-M36)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carina.evidence.evaluation import Evaluation
    from carina.evidence.numbers import Number

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, typer.Argument(help="Bundle, or shipped name; or predictions: .jsonl, .csv or .parquet.")],
    table: Annotated[Path, typer.Argument(help="Film table with labels, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for metrics.json, numbers.csv, films.parquet.")],
    task: Annotated[Path | None, typer.Option("--task", help="Task file of predictions; default: pneumonia.")] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Films of this split alone, or all; default: what it did not learn from."),
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option("--threshold", help="CONTRAST=VALUE fixed beforehand; may be given again.")
    ] = None,
    prevalence: Annotated[
        str | None, typer.Option("--prevalence", help="PPV and NPV at class=share,... or a file of shares (Mercaldo).")
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", help="Of shares: clopper-pearson or wilson.")
    ] = "clopper-pearson",
    minimum_cell: Annotated[
        int, typer.Option("--minimum-cell", min=1, help="Cells of fewer patients are suppressed.")
    ] = 10,
    gallery: Annotated[int, typer.Option("--gallery", min=0, help="Worst films of each contrast and kind.")] = 6,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also on films with noise, turned, brighter, as JPEG, coarser.")
    ] = False,
    readers: Annotated[
        Path | None, typer.Option("--readers", help="Reader study, CSV: reader,image_id,call[,confidence].")
    ] = None,
    cross_validate: Annotated[
        int | None, typer.Option("--cross-validate", min=2, help="Also train and judge in so many folds by patient.")
    ] = None,
    leave_source_out: Annotated[
        bool, typer.Option("--leave-source-out", help="Also train without each source and judge on it.")
    ] = False,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Packaged recipe or TOML file, for the two options above.")
    ] = None,
    sample_size: Annotated[
        Path | None, typer.Option("--sample-size", help="JSON of `carina sample-size`, planned before the films.")
    ] = None,
    no_audit: Annotated[
        bool, typer.Option("--no-audit", help="Without the shortcut audit; what needs it is withheld.")
    ] = False,
    audit: Annotated[
        Path | None, typer.Option("--audit", help="audit.json of the same model and table, made before.")
    ] = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="For research: judge whatever can be decoded, without the quality gate.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse labels outside the task.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of every draw.")] = 1,
    repeats: Annotated[int, typer.Option("--repeats", min=100, help="Bootstrap draws, by patient.")] = 2000,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="Processes that judge films.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Evaluate a model on films it did not learn from: every number with its interval, source and audit verdict.

    Example: carina evaluate pneumonia films.csv --out evidence
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - verbs import inside their function
    from carina.cli.progress import counting  # noqa: PLC0415 - as above
    from carina.evidence.audit_outcome import Audit  # noqa: PLC0415 - as above
    from carina.evidence.contrast_numbers import IntervalOptions  # noqa: PLC0415 - as above
    from carina.evidence.evaluation import EvaluationOptions  # noqa: PLC0415 - as above
    from carina.evidence.evaluation_files import write_evaluation  # noqa: PLC0415 - as above
    from carina.evidence.evaluation_runs import (  # noqa: PLC0415 - as above
        EvaluationOrder,
        evaluate_model,
        evaluate_predictions,
        is_predictions,
        parse_thresholds,
    )
    from carina.inference import load_bundle, parse_prevalence  # noqa: PLC0415 - as above
    from carina.sampling import read_film_table  # noqa: PLC0415 - as above
    from carina.tasks import default_task, load_task  # noqa: PLC0415 - as above

    if cross_validate is not None or leave_source_out:
        require_extra("train", "torch", "lightning", "monai", "kornia", "onnx", "onnxscript", verb="evaluate")
    asked = {name: value for name, value in locals().items() if name in _RECORDED}
    order = EvaluationOrder(
        options=EvaluationOptions(
            intervals=IntervalOptions(seed=seed, repeats=repeats, method=_interval(interval)),
            minimum_cell=minimum_cell,
            gallery=gallery,
            thresholds=parse_thresholds(threshold or ()),
        ),
        split=split,
        workers=workers,
        audit=not no_audit if audit is None else Audit.from_json(audit),
        gate=not no_gate,
        robustness=robustness,
        readers=readers,
        prevalence=None if prevalence is None else parse_prevalence(prevalence),
        folds=cross_validate,
        leave_source_out=leave_source_out,
        recipe=recipe,
        runs=out / "runs",
        sample_size=sample_size,
    )
    if is_predictions(model):
        known = load_task(task) if task else default_task()
        rows = read_film_table(table, known, strict=strict)
        found = evaluate_predictions(Path(model), rows, known, order)
    else:
        bundle = load_bundle(model)
        rows = read_film_table(table, bundle.task, strict=strict)
        found = evaluate_model(bundle, rows, order, watched=counting, path=model)
    metrics = write_evaluation(found, {name: _plain(value) for name, value in asked.items()}, out)
    if as_json:
        typer.echo(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
        return
    _tell(found, out)


_RECORDED = (
    *("split", "threshold", "prevalence", "interval", "minimum_cell", "gallery", "robustness", "readers"),
    *("cross_validate", "leave_source_out", "recipe", "no_audit", "audit", "no_gate", "strict", "seed", "repeats"),
    "sample_size",
)


def _interval(name: str) -> str:
    from carina.errors import SettingsError  # noqa: PLC0415 - as above

    if name not in {"clopper-pearson", "wilson"}:
        raise SettingsError(f"an interval of shares is clopper-pearson or wilson; found {name!r}")
    return name


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _tell(found: Evaluation, out: Path) -> None:
    for sentence in found.sentences:
        sys.stderr.write(f"{sentence}\n")
    rows = [_row(one) for one in found.headlines]
    heads = ("contrast", "measure", "films", "value (interval)", "n", "audit")
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    typer.echo(f"{len(found.numbers)} numbers in {out / 'metrics.json'}")


def _row(one: Number) -> tuple[str, ...]:
    where = one.denominator or "" if one.cell == "all" else one.cell
    mark = {"cross-source": " (cross-source)", "mixed": " (part cross-source)"}.get(one.sources or "", "")
    count = "" if one.n is None else str(one.n) if one.events is None else f"{one.events}/{one.n}"
    return (one.contrast or "", one.measure, f"{where}{mark}", str(one), count, one.verdict or "no audit")
