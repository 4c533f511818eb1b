"""The secret key of a study, kept apart from the study (M6)."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from carina.errors import RemovalError

__all__ = ["KEY_FILE", "create_keys", "load_key"]

KEY_FILE: Final = "study.key"
"""Name of the key's file in the keys folder."""
_KEY_BYTES: Final = 32
_HEX_KEY: Final = re.compile(rb"[0-9a-fA-F]{64}")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def create_keys(folder: Path) -> None:
    """Make a keys folder that only its owner can read, with a fresh key of 32 random bytes in it.

    Parameters
    ----------
    folder : Path
        Folder to make, apart from the study folder; it may exist if it is empty.

    Raises
    ------
    RemovalError
        If the folder holds a key or anything else already, or cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "trial.keys"
    >>> create_keys(folder)
    >>> len(load_key(folder))
    32
    """
    try:
        if (folder / KEY_FILE).exists():
            raise RemovalError(
                f"a key is made once, for a second one would give every patient a second pseudonym; "
                f"{str(folder)!r} holds one already: keep it, or name another folder"
            )
        if folder.is_dir() and any(folder.iterdir()):
            raise RemovalError(f"a new keys folder must be empty; {str(folder)!r} is not: name another folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        descriptor = os.open(folder / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(secrets.token_bytes(_KEY_BYTES).hex().encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RemovalError(f"a keys folder must be writable; {str(folder)!r} is not: {error.strerror}") from error


def load_key(folder: Path) -> bytes:
    """Read the key of a study; a key that others could have read is refused.

    Parameters
    ----------
    folder : Path
        Keys folder.

    Returns
    -------
    bytes
        32 bytes.

    Raises
    ------
    RemovalError
        If the key is missing, malformed, or open to group or others.
    """
    path = folder / KEY_FILE
    try:
        # no symbolic link: it could lead to a file of somebody who may swap the key
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(1024).strip()
    except OSError as error:
        raise RemovalError(
            f"the key {str(path)!r} must be readable, and is not ({error.strerror}); name the keys folder of this study"
        ) from error
    if mode & _OTHERS or stat.S_IMODE(folder.stat().st_mode) & stat.S_IWOTH:
        raise RemovalError(
            f"only its owner may read the key {str(path)!r}; its mode is {mode:04o}: whoever read it can undo the "
            "pseudonyms. If nobody did, run `chmod 600` on the file and `chmod 700` on its folder"
        )
    if not _HEX_KEY.fullmatch(text):
        raise RemovalError(
            f"a key is 64 hexadecimal digits; {str(path)!r} holds {len(text)} characters that are not: restore it from "
            "its copy, for with another key no pseudonym is the same"
        )
    return bytes.fromhex(text.decode("ascii"))
