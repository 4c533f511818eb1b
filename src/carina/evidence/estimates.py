"""Figures by patient as `explain` writes them; the statistics are `carina.statistics`'s."""

from __future__ import annotations

from typing import Any

from carina.statistics import Estimate, patient_bootstrap, patient_mean

__all__ = ["Estimate", "figure_to_dict", "patient_bootstrap", "patient_mean"]


def figure_to_dict(figure: Estimate) -> dict[str, Any]:
    """As the file of an explanation holds it, whose keys are older than `Estimate.to_dict`'s."""
    return {
        "estimate": figure.value,
        "low": figure.low,
        "high": figure.high,
        "films": figure.n,
        "patients": figure.patients,
        "level": figure.level,
        "method": figure.method,
    }
