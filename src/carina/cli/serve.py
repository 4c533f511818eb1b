"""`carina serve` and `carina worker`: the web application, and who reads its films."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["serve", "worker"]

_Folder = Annotated[Path, typer.Argument(help="Service study, made by `carina init FOLDER --kind service`.")]
_Settings = Annotated[Path | None, typer.Option(help="TOML file of settings.")]


def serve(
    folder: _Folder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port.")] = 8000,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of the certificate chain, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    behind_tls: Annotated[bool, typer.Option(help="A proxy before it speaks TLS with the browsers.")] = False,
    read: Annotated[bool, typer.Option(help="Start a worker too; else `carina worker` elsewhere reads.")] = True,
    settings: _Settings = None,
) -> None:
    """Open the web application for doctors, and read the films that come in.

    It listens on other addresses than the machine's own only with TLS, and only once every administrator has a
    password of their own and a second factor. Research use only.

    Example: carina serve service --port 8000
    """
    import signal  # noqa: PLC0415 - the verb's own imports
    import subprocess  # noqa: PLC0415 - as above; it starts nothing but itself

    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above
    from carina.settings import load_settings  # noqa: PLC0415 - as above

    require_extra("web", "fastapi", "uvicorn", "huey", "pwdlib", "sqlalchemy", "alembic", "fsspec", verb="serve")
    from carina.archive import open_study  # noqa: PLC0415 - as above
    from carina.web import refuse_unsafe  # noqa: PLC0415 - as above
    from carina.web import serve as answer  # noqa: PLC0415 - as above

    loaded = load_settings(settings)
    with open_study(folder, "service") as study:
        refuse_unsafe(study, host, tls=behind_tls or certificate is not None)
        children = []
        if read:
            more = [] if settings is None else ["--settings", str(settings)]
            command = [sys.executable, "-m", "carina", "worker", str(folder), *more]
            kinds = [[], ["--jobs"]] if loaded.research.studies else [[]]
            children = [subprocess.Popen([*command, *kind]) for kind in kinds]  # noqa: S603 - our own command
        # the server gives the signal back when it has ended, which by default would leave the workers behind
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        typer.echo(f"Carina answers at {'https' if certificate else 'http'}://{host}:{port}; Ctrl-C ends it.")
        try:
            answer(study, loaded, host=host, port=port, certificate=certificate, key=key, behind_tls=behind_tls)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(timeout=60)


def worker(
    folder: _Folder,
    settings: _Settings = None,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Run the jobs of the study pages instead of reading films.")
    ] = False,
) -> None:
    """Read the films of a service study as they come in, until a signal ends it.

    It may be killed at any time: a film that it held is read by the next worker.

    Example: carina worker service
    """
    from contextlib import ExitStack  # noqa: PLC0415 - as above
    from importlib.util import find_spec  # noqa: PLC0415 - as above

    from carina.cli.extras import require_extra  # noqa: PLC0415 - as above
    from carina.settings import load_settings  # noqa: PLC0415 - as above

    require_extra("web", "huey", "sqlalchemy", "alembic", "fsspec", verb="worker")
    from carina.archive import open_study  # noqa: PLC0415 - as above
    from carina.service import FilmWorker, JobQueue, SheetMaker  # noqa: PLC0415 - as above

    loaded = load_settings(settings)
    with ExitStack() as opened:
        study = opened.enter_context(open_study(folder, "service"))
        if jobs:
            from carina.service.study_jobs import StudyQueue  # noqa: PLC0415 - as above

            StudyQueue(study, loaded).run()
            return
        reader = opened.enter_context(FilmWorker(study, loaded))
        if find_spec("pynetdicom") and find_spec("highdicom"):
            from carina.pacs.making import making  # noqa: PLC0415 - as above; DICOM results need the extra 'pacs'

            opened.enter_context(making(study, loaded))
        JobQueue(study, loaded, reader.read, SheetMaker(study, loaded).make).run()
