"""Films and records without identifiers, and the proof."""

from carina.deidentify.dicom import DeidentifiedFilm, deidentify_dicom
from carina.deidentify.keys import create_keys, load_key
from carina.deidentify.linkage import Linkage
from carina.deidentify.pictures import deidentify_picture
from carina.deidentify.policy import Policy
from carina.deidentify.proof import Proof, prove
from carina.deidentify.pseudonyms import Pseudonymiser
from carina.deidentify.records import pseudonymise_records
from carina.deidentify.removed import Removed
from carina.deidentify.text import clean_text
from carina.deidentify.verify import Leak, Verifier, verify_removal

__all__ = [
    "DeidentifiedFilm",
    "Leak",
    "Linkage",
    "Policy",
    "Proof",
    "Pseudonymiser",
    "Removed",
    "Verifier",
    "clean_text",
    "create_keys",
    "deidentify_dicom",
    "deidentify_picture",
    "load_key",
    "prove",
    "pseudonymise_records",
    "verify_removal",
]
