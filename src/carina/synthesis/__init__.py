"""A synthetic hospital: records, phantom films, dirt, and the truth beside them."""

from __future__ import annotations

from carina.synthesis.hospital import HospitalSummary, write_hospital

__all__ = ["HospitalSummary", "write_hospital"]
