"""Ways into the API: clients that show a token, and the application on a port of loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from carina.archive import SCOPES, Study


def token_of(study: Study, name: str, *scopes: str, seconds: float = 3600.0) -> str:
    """A new token of a user, with all scopes where none is named: `token_of(study, "zzz.radiologist")`."""
    user = study.accounts.user(name)
    assert user is not None
    secret, _ = study.tokens.create(user.user_id, "test", scopes or SCOPES, time.time() + seconds)
    return secret


def client_of(desk: Any, name: str, *scopes: str) -> TestClient:
    """A program that shows a token: `client_of(desk, "radiologist", "results:read")`."""
    headers = {"Authorization": f"Bearer {token_of(desk.study, f'zzz.{name}', *scopes)}"}
    return TestClient(desk.app, headers=headers, follow_redirects=False, raise_server_exceptions=False)


@contextmanager
def answering(app: FastAPI) -> Iterator[str]:
    """Run the application, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
