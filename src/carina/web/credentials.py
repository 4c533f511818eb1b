"""Passwords, second factors and the counting of failed sign-ins."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import quote

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from carina.archive import Accounts
from carina.errors import InputError

__all__ = [
    "Throttle",
    "check_password",
    "find_step",
    "hash_password",
    "initial_password",
    "new_totp_secret",
    "one_time_code",
    "totp_address",
    "verify_password",
]

LEAST_LENGTH: Final = 12
_LONGEST: Final = 256
_STEP: Final = 30
_DIGITS: Final = 6
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
# OWASP Password Storage: argon2id with 19 MiB, 2 passes; ours is no less
_HASHER: Final = PasswordHash((Argon2Hasher(time_cost=3, memory_cost=64 * 1024, parallelism=1),))


def hash_password(password: str) -> str:
    """Hash a password with argon2id, 64 MiB and 3 passes (RFC 9106)."""
    return _HASHER.hash(password)


def verify_password(password: str, known: str | None) -> bool:
    """Whether a password fits a hash; without one it costs the same time, so that names cannot be told by it."""
    try:
        fits = _HASHER.verify(password[:_LONGEST], known or _nobody())
    except Exception:  # noqa: BLE001 - a hash of another kind fits no password
        return False
    return fits and known is not None


@cache
def _nobody() -> str:
    return hash_password(secrets.token_urlsafe(16))


def check_password(password: str, name: str, old: str | None = None) -> None:
    """Refuse a password that is too short, too long, of few letters, the old one, or holds the name.

    Raises
    ------
    InputError
    """
    if not LEAST_LENGTH <= len(password) <= _LONGEST:
        raise InputError(f"a password must have {LEAST_LENGTH} to {_LONGEST} characters; it need not be complicated")
    if len(set(password)) < LEAST_LENGTH // 2 or name.lower() in password.lower():
        raise InputError("a password must be of more than a few letters and must not hold the user's name")
    if password == old:
        raise InputError("a password must differ from the one before")


def initial_password() -> str:
    """Draw a password of 80 random bits, in groups that can be read out."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def new_totp_secret() -> str:
    """Draw a secret of 160 bits, base32 (RFC 4226, 4)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def one_time_code(secret: str, step: int, *, digits: int = _DIGITS) -> str:
    """Code of a time step (RFC 6238, with SHA-1 as every authenticator has it).

    Examples
    --------
    The test vector of RFC 6238, appendix B, for 59 seconds:

    >>> one_time_code(base64.b32encode(b"12345678901234567890").decode(), 59 // 30, digits=8)
    '94287082'
    """
    mac = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def find_step(secret: str, code: str, *, now: float | None = None) -> int | None:
    """Time step whose code this is, at most one away from now (RFC 6238, 5.2); None where it is none."""
    step = int((time.time() if now is None else now) // _STEP)
    digits = "".join(code.split())
    found = None
    for each in (step - 1, step, step + 1):
        if hmac.compare_digest(one_time_code(secret, each).encode(), digits.encode("utf-8", "surrogateescape")):
            found = each
    return found


def totp_address(secret: str, name: str) -> str:
    """Address for the authenticator, which shows it as Carina and the user's name."""
    return f"otpauth://totp/Carina:{quote(name)}?secret={secret}&issuer=Carina"


class Throttle:
    """Slows down guessing without giving anyone the means to lock a user out.

    Failures are counted for each browser that the user has signed in with before, for each address of strangers, and
    for all strangers together. Whoever guesses from elsewhere is locked out himself, and at worst other strangers with
    him: the user's own browsers go on (OWASP, Slow Down Online Guessing Attacks with Device Cookies).

    Parameters
    ----------
    accounts : Accounts
    """

    _MOST: Final[Mapping[str, int]] = {"device": 10, "address": 10, "strangers": 100}
    _SPANS: Final[Mapping[str, float]] = {"device": 900.0, "address": 900.0, "strangers": 3600.0}

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def refuses(self, name: str, address: str, device: str | None) -> bool:
        """Whether a sign-in must not even be tried now."""
        keys = self._keys(name, address, device)
        found = self._accounts.failures(keys)
        return any(count >= self._MOST[key.partition("\0")[0]] for key, count in found.items())

    def failed(self, name: str, address: str, device: str | None) -> None:
        """Count a failure."""
        self._accounts.note_failure(self._keys(name, address, device))

    def succeeded(self, name: str, address: str, device: str | None) -> None:
        """Begin this browser's, or this address's, count again."""
        keys = self._keys(name, address, device)
        self._accounts.forget_failures({key: span for key, span in keys.items() if not key.startswith("strangers")})

    def _keys(self, name: str, address: str, device: str | None) -> dict[str, float]:
        lower = name.lower()
        if device is not None:
            return {f"device\0{lower}\0{device}": self._SPANS["device"]}
        return {
            f"address\0{lower}\0{address}": self._SPANS["address"],
            f"strangers\0{lower}": self._SPANS["strangers"],
        }
