"""`carina user`: accounts of a service study, from its owner's terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carina.archive import Accounts, Study, User

__all__ = ["user"]

user = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Add users of the web application, or change them.\n\nExample: carina user list FOLDER",
)

_Folder = Annotated[Path, typer.Argument(help="Service study, made by `carina init FOLDER --kind service`.")]
_Name = Annotated[str, typer.Argument(help="Of the user: lower-case letters, digits, dots, dashes or @.")]


@user.command("add")
def add(
    folder: _Folder,
    name: _Name,
    role: Annotated[str, typer.Argument(help="administrator, researcher, radiologist or referrer.")],
    organisation: Annotated[str, typer.Option(help="District whose films the user works with.")] = "Default",
) -> None:
    """Add a user; the first password is printed once, and must be changed at the first sign-in.

    Example: carina user add service a.nurse referrer --organisation "Northern district"
    """
    from carina.web import hash_password, initial_password  # noqa: PLC0415 - the verb's own imports

    password = initial_password()
    with _open(folder) as study:
        home = study.accounts.add_organisation(organisation).organisation_id
        made = study.accounts.add_user(
            name,
            organisation_id=home,
            role=role,  # type: ignore[arg-type]  # add_user refuses what is no role
            password_hash=hash_password(password),
        )
    typer.echo(f"{made.name} may sign in as {made.role}; first password, shown only now: {password}")


@user.command("reset")
def reset(folder: _Folder, name: _Name) -> None:
    """Set a new first password, take the second factor away and end every session of the user.

    Example: carina user reset service a.nurse
    """
    from carina.web import hash_password, initial_password  # noqa: PLC0415 - the verb's own imports

    password = initial_password()
    with _open(folder) as study:
        found = _find(study.accounts, name)
        study.accounts.set_password(found, hash_password(password), initial=True, by=None)
    typer.echo(f"{found.name} has a new first password, shown only now: {password}")


@user.command("disable")
def disable(folder: _Folder, name: _Name) -> None:
    """Keep a user out from now on.

    Example: carina user disable service a.nurse
    """
    with _open(folder) as study:
        study.accounts.set_state(_find(study.accounts, name), "disabled", by=None)
    typer.echo(f"{name} can no longer sign in")


@user.command("enable")
def enable(folder: _Folder, name: _Name) -> None:
    """Let a user in again.

    Example: carina user enable service a.nurse
    """
    with _open(folder) as study:
        study.accounts.set_state(_find(study.accounts, name), "active", by=None)
    typer.echo(f"{name} can sign in again")


@user.command("list")
def show(
    folder: _Folder, as_json: Annotated[bool, typer.Option("--json", help="Print the users as JSON.")] = False
) -> None:
    """List the users of every organisation.

    Example: carina user list service --json
    """
    with _open(folder) as study:
        rows = [
            {
                "name": each.name,
                "role": each.role,
                "state": each.state,
                "organisation": home.name,
                "second_factor": each.totp_secret is not None,
            }
            for home in study.accounts.organisations()
            for each in study.accounts.users(home.organisation_id)
        ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['role']}, {row['state']}, {row['organisation']}")


def _open(folder: Path) -> Study:
    from carina.cli.extras import require_extra  # noqa: PLC0415 - the verb's own imports

    require_extra("web", "fastapi", "pwdlib", "sqlalchemy", "alembic", "fsspec", verb="user")
    from carina.archive import open_study  # noqa: PLC0415 - as above

    return open_study(folder, "service")


def _find(accounts: Accounts, name: str) -> User:
    from carina.errors import InputError  # noqa: PLC0415 - as above

    found = accounts.user(name)
    if found is None:
        raise InputError("a user of that name must exist; `carina user list` names them all")
    return found
