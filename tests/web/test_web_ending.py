"""`carina serve` ends with all that it started."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def _children(process: int) -> list[int]:
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == process:
                found.append(int(each.name))
    return found


@pytest.mark.slow  # three processes that load the model
def test_a_server_that_is_ended_leaves_no_worker_behind(
    make_desk: Callable[..., Any], tmp_path: Path, tiny_bundle: Path
) -> None:
    desk = make_desk()
    settings = tmp_path / "settings.toml"
    study = f'name = "zzz"\nfolder = "{tmp_path}"\nruns = "{tmp_path}"\norganisations = ["ZZZ District"]\n'
    settings.write_text(f'[service]\nmodel = "{tiny_bundle}"\n[[research.studies]]\n{study}', "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "carina", "serve", str(desk.study.folder), "--port", port]
    server = subprocess.Popen([*command, "--settings", str(settings)], stdout=subprocess.PIPE)  # noqa: S603 - our own
    assert server.stdout is not None
    assert b"Carina answers" in server.stdout.readline()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", int(port)), 1).close()
            break
        except OSError:
            time.sleep(0.2)
    workers = _children(server.pid)
    assert len(workers) == 2
    server.terminate()
    server.wait(timeout=60)
    server.stdout.close()
    assert not [each for each in workers if Path(f"/proc/{each}").exists()]
