"""`carina reproduce`: published studies repeated on films at hand (M25, M26)."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from carina.cli.extras import require_extra

__all__ = ["reproduce"]


class Study(StrEnum):
    """Studies whose protocol is known."""

    gao_wang = "gao-wang"
    kermany = "kermany"
    darkcovidnet = "darkcovidnet"


def reproduce(
    study: Annotated[Study, typer.Argument(help="Which published study.")],
    data: Annotated[Path, typer.Option("--data", help="Film table.")],
    out: Annotated[Path, typer.Option("--out", help="Folder; runs already finished there are kept.")],
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=100, help="Runs, of a study that is no cross-validation.")
    ] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Few small films, one epoch: to try it out.")] = False,
    audit: Annotated[
        bool, typer.Option(help="Audit each model for shortcuts; without it figures are withheld.")
    ] = True,
    hold_out: Annotated[
        Path | None, typer.Option("--hold-out", help="CSV with image_id: films of these patients take no part.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read films.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Repeat a published study: as published, film by film, and again with patients kept apart.

    Every figure carries the verdict of the shortcut audit; what was published stands in a table of its own.

    Example: carina reproduce gao-wang --data films.csv --out runs/gao-wang
    """
    require_extra("train", "torch", "lightning", "monai", "kornia", "onnx", "onnxscript")
    from carina.evidence.reproduction import (  # noqa: PLC0415 - heavy imports stay inside
        ReproductionOrder,
    )
    from carina.evidence.reproduction import reproduce as carry_out  # noqa: PLC0415 - as above

    def watched(what: str, done: int, total: int) -> None:
        step = max(1, total // 10)
        if done % step == 0 or done == total:
            sys.stderr.write(f"{what}: {done} of {total}\n")

    order = ReproductionOrder(
        study.value, data, out, seeds=seeds, quick=quick, audit=audit, hold_out=hold_out, threads=threads,
        workers=workers,
    )  # fmt: skip
    found = carry_out(order, watched)
    if as_json:
        typer.echo(json.dumps({name: found[name] for name in ("name", "sentences", "published", "summary")}))
        return
    typer.echo((out / "reproduction.md").read_text("utf-8"))
