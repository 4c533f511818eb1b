"""Pseudonyms, UIDs and date shifts from one secret key (M6)."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from functools import lru_cache
from typing import Final

from carina.errors import RemovalError

__all__ = ["LONGEST_SHIFT_WEEKS", "SHORTEST_SHIFT_WEEKS", "Pseudonymiser"]

SHORTEST_SHIFT_WEEKS: Final = 53
"""A little over one year."""
LONGEST_SHIFT_WEEKS: Final = 521
"""A little under ten years."""
_KEY_BYTES: Final = 32
_LETTERS: Final = 16
_ACCESSION_LETTERS: Final = 15
"""With its prefix an accession number fills the 16 characters of its value representation SH."""
_KEPT_UIDS: Final = "1.2.840.10008."
"""Root of the UIDs that the standard itself defines: they name kinds of things, never a patient's."""
_CACHE: Final = 65536


class Pseudonymiser:
    """One study's way from identifiers to pseudonyms, always the same for the same key.

    A pseudonym is an HMAC-SHA-256: there are few enough NHIs to try them all, so that a plain or salted hash could be
    reversed by whoever holds the list; without the key, this cannot. The kind of identifier is hashed with it, so that
    an accession number which equals an NHI gives no clue to it.

    Parameters
    ----------
    key : bytes
        32 bytes of `load_key`.

    Raises
    ------
    RemovalError
        If the key is not 32 bytes.

    References
    ----------
    RFC 2104 (HMAC), RFC 4648 section 6 (base32), DICOM PS3.5 B.2 (UIDs under 2.25), method rule M6.

    Examples
    --------
    >>> name = Pseudonymiser(bytes(32))
    >>> name.patient("ZZZ0016") == name.patient(" zzz0016"), len(name.patient("ZZZ0016"))
    (True, 17)
    >>> name.shift("ZZZ0016").days % 7, name.uid("1.2.840.10008.1.2.1")
    (0, '1.2.840.10008.1.2.1')
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise RemovalError(f"a key must have {_KEY_BYTES} bytes; found {len(key)}: load it with load_key")
        self._key = key
        self._letters_of = lru_cache(_CACHE)(self._letters)
        self._shift_of = lru_cache(_CACHE)(self._shift)

    def patient(self, nhi: str) -> str:
        """Pseudonym of a patient: ``P`` and 16 letters or digits (80 bits)."""
        return "P" + self._letters_of("patient", _normal(nhi))[:_LETTERS]

    def accession(self, text: str) -> str:
        """Pseudonym of an accession number: ``A`` and 15 letters or digits (75 bits)."""
        return "A" + self._letters_of("accession", _normal(text))[:_ACCESSION_LETTERS]

    def event(self, text: str) -> str:
        """Pseudonym of an admission event: ``E`` and 16 letters or digits."""
        return "E" + self._letters_of("event", _normal(text))[:_LETTERS]

    def specimen(self, text: str) -> str:
        """Pseudonym of a specimen: ``S`` and 16 letters or digits."""
        return "S" + self._letters_of("specimen", _normal(text))[:_LETTERS]

    def uid(self, uid: str) -> str:
        """Replace a UID by one under 2.25, at most 44 characters; UIDs of the standard itself stay as they are."""
        plain = uid.strip(" \0")
        if plain.startswith(_KEPT_UIDS):
            return plain
        return f"2.25.{int.from_bytes(self._digest('uid', plain)[:16], 'big')}"

    def shift(self, nhi: str) -> dt.timedelta:
        """How far a patient's dates move: back by 53 to 521 whole weeks, so that intervals and weekdays stay."""
        return self._shift_of(_normal(nhi))

    def _shift(self, nhi: str) -> dt.timedelta:
        span = LONGEST_SHIFT_WEEKS - SHORTEST_SHIFT_WEEKS + 1
        drawn = int.from_bytes(self._digest("shift", nhi)[:8], "big") % span
        return dt.timedelta(weeks=-(SHORTEST_SHIFT_WEEKS + drawn))

    def _letters(self, kind: str, text: str) -> str:
        return base64.b32encode(self._digest(kind, text)).decode("ascii")

    def _digest(self, kind: str, text: str) -> bytes:
        """HMAC with the kind in front; the zero byte keeps kind and text apart, for neither holds one."""
        return hmac.new(self._key, f"carina/1/{kind}\0{text}".encode(), hashlib.sha256).digest()


def _normal(text: str) -> str:
    """Write an identifier in the one way that is hashed: no surrounding or inner spaces, upper case."""
    return "".join(text.replace("\0", " ").split()).upper()
