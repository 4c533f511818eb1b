"""What the benchmarks of the service share: a PostgreSQL of their own, and a browser that signs in as the pages ask."""

from __future__ import annotations

import http.client
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from carina.web.credentials import one_time_code

PASSWORD = "eleven geese and a goose"  # noqa: S105 - of invented users
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105 - RFC 6238's own example
_TAG = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


@contextmanager
def postgresql() -> Iterator[str]:
    """URL of an empty database in a cluster that lives as long as the block, with PostgreSQL's own defaults."""
    controls = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not controls:
        raise SystemExit("PostgreSQL's server is not installed (Debian's package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="carina-bench-"))
    as_owner: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        as_owner = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    control = [*as_owner, str(controls[-1]), "--pgdata", str(folder / "data"), "--silent"]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)  # noqa: S603 - ours

    run(*control, "initdb", "--options", "--auth=trust --username=postgres --encoding=UTF8")
    try:
        options = f"-k {folder} -c listen_addresses="
        run(*control, "--wait", "--options", options, "--log", str(folder / "log"), "start")
        with psycopg.connect(host=str(folder), user="postgres", dbname="postgres", autocommit=True) as server:
            server.execute("CREATE DATABASE study")
        yield f"postgresql://postgres@/study?host={folder}"
        run(*control, "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Find a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Browser:
    """One connection that is kept, its cookies, and forms sent back with what they hold.

    Parameters
    ----------
    port : int
        Of loopback.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}

    def send(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> tuple[int, bytes]:
        """Ask for a page; returns status and content."""
        headers = {
            "Accept": "text/html",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
        }
        if kind is not None:
            headers["Content-Type"] = kind
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # the server ends connections that were silent for a while, as it may (RFC 9112, 9.3.1)
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        for each in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = each.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.read()

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a page."""
        return self.send("GET", path)

    def post(self, path: str, **values: str) -> tuple[int, bytes]:
        """Send a form."""
        return self.send("POST", path, urlencode(values).encode(), "application/x-www-form-urlencoded")

    def sign_in(self, name: str) -> None:
        """Give password and code as a user does; a page that a new user must see stops it."""
        token = fields(self.get("/sign-in")[1])["form_token"]
        status, _ = self.post("/sign-in", form_token=token, name=name, password=PASSWORD)
        token = fields(self.get("/second-factor")[1])["form_token"]
        again, _ = self.post("/second-factor", form_token=token, code=one_time_code(SECRET, int(time.time() // 30)))
        if (status, again) != (303, 303):
            raise SystemExit(f"signing in failed: {status}, {again}")


def fields(page: bytes, form: str = "") -> dict[str, str]:
    """Hidden fields of the first form of a page, or of the one of a class; empty where there is none."""
    text = page.decode()
    if form:
        begin = text.find(f'class="{form}"')
        if begin < 0:
            return {}
        text = text[begin : text.find("</form>", begin)]
    found: dict[str, str] = {}
    for tag in _TAG.findall(text):
        said = dict(_ATTRIBUTE.findall(tag))
        if said.get("type") == "hidden":
            found.setdefault(said["name"], unescape(said.get("value", "")))
    return found
