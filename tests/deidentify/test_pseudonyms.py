"""Pseudonyms are HMACs of identifier and kind; dates move by whole weeks (M6)."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carina.deidentify import Pseudonymiser
from carina.errors import RemovalError

KEY = bytes(range(32))
NAMES = Pseudonymiser(KEY)


def test_a_patients_pseudonym_is_the_hmac_in_base32() -> None:
    digest = hmac.new(KEY, b"carina/1/patient\x00ZZZ0016", hashlib.sha256).digest()
    assert NAMES.patient("ZZZ0016") == "P" + base64.b32encode(digest)[:16].decode()


def test_a_plain_hash_of_the_nhi_is_not_the_pseudonym() -> None:
    plain = {
        base64.b32encode(hashlib.sha256(text).digest())[:16].decode() for text in (b"ZZZ0016", b"patient\0ZZZ0016")
    }
    assert NAMES.patient("ZZZ0016")[1:] not in plain


@pytest.mark.parametrize("written", ["zzz0016", " ZZZ0016", "ZZZ 0016", "ZZZ0016\0"])
def test_the_way_an_nhi_is_written_does_not_matter(written: str) -> None:
    assert NAMES.patient(written) == NAMES.patient("ZZZ0016")


def test_the_same_text_as_another_kind_of_identifier_shares_no_letters() -> None:
    text = "ZZZ0016"
    kinds = [NAMES.patient(text), NAMES.accession(text), NAMES.event(text), NAMES.specimen(text)]
    assert len({kind[1:16] for kind in kinds}) == 4
    assert [kind[0] for kind in kinds] == ["P", "A", "E", "S"]


def test_another_key_gives_other_pseudonyms() -> None:
    assert Pseudonymiser(bytes(32)).patient("ZZZ0016") != NAMES.patient("ZZZ0016")


def test_an_accession_pseudonym_fits_its_value_representation() -> None:
    assert re.fullmatch(r"A[A-Z2-7]{15}", NAMES.accession("RAD-2020-000123"))  # SH: 16 characters, PS3.5 6.2


@given(st.from_regex(r"[0-9]+(\.[0-9]+){3,10}", fullmatch=True))
def test_a_uid_becomes_one_under_2_25_that_the_standard_allows(uid: str) -> None:
    made = NAMES.uid(uid)
    assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]{0,38})", made)  # PS3.5 B.2 and 9.1
    assert made == NAMES.uid(uid + "\0")


def test_uids_of_the_standard_itself_stay() -> None:
    assert NAMES.uid("1.2.840.10008.5.1.4.1.1.1.1") == "1.2.840.10008.5.1.4.1.1.1.1"
    assert NAMES.uid("1.2.840.100080.1") != "1.2.840.100080.1"


@given(st.from_regex(r"ZZZ[0-9]{4}", fullmatch=True))
def test_a_shift_is_whole_weeks_between_one_and_ten_years_back(nhi: str) -> None:
    shift = NAMES.shift(nhi)
    assert shift % dt.timedelta(weeks=1) == dt.timedelta(0)
    assert dt.timedelta(days=-3653) <= shift <= dt.timedelta(days=-365)


def test_shifts_spread_over_the_whole_range() -> None:
    weeks = {NAMES.shift(f"ZZZ{number:04d}").days // 7 for number in range(5000)}
    assert weeks == set(range(-521, -52))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(RemovalError, match="32 bytes"):
        Pseudonymiser(b"short")
