"""Reporting guidelines filled by a run: an item is met only with a link to what shows it.

The items are data (`data/*.toml`): number, section, our own short wording, and the names of the proofs that have to
hold. An item without a proof is for the authors; nothing here judges prose.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from carina.report.checklist_evidence import Evidence, Link
from carina.report.checklist_proofs import PROOFS

__all__ = ["Checklist", "Item", "fill_checklists", "load_checklists"]

_FILES = ("claim_2024.toml", "tripod_ai_2024.toml", "stard_ai_2025.toml", "probast_ai_2025.toml")
Status: TypeAlias = Literal["met", "NOT SHOWN", "for the authors"]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a guideline.

    Attributes
    ----------
    id : str
        Number as published, such as ``"12a"``.
    section, text : str
        Where it belongs; what it asks, in our own words.
    status : {"met", "NOT SHOWN", "for the authors"}
    links : tuple of Link
        What shows it; empty unless met.
    lacking : tuple of str
        What would show it, where it is not shown.
    """

    id: str
    section: str
    text: str
    status: Status
    links: tuple[Link, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checklist:
    """A guideline, filled.

    Attributes
    ----------
    name, title, citation, doi, edition : str
    items : tuple of Item
    """

    name: str
    title: str
    citation: str
    doi: str
    edition: str
    items: tuple[Item, ...]

    def count(self, status: Status) -> int:
        """Count the items of a status."""
        return sum(item.status == status for item in self.items)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **{name: getattr(self, name) for name in ("name", "title", "citation", "doi", "edition")},
            "counts": {status: self.count(status) for status in ("met", "NOT SHOWN", "for the authors")},
            "items": [asdict(item) for item in self.items],
        }


def load_checklists() -> list[dict[str, Any]]:
    """Guidelines as data, in the order of the report.

    Returns
    -------
    list of dict
        `name`, `title`, `citation`, `doi`, `edition`, `item` (list).

    Examples
    --------
    >>> [(one["name"], len(one["item"])) for one in load_checklists()]
    [('CLAIM 2024', 44), ('TRIPOD+AI', 52), ('STARD-AI', 48), ('PROBAST+AI', 34)]
    """
    room = files("carina.report") / "data"
    return [tomllib.loads((room / name).read_text("utf-8")) for name in _FILES]


def fill_checklists(evidence: Evidence) -> tuple[Checklist, ...]:
    """Fill every guideline from a run.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    tuple of Checklist
    """
    shown = {name: proof.show(evidence) for name, proof in PROOFS.items()}
    return tuple(
        Checklist(
            **{name: guideline[name] for name in ("name", "title", "citation", "doi", "edition")},
            items=tuple(_filled(item, shown) for item in guideline["item"]),
        )
        for guideline in load_checklists()
    )


def _filled(item: dict[str, Any], shown: dict[str, Link | None]) -> Item:
    known = {name: item[name] for name in ("id", "section", "text")}
    wanted = item.get("shown_by", ())
    if not wanted:
        return Item(**known, status="for the authors")
    links = [shown[name] for name in wanted]
    if all(link is not None for link in links):
        unique = dict.fromkeys(link for link in links if link is not None)
        return Item(**known, status="met", links=tuple(unique))
    lacking = tuple(PROOFS[name].takes for name, link in zip(wanted, links, strict=True) if link is None)
    return Item(**known, status="NOT SHOWN", lacking=lacking)
