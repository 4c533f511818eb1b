"""`carina pacs`: the node in the PACS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["pacs"]


def pacs(
    folder: Annotated[Path, typer.Argument(help="A service study, made by `carina init FOLDER --kind service`.")],
    settings: Annotated[
        Path | None, typer.Option(help="TOML file of settings; [pacs] names address, AE title and peers.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Print what waits and what went wrong, and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
    read: Annotated[bool, typer.Option(help="Start a worker too; else `carina worker` elsewhere reads.")] = True,
) -> None:
    """Run a DICOM node: films come in by C-STORE, results go back to the PACS. Research use only.

    Films come to the worklist of the organisation that [pacs] names, and are read as any other. The node runs until it
    is interrupted or terminated. What it received and what it owes its peers survive any end.

    Example: carina pacs service --settings node.toml
    """
    import logging  # noqa: PLC0415 - the verb's own imports, so that others start fast
    import signal  # noqa: PLC0415 - as above
    import threading  # noqa: PLC0415 - as above

    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above
    from carina.settings import load_settings  # noqa: PLC0415 - as above

    require_extra("study", "sqlalchemy", "alembic", "fsspec", verb="pacs")
    if status or as_json:
        _tell(folder, as_json=as_json)
        return
    require_extra("pacs", "pynetdicom", "highdicom", "huey")
    from carina.pacs.node import run_node  # noqa: PLC0415 - as above

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run_node(folder, load_settings(settings), stop=stop, worker=read)


def _tell(folder: Path, *, as_json: bool) -> None:
    import json  # noqa: PLC0415 - as above

    from carina.archive import open_study  # noqa: PLC0415 - as above

    with open_study(folder, "service") as study:
        counts = {f"film_{state}": number for state, number in study.desk.counts().items()}
        counts |= study.archive.exchange.counts()
        problems = [*study.desk.troubles(), *study.archive.exchange.problems()]
    if as_json:
        listed = [{"what": what, "of": of, "reason": reason} for what, of, reason in problems]
        typer.echo(json.dumps({"counts": counts, "problems": listed}))
        return
    typer.echo(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()) or "nothing yet")
    for what, of, reason in problems:
        typer.echo(f"{what}: {of}: {reason}")
