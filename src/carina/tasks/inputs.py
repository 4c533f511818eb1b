"""Kinds of input: which quality gate and which lung fields a picture is given, as data (M37)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["InputKind", "input_kinds"]


class InputKind(BaseModel):
    """What applies to one kind of picture.

    Attributes
    ----------
    gate : {"chest_film", "none"}
        Quality gate that judges a picture before the network; ``"none"`` judges whatever can be decoded.
    lungs : bool
        Whether lung fields are looked for; without them no framing may rest on lungs, and no box branch is trained.
    noun : str
        What one picture is called, singular.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: Literal["chest_film", "none"] = "none"
    lungs: bool = False
    noun: str = "picture"

    @property
    def gated(self) -> bool:
        """Whether a quality gate exists for such pictures."""
        return self.gate != "none"


@cache
def input_kinds() -> dict[str, InputKind]:
    """Kinds that ship with the package, by name.

    Examples
    --------
    >>> input_kinds()["ct_slice"].gated, input_kinds()["chest_radiograph"].lungs
    (False, True)
    """
    text = files("carina.tasks").joinpath("inputs.toml").read_text(encoding="utf-8")
    return {name: InputKind.model_validate(values) for name, values in tomllib.loads(text).items()}
