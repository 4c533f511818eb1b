"""What is removed, kept and changed: a policy that says so itself, sentence by sentence (house rule 9)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from carina.deidentify.pseudonyms import LONGEST_SHIFT_WEEKS, SHORTEST_SHIFT_WEEKS

__all__ = ["EDITION", "OLDEST_AGE", "Policy"]

OLDEST_AGE: Final = 90
"""Ages of this and above are written as this: 90 means 90 or more."""
EDITION: Final = "2026c"
"""Edition of PS3.15 whose table E.1-1 is applied."""


class Policy(BaseModel):
    """What de-identification does where there is a choice.

    Examples
    --------
    >>> Policy(burned_in="review").burned_in
    'review'
    >>> "113105" in Policy().codes(), "113105" in Policy(descriptors="remove").codes()
    (True, False)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    burned_in: Literal["blank", "review"] = Field(
        "blank", description="text in the pixels: blanked, or blanked and sent to a person as well"
    )
    markers: Literal["keep", "blank"] = Field(
        "keep", description="side markers (L, R) and technical words such as ERECT in the pixels"
    )
    without_ocr: Literal["refuse", "review"] = Field(
        "refuse", description="films when tesseract is not installed: refused, or sent to a person"
    )
    descriptors: Literal["clean", "remove"] = Field(
        "clean", description="study, series and protocol words: cleaned word by word, or removed"
    )
    patient_characteristics: bool = Field(
        default=True, description="age, sex, size, weight, smoking, pregnancy and ethnic group stay"
    )

    def sentences(self) -> tuple[str, ...]:
        """Every rule in a sentence, in the order in which a reader needs them.

        Returns
        -------
        tuple of str
        """
        told = _told()
        chosen = (told["chosen"][name][str(value).lower()] for name, value in self)
        sentences = (*told["always"], *told["films"], *chosen, *told["records"])
        numbers = {
            "shortest": SHORTEST_SHIFT_WEEKS,
            "longest": LONGEST_SHIFT_WEEKS,
            "oldest": OLDEST_AGE,
            "edition": EDITION,
        }
        return tuple(sentence.format(**numbers) for sentence in sentences)

    def codes(self) -> tuple[str, ...]:
        """Codes of PS3.16 CID 7050 that hold under this policy, for De-identification Method Code Sequence."""
        chosen = {"113105": self.descriptors == "clean", "113108": self.patient_characteristics}
        every = ("113100", "113101", "113103", "113105", "113107", "113108")
        return tuple(code for code in every if chosen.get(code, True))


@cache
def _told() -> dict[str, Any]:
    return tomllib.loads((files("carina.deidentify") / "data" / "policy.toml").read_text("utf-8"))
