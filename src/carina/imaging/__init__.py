"""Bytes to trusted film to network input: reading under limits, standardisation."""

from carina.imaging.film import read_film
from carina.imaging.quality import QUALITY_RULES, QualityRule, check_rules
from carina.imaging.rejections import REJECTIONS
from carina.imaging.standardise import Standardisation, standardise

__all__ = [
    "QUALITY_RULES",
    "REJECTIONS",
    "QualityRule",
    "Standardisation",
    "check_rules",
    "read_film",
    "standardise",
]
