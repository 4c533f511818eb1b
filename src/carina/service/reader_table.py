"""What doctors called the films of a service study, as a table that `carina evaluate --readers` reads (M4, M29)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import polars as pl

from carina.archive import KeptCall, Organisation, Study, User
from carina.deidentify import load_key
from carina.errors import ArchiveError
from carina.ingest.worker import research_key

__all__ = ["Calls", "ReaderTable", "reader_table"]

Calls: TypeAlias = Literal["blind", "final"]

_COLUMNS: Final = {
    "reader": pl.String(),
    "image_id": pl.String(),
    "call": pl.String(),
    "confidence": pl.Float64(),
    "blind_call": pl.String(),
    "blind_at": pl.String(),
    "seconds_to_blind_call": pl.Float64(),
    "final_call": pl.String(),
    "final_at": pl.String(),
    "agrees": pl.Boolean(),
}


@dataclass(frozen=True, slots=True, eq=False)
class ReaderTable:
    """Calls of readers.

    Attributes
    ----------
    rows : polars.DataFrame
        One row a reader and film: `reader`, `image_id`, `call`, `confidence`, and both calls with their times.
    without_call : int
        Readers' films left out because there was no such call.
    elsewhere : int
        Readers' films left out because the research study has not taken the film in.
    """

    rows: pl.DataFrame
    without_call: int
    elsewhere: int


def reader_table(
    study: Study, *, calls: Calls = "blind", research: Study | None = None, names: bool = False
) -> ReaderTable:
    """Collect the calls of a service study.

    Parameters
    ----------
    study : Study
        Of kind service.
    calls : {"blind", "final"}
        Which call is `call`: the one before the model's output, or the last one with it seen. A doctor who agreed with
        the model and named no finding called what the model decided.
    research : Study or None
        A research study that took films in from this one (`carina ingest --from`): `image_id` is then its film's, which
        its film table holds. Without one it is the SHA-256 of the film's file.
    names : bool
        Whether readers stand with their names; else with a number.

    Returns
    -------
    ReaderTable

    Raises
    ------
    ArchiveError
        If `study` is no service study, or `research` no research study.
    """
    if research is not None and research.kind != "research":
        raise ArchiveError("the films' names must come from a research study; this is a service study")
    key = None if research is None else load_key(research.keys)
    called = {user.user_id: user.name for home in study.accounts.organisations() for user in _users(study, home)}
    rows, without, elsewhere = [], 0, 0
    for (user_id, _), said in _by_reader(study.blind.calls()).items():
        row = _row(study, said, calls)
        image_id: str | None = said[0].film_id
        if research is not None and key is not None:
            found = research.archive.source(research_key(key, said[0].film_id))
            image_id = None if found is None else found.film_id
        if row["call"] is None:
            without += 1
        elif image_id is None:
            elsewhere += 1
        else:
            reader = called.get(user_id) if names else None
            rows.append({"reader": reader or f"reader {user_id}", "image_id": image_id, **row})
    table = pl.DataFrame(rows, schema=_COLUMNS).unique(["reader", "image_id"], keep="first", maintain_order=True)
    return ReaderTable(table, without, elsewhere)


def _users(study: Study, home: Organisation) -> list[User]:
    return study.accounts.users(home.organisation_id)


def _by_reader(calls: Iterable[KeptCall]) -> dict[tuple[int, str], list[KeptCall]]:
    found: dict[tuple[int, str], list[KeptCall]] = {}
    for each in calls:
        found.setdefault((each.user_id, each.entry_id), []).append(each)
    return found


def _row(study: Study, said: list[KeptCall], calls: Calls) -> dict[str, Any]:
    first = next((each for each in said if each.blind), None)
    last = next((each for each in reversed(said) if not each.blind), None)
    final = None if last is None else _final(study, last)
    row: dict[str, Any] = {"call": final, "final_call": final}
    if last is not None:
        row |= {"final_at": _time(last.at), "agrees": last.agrees}
    if first is not None:
        waited = None if first.opened_at is None else first.at - first.opened_at
        row |= {"blind_call": first.call, "blind_at": _time(first.at), "seconds_to_blind_call": waited}
    if calls == "blind":
        row |= {"call": row.get("blind_call"), "confidence": None if first is None else first.confidence}
    return row


def _final(study: Study, said: KeptCall) -> str | None:
    if said.call is not None or not said.agrees:
        return said.call
    result = study.desk.result(said.entry_id, organisation_id=said.organisation_id)
    decided = None if result is None else result.reading.get("decision")
    return decided if decided in ((result.reading.get("probabilities") or {}) if result else {}) else None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
