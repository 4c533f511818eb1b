"""Films and records without identifiers, and the proof."""

from carina.deidentify.dicom import DeidentifiedFilm, deidentify_dicom
from carina.deidentify.keys import create_keys, load_key
from carina.deidentify.linkage import Linkage
from carina.deidentify.policy import Policy
from carina.deidentify.pseudonyms import Pseudonymiser
from carina.deidentify.records import pseudonymise_records
from carina.deidentify.removed import Removed
from carina.deidentify.text import clean_text

__all__ = [
    "DeidentifiedFilm",
    "Linkage",
    "Policy",
    "Pseudonymiser",
    "Removed",
    "clean_text",
    "create_keys",
    "deidentify_dicom",
    "load_key",
    "pseudonymise_records",
]
