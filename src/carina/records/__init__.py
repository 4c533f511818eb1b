"""Admissions, vitals, reads and microbiology as validated rows; NHI, ICD-10, ethnicity."""

from __future__ import annotations
