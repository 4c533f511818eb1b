"""Organisms of the laboratory's extract: one name each, and what kind of thing it is (M15)."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

__all__ = ["ORGANISM_KINDS", "organism_kind", "organism_names", "organism_synonyms"]

ORGANISM_KINDS = ("virus", "bacterium", "fungus", "contaminant", "none")
"""Kinds of `organisms.toml`; ``none`` is a culture or panel that found nothing."""


@cache
def _listed() -> dict[str, tuple[str, tuple[str, ...]]]:
    data = tomllib.loads(files("carina.records").joinpath("organisms.toml").read_text("utf-8"))
    return {name: (kind, tuple(others)) for kind in ORGANISM_KINDS for name, others in data[kind].items()}


def organism_names(kind: str | None = None) -> list[str]:
    """Names as the canonical table writes them, of one kind or of all.

    Examples
    --------
    >>> organism_names("virus")[:2]
    ['SARS-CoV-2', 'Influenza A virus']
    """
    return [name for name, (of, _) in _listed().items() if kind in (None, of)]


def organism_kind(name: str) -> str | None:
    """Kind of an organism by its canonical name: one of `ORGANISM_KINDS`, or None for an unknown name.

    Examples
    --------
    >>> organism_kind("Streptococcus pneumoniae")
    'bacterium'
    """
    found = _listed().get(name)
    return found[0] if found else None


@cache
def organism_synonyms() -> dict[str, str]:
    """Every spelling, folded as `fold` does, to the canonical name."""
    return {fold(word): name for name, (_, others) in _listed().items() for word in (name, *others)}


def fold(text: str) -> str:
    """Fold a word for comparison: lower case, without spaces and punctuation."""
    return re.sub(r"[\s.,/()_-]", "", text).lower()
