"""Which films a study learns from and is judged on: tables, splits, near-duplicates, class sizes (M10, M11)."""

from carina.sampling.duplicates import DEFAULT_BITS, hamming, near_duplicates, perceptual_hash
from carina.sampling.split import DEFAULT_FRACTIONS, DisjointProof, prove_disjoint, split_by_patient
from carina.sampling.table import SPLITS, FilmTable, read_film_table, require_two_classes

__all__ = [
    "DEFAULT_BITS",
    "DEFAULT_FRACTIONS",
    "SPLITS",
    "DisjointProof",
    "FilmTable",
    "hamming",
    "near_duplicates",
    "perceptual_hash",
    "prove_disjoint",
    "read_film_table",
    "require_two_classes",
    "split_by_patient",
]
