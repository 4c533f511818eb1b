"""The answers written by hand in the table of episodes, against a brute-force reading of the rules."""

from __future__ import annotations

import pytest

from carina.records import shows_pneumonia
from carina.synthesis.templates import Aetiology, CodeSet, Position, Reading, templates

TABLE = templates()


def gold_by_rule(reads: str, *, coded: bool) -> str:
    """M13 word by word: E as P, films without a read left out of the sequence."""
    kept = [(place, "P" if sign == "E" else sign) for place, sign in enumerate(reads) if sign != "_"]
    answer = ["."] * len(reads)
    for k, (place, sign) in enumerate(kept):
        others = [other for j, (_, other) in enumerate(kept) if j != k]
        flanked = 0 < k < len(kept) - 1 and kept[k - 1][1] == "P" and kept[k + 1][1] == "P"
        if sign == "P":
            answer[place] = "P" if coded else "N"
        elif not coded:
            answer[place] = "N"
        else:
            answer[place] = "N" if "P" in others and not flanked else "P"
    return "".join(answer)


def in_order(reading: Reading) -> list[int]:
    """Films by time, then series, then instance number."""
    films = range(len(reading.reads))
    at = reading.at or tuple(films)
    series = reading.series or (1,) * len(films)
    instances = reading.instances or (1,) * len(films)
    return sorted(films, key=lambda i: (at[i], series[i], instances[i]))


@pytest.mark.parametrize("reading", TABLE.reading, ids=lambda reading: reading.name)
def test_gold_labels_are_those_of_m13(reading: Reading) -> None:
    assert in_order(reading) == list(range(len(reading.reads))), "films are listed in their order"
    assert gold_by_rule(reading.reads, coded=reading.codes == "on") == reading.gold


@pytest.mark.parametrize("entry", TABLE.position, ids=lambda entry: entry.positions)
def test_roles_are_those_of_m10(entry: Position) -> None:
    first, *later = entry.positions
    matching = [i for i, sign in enumerate(later, start=1) if sign == first != "?"]
    expected = ["F", *("-" for _ in later)]
    if matching:
        expected[matching[-1]] = "L"
    assert entry.roles == "".join(expected)


@pytest.mark.parametrize("entry", TABLE.codes, ids=lambda entry: "+".join(entry.codes))
def test_codes_show_what_m14_lists(entry: CodeSet) -> None:
    assert shows_pneumonia(entry.codes).pneumonia == (entry.shows == "on")


@pytest.mark.parametrize("entry", TABLE.aetiology, ids=lambda entry: entry.name)
def test_contrasts_follow_from_the_aetiology(entry: Aetiology) -> None:
    """M15: mixed, unknown and co-infected leave bacterial/viral; COVID-19 is the positive side of its contrast."""
    sides = {"bacterial": "bacterial", "viral": "viral", "covid19": "viral", "mixed": "out", "unknown": "out"}
    assert entry.bacterial_viral == ("out" if entry.coinfection else sides[entry.aetiology])
    assert (entry.covid == "positive") == (entry.aetiology == "covid19")
    if entry.era == "before":
        assert entry.covid == "negative"


def test_every_sign_of_m13_occurs() -> None:
    signs = {
        (read, gold, entry.codes) for entry in TABLE.reading for read, gold in zip(entry.reads, entry.gold, strict=True)
    }
    assert signs == {
        ("P", "P", "on"),
        ("N", "P", "on"),
        ("N", "N", "on"),
        ("E", "P", "on"),
        ("_", ".", "on"),
        ("P", "N", "off"),
        ("N", "N", "off"),
        ("E", "N", "off"),
    }
