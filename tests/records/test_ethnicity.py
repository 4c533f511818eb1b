"""Prioritised ethnicity (M17): HISO 10001's order and codes."""

from __future__ import annotations

import itertools

import polars as pl
import pytest

from carina.records import ethnic_group, ethnicity_name, ethnicity_ranks, prioritise, prioritise_expr

# HISO 10001:2017, level 2 codes as the health sector records them.
LEVEL_2 = {
    **dict.fromkeys(("10", "11", "12"), "European"),
    "21": "Maori",
    **dict.fromkeys(("30", "31", "32", "33", "34", "35", "36", "37"), "Pacific"),
    **dict.fromkeys(("40", "41", "42", "43", "44"), "Asian"),
    **dict.fromkeys(("51", "52", "53"), "MELAA"),
    "61": "Other",
    **dict.fromkeys(("94", "95", "96", "97", "98", "99"), "Unknown"),
}
ORDER = ["Maori", "Pacific", "Asian", "MELAA", "Other", "European", "Unknown"]


@pytest.mark.parametrize(("code", "group"), LEVEL_2.items())
def test_codes_of_level_2_have_their_group(code: str, group: str) -> None:
    assert ethnic_group(code) == group


@pytest.mark.parametrize(
    ("code", "name", "group"),
    [
        ("21111", "Māori", "Maori"),
        ("32100", "Cook Islands Māori", "Pacific"),
        ("43112", "Fijian Indian", "Asian"),
        ("36111", "Fijian", "Pacific"),
        ("61118", "New Zealander", "Other"),
        ("12948", "South African European", "European"),
        ("53127", "Other Zimbabwean", "MELAA"),
        ("444", "Other Asian", "Asian"),
        ("4", "Asian", "Asian"),
        ("95555", "Refused to Answer", "Unknown"),
    ],
)
def test_codes_of_other_levels_have_names_and_groups(code: str, name: str, group: str) -> None:
    assert ethnicity_name(code) == name
    assert ethnic_group(code) == group


@pytest.mark.parametrize(
    ("word", "group"),
    [("maori", "Maori"), ("NZ European/Pakeha", "European"), ("Iranian/Persian", "MELAA"), ("Don't Know", "Unknown")],
)
def test_names_are_answers_too(word: str, group: str) -> None:
    assert ethnic_group(word) == group


@pytest.mark.parametrize("answer", ["88", "00", "999999", "Martian", ""])
def test_other_answers_are_on_no_list(answer: str) -> None:
    assert ethnic_group(answer) is None


def test_the_order_holds_for_every_pair() -> None:
    code = {group: code for code, group in LEVEL_2.items()}
    for first, second in itertools.permutations(ORDER, 2):
        assert prioritise([code[first], code[second]]) == ORDER[min(ORDER.index(first), ORDER.index(second))]


def test_no_answer_is_unknown() -> None:
    assert prioritise([]) == "Unknown"


def test_a_column_of_answers_is_prioritised() -> None:
    lists = pl.Series([["11", "21"], [], None, ["99", "11"], ["61", "53", "Samoan"]])
    ranks = ethnicity_ranks(["11", "21", "99", "61", "53", "Samoan"])
    assert pl.select(prioritise_expr(pl.lit(lists), ranks)).to_series().to_list() == [
        "Maori",
        "Unknown",
        "Unknown",
        "European",
        "Pacific",
    ]
