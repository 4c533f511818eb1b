"""Where the application may listen, and the server."""

from __future__ import annotations

import ipaddress
import logging
import tempfile
from pathlib import Path
from typing import Any

import uvicorn

from carina.archive import Study
from carina.errors import SettingsError
from carina.settings import Settings
from carina.web.app import create_app

__all__ = ["refuse_unsafe", "serve"]


def refuse_unsafe(study: Study, host: str, *, tls: bool) -> None:
    """Refuse to be reached from elsewhere before that is safe; on the machine itself everything is let through.

    Parameters
    ----------
    study : Study
        Its folder is its owner's alone already: `open_study` sees to that.
    host : str
        Address to listen on.
    tls : bool
        Whether browsers reach it over TLS.

    Raises
    ------
    SettingsError
        If there is no TLS, no administrator, or one with a password that somebody else knows or no second factor.
    """
    if _is_loopback(host):
        return
    if not tls:
        raise SettingsError(
            f"to listen on {host!r} needs TLS: give --certificate and --key, or --behind-tls after a proxy"
        )
    administrators = study.accounts.administrators()
    if not administrators:
        raise SettingsError(f"to listen on {host!r} needs an administrator: carina user add FOLDER NAME administrator")
    if any(each.password_is_initial or each.totp_secret is None for each in administrators):
        raise SettingsError(
            f"to listen on {host!r} every administrator must have chosen a password and set up the second factor; "
            "let each sign in once at 127.0.0.1"
        )


def serve(
    study: Study,
    settings: Settings,
    *,
    host: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
    behind_tls: bool = False,
) -> None:
    """Answer until a signal ends it.

    Raises
    ------
    SettingsError
        If it must not listen there.
    """
    tls = behind_tls or certificate is not None
    refuse_unsafe(study, host, tls=tls)
    # what is uploaded waits in the study's folder, which nobody else may enter, until it is stored or refused
    incoming = study.folder / ".incoming"
    incoming.mkdir(mode=0o700, exist_ok=True)
    tempfile.tempdir = str(incoming)
    app: Any = create_app(study, settings, secure=tls)
    logging.getLogger("uvicorn.access").disabled = True  # its lines hold addresses; ours hold routes
    uvicorn.run(
        app,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        log_level="warning",
        ssl_certfile=None if certificate is None else str(certificate),
        ssl_keyfile=None if key is None else str(key),
        proxy_headers=behind_tls,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
