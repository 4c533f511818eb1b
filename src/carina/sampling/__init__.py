"""Which films a study learns from and is judged on: tables, splits, near-duplicates, class sizes (M10, M11)."""

from carina.sampling.ages import contrast_ages
from carina.sampling.classes import (
    STUDY_SIZES,
    ClassDraw,
    class_weights,
    draw_class_sizes,
    matched_pairs,
    paper_draw,
    parameters_per_film_warning,
)
from carina.sampling.duplicates import (
    DEFAULT_BITS,
    hamming,
    near_duplicates,
    nearest_across,
    perceptual_hash,
    within_reach,
)
from carina.sampling.split import DEFAULT_FRACTIONS, DisjointProof, prove_disjoint, split_by_patient
from carina.sampling.table import (
    SPLITS,
    FilmTable,
    patient_key,
    read_film_table,
    require_two_classes,
)
from carina.sampling.weights import FilmWeights, film_weights

__all__ = [
    "DEFAULT_BITS",
    "DEFAULT_FRACTIONS",
    "SPLITS",
    "STUDY_SIZES",
    "ClassDraw",
    "DisjointProof",
    "FilmTable",
    "FilmWeights",
    "class_weights",
    "contrast_ages",
    "draw_class_sizes",
    "film_weights",
    "hamming",
    "matched_pairs",
    "near_duplicates",
    "nearest_across",
    "paper_draw",
    "parameters_per_film_warning",
    "patient_key",
    "perceptual_hash",
    "prove_disjoint",
    "read_film_table",
    "require_two_classes",
    "split_by_patient",
    "within_reach",
]
