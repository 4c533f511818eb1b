"""The National Health Index number (NHI): shapes, check characters, and where one stands in a text (M7).

Two shapes exist (HISO 10046): three letters, three digits and a check digit, modulus 11; and, issued from 2026,
three letters, two digits, a letter and a check letter, modulus 23. Widely printed examples of the second satisfy
modulus 24, an earlier edition's, so either counts as valid. The letters I and O never occur. A leading Z marks a
number kept for tests.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["NHI_PATTERN", "find_nhis", "is_nhi", "is_test_nhi", "nhi_problems", "nhi_shaped", "normalise_nhi"]

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_LETTER = "[A-HJ-NP-Z]"
_SHAPE = re.compile(rf"{_LETTER}{{3}}[0-9]{{2}}(?:[0-9]{{2}}|{_LETTER}{{2}})")
_WEIGHTS = np.array([7, 6, 5, 4, 3, 2], dtype=np.int64)
_OLD_MODULUS = 11
_NEW_MODULI = (23, 24)

NHI_PATTERN = rf"(?:(?<=NHI)|(?<![A-Z0-9])){_LETTER}{{3}}[ \t-]?[0-9]{{2}}(?:[0-9]{{2}}|{_LETTER}{{2}})(?![A-Z0-9])"
"""Regular expression of an NHI in running text, for `re.IGNORECASE`; a space or hyphen may stand after the letters."""

_IN_TEXT = re.compile(NHI_PATTERN, re.IGNORECASE)


def _values() -> NDArray[np.int64]:
    """Value of each byte in the check sum: letters 1 to 24, digits 0 to 9, -1 for anything else."""
    table = np.full(256, -1, dtype=np.int64)
    for place, letter in enumerate(_LETTERS, start=1):
        table[ord(letter)] = place
    for digit in range(10):
        table[ord(str(digit))] = digit
    return table


_VALUES = _values()


def normalise_nhi(text: str) -> str:
    """Write an NHI as it is compared: upper case, without spaces and hyphens.

    Examples
    --------
    >>> normalise_nhi(" zzz-0016 ")
    'ZZZ0016'
    """
    return re.sub(r"[\s-]", "", text).upper()


def nhi_shaped(text: str) -> bool:
    """Whether a text has one of the two shapes, whatever its check character says."""
    return _SHAPE.fullmatch(normalise_nhi(text)) is not None


def is_nhi(text: str) -> bool:
    """Whether a text is an NHI by shape and check character, in either shape.

    Parameters
    ----------
    text : str
        In any case, with or without spaces and hyphens.

    Returns
    -------
    bool

    References
    ----------
    HISO 10046 Consumer Health Identity Standard, NHI check digit; method rule M7.

    Examples
    --------
    >>> is_nhi("ZAC5361"), is_nhi("ZBN77VL"), is_nhi("ZZZ0044")
    (True, True, False)
    """
    written = normalise_nhi(text)
    return _SHAPE.fullmatch(written) is not None and bool(_checks(np.array([written.encode("ascii")], dtype="S7"))[0])


def is_test_nhi(text: str) -> bool:
    """Whether the number is kept for tests: it has an NHI's shape and starts with Z."""
    return nhi_shaped(text) and normalise_nhi(text).startswith("Z")


def find_nhis(text: str) -> list[str]:
    """Everything in a text that has the shape of an NHI, whatever its check character says.

    Meant for removal: a mistyped number is still somebody's.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    list of str
        Normalised, in order, repeated as often as found.

    Examples
    --------
    >>> find_nhis("CXR of zzz 0016 (NHI:ALU18KZ), bed 12")
    ['ZZZ0016', 'ALU18KZ']
    """
    return [normalise_nhi(match.group()) for match in _IN_TEXT.finditer(text)]


def nhi_problems(values: pl.Series) -> pl.Series:
    """Say what is wrong with each of many normalised NHIs.

    Parameters
    ----------
    values : polars.Series of str
        Normalised: upper case, without spaces and hyphens.

    Returns
    -------
    polars.Series of str
        ``"shape"``, ``"check"``, or null where nothing is wrong or there is no value.
    """
    shaped = values.str.contains(f"^{_SHAPE.pattern}$").fill_null(value=False)
    problems = pl.select(pl.when(values.is_not_null() & ~shaped).then(pl.lit("shape"))).to_series()
    good = shaped.to_numpy()
    if good.any():
        passed = np.ones(len(values), dtype=bool)
        passed[good] = _checks(np.array(values.filter(shaped).to_list(), dtype="S7"))
        problems = pl.select(pl.when(pl.Series(~passed)).then(pl.lit("check")).otherwise(problems)).to_series()
    return problems.alias(values.name)


def _checks(written: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Whether the check characters hold, (N,), of NHIs of either shape."""
    values = _VALUES[np.frombuffer(written.tobytes(), dtype=np.uint8).reshape(-1, 7)]
    total = values[:, :6] @ _WEIGHTS
    check = values[:, 6]
    # A sum that 11 divides has no check digit; 10 is written 0.
    old = (total % _OLD_MODULUS != 0) & (check == (_OLD_MODULUS - total % _OLD_MODULUS) % 10)
    # 11 - remainder is 1 to 10; modulo 10 turns 10 into 0 and leaves the rest.
    new = np.zeros(len(written), dtype=bool)
    for modulus in _NEW_MODULI:
        new |= check == modulus - total % modulus
    has_letter = np.char.isalpha(np.char.decode(written, "ascii").astype("U7").view("U1").reshape(-1, 7)[:, 6])
    return np.asarray(np.where(has_letter, new, old), dtype=bool)
