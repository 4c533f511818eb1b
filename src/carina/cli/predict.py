"""`carina predict`: films in, a line and a heatmap a film out."""

from __future__ import annotations

__all__ = ["predict"]


def predict() -> None:
    """Judge films and write a line and a heatmap for each."""
    raise SystemExit(2)
