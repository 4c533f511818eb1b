"""Diagnosis codes: one way of writing them, and which of them show pneumonia (M14).

The list is data, `icd10.toml`, with a version and the edition it was checked against. Codes match by prefix: an
entry names everything beneath it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carina.errors import RecordsError

__all__ = [
    "CodeRule",
    "CodesCall",
    "PneumoniaCodes",
    "normalise_icd10",
    "normalise_icd10_expr",
    "pneumonia_codes",
    "pneumonia_codes_expr",
    "shows_pneumonia",
]

# Letter and two digits; up to three more digits, with or without the dot; then what editions hang on: a filler X or a
# dash for "no further character", and dagger, asterisk or exclamation mark (also spelled D and A after the code).
_CODE = r"^([A-Z][0-9]{2})(?:\.?([0-9]{1,3}))?(?:\.?X{1,2}|\.?-)?[DA]?[+*†!]?$"
_WRITTEN = re.compile(_CODE)

_CALL = pl.Struct({"pneumonia": pl.Boolean(), "code": pl.String(), "reason": pl.String()})
_KINDS = ("listed", "influenza", "elsewhere", "covid19", "covid19_not_identified", "left_out", "other")
_RANK = {
    "listed": 0,
    "influenza": 0,
    "elsewhere": 0,
    "covid19": 1,
    "covid19_not_identified": 2,
    "left_out": 3,
    "other": 4,
}
_SHOWING = ["listed", "influenza", "elsewhere", "covid19_with_pneumonia", "covid19_alone"]
_PLACE_BITS = 40


@dataclass(frozen=True, slots=True)
class CodeRule:
    """How a list of codes is judged.

    Attributes
    ----------
    principal_only : bool
        Only the principal (first) code may show pneumonia.
    covid19_alone : bool
        U07.1 shows pneumonia without a code J12-J18 beside it.
    """

    principal_only: bool = False
    covid19_alone: bool = False


@dataclass(frozen=True, slots=True)
class CodesCall:
    """What a list of codes says.

    Attributes
    ----------
    pneumonia : bool
        Whether the codes show pneumonia.
    code : str or None
        The code that decides, the first in position order; for ``left_out``, ``covid19_without_pneumonia`` and
        ``covid19_not_identified`` the code that would have.
    reason : str
        ``listed``, ``influenza``, ``elsewhere``, ``covid19_with_pneumonia``, ``covid19_alone``: pneumonia;
        ``covid19_without_pneumonia``, ``covid19_not_identified``, ``left_out``, ``other``, ``no_codes``: not.
    """

    pneumonia: bool
    code: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class PneumoniaCodes:
    """The list of M14.

    Attributes
    ----------
    version : int
        Of the list.
    edition : str
        Of ICD-10 it was checked against.
    pneumonia, influenza, elsewhere, covid19, covid19_not_identified, left_out : tuple of str
        Codes, each with everything beneath it.
    """

    version: int
    edition: str
    pneumonia: tuple[str, ...]
    influenza: tuple[str, ...]
    elsewhere: tuple[str, ...]
    covid19: tuple[str, ...]
    covid19_not_identified: tuple[str, ...]
    left_out: tuple[str, ...]


@cache
def pneumonia_codes() -> PneumoniaCodes:
    """Return the packaged list of codes.

    Examples
    --------
    >>> pneumonia_codes().influenza
    ('J09', 'J10.0', 'J11.0')
    """
    data = tomllib.loads(files("carina.records").joinpath("icd10.toml").read_text("utf-8"))
    named = ("pneumonia", "influenza", "elsewhere", "covid19", "covid19_not_identified", "left_out")
    return PneumoniaCodes(data["version"], data["edition"], *(tuple(data[name]) for name in named))


def normalise_icd10(code: str) -> str:
    """Write a code in the one way it is compared: upper case, with the dot, without marks.

    Parameters
    ----------
    code : str
        With or without the dot, in any case, with a dagger (``+``, ``†``, ``D``), an asterisk (``*``, ``A``), an
        exclamation mark, a filler (``X``, ``-``) or none.

    Returns
    -------
    str
        Such as ``"J18.9"``.

    Raises
    ------
    RecordsError
        If it has not the shape of a code: letter, two digits, up to three more.

    Examples
    --------
    >>> normalise_icd10("j189"), normalise_icd10("A48.1+"), normalise_icd10("J13X")
    ('J18.9', 'A48.1', 'J13')
    """
    match = _WRITTEN.fullmatch(re.sub(r"\s", "", code).upper())
    if match is None:
        raise RecordsError(
            "an ICD-10 code must be a letter, two digits and up to three more after a dot; "
            "found something else; correct it in the extract or its mapping"
        )
    return match[1] if match[2] is None else f"{match[1]}.{match[2]}"


def normalise_icd10_expr(code: pl.Expr) -> pl.Expr:
    """`normalise_icd10` over a column of text; null where the shape is wrong.

    Parameters
    ----------
    code : polars.Expr of str

    Returns
    -------
    polars.Expr of str
    """
    written = code.str.replace_all(r"\s", "").str.to_uppercase()
    tail = written.str.extract(_CODE, 2)
    return written.str.extract(_CODE, 1) + pl.when(tail.is_null()).then(pl.lit("")).otherwise(pl.lit(".") + tail)


def shows_pneumonia(codes: Iterable[str], rule: CodeRule | None = None) -> CodesCall:
    """Whether the codes of an episode show pneumonia, and by which code (M14).

    Parameters
    ----------
    codes : iterable of str
        Normalised, in position order; the first is the principal.
    rule : CodeRule or None
        The method's own (any position, U07.1 only with J12-J18) when None.

    Returns
    -------
    CodesCall

    Examples
    --------
    >>> shows_pneumonia(["I50.0", "J18.9"])
    CodesCall(pneumonia=True, code='J18.9', reason='listed')
    >>> shows_pneumonia(["U07.1"]).reason
    'covid19_without_pneumonia'
    """
    frame = pl.DataFrame({"codes": [list(codes)]}, schema={"codes": pl.List(pl.String)})
    call = frame.select(pneumonia_codes_expr("codes", rule).alias("call"))["call"][0]
    return CodesCall(call["pneumonia"], call["code"], call["reason"])


def pneumonia_codes_expr(
    column: str | pl.Expr, rule: CodeRule | None = None, *, principals: str | pl.Expr | None = None
) -> pl.Expr:
    """`shows_pneumonia` over a column.

    Parameters
    ----------
    column : str or polars.Expr of list[str]
        Normalised codes, in position order.
    rule : CodeRule or None
        As in `shows_pneumonia`.
    principals : str or polars.Expr of list[str] or None
        Principal codes of the episode's events, where an episode holds several; only read with `principal_only`. By
        default the first code of `column`.

    Returns
    -------
    polars.Expr of struct
        Fields `pneumonia` (bool, never null), `code` (str or null) and `reason` (str), as in `CodesCall`.
    """
    rule = rule or CodeRule()
    codes = pl.col(column) if isinstance(column, str) else column
    given = [codes]
    if rule.principal_only:
        own = codes.list.head(1) if principals is None else principals
        given.append(pl.col(own) if isinstance(own, str) else own)
    return pl.map_batches(given, lambda series: _judge(series, rule), return_dtype=_CALL, is_elementwise=True)


def _judge(series: Sequence[pl.Series], rule: CodeRule) -> pl.Series:
    """Judge lists of codes, each distinct code once; `series` are all codes and, last, those that may decide."""
    rows = len(series[0])
    row, code, kind = _exploded(series[-1])
    rank = np.array([_RANK[one] for one in _KINDS])[kind]
    # One number orders by rank, then by place in the list.
    key = np.full(rows, np.iinfo(np.int64).max)
    np.minimum.at(key, row, (rank << _PLACE_BITS) + np.arange(rank.size))
    any_code = key < np.iinfo(np.int64).max
    place = np.where(any_code, key & ((1 << _PLACE_BITS) - 1), -1)
    deciding = pl.select(pl.when(pl.Series(place) >= 0).then(pl.Series(place))).to_series()
    found = np.full(rows, _KINDS.index("other"))
    found[any_code] = kind[place[any_code]]
    # The companion of U07.1 may stand in any position of the episode, also where only principal codes may decide.
    companion = np.zeros(rows, dtype=bool)
    row, _, kind = (row, code, kind) if len(series) == 1 else _exploded(series[0])
    companion[row[kind == _KINDS.index("listed")]] = True
    frame = pl.DataFrame({"code": code.gather(deciding), "kind": found, "any": any_code, "companion": companion})
    return frame.select(_call(rule)).to_series().alias(series[0].name)


def _call(rule: CodeRule) -> pl.Expr:
    """Return the struct of `pneumonia_codes_expr` from the deciding code, its kind and its companions."""
    kind = pl.col("kind").replace_strict(dict(enumerate(_KINDS)), return_dtype=pl.String)
    alone = pl.lit("covid19_alone" if rule.covid19_alone else "covid19_without_pneumonia")
    reason = (
        pl.when(~pl.col("any"))
        .then(pl.lit("no_codes"))
        .when(kind != "covid19")
        .then(kind)
        .when(pl.col("companion"))
        .then(pl.lit("covid19_with_pneumonia"))
        .otherwise(alone)
    )
    code = pl.when(kind != "other").then(pl.col("code"))
    return pl.struct(reason.is_in(_SHOWING).alias("pneumonia"), code.alias("code"), reason.alias("reason"))


def _exploded(lists: pl.Series) -> tuple[NDArray[np.int64], pl.Series, NDArray[np.int64]]:
    """Return row, code and kind (index in `_KINDS`) of each code of many lists."""
    frame = pl.DataFrame({"row": np.arange(len(lists)), "code": lists.cast(pl.List(pl.String))})
    flat = frame.explode("code").drop_nulls("code")
    each = {code: _KINDS.index(_kind(code)) for code in flat["code"].unique().to_list()}
    kind = flat["code"].replace_strict(each, return_dtype=pl.Int64).to_numpy() if each else np.zeros(0, np.int64)
    return flat["row"].to_numpy(), flat["code"], kind


def _kind(code: str) -> str:
    listed = pneumonia_codes()
    entries = (
        listed.pneumonia,
        listed.influenza,
        listed.elsewhere,
        listed.covid19,
        listed.covid19_not_identified,
        listed.left_out,
    )
    return next(
        (kind for kind, of in zip(_KINDS, entries, strict=False) if any(_beneath(code, one) for one in of)), "other"
    )


def _beneath(code: str, entry: str) -> bool:
    """Whether a code is an entry or lies beneath it: J12.8 beneath J12, U07.12 beneath U07.1."""
    return code == entry or (code.startswith(entry) and ("." in entry or code[len(entry)] == "."))
