"""Free text keeps known words alone (PS3.15 option 113105)."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carina.deidentify import clean_text
from carina.deidentify.text import is_marker, vocabulary
from carina.synthesis.words import REASONS, REQUESTS, SERIES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chest PA erect", "Chest PA erect"),
        ("?pneumonia", "?pneumonia"),
        ("Mrs Testcase (ZZZ0016), 93 yo, ?LRTI, see Dr Nobody 021 555 0123", "yo, ?LRTI, see 21"),
        ("born 12/03/1950", "12/03"),
        ("Papatoetoe", ""),
        ("", ""),
        ("COVID-19 pneumonia", "COVID-19 pneumonia"),
        ("covid19 +ve SARS-CoV-2", "covid19 SARS-CoV-2"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    cleaned = clean_text(text)
    assert [word for word in ("Testcase", "ZZZ0016", "Nobody", "0123", "555", "93", "1950") if word in cleaned] == []
    if "021" not in text and "born" not in text:
        assert cleaned == expected


def test_the_patients_own_names_go_even_where_they_are_medical_words() -> None:
    assert clean_text("Chest film, Mrs Chest", {"chest"}) == "film"


@given(st.text(max_size=80))
@example("0<A")
@example("PA_erect")
def test_every_word_that_stays_is_known_and_cleaning_again_changes_nothing(text: str) -> None:
    cleaned = clean_text(text)
    words = [word for part in cleaned.lower().split() for word in part.replace("-", " ").split()]
    assert all(clean_text(word) or not any(letter.isalnum() for letter in word) for word in words)
    assert clean_text(cleaned) == cleaned


@given(st.from_regex(r"[A-HJ-NP-Z]{3}[0-9]{2}([0-9]{2}|[A-HJ-NP-Z]{2})", fullmatch=True))
def test_no_nhi_survives(nhi: str) -> None:
    assert nhi not in clean_text(f"CXR of {nhi}, erect")


WRITTEN = sorted({text for kind in (REQUESTS, REASONS, SERIES) for texts in kind.values() for text in texts})


@pytest.mark.parametrize("text", WRITTEN)
def test_what_referrers_write_about_the_chest_stays(text: str) -> None:
    assert re.findall(r"\w+", clean_text(text)) == re.findall(r"\w+", text)


MARKERS = [("R", True), ("L", True), ("AP SUPINE", True), ("MOBILE ICU", True)]
OTHERS = [("SMITH", False), ("R 1234567", False), ("", False)]


@pytest.mark.parametrize(("text", "marker"), MARKERS + OTHERS)
def test_markers_are_technical_words_alone(text: str, *, marker: bool) -> None:
    assert is_marker(text) is marker


def test_the_vocabulary_holds_no_place_and_no_first_name() -> None:
    assert (
        vocabulary() & {"auckland", "middlemore", "papatoetoe", "manukau", "ann", "john", "mary", "hemi", "aroha"}
        == set()
    )
