"""The `carina` command: its verbs, its errors in one sentence, its exit status.

A verb is a function in its own module of `carina.cli`, registered here by name. Verb modules import only the standard
library and typer at their top; whatever is heavy is imported inside the function, so that `carina --help` and
`carina predict` start fast.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from carina import __version__
from carina.cli.atlas import atlas
from carina.cli.audit import audit
from carina.cli.backup import backup, restore, upgrade
from carina.cli.calibrate import calibrate
from carina.cli.cohort import cohort, sample_size
from carina.cli.deid import deid
from carina.cli.evaluate import evaluate
from carina.cli.explain import explain
from carina.cli.ingest import ingest
from carina.cli.init import init
from carina.cli.pacs import pacs
from carina.cli.page import page
from carina.cli.people import people
from carina.cli.phantom import phantom
from carina.cli.predict import predict
from carina.cli.readers import readers
from carina.cli.records import records
from carina.cli.report import report
from carina.cli.reproduce import reproduce
from carina.cli.serve import serve, worker
from carina.cli.share import share
from carina.cli.signature import signature
from carina.cli.synth import synth
from carina.cli.texture import stability, texture
from carina.cli.train import train
from carina.cli.user import user
from carina.errors import CarinaError

__all__ = ["app", "main"]

_INTERRUPTED = 130


class _Verbs(TyperGroup):
    """Says that a verb was interrupted, where the verb itself says nothing; typer alone ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.stderr.write("carina: interrupted; the same command may be run again\n")
            raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(
    name="carina",
    cls=_Verbs,
    help="From chest radiographs and hospital records to a validated pneumonia classifier. Research use only.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carina {__version__}")
        raise typer.Exit


@app.callback()
def _carina(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that belong to no verb."""


# Each verb, in the order that `carina --help` lists them.
app.command("predict")(predict)
app.command("train")(train)
app.command("calibrate")(calibrate)
app.command("evaluate")(evaluate)
app.command("explain")(explain)
app.command("audit")(audit)
app.command("texture")(texture)
app.command("texture-stability")(stability)
app.command("signature")(signature)
app.command("atlas")(atlas)
app.command("report")(report)
app.command("page")(page)
app.command("phantom")(phantom)
app.add_typer(synth, name="synth")
app.command("init")(init)
app.command("ingest")(ingest)
app.add_typer(records, name="records")
app.command("cohort")(cohort)
app.add_typer(deid, name="deid")
app.command("pacs")(pacs)
app.command("sample-size")(sample_size)
app.command("reproduce")(reproduce)
app.add_typer(share, name="share")
app.command("serve")(serve)
app.command("worker")(worker)
app.command("people")(people)
app.add_typer(user, name="user")
app.command("readers")(readers)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("upgrade")(upgrade)


def main() -> None:
    """Run the command and exit with its status.

    0 done, 2 wrong usage or input, 3 done but some films were refused, 130 interrupted. A deliberate error is printed
    as one sentence on standard error.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that is not UTF-8 on disk must not end the command that names it.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except CarinaError as error:
        sys.stderr.write(f"carina: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_status)
    except OSError as error:
        # A full disk or a missing permission that no verb put into words of its own.
        where = f" {error.filename!r}" if error.filename is not None else ""
        sys.stderr.write(f"carina: the system refused to go on{where}: {error.strerror or type(error).__name__}\n")
        sys.exit(CarinaError.exit_status)
