"""Bytes to trusted film to network input: reading under limits, standardisation."""

from carina.imaging.film import read_film
from carina.imaging.rejections import REJECTIONS
from carina.imaging.standardise import Standardisation, standardise

__all__ = ["REJECTIONS", "Standardisation", "read_film", "standardise"]
