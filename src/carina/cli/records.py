"""`carina records`: extracts of hospital records into a study, and a first mapping for them."""

from __future__ import annotations

import json
import os
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from carina.ingest import LinkReport
    from carina.records import Extract, Mapping

__all__ = ["records"]

_REASONS = 5
_LISTED = "rejected_records.csv"


class _Records(TyperGroup):
    """Takes a folder where a subcommand could stand: loading is what the verb is for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["load", *args]
        return list(super().parse_args(ctx, args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        load = self.commands["load"]
        load.format_help(load.context_class(load, info_name=ctx.info_name, parent=ctx.parent), formatter)
        self.format_commands(ctx, formatter)


records = typer.Typer(cls=_Records, no_args_is_help=True, rich_markup_mode=None)

_Files = Annotated[list[Path] | None, typer.Option(help="CSV, Parquet or Excel; repeat for several files.")]


@records.command("load", hidden=True)
def load(
    folder: Annotated[Path, typer.Argument(help="The research study, made by `carina init`.")],
    admissions: _Files = None,
    vitals: _Files = None,
    reads: _Files = None,
    microbiology: _Files = None,
    fhir: Annotated[
        list[Path] | None, typer.Option(help="FHIR R4 resources, JSON or NDJSON; repeat for several files.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file with the hospital's columns and codes; ours if left out.")
    ] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(help="CSV file for the list of rejected rows; rejected_records.csv in the study if left out."),
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Load extracts into a research study: checked row by row, pseudonymised, linked with the films.

    Rows that do not hold are left out and listed with file, line, column and reason; the list holds no cell of theirs.
    Exit status: 0 all rows taken, 3 some rejected, 2 wrong usage or input. Loading again replaces a table.

    Example: carina records study --admissions ipm.csv --reads pacs.csv --mapping hospital.toml
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports, so that others start fast

    require_extra("study", "pandera", "sqlalchemy", "alembic", "fsspec", verb="records")
    from carina.archive import open_study  # noqa: PLC0415 - as above
    from carina.ingest import load_records  # noqa: PLC0415 - as above
    from carina.records import load_mapping  # noqa: PLC0415 - as above
    from carina.settings import load_settings  # noqa: PLC0415 - as above

    given = {"admissions": admissions, "vitals": vitals, "reads": reads, "microbiology": microbiology}
    with open_study(folder, "research") as study:
        extracts = _extracts(
            {name: files for name, files in given.items() if files}, fhir, load_mapping(mapping) if mapping else None
        )
        target = rejected or folder / _LISTED
        # What was rejected is worth knowing most when the load itself is refused.
        _write_rejected(target, extracts)
        report = load_records(study, extracts, settings=load_settings(settings))
    if as_json:
        summaries = {name: each.summary() for name, each in extracts.items()}
        typer.echo(
            json.dumps({"extracts": summaries, "link": report.to_dict(), "rejected": str(target)}, ensure_ascii=False)
        )
    else:
        _tell(extracts, report, target)
    if any(each.rejected_rows for each in extracts.values()):
        raise typer.Exit(3)


# The verb's own help is that of loading.
records.info.help = cleandoc(load.__doc__ or "")


@records.command("suggest-mapping")
def suggest(
    files: Annotated[list[Path] | None, typer.Argument(help="Extracts; which is which is found out.")] = None,
    admissions: Annotated[Path | None, typer.Option(help="The extract of admissions.")] = None,
    vitals: Annotated[Path | None, typer.Option(help="The extract of vitals.")] = None,
    reads: Annotated[Path | None, typer.Option(help="The extract of reads.")] = None,
    microbiology: Annotated[Path | None, typer.Option(help="The extract of microbiology.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the mapping; printed if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the guesses as JSON.")] = False,
) -> None:
    """Propose a mapping from headers and values, each line with its confidence and reason.

    It is a proposal: read every line, correct it, translate what has a question mark.

    Example: carina records suggest-mapping ipm.csv pacs.csv --out hospital.toml
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.errors import InputError, OutputError  # noqa: PLC0415 - as above

    require_extra("study", "pandera", verb="records")
    from carina.records import suggest_mapping  # noqa: PLC0415 - as above

    options = {"admissions": admissions, "vitals": vitals, "reads": reads, "microbiology": microbiology}
    named = {table: path for table, path in options.items() if path is not None}
    if bool(files) == bool(named):
        raise InputError("extracts must be named: files alone, or each with the option of its table")
    suggestion = suggest_mapping(named or files or [])
    if out is not None:
        try:
            out.write_text(suggestion.toml(), "utf-8")
        except OSError as error:
            raise OutputError(f"the mapping must be written to {str(out)!r}; {error.strerror}") from None
    if as_json:
        guesses = [
            {
                "table": one.table,
                "column": one.column,
                "sources": list(one.sources),
                "confidence": one.confidence,
                "reason": one.reason,
                **one.options,
            }
            for one in suggestion.guesses
        ]
        missing = [{"table": table, "column": column} for table, column in suggestion.missing]
        typer.echo(json.dumps({"guesses": guesses, "missing": missing}, ensure_ascii=False))
    elif out is None:
        typer.echo(suggestion.toml(), nl=False)
    else:
        typer.echo(f"{len(suggestion.guesses)} columns guessed, {len(suggestion.missing)} not found: {out}")


def _extracts(given: dict[str, list[Path]], fhir: list[Path] | None, mapping: Mapping | None) -> dict[str, Extract]:
    """Read every table that is given, from files of one kind each."""
    from carina.cli.progress import counting  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.errors import InputError  # noqa: PLC0415 - as above
    from carina.records import read_extracts, read_fhir_files  # noqa: PLC0415 - as above

    if not given and not fhir:
        raise InputError(
            "extracts must be named: --admissions, --vitals, --reads, --microbiology or --fhir, one or several"
        )
    found: dict[str, Extract] = {}
    with counting(len(given) + bool(fhir), "extracts") as done:
        if fhir:
            zone = mapping.time_zone if mapping else "Pacific/Auckland"
            found.update(read_fhir_files(fhir, time_zone=zone))
            done(1)
        if both := sorted(set(found) & set(given)):
            raise InputError(f"a table must come from extracts or from FHIR; {', '.join(both)} come from both")
        for number, (table, paths) in enumerate(given.items(), start=1 + bool(fhir)):
            found[table] = read_extracts(paths, table, mapping)
            done(number)
    return found


def _write_rejected(target: Path, extracts: dict[str, Extract]) -> None:
    """Write the list of rejected rows, readable by its owner alone."""
    import polars as pl  # noqa: PLC0415 - as above

    from carina.errors import OutputError  # noqa: PLC0415 - as above

    listed = pl.concat(
        [each.rejected.select(pl.lit(table).alias("table"), pl.all()) for table, each in extracts.items()]
    )
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            listed.write_csv(file)
    except OSError as error:
        raise OutputError(f"the list of rejected rows must be written to {str(target)!r}; {error.strerror}") from None


def _tell(extracts: dict[str, Extract], report: LinkReport, target: Path) -> None:
    for table, each in extracts.items():
        typer.echo(f"{table}: {each.rows.height} rows taken, {each.rejected_rows} rejected")
        reasons = each.summary()["reasons"]
        for one in reasons[:_REASONS]:
            typer.echo(f"  {one['rows']} x {one['column'] or 'row'}: {one['reason']}")
        if len(reasons) > _REASONS:
            typer.echo(f"  and {len(reasons) - _REASONS} more reasons")
        for note in each.notes:
            typer.echo(f"  note: {note}")
        if each.agreement is not None and each.agreement.reads:
            typer.echo(
                f"  free text agrees with {each.agreement.agreeing} of {each.agreement.reads} coded reads "
                f"(rules version {each.agreement.version})"
            )
    for sentence in [*report.sentences(), *report.warnings]:
        typer.echo(sentence)
    typer.echo(f"Rejected rows: {target}")
