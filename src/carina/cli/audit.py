"""`carina audit`: whether a model reads the disease, or where the film was taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carina.evidence.audit_outcome import Audit

__all__ = ["audit"]


def audit(
    model: Annotated[
        str, typer.Argument(help="Bundle, folder or zip, or the name of a shipped one; or a task file (.toml).")
    ],
    table: Annotated[Path, typer.Argument(help="Film table, CSV or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for audit.json and audit.csv.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Also fit readers on films without lungs; they describe the data.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Only films of this split, such as test.")] = None,
    with_training_films: Annotated[
        bool, typer.Option("--with-training-films", help="Also films of patients the model was trained on.")
    ] = False,
    card: Annotated[
        Path | None, typer.Option("--card", help="Also write a copy of the bundle there, the verdicts in its card.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes of one thread each.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print audit.json.")] = False,
) -> None:
    """Ask whether a model reads the disease or a shortcut: source, border, markers, anything but the lungs.

    Writes audit.json with every probe, its criterion, outcome and interval and a verdict for each contrast, and
    audit.csv. A task file instead of a model asks only what the films themselves give away.

    Example: carina audit pneumonia films.csv --out audit --workers 2
    """
    from carina.cli.progress import counting  # noqa: PLC0415 - verbs import inside their function
    from carina.errors import InputError  # noqa: PLC0415 - as above
    from carina.evidence.audit import audit_model, audit_task, write_audit  # noqa: PLC0415 - as above
    from carina.evidence.audit_card import card_section  # noqa: PLC0415 - as above
    from carina.evidence.sample import untrained  # noqa: PLC0415 - as above
    from carina.inference import copy_with_section, load_bundle  # noqa: PLC0415 - as above
    from carina.sampling import read_film_table  # noqa: PLC0415 - as above
    from carina.tasks import load_task  # noqa: PLC0415 - as above

    bundle = None if model.endswith(".toml") else load_bundle(model)
    if bundle is None and card is not None:
        raise InputError("--card needs a model, whose card it is; found a task file")
    task = load_task(Path(model)) if bundle is None else bundle.task
    rows = read_film_table(table, task)
    if split is not None:
        rows = rows.part(split)
    if bundle is None:
        with counting(len(rows), "films") as done:
            found = audit_task(task, rows, refit=refit, workers=workers, progress=done)
    else:
        left = len(rows) if with_training_films else len(untrained(rows, bundle.training_films.patients))
        with counting(left, "films") as done:
            found = audit_model(
                bundle,
                rows,
                refit=refit,
                workers=workers,
                with_training_films=with_training_films,
                progress=done,
            )
    report, _ = write_audit(found, out)
    if card is not None:
        copy_with_section(model, card, card_section(found))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
        return
    _tell(found, report)


def _tell(found: Audit, report: Path) -> None:
    for name, one in found.verdicts.items():
        typer.echo(f"{name}: {one.verdict}")
        for sentence in one.because:
            typer.echo(f"  {sentence}")
    counts = found.counts
    typer.echo(
        f"{counts['judged']} films of {found.patients} patients audited, {counts['trained_on']} left out as trained "
        f"on, {counts['refused']} refused, {counts['without_lungs']} without lungs; {len(found.probes)} probes: "
        f"{report}"
    )
