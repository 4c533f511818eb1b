"""Real peers as programs of their own: Orthanc, and the node itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{holds} did not come true in {seconds} s")


@dataclass
class Orthanc:
    """A running Orthanc of these tests alone."""

    dicom: int
    http: int
    process: subprocess.Popen[bytes]
    command: list[str]

    def get(self, path: str, **arguments: Any) -> Any:
        data = json.dumps(arguments).encode() if arguments else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", data, timeout=10) as answer:
            return json.loads(answer.read())

    def upload(self, film: bytes) -> None:
        """Put a film into it."""
        urllib.request.urlopen(f"http://127.0.0.1:{self.http}/instances", film, timeout=30).close()

    def post(self, path: str, content: Any) -> Any:
        """Answer to a JSON request."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.http}{path}", json.dumps(content).encode(), timeout=30
        ) as answer:
            return json.loads(answer.read())

    def put(self, path: str, content: Any) -> None:
        """Set something, such as a modality that it knows."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}{path}", json.dumps(content).encode(), method="PUT"
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above

    def series(self) -> list[dict[str, str]]:
        """Main tags of every series it holds."""
        return [one["MainDicomTags"] for one in self.get("/series?expand")]

    def file(self, instance: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/instances/{instance}/file", timeout=10) as answer:
            return bytes(answer.read())

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours

        def answers() -> bool:
            try:
                return bool(self.get("/system"))
            except OSError:
                return False

        until(answers)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


@dataclass
class Redis:
    """A running Redis of these tests alone."""

    port: int
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = subprocess.Popen([*self.command, "--port", str(self.port)], stdout=subprocess.DEVNULL)  # noqa: S603 - ours
        until(lambda: listens(self.port))

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)


@dataclass
class RunningNode:
    """`carina pacs` as a process of its own."""

    folder: Path
    settings: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-m", "carina", "pacs", str(self.folder), "--settings", str(self.settings)],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text("utf-8")
            return listens(self.port)

        until(ready, 200)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def workers(self) -> list[int]:
        """Processes in which the node reads films."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        lists = [path.read_text("utf-8").split() for path in children.parent.parent.glob("*/children")]
        found = [each for one in lists for each in one]
        return [int(each) for each in found if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)
