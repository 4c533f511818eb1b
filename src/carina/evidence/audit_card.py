"""What the audit says, as a section of a model card (M36)."""

from __future__ import annotations

from carina.evidence.audit_measured import Measured
from carina.evidence.audit_outcome import Audit

__all__ = ["CARD_HEADING", "card_section"]

CARD_HEADING = "## Shortcut audit"

_COLUMNS = (
    ("as they are", "as_it_is", "auc"),
    ("lungs black", "lungs_black", "auc"),
    ("only border", "border_only", "auc"),
    ("markers removed", "markers_removed", "auc"),
    ("within one source", "source_gap", "within_source_auc"),
    ("across sources", "source_gap", "cross_source_auc"),
)


def card_section(audit: Audit) -> str:
    """Write the verdicts and what they rest on, in Markdown.

    Parameters
    ----------
    audit : Audit
        Of a model.

    Returns
    -------
    str
        Begins with `CARD_HEADING`.
    """
    asked = (
        f"Asked of {audit.films} films of {audit.patients} patients that it did not learn from (film table "
        f"`{audit.table_sha256[:12]}`, criteria version {audit.criteria_version}; `carina audit`). *Supported* is no "
        "proof: the audit finds what it looks for. AUCs with intervals at 99 %."
    )
    lines = [
        CARD_HEADING,
        "",
        asked,
        "",
        "| contrast | verdict | " + " | ".join(f"AUC, {title}" for title, _, _ in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 2) + "|",
    ]
    for contrast, said in audit.verdicts.items():
        cells = [_cell(_found(audit, kind, contrast, name)) for _, kind, name in _COLUMNS]
        lines.append(f"| {contrast} | **{said.verdict}** | " + " | ".join(cells) + " |")
    for contrast, said in audit.verdicts.items():
        lines += ["", f"`{contrast}`, {said.verdict}:", "", *(f"- {sentence}" for sentence in said.because)]
    return "\n".join(lines) + "\n"


def _found(audit: Audit, kind: str, contrast: str, name: str) -> Measured | None:
    probe = audit.probe(kind, contrast)
    return None if probe is None else probe.measured.get(name)


def _cell(value: Measured | None) -> str:
    if value is None or value.value is None:
        return "not estimable"
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
