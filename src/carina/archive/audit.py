"""The audit log: append-only, each entry sealed with the hash of all before it (M6, M35).

A changed, removed or inserted row breaks the chain. Cutting entries off the end can only be seen by someone who noted
the last hash, which `Archive.audit_head` gives and every verb that writes prints on request; keep it elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["START", "AuditEntry", "canonical", "seal", "verify_chain"]

START = "0" * 64
"""What stands before the first entry."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the log.

    Attributes
    ----------
    sequence : int
        1, 2, 3, without a gap.
    at : str
        UTC, ISO 8601.
    event : str
        What happened, such as ``"identifiers_removed"``.
    details : str
        Canonical JSON; never an identifier.
    previous, hash : str
        Hash of the entry before, and of this one.
    """

    sequence: int
    at: str
    event: str
    details: str
    previous: str
    hash: str


def canonical(value: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces, so that equal content gives equal text.

    Examples
    --------
    >>> canonical({"b": 1, "a": [None, "ā"]})
    '{"a":[null,"ā"],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str, allow_nan=False)


def seal(sequence: int, at: str, event: str, details: str, previous: str) -> str:
    """SHA-256 over an entry and the hash of the entry before it, as hex.

    Examples
    --------
    >>> seal(1, "2026-01-01T00:00:00+00:00", "created", "{}", START)[:8]
    '2f5206f9'
    """
    text = json.dumps([previous, sequence, at, event, details], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def verify_chain(entries: Iterable[AuditEntry], head: str | None = None) -> list[str]:
    """Check every link of the chain.

    Parameters
    ----------
    entries : iterable of AuditEntry
        In the order of their sequence.
    head : str or None
        Hash of an entry noted earlier; it must still be in the chain.

    Returns
    -------
    list of str
        One sentence a broken link; empty when the log is whole.
    """
    problems = []
    previous, expected, seen = START, 1, False
    for entry in entries:
        if entry.sequence != expected:
            problems.append(
                f"audit entry {expected} must follow {expected - 1}; found {entry.sequence}: rows are missing"
            )
        if entry.previous != previous:
            problems.append(f"audit entry {entry.sequence} does not follow the entry before it")
        if entry.hash != seal(entry.sequence, entry.at, entry.event, entry.details, entry.previous):
            problems.append(f"audit entry {entry.sequence} was changed after it was written")
        seen |= entry.hash == head
        previous, expected = entry.hash, entry.sequence + 1
    if head is not None and head != START and not seen:
        problems.append("the entry whose hash was noted is no longer in the log: its end was cut off or rewritten")
    return problems
