"""`carina share`: signed packages between districts, without films or rows of people (M35)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carina.cli.extras import require_extra

if TYPE_CHECKING:
    from carina.evidence.sharing_compare import Compared

__all__ = ["share"]

share = typer.Typer(
    name="share",
    help="Share a model, its rules and aggregates with another district; compare what each found.\n\n"
    "Example: carina share compare ours theirs.zip",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_HEADLINE = ("auc", "sensitivity", "specificity", "ppv", "npv")


@share.command("key")
def key(
    path: Annotated[Path, typer.Argument(help="File of the private key; the public one gets the suffix .pub.")],
) -> None:
    """Make a pair of keys to sign packages with: the private one for its owner alone, the public one to hand out.

    Example: carina share key keys/district.key
    """
    require_extra("share", "cryptography")
    from carina.evidence.sharing_keys import make_keys  # noqa: PLC0415 - the verb's own imports, so that others start fast

    made = make_keys(path)
    typer.echo(f"private key {path}, public key {path}.pub; fingerprint {made}")
    typer.echo("Keep the private key to yourself; tell the fingerprint by another way than the package.")


@share.command("export")
def export(
    source: Annotated[Path, typer.Argument(help="A bundle, a training run, or the folder of `carina evaluate`.")],
    out: Annotated[Path, typer.Option("--out", help="The package, a zip.")],
    private: Annotated[Path, typer.Option("--key", help="Private key, readable by its owner alone.")],
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Bundle of an evaluation, if it was moved.")] = None,
    cohort: Annotated[Path | None, typer.Option("--cohort", help="Folder of `carina cohort`: adds its rules.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what went in as JSON.")] = False,
) -> None:
    """Pack and sign a bundle, the cohort's rules and aggregates with cells under ten suppressed.

    Example: carina share export runs/evaluation --out package.zip --key keys/district.key
    """
    require_extra("share", "cryptography")
    from carina.evidence.sharing import export_package  # noqa: PLC0415 - as above
    from carina.evidence.sharing_bundle import SENTENCES  # noqa: PLC0415 - as above

    made = export_package(source, out, private, bundle=bundle, cohort=cohort)
    if as_json:
        said = {name: getattr(made, name) for name in ("fingerprint", "files", "numbers", "held_back", "left_out")}
        typer.echo(json.dumps({"path": str(made.path), **said}))
        return
    for sentence in SENTENCES:
        typer.echo(sentence)
    typer.echo(
        f"{made.path}: {len(made.files)} files, {made.numbers} numbers shown, {made.held_back} suppressed, "
        f"{made.left_out} of kinds that are not shared; signed by {made.fingerprint}"
    )


@share.command("import")
def import_(
    package: Annotated[Path, typer.Argument(help="The package, a zip.")],
    trust: Annotated[list[Path], typer.Option("--trust", help="Public key of who may sign; may be given again.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to unpack to; must not exist.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Check a package's signature and every byte of it, and unpack it.

    Example: carina share import package.zip --trust keys/north.key.pub --out north
    """
    require_extra("share", "cryptography")
    from carina.evidence.sharing import import_package  # noqa: PLC0415 - as above

    found = import_package(package, trust, out)
    if as_json:
        typer.echo(json.dumps(found.manifest))
        return
    model = found.manifest["model"]
    typer.echo(f"{package} is signed by {found.fingerprint}; every file is the one that was signed")
    for sentence in found.manifest.get("sentences", ()):
        typer.echo(sentence)
    typer.echo(
        f"model {model['name']} {model['version']} is in {found.folder / 'bundle'}; validate it on films of your own "
        f"before anyone relies on it: carina evaluate {found.folder / 'bundle'} films.csv --out local"
    )


@share.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of an evaluation or of an imported package.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    everything: Annotated[bool, typer.Option("--all", help="Every number, not only the headline measures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also a page of them: one HTML file that needs no other.")
    ] = None,
) -> None:
    """Lay two evaluations side by side: two districts with one model, or two models.

    Example: carina share compare north local --html comparison.html
    """
    from carina.evidence.sharing_compare import compare_evaluations  # noqa: PLC0415 - as above

    found = compare_evaluations(first, second)
    if html is not None:
        from carina.report.comparison_page import write_comparison  # noqa: PLC0415 - as above

        write_comparison(found, html, names=_names(first, second))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False))
        return
    for sentence in found.sentences:
        typer.echo(sentence)
    rows = [row for row in found.rows if everything or (row.measure in _HEADLINE and row.cell in ("", "all"))]
    typer.echo(f"{'number':<58} {'first':<24} {'second':<24} second - first")
    for row in rows:
        typer.echo(f"{_name(row):<58} {_side(row.first):<24} {_side(row.second):<24} {_difference(row.difference)}")


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Name the two by their folders, where these differ."""
    found = [path.resolve().stem if path.is_file() else path.resolve().name for path in (first, second)]
    return ("First", "Second") if found[0] == found[1] else (found[0], found[1])


def _name(row: Compared) -> str:
    cell = "" if row.cell in ("", "all") else f" [{row.cell}]"
    return f"{row.contrast} {row.measure}{cell} {row.denominator}".strip()


def _side(side: dict[str, Any]) -> str:
    value, low, high = (side.get(name) for name in ("value", "low", "high"))
    if value is None:
        return str(side.get("note") or "-").split(":")[0]
    interval = f" ({low:.3f}-{high:.3f})" if low is not None and high is not None else ""
    verdict = f" {side['verdict']}" if side.get("verdict") else ""
    return f"{value:.3f}{interval}{verdict}"


def _difference(found: tuple[float, float, float] | None) -> str:
    return "" if found is None else f"{found[0]:+.3f} ({found[1]:+.3f} to {found[2]:+.3f})"
