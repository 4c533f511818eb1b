"""Fifty users at once on `carina serve`: sign-in, worklist, film page, picture, judgement; errors and times by kind.

The limit is no error in 10 minutes (`--minutes 10`). The server is the command itself, a process of its own on
loopback, with a worker beside it that reads the films of the study at first. Each user has an account and a second
factor, signs in by password and code, works as a doctor does with a pause between pages, and signs out at the end.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from _service import PASSWORD, SECRET, Browser, fields, free_port, postgresql
from carina.archive import Study, create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import receive_film
from carina.settings import Settings
from carina.web import hash_password

_ENTRY = re.compile(rb'href="(/films/[0-9a-f]{32})"')


@dataclass
class Tally:
    """What was asked for, by kind of page: seconds, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, seconds: float, error: str | None) -> None:
        """Note one answer."""
        with self.lock:
            self.seconds[kind].append(seconds)
            if error is not None:
                self.errors[kind].append(error)


class Doctor(threading.Thread):
    """One user, from signing in to signing out."""

    def __init__(self, number: int, port: int, tally: Tally, end: float, pause: float) -> None:
        super().__init__(daemon=True)
        self._name = f"zzz.user{number}"
        self._browser = Browser(port)
        self._tally, self._end, self._pause = tally, end, pause
        self._noise = np.random.default_rng(number)

    def run(self) -> None:
        """Work until the time is over."""
        time.sleep(float(self._noise.uniform(0, self._pause * 5)))
        if self._timed("sign-in", self._sign_in) is None:
            return
        while time.monotonic() < self._end:
            self._round()
        self._timed("sign-out", self._sign_out)

    def _sign_in(self) -> bytes:
        try:
            self._browser.sign_in(self._name)
        except SystemExit as error:
            raise ValueError(str(error)) from error
        return b"in"

    def _sign_out(self) -> bytes:
        token = fields(self._browser.get("/account")[1])["form_token"]
        return self._expect(self._browser.post("/sign-out", form_token=token), 303)

    def _round(self) -> None:
        """Look at the worklist, open a film, see its picture, judge every third one."""
        page = self._timed("worklist", lambda: self._expect(self._browser.get("/worklist"), 200))
        films = sorted(set(_ENTRY.findall(page or b"")))
        self._wait()
        if not films:
            return
        film = films[int(self._noise.integers(len(films)))].decode()
        page = self._timed("film page", lambda: self._expect(self._browser.get(film), 200))
        self._timed("picture", lambda: self._expect(self._browser.get(f"{film}/film.png"), 200))
        self._wait()
        if page is not None and self._noise.random() < 1 / 3:
            self._timed("judgement", lambda: self._judge(film, page))
            self._wait()

    def _judge(self, film: str, page: bytes) -> bytes:
        token = fields(page)["form_token"]
        answer = self._browser.post(f"{film}/judgement", form_token=token, agrees="yes", call="", comment="seen")
        return self._expect(answer, 303)

    def _wait(self) -> None:
        time.sleep(float(self._noise.uniform(0.5, 1.5)) * self._pause)

    def _timed(self, kind: str, ask: object) -> bytes | None:
        begin, content, wrong = time.perf_counter(), None, None
        try:
            content = ask()  # type: ignore[operator]  # a callable of this class
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is what is counted
            wrong = f"{type(error).__name__}: {error}"
        self._tally.add(kind, time.perf_counter() - begin, wrong)
        return content

    @staticmethod
    def _expect(answer: tuple[int, bytes], status: int) -> bytes:
        if answer[0] != status:
            raise ValueError(f"status {answer[0]}")
        return answer[1]


def fill(study: Study, users: int, films: int) -> None:
    """Make accounts and films; the worker reads the films once it runs."""
    hashed = hash_password(PASSWORD)
    home = study.accounts.add_organisation("ZZZ District").organisation_id
    for number in range(users):
        user = study.accounts.add_user(
            f"zzz.user{number}", organisation_id=home, role="radiologist", password_hash=hashed
        )
        study.accounts.set_password(user, hashed, initial=False, by=None)
        study.accounts.set_second_factor(user, SECRET, 0)
    for seed in range(films):
        made = phantom_dicom(phantom_film(seed + 1, size=1024), patient=f"ZZZ{seed:04d}")
        content = io.BytesIO()
        made.save_as(content)
        receive_film(study, content.getvalue(), organisation_id=home, source="upload", settings=Settings())


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """Port of `carina serve`, a process of its own, which ends with the block."""
    port = free_port()
    command = [sys.executable, "-m", "carina", "serve", str(folder), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        end = time.monotonic() + 120
        while True:
            try:
                Browser(port).get("/sign-in")
                break
            except OSError:
                if time.monotonic() > end or server.poll() is not None:
                    raise
                time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=90)


def measure(folder: Path, url: str | None, given: argparse.Namespace) -> None:
    """Print a table of one database."""
    with create_study(folder, "service", archive=url) as study:
        fill(study, given.users, given.films)
        with serving(folder) as port:
            until = time.monotonic() + 300
            while study.desk.waiting() and time.monotonic() < until:
                time.sleep(0.5)
            tally = Tally()
            end = time.monotonic() + 60 * given.minutes
            doctors = [Doctor(number, port, tally, end, given.pause) for number in range(given.users)]
            for each in doctors:
                each.start()
            for each in doctors:
                each.join(timeout=60 * given.minutes + 300)
        broken = study.archive.verify_audit()
    print(f"\n{'SQLite' if url is None else 'PostgreSQL'}: {given.users} users, {given.minutes:g} minutes\n")
    print("| page | answers | p50, ms | p95, ms | p99, ms | most, ms | errors |\n|---|---|---|---|---|---|---|")
    for kind, taken in tally.seconds.items():
        middle, late, latest = 1000 * np.percentile(taken, (50, 95, 99))
        row = (kind, len(taken), f"{middle:.0f}", f"{late:.0f}", f"{latest:.0f}", f"{1000 * max(taken):.0f}")
        print("| " + " | ".join(map(str, (*row, len(tally.errors[kind])))) + " |")
    wrong = [f"{kind}: {each}" for kind, found in tally.errors.items() for each in found]
    for line in wrong[:20]:
        print(line)
    stuck = sum(each.is_alive() for each in doctors)
    answers = sum(map(len, tally.seconds.values()))
    print(f"\n{answers} answers, {len(wrong)} errors, {stuck} users stuck, audit log {'BROKEN' if broken else 'whole'}")
    print(f"limit: no error: {'missed' if wrong or stuck or broken else 'met'}")


def main() -> None:
    """Measure on one database, or on both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the users work")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--pause", type=float, default=4.0, help="mean pause of a user between two pages, seconds")
    parser.add_argument("--count", dest="films", type=int, default=40, help="films in the study")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="sqlite")
    given = parser.parse_args()
    for name in ("sqlite", "postgresql"):
        if given.database in (name, "both"):
            with tempfile.TemporaryDirectory() as place:
                if name == "sqlite":
                    measure(Path(place) / "service", None, given)
                else:
                    with postgresql() as url:
                        measure(Path(place) / "service", url, given)


if __name__ == "__main__":
    main()
