"""`carina people`: what hospital records say of the patients of a service study's films (M17, M35)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import polars as pl

    from carina.archive import Person

__all__ = ["people"]


def people(
    folder: Annotated[Path, typer.Argument(help="Service study, made by `carina init FOLDER --kind service`.")],
    admissions: Annotated[list[Path], typer.Option(help="CSV, Parquet or Excel; repeat for several files.")],
    organisation: Annotated[str, typer.Option(help="Organisation whose patients they are.")],
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file with the hospital's columns and codes; ours if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Link ethnicity, sex and birth date from hospital records with the patients of a service study.

    They are joined by NHI, and serve the equity page and the rules of access programmes. Several answers become one
    prioritised ethnicity; the newest admission counts. Loading again replaces what was said before. Exit status: 0 all
    rows taken, 3 some rejected, 2 wrong usage or input.

    Example: carina people service --organisation "Northern district" --admissions ipm.csv --mapping hospital.toml
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports, so that others start fast

    require_extra("study", "pandera", "sqlalchemy", "alembic", "fsspec", verb="people")
    from carina.archive import open_study  # noqa: PLC0415 - as above
    from carina.errors import InputError  # noqa: PLC0415 - as above
    from carina.records import load_mapping, read_extracts  # noqa: PLC0415 - as above

    extract = read_extracts(admissions, "admissions", load_mapping(mapping) if mapping else None)
    found = _newest(extract.rows)
    with open_study(folder, "service") as study:
        homes = {each.name: each.organisation_id for each in study.accounts.organisations()}
        if organisation not in homes:
            raise InputError(f"the study must have the organisation {organisation!r}; it has {', '.join(homes)}")
        linked = study.programmes.link(found, organisation_id=homes[organisation])
    told = {"people": len(found), "with_films": linked, "rejected_rows": extract.rejected_rows}
    told["without_ethnicity"] = sum(each.ethnicity is None for each in found)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(
            f"{told['people']} people linked, {told['with_films']} of them with films; "
            f"{told['without_ethnicity']} without ethnicity, {told['rejected_rows']} rows rejected"
        )
    raise typer.Exit(3 if extract.rejected_rows else 0)


def _newest(rows: pl.DataFrame) -> list[Person]:
    """One person an NHI, as the newest admission says; an ethnicity that is unknown is not recorded."""
    import polars as pl  # noqa: PLC0415 - as above

    from carina.archive import Person  # noqa: PLC0415 - as above

    newest = rows.sort("admitted_at", nulls_last=False).unique("nhi", keep="last", maintain_order=True)
    chosen = newest.select("nhi", "ethnicity", "sex", pl.col("birth_date").cast(pl.String))
    return [
        Person(nhi, None if ethnicity in (None, "Unknown") else ethnicity, sex, born)
        for nhi, ethnicity, sex, born in chosen.iter_rows()
    ]
