"""Phantom films: synthetic chest radiographs whose every structure is known."""

from __future__ import annotations

from carina.imaging.phantom.collection import Collection, write_phantoms
from carina.imaging.phantom.dicom import phantom_dicom
from carina.imaging.phantom.exposure import Signature
from carina.imaging.phantom.film import Phantom, phantom_film
from carina.imaging.phantom.opacity import LABELS

__all__ = ["LABELS", "Collection", "Phantom", "Signature", "phantom_dicom", "phantom_film", "write_phantoms"]
