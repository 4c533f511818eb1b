"""A synthetic hospital: records, phantom films and the truth about them."""

from __future__ import annotations
