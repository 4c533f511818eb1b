"""`carina backup`, `carina restore` and `carina upgrade`: what keeps a study through the years."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from carina.archive import Backup, BackupFolder

__all__ = ["backup", "restore", "upgrade"]

_INCOMPLETE = 3
_AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]


def backup(
    study: Annotated[Path, typer.Argument(help="Study, made by `carina init`.")],
    out: Annotated[Path, typer.Argument(help="Folder of its backups: absent, empty, or with earlier ones.")],
    keep: Annotated[int | None, typer.Option(min=1, help="Backups that stay, this one among them; else all.")] = None,
    as_json: _AsJson = False,
) -> None:
    """Back a study up while it is at work: database as of one moment, and every file that it names.

    Files that an earlier backup holds are not copied again. The keys of a research study are no part of it: back them
    up apart. Note the hash that is printed, away from the backups. Exit status 3 where the study itself lacks files.

    Example: carina backup service /backup/service --keep 30
    """
    _require("backup")
    from carina.archive import make_backup, open_study  # noqa: PLC0415 - the verb's own imports, so that others start fast
    from carina.cli.progress import growing  # noqa: PLC0415 - as above

    with open_study(study) as opened, growing("files") as step:
        made, name = make_backup(opened, out, keep=keep, step=step)
    told = {**_told(made, name), "missing": list(made.files.missing)}
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(_summary(made, out / name))
        typer.echo(f"sha256 {made.sha256}; audit log of {made.audit_entries} entries, the last {made.audit_head}")
        if made.kind == "research":
            typer.echo("The study's keys are not in it: back them up apart.")
        _tell_missing(list(made.files.missing))
    if made.files.missing:
        raise typer.Exit(_INCOMPLETE)


def restore(
    backup: Annotated[Path, typer.Argument(help="Folder that `carina backup` wrote.")],
    study: Annotated[Path | None, typer.Argument(help="Folder of the study that comes back; absent or empty.")] = None,
    name: Annotated[str | None, typer.Option(help="Which backup, backup-....json; else the newest.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Hash that was noted; another is refused.")] = None,
    archive: Annotated[
        str | None, typer.Option(help="URL of an empty PostgreSQL database; by default SQLite in STUDY.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="URL of the files; by default in STUDY.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of a research study's keys; by default STUDY.keys.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Read all of it and bring nothing back.")] = False,
    despite_damage: Annotated[
        bool, typer.Option("--despite-damage", help="Bring back what is whole, though files are damaged.")
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Bring a study back from a backup, whole or not at all; or check that a backup is whole.

    Database and store may be of another kind than before. Signed-in sessions do not come back; users, second factors
    and tokens do. Exit status 3 where files are missing or the audit log is broken.

    Example: carina restore /backup/service service
    """
    _require("restore")
    from carina.archive import BackupFolder  # noqa: PLC0415 - as above
    from carina.errors import InputError  # noqa: PLC0415 - as above

    source = BackupFolder(backup)
    found = source.read(name, sha256=sha256)
    if check:
        _check(source, found, as_json=as_json)
        return
    if study is None:
        raise InputError("say where the study comes back: carina restore BACKUP STUDY; or give --check")
    places = {"archive": archive, "store": store, "keys": keys, "despite_damage": despite_damage}
    _bring_back(source, found, study, places, as_json=as_json)


def upgrade(
    study: Annotated[Path, typer.Argument(help="Study, made by `carina init`.")], as_json: _AsJson = False
) -> None:
    """Bring a study's database to the schema of this version; every verb that opens the study does so too.

    Back up with the version before. A study of a newer version is refused.

    Example: carina upgrade service
    """
    _require("upgrade")
    from carina.archive import upgrade_study  # noqa: PLC0415 - as above

    before, after = upgrade_study(study)
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after}))
    elif before == after:
        typer.echo(f"schema {after}, the newest already")
    else:
        typer.echo(f"schema {before} became {after}")


def _bring_back(source: BackupFolder, found: Backup, study: Path, places: dict[str, Any], *, as_json: bool) -> None:
    from carina.archive import restore_backup  # noqa: PLC0415 - as above
    from carina.cli.progress import growing  # noqa: PLC0415 - as above

    with growing("files") as step:
        done = restore_backup(source, found, study, step=step, **places)
    if as_json:
        told = {"rows": sum(done.rows.values()), "restored": done.files, "missing": done.missing, "audit": done.audit}
        typer.echo(json.dumps({**_told(found, None), **told}))
    else:
        typer.echo(f"{found.kind} study {found.study_id} of {found.made_at} is back in {study}")
        typer.echo(
            f"{sum(done.rows.values())} rows in {'SQLite' if places['archive'] is None else 'PostgreSQL'}, "
            f"{done.files} files; audit log of {found.audit_entries} entries "
            f"{'BROKEN' if done.audit else 'whole'} up to {found.audit_head}"
        )
        for sentence in done.audit:
            typer.echo(sentence, err=True)
        _tell_missing(done.missing)
        if found.kind == "research":
            typer.echo("Its keys come from their own backup; without them no further film gets a matching pseudonym.")
    if done.missing or done.audit:
        raise typer.Exit(_INCOMPLETE)


def _check(source: BackupFolder, found: Backup, *, as_json: bool) -> None:
    from carina.cli.progress import growing  # noqa: PLC0415 - as above
    from carina.errors import ArchiveError  # noqa: PLC0415 - as above

    with growing("files") as step:
        problems = source.problems(found, step)
    if as_json:
        typer.echo(json.dumps({**_told(found, None), "problems": problems}))
    else:
        for sentence in problems:
            typer.echo(sentence)
    if problems:
        raise ArchiveError(f"a backup must be whole; of this one {len(problems)} pieces are missing or damaged")
    if not as_json:
        typer.echo(f"whole: {_summary(found, source.folder)}")


def _summary(made: Backup, where: Path) -> str:
    rows = sum(table.rows for table in made.tables.values())
    what = f"{made.kind} study {made.study_id} as of {made.made_at} in {where}"
    return f"{what}: {rows} rows, {made.files.count} files, {made.files.bytes} bytes"


def _told(made: Backup, name: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {each: getattr(made, each) for each in ("study_id", "made_at", "sha256", "audit_head")}
    said |= {"files": made.files.count, "bytes": made.files.bytes}
    return said if name is None else {"name": name, **said}


def _tell_missing(missing: list[str]) -> None:
    for path in missing:
        typer.echo(f"missing or damaged: {path}", err=True)


def _require(verb: str) -> None:
    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above

    require_extra("study", "sqlalchemy", "alembic", "fsspec", verb=verb)
