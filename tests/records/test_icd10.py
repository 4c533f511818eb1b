"""Which diagnosis codes show pneumonia (M14): the expected answers are the rule's words, written out by hand."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carina.errors import RecordsError
from carina.records import (
    CodeRule,
    normalise_icd10,
    normalise_icd10_expr,
    pneumonia_codes,
    pneumonia_codes_expr,
    shows_pneumonia,
)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("J18.9", "J18.9"),
        ("j189", "J18.9"),
        (" J18 ", "J18"),
        ("J13X", "J13"),
        ("J18.-", "J18"),
        ("A48.1+", "A48.1"),
        ("J17.1*", "J17.1"),
        ("A481D", "A48.1"),
        ("J171A", "J17.1"),
        ("B01.2†", "B01.2"),
        ("U07.12", "U07.12"),
        ("U0712", "U07.12"),
        ("S06.0!", "S06.0"),
    ],
)
def test_codes_are_written_one_way(written: str, code: str) -> None:
    assert normalise_icd10(written) == code
    assert pl.select(normalise_icd10_expr(pl.lit(written))).item() == code


@pytest.mark.parametrize(
    "written", ["", "J1", "J1O.9", "18.9", "J18..9", "PNEUMONIA", "JJ8.9", "J18.9999", "J18,9", "?"]
)
def test_what_is_no_code_is_refused_without_its_text(written: str) -> None:
    with pytest.raises(RecordsError) as error:
        normalise_icd10(written)
    assert written == "" or repr(written) not in str(error.value)
    assert pl.select(normalise_icd10_expr(pl.lit(written))).item() is None


SHOWING = [
    *("J12.0", "J12.8", "J13", "J14", "J15.9", "J16.8", "J17.1", "J18", "J18.0", "J18.9"),
    *("J09", "J10.0", "J11.0", "A48.1", "B01.2", "B05.2", "B59", "B48.5", "P23.0", "P23.9"),
]
NOT_SHOWING = [
    *("J10", "J10.1", "J11.1", "J11.8", "A48.2", "A48", "B01.9", "B05.9", "B48.4", "P22.0", "P24.0", "J19.0", "J11"),
    *("J69.0", "A15.0", "A16.2", "J22", "J95.1", "J85.1", "I50.0", "J44.0", "U07.2", "J20.9"),
]


@pytest.mark.parametrize("code", SHOWING)
def test_codes_of_the_rule_show_pneumonia(code: str) -> None:
    call = shows_pneumonia(["I50.0", code])
    assert call.pneumonia
    assert call.code == code


@pytest.mark.parametrize("code", NOT_SHOWING)
def test_other_codes_do_not(code: str) -> None:
    assert not shows_pneumonia([code]).pneumonia


@pytest.mark.parametrize("code", ["U07.1", "U07.11", "U07.12"])
def test_covid19_needs_a_pneumonia_code_of_the_episode(code: str) -> None:
    assert shows_pneumonia([code]).reason == "covid19_without_pneumonia"
    assert not shows_pneumonia([code]).pneumonia
    # Influenza with pneumonia and Legionella are pneumonia by themselves, and no companion.
    assert shows_pneumonia([code, "J12.8"]).pneumonia
    assert shows_pneumonia([code, "J12.8"]).code == "J12.8"


def test_covid19_alone_is_an_option() -> None:
    call = shows_pneumonia(["U07.1"], CodeRule(covid19_alone=True))
    assert (call.pneumonia, call.code, call.reason) == (True, "U07.1", "covid19_alone")


def test_covid19_not_identified_is_kept_apart() -> None:
    call = shows_pneumonia(["U07.2"], CodeRule(covid19_alone=True))
    assert (call.pneumonia, call.code, call.reason) == (False, "U07.2", "covid19_not_identified")


def test_left_out_codes_are_named() -> None:
    assert shows_pneumonia(["J69.0"]).reason == "left_out"
    assert set(pneumonia_codes().left_out) == {"J69.0", "A15", "A16", "J22", "J95", "J85"}


def test_the_principal_code_alone_may_decide() -> None:
    rule = CodeRule(principal_only=True)
    assert not shows_pneumonia(["I50.0", "J18.9"], rule).pneumonia
    assert shows_pneumonia(["J18.9", "I50.0"], rule).pneumonia
    # Its companion may stand anywhere.
    call = shows_pneumonia(["U07.1", "J12.8"], rule)
    assert (call.pneumonia, call.code, call.reason) == (True, "U07.1", "covid19_with_pneumonia")


def test_the_first_code_in_order_decides() -> None:
    assert shows_pneumonia(["J10.0", "J18.9"]).code == "J10.0"
    assert shows_pneumonia(["J10.0", "J18.9"]).reason == "influenza"


def test_principals_of_several_events_may_be_given() -> None:
    frame = pl.DataFrame({"codes": [["I50.0", "J18.9"]], "principals": [["I50.0", "J18.9"]]})
    rule = CodeRule(principal_only=True)
    call = frame.select(pneumonia_codes_expr("codes", rule, principals="principals").alias("call"))["call"][0]
    assert call["pneumonia"]


@given(
    st.lists(st.lists(st.sampled_from([*SHOWING, *NOT_SHOWING, "U07.1", None]), max_size=5) | st.none(), max_size=20)
)
def test_a_column_says_what_each_list_says(lists: list[list[str | None] | None]) -> None:
    frame = pl.DataFrame({"codes": lists}, schema={"codes": pl.List(pl.String)})
    column = frame.select(pneumonia_codes_expr("codes").alias("call"))["call"].to_list()
    covid = {"U07.1"}
    for codes, call in zip(lists, column, strict=True):
        held = [code for code in codes or [] if code is not None]
        # The rule, by hand: any showing code; U07.1 adds nothing without one of them.
        assert call["pneumonia"] == any(code in SHOWING for code in held)
        assert call["reason"] != "no_codes" or not held
        if not call["pneumonia"] and covid & set(held):
            assert call["reason"] == "covid19_without_pneumonia"


def test_the_expression_is_lazy() -> None:
    frame = pl.LazyFrame({"codes": [["J18.9"], []]})
    assert frame.select(pneumonia_codes_expr("codes").struct.field("pneumonia")).collect().to_series().to_list() == [
        True,
        False,
    ]


def test_the_list_names_its_edition() -> None:
    assert pneumonia_codes().version == 1
    assert "ICD-10-AM" in pneumonia_codes().edition
