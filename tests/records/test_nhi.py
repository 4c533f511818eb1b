"""NHI numbers: published examples of both shapes, and the shape in running text (M7)."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carina.records import find_nhis, is_nhi, is_test_nhi, nhi_problems, nhi_shaped, normalise_nhi

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"

# HISO 10046's own examples and Health New Zealand's published test data.
OLD = ["ZZZ0016", "ZZZ0024", "ZAC5361", "ZAA0067", "ZAA0075", "ZAA0083", "ZAA0091", "ZAA0105", "ZAA0130", "JBX3656"]
# HISO 10046:2024, table 3, and the compliance data of the NHI's implementation guide: modulus 23.
NEW_23 = ["ZBN77VL", "ZXE24NV", "ZUA48EH", "ZUT01RG", "ZNK28DJ", "ZTL39SK", "ZWB84LW", "ZQF54PV", "ZAK21MS", "ZYC49PX"]
# Examples printed with the standard's earlier editions: modulus 24.
NEW_24 = ["ALU18KZ", "ZZZ00AX", "ZVU27KZ", "AUL78CF", "ARM79XB", "ATD33RD", "ADH48ZJ", "ZBC42DQ", "ZGT56KB", "ZHS91BR"]


@pytest.mark.parametrize("number", [*OLD, *NEW_23, *NEW_24])
def test_published_numbers_are_valid(number: str) -> None:
    assert is_nhi(number)


@pytest.mark.parametrize(
    "number", ["ZZZ0017", "ZZZ0044", "DAB8233", "ZZZ00AA", "ZZZ00AY", "ZVU27KY", "ZVU27KA", "ZHW58CZ", "JBX3650"]
)
def test_published_wrong_numbers_are_not(number: str) -> None:
    assert not is_nhi(number)


@pytest.mark.parametrize("digit", range(10))
def test_a_sum_that_eleven_divides_has_no_check_digit(digit: int) -> None:
    assert not is_nhi(f"ZZZ004{digit}")


@pytest.mark.parametrize(
    "text", ["", "ZIZ0016", "ZOZ0016", "ZZZ001", "ZZZ00166", "ZZZ0A16", "ŽZZ0016", "ZZZ\uff10\uff1016"]
)
def test_other_shapes_are_not_numbers(text: str) -> None:
    assert not is_nhi(text)
    assert not nhi_shaped(text)


def test_spelling_does_not_matter() -> None:
    assert normalise_nhi(" zzz-0016\n") == "ZZZ0016"
    assert is_nhi("zzz 0016")


def test_a_leading_z_marks_test_numbers() -> None:
    assert is_test_nhi("zzz0016")
    assert not is_test_nhi("JBX3656")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("CXR of ZZZ0016.", ["ZZZ0016"]),
        ("nhi:zzz-0017, alu 18kz", ["ZZZ0017", "ALU18KZ"]),
        ("NHIZZZ0016", ["ZZZ0016"]),
        ("SMITH_ZZZ0016_2020", ["ZZZ0016"]),
        ("ward ABC12345 and XZZZ0016", []),
        ("IOO1234", []),
        ("", []),
    ],
)
def test_the_shape_is_found_whatever_the_check_character(text: str, found: list[str]) -> None:
    assert find_nhis(text) == found


@given(st.text(alphabet=LETTERS, min_size=3, max_size=3), st.integers(0, 999))
def test_every_old_stem_has_at_most_one_check_digit(letters: str, number: int) -> None:
    # By hand: 7, 6, 5 times the letters' places, 4, 3, 2 times the digits.
    total = sum(
        weight * value
        for weight, value in zip(
            (7, 6, 5, 4, 3, 2), [*(LETTERS.index(one) + 1 for one in letters), *map(int, f"{number:03d}")], strict=True
        )
    )
    valid = [digit for digit in range(10) if is_nhi(f"{letters}{number:03d}{digit}")]
    assert valid == ([] if total % 11 == 0 else [(11 - total % 11) % 10])


def test_a_column_is_judged_number_by_number() -> None:
    column = pl.Series(["ZZZ0016", "ZZZ0017", None, "ALU18KZ", "ZZZ", "zzz0016"])
    assert nhi_problems(column).to_list() == [None, "check", None, None, "shape", "shape"]


def test_an_empty_column_is_judged() -> None:
    assert nhi_problems(pl.Series([], dtype=pl.String)).to_list() == []
