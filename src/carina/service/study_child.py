"""Runs one command and ends it when whoever started it is gone; only the standard library, run as a file.

Its standard input is a pipe that nobody writes to: it ends when the worker ends, however that was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

_GRACE = 5.0
_KINDER = 10


def main(command: list[str]) -> int:
    """Run a command in this process group; return its exit status."""
    os.umask(0o077)  # a run may hold films
    with suppress(OSError):
        os.nice(_KINDER)  # the doctors' pages come first
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _nothing)  # a handler, not SIG_IGN, which the command would inherit
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:  # noqa: S603 - the worker's own command
        threading.Thread(target=_end_with_the_worker, daemon=True).start()
        status = child.wait()
    return status if status >= 0 else 128 - status


def _nothing(*_: object) -> None:
    pass


def _end_with_the_worker() -> None:
    os.read(0, 1)  # not through sys.stdin, whose lock Python wants back when it ends
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
