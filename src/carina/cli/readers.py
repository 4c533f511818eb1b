"""`carina readers`: what doctors called films at the desk, for the reader statistics of `carina evaluate`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["readers"]


class WhichCall(StrEnum):
    """Which of a reader's calls counts."""

    blind = "blind"
    final = "final"


def readers(
    folder: Annotated[Path, typer.Argument(help="Service study whose doctors read.")],
    out: Annotated[Path, typer.Option("--out", help="CSV for `carina evaluate --readers`.")],
    research: Annotated[
        Path | None, typer.Option(help="Research study that took these films in: its names of them are written.")
    ] = None,
    calls: Annotated[
        WhichCall, typer.Option(help="blind: before the model's output; final: with it seen.")
    ] = WhichCall.blind,
    names: Annotated[bool, typer.Option("--names", help="Write readers' names; else a number for each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write readers' calls, both with their times, as a reader study.

    Without a research study a film is named by the SHA-256 of its file. Comments stay in the service study.

    Example: carina readers service --research study --out readers.csv
    """
    from contextlib import nullcontext  # noqa: PLC0415 - the verb's own imports, so that others start fast

    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above
    from carina.errors import OutputError  # noqa: PLC0415 - as above

    require_extra("web", "huey", "sqlalchemy", "alembic", "fsspec", verb="readers")
    from carina.archive import open_study  # noqa: PLC0415 - as above
    from carina.service import reader_table  # noqa: PLC0415 - as above

    with (
        open_study(folder, "service") as study,
        nullcontext() if research is None else open_study(research, "research") as known,
    ):
        table = reader_table(study, calls=calls.value, research=known, names=names)
        study.archive.audit("readers_written", {"rows": table.rows.height, "calls": calls.value})
    try:
        out.write_bytes(table.rows.write_csv().encode())
    except OSError as error:
        raise OutputError(f"readers' calls must be writable; {str(out)!r}: {error.strerror or error}") from error
    counts = {"calls": table.rows.height, "without_call": table.without_call, "elsewhere": table.elsewhere}
    if as_json:
        typer.echo(json.dumps({"out": str(out), **counts}))
        return
    typer.echo(f"{table.rows.height} calls of {table.rows['reader'].n_unique()} readers: {out}")
    if table.without_call:
        typer.echo(f"{table.without_call} readers' films have no {calls.value} call and are left out")
    if table.elsewhere:
        typer.echo(f"{table.elsewhere} readers' films are not in the research study and are left out")
