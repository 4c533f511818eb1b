"""A signature read back from the folder that `carina signature` wrote."""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path

from carina.errors import InputError
from carina.evidence.signature_effects import Effect
from carina.report.atlas_page import FoundSignature

__all__ = ["read_signature"]

_WHOLE = ("n", "patients")


def read_signature(folder: Path) -> FoundSignature:
    """Read ``signature.json`` and ``features.csv``.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    FoundSignature

    Raises
    ------
    InputError
        If they are not there or not what `carina signature` writes.
    """
    try:
        told = json.loads((folder / "signature.json").read_text("utf-8"))
        rows = list(csv.DictReader((folder / "features.csv").read_text("utf-8").splitlines()))
        return FoundSignature(
            str(told["contrast"]),
            str(told["verdict"]["verdict"]),
            tuple(str(one) for one in told["sentences"]),
            tuple(_effect(row) for row in rows),
            frozenset(row["feature"] for row in rows if row["kept"] == "True"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"a signature must be the folder that `carina signature --out` wrote; {str(folder)!r} cannot be read: "
            f"{error}"
        ) from error


def _effect(row: dict[str, str]) -> Effect:
    values: dict[str, object] = {"feature": row["feature"]}
    for one in fields(Effect):
        if one.name in _WHOLE:
            values[one.name] = int(row[one.name])
        elif one.name != "feature":
            values[one.name] = float(row[one.name]) if row[one.name] else None
    return Effect(**values)  # type: ignore[arg-type]  # names and kinds are those of the dataclass, read above
