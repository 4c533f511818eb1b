"""What to search for: identifiers in the ways they are written, and when a find counts."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from carina.deidentify.text import vocabulary

__all__ = ["BIRTH", "Needles", "Target", "ascii_lower", "date_of", "folded"]

BIRTH: Final = re.compile(
    r"(?:birth|born|dob\b|d\.o\.b)[^\n\d]{0,24}?"
    r"(?P<date>\d{8}|\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ](?:\d{1,2}|[a-z]{3,9})[-/. ,]{1,2}\d{4}"
    r"|[a-z]{3,9} \d{1,2},? \d{4})",
    re.IGNORECASE,
)
"""A date within two dozen characters after a word for birth."""
_TOKENS: Final = frozenset({"nhi", "mrn", "accession", "event", "specimen"})
_PERSONS: Final = frozenset({"name", "staff"})
_LEAST_TOKEN, _LEAST_DIGITS, _LEAST_UID, _LEAST_ADDRESS = 5, 7, 12, 9
_LEAST_SURNAME, _LEAST_ALONE = 3, 5
_LOWER: Final = {number: number + 32 for number in range(ord("A"), ord("Z") + 1)}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to search for.

    Attributes
    ----------
    kind : str
        ``nhi``, ``name``, ``staff``, ``accession``, ``uid`` and so on.
    patients : tuple of str
        Pseudonyms behind which it stood.
    partners : frozenset of str
        Of a surname: the given names, folded, one of which must stand beside it.
    alone : bool
        Whether the surname counts by itself in text.
    """

    kind: str
    patients: tuple[str, ...]
    partners: frozenset[str] = frozenset()
    alone: bool = True


def folded(text: str) -> str:
    """Lower case without accents and macrons, for comparison.

    Examples
    --------
    >>> folded("T\u0100NE")
    'tane'
    """
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).lower()


def ascii_lower(text: str) -> str:
    """Lower the letters A to Z alone, as the search does; others are bytes that only look like letters.

    Examples
    --------
    >>> ascii_lower("T\u00c4NE") == "t\u00c4ne"
    True
    """
    return text.translate(_LOWER)


@cache
def _common_words() -> frozenset[str]:
    """Words that are surnames too: of the vocabulary, of everyday English, and of methods named after people."""
    text = (files("carina.deidentify") / "data" / "common_words.txt").read_text("utf-8")
    words = {word for line in text.splitlines() if not line.startswith("#") for word in line.split()}
    return frozenset(words | vocabulary())


class Needles:
    """Everything to search for, from the linked records.

    Searched are NHIs, other patient numbers, accession, event and specimen numbers of five characters or more (seven
    if they are all digits), UIDs of twelve or more, telephone numbers, addresses, surnames beside a given name in
    either order, surnames of five letters or more by themselves in text (unless the surname is a common word), and
    dates of birth after a word for birth. Hospitals' names are not searched for.

    Parameters
    ----------
    identifiers : iterable of (str, str, str)
        Pseudonym, kind and value, as `Linkage` gives them.
    """

    def __init__(self, identifiers: Iterable[tuple[str, str, str]]) -> None:
        self.count = 0
        self.births: dict[str, set[str]] = defaultdict(set)
        owners: dict[tuple[str, str], set[str]] = defaultdict(set)
        surnames: dict[str, tuple[set[str], set[str], set[str]]] = {}
        for patient, kind, value in identifiers:
            self.count += 1
            if kind == "birth_date":
                self.births[value].add(patient)
            elif kind in _PERSONS:
                _add_name(surnames, patient, kind, value)
            elif _is_searched(kind, value):
                owners[kind, value.strip()].add(patient)
        self.targets: list[Target] = []
        self.patterns: dict[str, int] = {}
        """Text to find, lower case, bytes taken as Latin-1; the index of its target."""
        for (kind, value), patients in owners.items():
            self._add(Target(kind, tuple(sorted(patients))), _written(kind, value))
        for surname, (patients, partners, kinds) in surnames.items():
            alone = len(surname) >= _LEAST_ALONE and "name" in kinds and folded(surname) not in _common_words()
            kind = "name" if "name" in kinds else "staff"
            self._add(Target(kind, tuple(sorted(patients)), frozenset(partners), alone), {surname, folded(surname)})
        self.patients = {patient for target in self.targets for patient in target.patients}
        self.patients |= {patient for patients in self.births.values() for patient in patients}

    def _add(self, target: Target, values: Iterable[str]) -> None:
        self.targets.append(target)
        for value in values:
            for form in _encoded(value):
                self.patterns.setdefault(ascii_lower(form), len(self.targets) - 1)


def _is_searched(kind: str, value: str) -> bool:
    """Whether an identifier is long enough that it does not stand everywhere by chance."""
    plain = value.strip()
    if kind in _TOKENS:
        return len(plain) >= (_LEAST_DIGITS if plain.isdigit() else _LEAST_TOKEN)
    if kind == "uid":
        return len(plain) >= _LEAST_UID
    if kind == "address":
        return len(plain) >= _LEAST_ADDRESS
    return kind == "phone" and len(re.sub(r"\D", "", plain)) >= _LEAST_DIGITS


def _written(kind: str, value: str) -> set[str]:
    """Ways in which an identifier is written."""
    ways = {value, " ".join(value.split())}
    if kind == "phone":
        ways |= {re.sub(r"\D", "", value), re.sub(r"[^\d]+", "-", value)}
    if kind == "address":
        first = value.partition(",")[0].strip()
        ways |= {value.replace(",", ""), value.replace("^", " ")}
        if len(first) >= _LEAST_ADDRESS and re.match(r"\d", first):
            ways.add(first)
        ways |= {folded(way) for way in set(ways)}
    return {way for way in ways if way}


def _add_name(surnames: dict[str, tuple[set[str], set[str], set[str]]], patient: str, kind: str, value: str) -> None:
    """Note a name ``SURNAME^GIVEN NAMES`` under its surname."""
    surname, _, rest = value.partition("^")
    surname = " ".join(surname.split())
    given = {folded(word) for word in re.findall(r"[^\W\d_]+", rest) if len(word) > 1}
    if len(surname) < _LEAST_SURNAME:
        return
    patients, partners, kinds = surnames.setdefault(surname.lower(), (set(), set(), set()))
    patients.add(patient)
    partners |= given
    kinds.add(kind)


def _encoded(value: str) -> Iterator[str]:
    """Bytes of a text in the encodings files use, zero bytes left out, read as Latin-1.

    The search leaves zero bytes out of what it reads too, and so reads UTF-16 and UTF-32 as it reads ASCII.
    """
    forms = {value} if value.isascii() else {value, value.upper(), value.lower(), value.title(), folded(value)}
    for form in forms:
        yield form.encode("utf-8").decode("latin-1")
        if form.isascii():
            continue
        for encoding in ("latin-1", "cp1257", "utf-16-le", "utf-16-be"):
            try:
                yield form.encode(encoding).replace(b"\0", b"").decode("latin-1")
            except UnicodeEncodeError:
                continue
        yield json.dumps(form)[1:-1]
        yield form.encode("ascii", "xmlcharrefreplace").decode("ascii")


def date_of(text: str) -> set[str]:
    """Every day that a written date can mean, YYYYMMDD; day and month may stand in either order.

    Examples
    --------
    >>> sorted(date_of("3/4/1950")), date_of("31 January 1950"), date_of("1950-01-31")
    (['19500304', '19500403'], {'19500131'}, {'19500131'})
    """
    parts = re.findall(r"\d+|[a-z]+", text.lower())
    if len(parts) == 1:
        return {parts[0]}
    month = next((str(_MONTHS.index(part[:3]) + 1) for part in parts if part[:3] in _MONTHS), None)
    numbers = [part for part in parts if part.isdigit()]
    years = [number for number in numbers if len(number) == 4]  # noqa: PLR2004 - digits of a year
    rest = [number for number in numbers if len(number) < 3]  # noqa: PLR2004 - digits of a day or month
    if len(years) != 1 or not rest:
        return set()
    pairs = [(month, rest[0])] if month else [(rest[0], rest[-1]), (rest[-1], rest[0])]
    if len(numbers[0]) == 4 and not month:  # noqa: PLR2004 - year first: then month, day
        pairs = pairs[:1]
    return {f"{years[0]}{int(m):02d}{int(d):02d}" for m, d in pairs if m and 1 <= int(m) <= 12 and 1 <= int(d) <= 31}  # noqa: PLR2004 - months, days
