"""Test NHIs: numbers of nobody, in both shapes, with valid check characters (M7)."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["check_character", "issue_numbers"]

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # I and O never occur
_DIGITS_MODULUS, _LETTERS_MODULUS = 11, 23
_PREFIXES = len(_LETTERS) ** 2
# Coprime to the number of stems of either shape, so that neighbours in the list look unlike each other.
_STRIDE = 104_729


def issue_numbers(*, new: bool = False) -> Iterator[str]:
    """Give the NHIs that are kept for testing, each once.

    They begin with Z and belong to nobody.

    Parameters
    ----------
    new : bool
        The shape AAANNAX (check letter, modulus 23) instead of AAANNNC (check digit, modulus 11).

    Yields
    ------
    str
        Seven characters, the first ``Z``.

    References
    ----------
    HISO 10046, Consumer Health Identity Standard: the NHI number and its check character.

    Examples
    --------
    >>> next(issue_numbers()), next(issue_numbers(new=True))
    ('ZAA0008', 'ZAA00AC')
    """
    tails = 100 * len(_LETTERS) if new else 1000
    total = _PREFIXES * tails
    for step in range(total):
        prefix, tail = divmod(step * _STRIDE % total, tails)
        first, second = divmod(prefix, len(_LETTERS))
        end = f"{tail // len(_LETTERS):02d}{_LETTERS[tail % len(_LETTERS)]}" if new else f"{tail:03d}"
        stem = f"Z{_LETTERS[first]}{_LETTERS[second]}{end}"
        check = check_character(stem)
        if check is not None:
            yield stem + check


def check_character(stem: str) -> str | None:
    """Return the last character of an NHI from its first six.

    Parameters
    ----------
    stem : str
        AAANNN or AAANNA, upper case, without I and O.

    Returns
    -------
    str or None
        The check digit or letter; `None` where the number is not issued.

    Examples
    --------
    >>> check_character("ZZZ001"), check_character("ZBN77V")
    ('6', 'L')
    """
    values = [_LETTERS.index(sign) + 1 if sign in _LETTERS else int(sign) for sign in stem]
    total = sum(value * weight for value, weight in zip(values, range(7, 1, -1), strict=True))
    if stem[-1] in _LETTERS:
        return _LETTERS[_LETTERS_MODULUS - total % _LETTERS_MODULUS - 1]
    rest = total % _DIGITS_MODULUS
    return None if rest == 0 else str((_DIGITS_MODULUS - rest) % 10)
