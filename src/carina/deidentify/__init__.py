"""Films and records without identifiers, and the proof."""

from __future__ import annotations
