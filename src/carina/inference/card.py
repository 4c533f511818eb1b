"""A bundle's card with one section more: what was found about a model after it was made."""

from __future__ import annotations

import json
from pathlib import Path

from carina.inference.bundle import Bundle, find_bundle, load_bundle, read_contents, write_bundle

__all__ = ["copy_with_section"]

_MODEL, _DESCRIPTION, _CARD = "model.onnx", "bundle.json", "MODEL_CARD.md"


def copy_with_section(source: str | Path, folder: Path, section: str) -> Bundle:
    """Write a copy of a bundle whose card has one section more, or anew where it has one under the same heading.

    Network, calibration and dates stay; only ``MODEL_CARD.md`` and its hash differ.

    Parameters
    ----------
    source : str or Path
        Bundle, or name of a shipped one; verified first.
    folder : Path
        Must not exist yet.
    section : str
        Markdown; its first line is a heading of level 2.

    Returns
    -------
    Bundle
        The copy, read back and verified.

    Raises
    ------
    BundleError, OutputError
    """
    path = find_bundle(source)
    load_bundle(path)
    contents = read_contents(path)
    heading = section.partition("\n")[0]
    before, found, after = contents[_CARD].decode("utf-8").partition(f"\n{heading}\n")
    rest = after.partition("\n## ")
    tail = f"\n## {rest[2]}" if found and rest[1] else ""
    card = f"{before.rstrip()}\n\n{section.rstrip()}\n{tail}"
    return write_bundle(folder, contents[_MODEL], json.loads(contents[_DESCRIPTION]), card)
