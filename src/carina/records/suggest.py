"""A first mapping for a hospital's extracts, guessed from headers and values, each with its confidence and reason.

It is a proposal to be read and corrected, never applied by itself: `Suggestion.toml` writes the doubts as comments.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import polars as pl

from carina.errors import RecordsError
from carina.records.contracts import REQUIRED, SCHEMAS, TABLES
from carina.records.guesses import Guess, Header, guess_column
from carina.records.organisms import fold
from carina.records.raw import read_raw

__all__ = ["Suggestion", "suggest_mapping"]

_SAMPLE = 5000
_NAMED, _NEAR, _WITHIN = 0.9, 0.75, 0.5
_LEAST = 0.3


@dataclass(frozen=True)
class Suggestion:
    """A proposed mapping.

    Attributes
    ----------
    guesses : tuple of Guess
        One a column that was found, in the order of our tables.
    files : dict of str to str
        Table to the name of the file that it was guessed from.
    missing : tuple of (str, str)
        Table and column that a mapping needs and no header fits.
    unused : dict of str to tuple of str
        Table to the headers that nothing was guessed from.
    """

    guesses: tuple[Guess, ...]
    files: dict[str, str]
    missing: tuple[tuple[str, str], ...]
    unused: dict[str, tuple[str, ...]]

    def toml(self) -> str:
        """Write the proposal as a mapping file, doubts as comments."""
        lines = [
            "# A proposal from headers and values: read every line, correct it, then use it with --mapping.",
            "format = 1",
            'name = ""',
            'time_zone = "Pacific/Auckland"',
        ]
        for table in (name for name in TABLES if name in self.files):
            lines += ["", f"# from {self.files[table]}", f"[{table}.columns]"]
            for guess in (one for one in self.guesses if one.table == table):
                lines += [f"# {guess.confidence:.0%}: {guess.reason}", guess.line()]
            lines += [f"# {column} = ?  # needed; no header fits" for of, column in self.missing if of == table]
            if self.unused[table]:
                lines.append(f"# not used: {', '.join(_printable(name) for name in self.unused[table])}")
        return "\n".join(lines) + "\n"


def suggest_mapping(extracts: Iterable[Path] | Mapping[str, Path]) -> Suggestion:
    """Propose a mapping for extracts.

    Parameters
    ----------
    extracts : iterable of Path, or mapping of str to Path
        Up to four files; by table where that is known, else each file goes to the table that its headers fit best.

    Returns
    -------
    Suggestion

    Raises
    ------
    RecordsError
        If a file cannot be read, or fits no table.
    """
    if isinstance(extracts, Mapping):
        if strange := sorted(set(extracts) - set(TABLES)):
            raise RecordsError(f"a table must be one of {', '.join(TABLES)}; found {strange[0]!r}")
        named = {table: (path.name, read_raw(path).frame) for table, path in extracts.items()}
    else:
        named = _placed([(path.name, read_raw(path).frame) for path in extracts])
    guesses: list[Guess] = []
    missing: list[tuple[str, str]] = []
    unused: dict[str, tuple[str, ...]] = {}
    for table in (name for name in TABLES if name in named):
        found = _guess_table(table, named[table][1].head(_SAMPLE))
        guesses.extend(found)
        have = {guess.column for guess in found}
        missing.extend((table, column) for column in REQUIRED[table] if column not in have)
        used = {name for guess in found for name in guess.sources}
        unused[table] = tuple(name for name in named[table][1].columns if name not in used)
    return Suggestion(tuple(guesses), {table: name for table, (name, _) in named.items()}, tuple(missing), unused)


@cache
def _headers() -> dict[str, dict[str, list[str]]]:
    data = tomllib.loads(files("carina.records").joinpath("headers.toml").read_text("utf-8"))
    return {table: data[table] for table in TABLES}


def _placed(given: list[tuple[str, pl.DataFrame]]) -> dict[str, tuple[str, pl.DataFrame]]:
    """Give each file the table that its headers fit best; the surest first."""
    fits = sorted(
        ((_fit(table, frame), number, table) for number, (_, frame) in enumerate(given) for table in TABLES),
        reverse=True,
    )
    placed: dict[str, tuple[str, pl.DataFrame]] = {}
    done: set[int] = set()
    for fit, number, table in fits:
        if number not in done and table not in placed and fit >= _LEAST:
            placed[table] = given[number]
            done.add(number)
    for number, (name, _) in enumerate(given):
        if number not in done:
            raise RecordsError(
                f"each file must fit one of {', '.join(TABLES)}, and each table one file; {name!r} fits none that is "
                f"left; say which it is: --admissions, --vitals, --reads or --microbiology"
            )
    return placed


def _fit(table: str, frame: pl.DataFrame) -> float:
    best = [
        max((_likeness(header, table, column)[0] for header in frame.columns), default=0.0) for column in SCHEMAS[table]
    ]
    needed = [score for column, score in zip(SCHEMAS[table], best, strict=True) if column in REQUIRED[table]]
    # What only this table has tells more than an NHI and a date, which all have.
    return sum(needed) / len(needed) * 0.7 + sum(best) / len(best) * 0.3


def _likeness(header: str, table: str, column: str) -> tuple[float, str]:
    """How much a header is like a column's names, in [0, 1], and why."""
    if column not in _headers()[table]:
        return 0.0, ""
    written = fold(header)
    numbered = written.rstrip("0123456789")
    names = {fold(name) for name in _headers()[table][column]}
    if written in names:
        return _NAMED, "the header says so"
    if numbered and numbered in names and numbered != written:
        return _NAMED - 0.05, "the header says so, numbered"
    near = [name for name in names if len(name) > 2 and (written.startswith(name) or written.endswith(name))]  # noqa: PLR2004 - "ht", "rr" end too many words
    if near:
        return _NEAR, "the header holds its name"
    if any(len(name) > 3 and name in written for name in names):  # noqa: PLR2004 - as above
        return _WITHIN, "the header holds its name among other words"
    return 0.0, ""


def _guess_table(table: str, frame: pl.DataFrame) -> list[Guess]:
    """Match headers and columns, the surest first; a header serves one column."""
    pairs = sorted(
        ((*_likeness(header, table, column), header, column) for header in frame.columns for column in SCHEMAS[table]),
        key=lambda pair: -pair[0],
    )
    chosen: dict[str, tuple[list[str], float, str]] = {}
    used: set[str] = set()
    for score, why, header, column in pairs:
        if score == 0.0 or header in used:
            continue
        if column not in chosen:
            chosen[column] = ([header], score, why)
            used.add(header)
        elif column in ("codes", "ethnicity") and fold(header).rstrip("0123456789") == fold(
            chosen[column][0][0]
        ).rstrip("0123456789"):
            chosen[column][0].append(header)
            used.add(header)
    found = []
    for column in SCHEMAS[table]:
        if column in chosen:
            headers, score, why = chosen[column]
            order = [header for header in frame.columns if header in headers]
            found.append(guess_column(Header(table, column, tuple(order), score, why), frame, used))
    return found


def _printable(name: str) -> str:
    return " ".join(name.split())[:60]
