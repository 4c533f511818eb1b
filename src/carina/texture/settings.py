"""How texture is measured: every choice that changes a number, in one value that can be stored and compared."""

from __future__ import annotations

import hashlib
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from carina.errors import TextureError

__all__ = ["ANGLES", "TextureSettings", "Weighting"]

ANGLES = (0, 45, 90, 135)
Weighting = Literal["none", "manhattan", "euclidean", "infinity"]


class TextureSettings(BaseModel):
    """Choices of a texture extraction.

    The defaults suit chest films, whose greys have no unit: a fixed number of levels in each region.
    `TextureSettings.pyradiomics` has the defaults of PyRadiomics, `TextureSettings.ibsi` those under which
    the reference manual's values hold.

    Examples
    --------
    >>> TextureSettings().bin_number, len(TextureSettings().sha256)
    (32, 64)
    >>> TextureSettings.from_json(TextureSettings(sigmas=(2.0,)).to_json()).sigmas
    (2.0,)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bin_number: int | None = Field(
        32, ge=2, le=1024, description="grey levels of equal width between a region's least and largest value"
    )
    bin_size: float | None = Field(
        None, gt=0.0, description="width of a grey level, in the picture's units; give it with bin_number null"
    )
    distances: tuple[int, ...] = Field((1,), description="distances of neighbours in pixels, Chebyshev norm")
    angles: tuple[int, ...] | None = Field(
        None, description="directions of the co-occurrence, of 0, 45, 90 and 135 degrees; null for all at each distance"
    )
    symmetric: bool = Field(True, description="count each co-occurring pair both ways")
    aggregation: Literal["averaged", "merged"] = Field(
        "averaged", description="features of each direction averaged, or matrices of all directions merged first"
    )
    weighting: Weighting = Field(
        "none", description="norm by which directions are weighted; any but none merges their matrices"
    )
    alpha: int = Field(0, ge=0, le=1024, description="largest difference in level at which neighbours are dependent")
    convention: Literal["pyradiomics", "ibsi"] = Field(
        "pyradiomics", description="whose definition counts where PyRadiomics departs from IBSI"
    )
    spacing: tuple[float, float] = Field((1.0, 1.0), description="distance of rows and of columns, mm or pixels")
    film_side: int | None = Field(
        512, ge=16, le=8192, description="films with a longer side are made smaller to this first; null never"
    )
    original: bool = Field(True, description="measure the picture itself")
    wavelets: bool = Field(True, description="measure the four pictures of an undecimated coif1 wavelet transform")
    sigmas: tuple[float, ...] = Field((1.0, 2.0, 4.0), description="widths of Laplacians of Gaussians, as spacing")
    lbp: bool = Field(True, description="measure the picture of uniform local binary patterns")
    scales: tuple[int, ...] = Field(
        (2, 4), description="factors by which the picture is made smaller and measured again"
    )
    shape: bool = Field(True, description="measure the region's shape")
    fractal: bool = Field(True, description="measure fractal dimensions and lacunarity")

    def __init__(self, **choices: object) -> None:
        try:
            super().__init__(**choices)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "settings"
            raise TextureError(f"texture settings must hold together: {place}: {first['msg']}") from error

    @field_validator("distances", "sigmas", "scales", "angles")
    @classmethod
    def _once_each(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError(f"each value may stand once; found {value}")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.bin_number is None) == (self.bin_size is None):
            raise ValueError("give either bin_number or bin_size, and set the other to null")
        if not self.distances or not all(1 <= distance <= 64 for distance in self.distances):  # noqa: PLR2004 - limit
            raise ValueError(f"distances must be 1 to 64 pixels; found {self.distances}")
        if self.angles is not None and (not self.angles or not set(self.angles) <= set(ANGLES)):
            raise ValueError(f"angles must be of {ANGLES}; found {self.angles}")
        if not all(sigma > 0.0 for sigma in self.sigmas):
            raise ValueError(f"sigmas must be above 0; found {self.sigmas}")
        if not all(2 <= scale <= 64 for scale in self.scales):  # noqa: PLR2004 - limit
            raise ValueError(f"scales must be 2 to 64; found {self.scales}")
        if not all(step > 0.0 for step in self.spacing):
            raise ValueError(f"spacing must be above 0; found {self.spacing}")
        return self

    @classmethod
    def pyradiomics(cls, bin_size: float | None = 25.0, **choices: object) -> TextureSettings:
        """Defaults of PyRadiomics 3.0.1: the 93 features of the picture alone, in levels 25 wide."""
        only: dict[str, object] = {
            "bin_number": None, "bin_size": bin_size, "wavelets": False, "sigmas": (), "lbp": False, "scales": (),
            "shape": False, "fractal": False,
        }  # fmt: skip
        return cls(**(only | choices))

    @classmethod
    def ibsi(cls, bin_size: float | None = 1.0, **choices: object) -> TextureSettings:
        """Definitions of the IBSI reference manual (arXiv:1612.07003), averaged over directions."""
        return cls.pyradiomics(bin_size, **({"convention": "ibsi"} | choices))

    def to_json(self) -> str:
        """Every choice, as JSON with sorted keys."""
        return self.model_dump_json(indent=None)

    @classmethod
    def from_json(cls, text: str) -> TextureSettings:
        """Read what `to_json` wrote.

        Raises
        ------
        TextureError
            If it is not JSON of known settings.
        """
        import json  # noqa: PLC0415 - only here

        try:
            choices = json.loads(text)
        except ValueError as error:
            raise TextureError(f"texture settings must be JSON; they cannot be read: {error}") from error
        if not isinstance(choices, dict):
            raise TextureError("texture settings must be a JSON object")
        return cls(**choices)

    @property
    def sha256(self) -> str:
        """Hash of every choice: two extractions are comparable when it is equal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
