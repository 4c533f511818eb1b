"""Time of one page of the worklist among many films: 95th percentile by kind of page.

The limit is 200 ms on SQLite and 100 ms on PostgreSQL, at 1,000,000 films. Rows are generated.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from carina.archive import Study, WorklistQuery, create_study
from carina.archive.database import writing
from carina.archive.desk_tables import DeskFilmRow, DeskWordRow
from carina.archive.worklist import REPORTED, due

BATCH = 20_000
STATES = ("read", "received", "refused", "reported")
DECISIONS = ("normal", "bacterial", "viral", "covid19")
NAMES = ("anna", "ben", "cara", "dan", "eve", "finn", "gus", "hana")


def rows(count: int) -> Iterator[list[dict[str, Any]]]:
    """Generate rows, batch by batch: 90 % reported, as in a service that has run for years."""
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
                    "organisation_id": 1,
                    "film_id": f"{number:064x}",
                    "path": f"received/{number}",
                    "source": "pacs:ZZZ",
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
    """Write the rows past the desk, which takes one film at a time."""
    study.accounts.add_organisation("ZZZ District")
    for batch in rows(count):
        words = [
            {"organisation_id": 1, "word": str(word).lower(), "entry_id": each["entry_id"]}
            for each in batch
            for word in (each["patient_id"], each["accession_number"], *each["patient_name"].split("^"))
        ]
        with writing(study.archive.engine) as connection:
            connection.execute(insert(DeskFilmRow), batch)
            connection.execute(insert(DeskWordRow), words)


def _study(place: str, archive: str | None) -> Study:
    return create_study(Path(place) / "service", "service", archive=archive)


def main() -> None:
    """Fill a database and time pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=1_000_000)
    parser.add_argument("--archive", help="URL of an empty PostgreSQL database; SQLite when left out")
    parser.add_argument("--pages", type=int, default=100, help="pages timed of each kind")
    given = parser.parse_args()
    kinds = {
        "by priority": {},
        "newest first": {"order": "received"},
        "one state": {"state": "refused"},
        "one decision, newest first": {"order": "received", "decision": "covid19"},
        "one state and decision": {"state": "read", "decision": "viral"},
        "patient": {"search": "zzz0001234", "open_only": False},
        "accession number": {"search": "a00012345", "open_only": False},
    }
    with tempfile.TemporaryDirectory() as place, _study(place, given.archive) as study:
        begin = time.perf_counter()
        fill(study, given.films)
        print(f"{given.films} films written in {time.perf_counter() - begin:.0f} s")
        print("| page | p50, ms | p95, ms |\n|---|---|---|")
        for name, wanted in kinds.items():
            taken, after = [], None
            for _ in range(given.pages):
                query = WorklistQuery(**wanted, after=after)  # type: ignore[arg-type]  # one of the kinds above
                begin = time.perf_counter()
                page = study.desk.worklist(query, organisation_id=1, referrer_id=None)
                taken.append(1000 * (time.perf_counter() - begin))
                after = page.following
            print(f"| {name} | {np.percentile(taken, 50):.1f} | {np.percentile(taken, 95):.1f} |", flush=True)


if __name__ == "__main__":
    main()
