"""From probes to the verdict on a contrast (M36)."""

from __future__ import annotations

from collections.abc import Sequence

from carina.evidence import audit_criteria as limits
from carina.evidence.audit_films import AuditedFilms
from carina.evidence.audit_outcome import Probe, Verdict
from carina.evidence.shortcut_changes import LUNGLESS

__all__ = ["conclude"]

_AGAINST = (*LUNGLESS, "markers_removed", "source_gap")


def conclude(found: AuditedFilms, name: str, probes: Sequence[Probe]) -> Verdict:
    """Weigh the probes of one contrast.

    *Not supported*: the model tells the classes on films without lungs, needs the markers, or is better across sources
    than within one. *Not shown*: the films cannot tell whether it reads the disease. *Supported*: neither.

    Parameters
    ----------
    found : AuditedFilms
    name : str
        Contrast.
    probes : sequence of Probe
        Of the contrast and of the whole table.

    Returns
    -------
    Verdict
    """
    if not found.has_model:
        return Verdict(
            "not shown", ("no model was asked: these probes describe the films", *_failed_data(name, probes))
        )
    asked = {one.kind: one for one in probes if one.contrast in (None, name)}
    against = [_cited(asked[kind]) for kind in _AGAINST if kind in asked and asked[kind].outcome == "failed"]
    gaps = _gaps(asked)
    if against:
        return Verdict("not supported", (*against, *gaps))
    if gaps:
        return Verdict("not shown", tuple(gaps))
    held = [_cited(asked[kind]) for kind in ("as_it_is", *_AGAINST) if kind in asked]
    return Verdict("supported", tuple(held))


def _gaps(asked: dict[str, Probe]) -> list[str]:
    """List what keeps the films from showing anything."""
    gaps = []
    model = asked["as_it_is"]
    if model.outcome != "passed":
        gaps.append(_cited(model))
    gaps += [_cited(asked[view]) for view in LUNGLESS if asked[view].outcome == "not estimable"]
    table = asked["source_table"]
    if table.outcome == "failed" and not _rescued(table, asked["source_gap"]):
        gaps.append(_cited(table))
    if asked["near_duplicates"].outcome == "failed":
        gaps.append(_cited(asked["near_duplicates"]))
    gaps += [
        f"signs that hold no lungs tell the class about as well as the model does: {_cited(one)}"
        for one in asked.values()
        if one.kind.startswith("class_from_") and one.outcome == "failed" and _as_good(one, model)
    ]
    return gaps


def _rescued(table: Probe, gap: Probe) -> bool:
    """Whether the same is seen within sources, on films enough to stand for the table."""
    shared, difference = table.measured.get("shared_films"), gap.measured.get("gap")
    return (
        shared is not None
        and (shared.value or 0.0) >= limits.SHARED_FLOOR
        and difference is not None
        and difference.high is not None
        and difference.high < limits.SOURCE_GAP_CEILING
    )


def _as_good(trivial: Probe, model: Probe) -> bool:
    one, other = trivial.measured.get("auc"), model.measured.get("auc")
    if one is None or other is None or one.value is None or other.value is None:
        return False
    return one.value >= other.value - limits.TRIVIAL_MARGIN


def _failed_data(name: str, probes: Sequence[Probe]) -> list[str]:
    return [
        _cited(one)
        for one in probes
        if one.describes == "data" and one.contrast in (None, name) and one.outcome == "failed"
    ]


def _cited(probe: Probe) -> str:
    return f"{probe.sentence} [{probe.id}]"
