"""From pseudonymous records to a labelled cohort: eligibility, episodes, gold standard, flow counts."""

from __future__ import annotations
