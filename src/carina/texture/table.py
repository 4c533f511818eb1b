"""Which features there are: class, name after PyRadiomics, code in the IBSI reference manual (`data/features.csv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["CLASSES", "TEXTURE_CLASSES", "Feature", "features_of", "table"]

TEXTURE_CLASSES = ("firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm")
"""Classes that every picture gives, original or filtered: 93 features."""

CLASSES = (*TEXTURE_CLASSES, "shape2D", "fractal")
"""Every class; the last two are of the region and the original picture alone."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes
    ----------
    family : str
        One of `CLASSES`.
    name : str
        As PyRadiomics spells it, where it has the feature.
    kernel : str
        The name under which the compiled kernels return it.
    ibsi : str
        Code in the reference manual of the Image Biomarker Standardisation Initiative (arXiv:1612.07003); empty
        where that has no such feature.
    """

    family: str
    name: str
    kernel: str
    ibsi: str


@cache
def table() -> tuple[Feature, ...]:
    """Every feature, in the order in which they are returned.

    Examples
    --------
    >>> [feature.ibsi for feature in table() if feature.name == "JointEntropy"]
    ['TU9B']
    """
    lines = files("carina.texture").joinpath("data/features.csv").read_text("utf-8").splitlines()
    return tuple(Feature(row["class"], row["feature"], row["kernel"], row["ibsi"]) for row in csv.DictReader(lines))


@cache
def features_of(family: str) -> tuple[Feature, ...]:
    """Features of one class, in order."""
    return tuple(feature for feature in table() if feature.family == family)
