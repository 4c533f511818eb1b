"""Keys that sign a shared package: Ed25519 (RFC 8032), the private one readable by its owner alone."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from carina.errors import SharingError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["fingerprint", "load_private_key", "load_public_key", "make_keys", "public_text", "signature", "signed_by"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST = 4096
# What a signature is for stands in what is signed, so that none made for another purpose can be shown here.
_PURPOSE = b"carina share manifest 1\n"


def make_keys(path: Path) -> str:
    """Make a pair of keys: the private one at `path` with mode 0600, the public one beside it with the suffix ``.pub``.

    Parameters
    ----------
    path : Path
        Neither file may exist.

    Returns
    -------
    str
        Fingerprint, to be told to those who are to trust the key by another way than the package.

    Raises
    ------
    SharingError
        If a file is there already or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an optional extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    public = path.with_name(f"{path.name}.pub")
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if public.exists():
            raise SharingError(f"keys are not overwritten; {str(public)!r} is there already: name another file")
        # Created closed: a file that is closed afterwards could have been opened in between.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(text)
        public.write_text(public_text(key.public_key()), "ascii")
    except FileExistsError as error:
        raise SharingError(f"keys are not overwritten; {str(path)!r} is there already: name another file") from error
    except OSError as error:
        raise SharingError(f"the key {str(path)!r} cannot be written: {error.strerror}") from error
    return fingerprint(key.public_key())


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; one that others could have read is refused.

    Raises
    ------
    SharingError
        If it is missing, open to group or others, or no Ed25519 key in PEM without a password.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an optional extra
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_LONGEST)
    except OSError as error:
        raise SharingError(
            f"the key {str(path)!r} must be readable, and is not ({error.strerror}); make one with `carina share key`"
        ) from error
    if mode & _OTHERS:
        raise SharingError(
            f"only its owner may read the key {str(path)!r}; its mode is {mode:04o}: whoever read it can sign in your "
            "name. If nobody did, run `chmod 600` on it; else make a new one"
        )
    try:
        key = serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SharingError(f"a key is an Ed25519 private key in PEM; {str(path)!r} is not one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SharingError(f"a key is an Ed25519 private key in PEM; {str(path)!r} is of another kind")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises
    ------
    SharingError
        If it is missing, or no Ed25519 public key in PEM.
    """
    try:
        with path.open("rb") as file:
            return parse_public_key(file.read(_LONGEST), repr(str(path)))
    except OSError as error:
        raise SharingError(f"the public key {str(path)!r} must be readable: {error.strerror}") from error


def parse_public_key(text: bytes, origin: str) -> Ed25519PublicKey:
    """Public key from PEM."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an optional extra
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    try:
        key = serialization.load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SharingError(f"a public key is an Ed25519 key in PEM; {origin} is not one") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SharingError(f"a public key is an Ed25519 key in PEM; {origin} is of another kind")
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """Write a public key in PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an optional extra

    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's 32 bytes in base64 without padding, as OpenSSH shows fingerprints, with ``SHA256:``."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an optional extra

    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode("ascii").rstrip("=")


def signature(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """64 bytes that only the key's owner can make for this manifest."""
    return key.sign(_PURPOSE + manifest)


def signed_by(key: Ed25519PublicKey, manifest: bytes, made: bytes) -> bool:
    """Whether a signature is of this key for this manifest."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an optional extra

    try:
        key.verify(made, _PURPOSE + manifest)
    except InvalidSignature:
        return False
    return True
