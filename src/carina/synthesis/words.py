"""What referrers and radiologists of the synthetic hospital write."""

from __future__ import annotations

__all__ = ["REASONS", "REPORTS", "REQUESTS", "SERIES"]

REQUESTS: dict[bool, tuple[str, ...]] = {
    True: (
        "?pneumonia",
        "Fever and productive cough. Pneumonia?",
        "SOB, ?chest infection",
        "LRTI, ?consolidation",
        "Query community acquired pneumonia",
        "Follow-up of pneumonia",
    ),
    False: (
        "NG tube position",
        "Line check",
        "Preoperative",
        "Pleural effusion, follow-up",
        "Chest pain, ?pneumothorax",
        "Heart failure, progress",
    ),
}
"""Requests that name suspected pneumonia (M8), and others."""

REASONS: dict[bool, tuple[str, ...]] = {
    True: ("Pneumonia", "Community acquired pneumonia", "LRTI", "Chest infection"),
    False: ("Heart failure", "Chest pain", "Fall at home", "Elective surgery", "Exacerbation of COPD"),
}
"""Reasons of admission that name suspected pneumonia (M8), and others."""

REPORTS: dict[str, tuple[str, ...]] = {
    "P": (
        "There is consolidation in the right lower lobe in keeping with pneumonia.",
        "Patchy air space opacity at the left base, consistent with pneumonia.",
        "Right middle lobe pneumonia. No pleural effusion.",
        "Heart size normal. Left lower lobe consolidation.",
    ),
    "N": (
        "The lungs are clear. No consolidation.",
        "No evidence of pneumonia. Heart size normal.",
        "No focal consolidation, collapse or pleural effusion.",
        "Heart enlarged. No consolidation is seen.",
    ),
    "E": (
        "Possible early consolidation at the left base; pneumonia cannot be excluded.",
        "Equivocal opacity at the right base. Pneumonia cannot be excluded.",
        "Possible right lower lobe pneumonia.",
    ),
}
"""Free-text reports by what they say: pneumonia, none, equivocal (M13)."""

SERIES: dict[str, tuple[str, ...]] = {
    "E": ("Chest erect", "CXR sitting", "Chest PA erect"),
    "S": ("Chest supine", "Chest AP supine", "Mobile chest supine"),
    "?": ("Chest", "CXR", "Thorax"),
}
"""Series descriptions by the position that they tell (M10)."""
