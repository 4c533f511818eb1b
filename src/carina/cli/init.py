"""`carina init`: a new study's folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["init"]


class StudyKind(StrEnum):
    """Kinds of study."""

    research = "research"
    service = "service"


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new study; absent or empty.")],
    kind: Annotated[StudyKind, typer.Option(help="research is pseudonymous; service is identified.")],
    keys: Annotated[
        Path | None, typer.Option(help="Folder for the key and what is removed; by default FOLDER.keys beside FOLDER.")
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="Database URL, such as postgresql:///study; by default SQLite in FOLDER.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="URL of the files, such as s3://bucket/study; by default in FOLDER.")
    ] = None,
    blind_first: Annotated[
        bool, typer.Option("--blind-first", help="Service: doctors say what they see before the model's output shows.")
    ] = False,
) -> None:
    """Make a new study: its folder, database and store, for its owner alone.

    A research study gets a key of its own, in a folder apart: whoever holds the one must not hold the other.

    Example: carina init study --kind research
    """
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports, so that others start fast

    require_extra("study", "sqlalchemy", "alembic", "fsspec", verb="init")
    from carina.archive import create_study  # noqa: PLC0415 - as above

    with create_study(
        folder,
        "research" if kind is StudyKind.research else "service",
        archive=archive,
        store=store,
        keys=keys,
        blind_first=blind_first,
    ) as study:
        typer.echo(f"{study.kind} study {study.file.study_id} in {folder}")
        if study.kind == "research":
            typer.echo(f"Its key lies in {study.keys}: back it up, and keep it apart from the study.")
