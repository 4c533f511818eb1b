"""Time of one page of the worklist among a million films, asked for over HTTP: 95th percentile by kind of page.

The limit is 200 ms on SQLite and 100 ms on PostgreSQL, at 1,000,000 films. Rows are generated; the application, its
sessions and its audit entries are the real ones, and each page is a request over a connection that is kept.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from sqlalchemy import insert

from _service import PASSWORD, SECRET, Browser, fields, free_port, postgresql
from carina.archive import Study, create_study
from carina.archive.database import writing
from carina.archive.desk_tables import DeskFilmRow, DeskWordRow
from carina.archive.worklist import REPORTED, due
from carina.settings import Settings
from carina.web import create_app
from carina.web.credentials import hash_password

BATCH = 20_000
STATES = ("read", "received", "refused", "reported")
DECISIONS = ("normal", "bacterial", "viral", "covid19")
NAMES = ("anna", "ben", "cara", "dan", "eve", "finn", "gus", "hana")
REFERRERS = 200
MODEL = {"name": "none", "version": "0", "sha256": "0" * 64, "points": [], "classes": DECISIONS}
KINDS: dict[str, dict[str, str]] = {
    "by priority": {},
    "newest first": {"order": "received"},
    "newest first, reported too": {"order": "received", "all": "yes"},
    "one state": {"state": "refused"},
    "reported": {"state": "reported"},
    "one decision, newest first": {"order": "received", "decision": "covid19"},
    "one state and decision": {"state": "read", "decision": "viral"},
    "rare state and decision": {"state": "failed", "decision": "viral"},
    "patient": {"search": "zzz0001234", "all": "yes"},
    "accession number": {"search": "a00012345", "all": "yes"},
    "name that fits too many": {"search": "anna"},
}


def rows(count: int) -> Iterator[list[dict[str, Any]]]:
    """Generate rows, batch by batch: 90 % reported, as in a service that has run for years; a tenth elsewhere."""
    noise = np.random.default_rng(1)
    start = time.time() - count * 60.0
    for first in range(0, count, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, count)):
            at, urgency = start + number * 60.0, float(noise.random())
            state = STATES[int(noise.choice(4, p=(0.08, 0.01, 0.01, 0.9)))]
            judged = state in ("read", "reported")
            batch.append(
                {
                    "entry_id": secrets.token_hex(16),
                    "organisation_id": 2 if number % 10 == 0 else 1,
                    "film_id": f"{number:064x}",
                    "path": f"received/{number}",
                    "source": "pacs:ZZZ",
                    "referrer_id": None if number % 10 == 0 else 3 + number % REFERRERS,
                    "patient_id": f"ZZZ{number // 3:07d}",
                    "patient_name": f"test^{NAMES[number % 8]}",
                    "accession_number": f"A{number:08d}",
                    "received_at": at,
                    "due_at": REPORTED + at if state == "reported" else due(at, urgency, 86400.0),
                    "urgency": urgency,
                    "state": state,
                    "decision": DECISIONS[int(noise.integers(4))] if judged else None,
                    "attempts": 1,
                    "claimed_until": 0.0,
                }
            )
        yield batch


def fill(study: Study, count: int) -> None:
    """Write users by the accounts, and films past the desk, which takes one at a time."""
    hashed = hash_password(PASSWORD)
    homes = [study.accounts.add_organisation(f"ZZZ District {number}").organisation_id for number in (1, 2)]
    people = [("radiologist", homes[0]), ("radiologist", homes[1]), *[("referrer", homes[0])] * REFERRERS]
    for number, (role, home) in enumerate(people, start=1):
        name = f"zzz.user{number}"
        user = study.accounts.add_user(name, organisation_id=home, role=role, password_hash=hashed)  # type: ignore[arg-type]  # one of the roles
        if number in (1, 3):
            study.accounts.set_password(user, hashed, initial=False, by=None)
            study.accounts.set_second_factor(user, SECRET, 0)
    for batch in rows(count):
        words = [
            {"organisation_id": each["organisation_id"], "word": str(word).lower(), "entry_id": each["entry_id"]}
            for each in batch
            for word in (each["patient_id"], each["accession_number"], *each["patient_name"].split("^"))
        ]
        with writing(study.archive.engine) as connection:
            connection.execute(insert(DeskFilmRow), batch)
            connection.execute(insert(DeskWordRow), words)


@contextmanager
def answering(study: Study) -> Iterator[int]:
    """Port of the application, which answers from a thread of this process."""
    app: Any = create_app(study, Settings(), secure=False, model=MODEL)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join(timeout=20)


def timed(browser: Browser, wanted: dict[str, str], pages: int) -> list[float]:
    """Milliseconds of each page, from the first one on as the button below it leads."""
    first = {**fields(browser.get("/worklist")[1], "filter"), **wanted}
    form, taken = first, []
    for _ in range(pages):
        begin = time.perf_counter()
        status, page = browser.post("/worklist", **form)
        taken.append(1000 * (time.perf_counter() - begin))
        if status != 200:
            raise SystemExit(f"the worklist answered {status}")
        form = fields(page, "more") or first
    return taken


def main() -> None:
    """Fill a database and time pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="films in the worklist")
    parser.add_argument("--pages", type=int, default=100, help="pages timed of each kind")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    given = parser.parse_args()
    for name, limit in (("sqlite", 200), ("postgresql", 100)):
        if given.database in (name, "both"):
            with tempfile.TemporaryDirectory() as place:
                if name == "sqlite":
                    measure(Path(place), None, given.rows, given.pages, limit)
                else:
                    with postgresql() as url:
                        measure(Path(place), url, given.rows, given.pages, limit)


def measure(place: Path, url: str | None, count: int, pages: int, limit: int) -> None:
    """Print a table of one database."""
    with create_study(place / "service", "service", archive=url) as study:
        begin = time.perf_counter()
        fill(study, count)
        study.archive.engine.dispose()
        taken = time.perf_counter() - begin
        print(f"\n{'SQLite' if url is None else 'PostgreSQL'}: {count} films written in {taken:.0f} s")
        print("| page | p50, ms | p95, ms | most, ms |\n|---|---|---|---|")
        worst = 0.0
        with answering(study) as port:
            for who, asked in (("zzz.user1", KINDS), ("zzz.user3", {"referrer, by priority": {}})):
                browser = Browser(port)
                browser.sign_in(who)
                for name, wanted in asked.items():
                    taken = timed(browser, wanted, pages)
                    worst = max(worst, float(np.percentile(taken, 95)))
                    middle, late = np.percentile(taken, (50, 95))
                    print(f"| {name} | {middle:.1f} | {late:.1f} | {max(taken):.1f} |", flush=True)
        print(f"\nlimit {limit} ms at the 95th percentile: {'met' if worst <= limit else 'missed'} ({worst:.1f})")


if __name__ == "__main__":
    main()
