"""Test NHIs of the synthetic hospital."""

from __future__ import annotations

from itertools import islice

import pytest

from carina.records import is_nhi
from carina.synthesis.nhi import check_character, issue_numbers


@pytest.mark.parametrize(("stem", "check"), [("ZZZ001", "6"), ("ZZZ002", "4"), ("ZBN77V", "L")])
def test_check_character_is_that_of_the_published_examples(stem: str, check: str) -> None:
    # ZZZ0016 and ZZZ0024 are printed in HISO 10046 for the old shape, ZBN77VL for the new one.
    assert check_character(stem) == check


def test_a_sum_divisible_by_eleven_is_not_issued() -> None:
    # ZZZ000: 24 x (7 + 6 + 5) = 432 = 11 x 39 + 3; ZZZ004 adds 4 x 2: 440 = 11 x 40.
    assert check_character("ZZZ004") is None


@pytest.mark.parametrize("new", [False, True])
def test_numbers_are_kept_for_tests_valid_and_different(new: bool) -> None:  # noqa: FBT001 - parametrised
    numbers = list(islice(issue_numbers(new=new), 3000))
    assert len(set(numbers)) == 3000
    assert all(number.startswith("Z") and is_nhi(number) for number in numbers)
    assert {number[5].isalpha() for number in numbers} == {new}
