"""One film measured: read, lungs found or given, texture in each region, and a sentence where that fails (M27)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import CarinaError, FilmRejectedError, InputError, TextureError
from carina.imaging import read_film
from carina.imaging.lung_fields import LungFields, from_mask
from carina.inference.lungs import LungFinder
from carina.settings import Limits
from carina.texture import REGIONS, TextureSettings, feature_names, film_features
from carina.types import Film

__all__ = [
    "MASK_COLUMN",
    "FilmJob",
    "FilmMeasured",
    "FilmMeasurer",
    "LungsFrom",
    "MeasureOptions",
    "Status",
    "read_texture_settings",
]

LungsFrom: TypeAlias = Literal["found", "given"]
Status: TypeAlias = Literal["measured", "partly", "refused", "failed"]
MASK_COLUMN = "lung_mask"
"""Column of a film table that names a film's mask."""


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """How films are measured.

    Attributes
    ----------
    settings : TextureSettings
    regions : tuple of str
        Of `carina.texture.REGIONS`, each once.
    lungs : {"found", "given"}
        By the lung network that ships with the package, or the masks that the table's column `lung_mask` names.
    doubtful : bool
        Whether films with implausible lung fields are measured all the same.
    limits : Limits
    """

    settings: TextureSettings = field(default_factory=TextureSettings)
    regions: tuple[str, ...] = REGIONS
    lungs: LungsFrom = "found"
    doubtful: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        unknown = [name for name in self.regions if name not in REGIONS]
        if unknown or not self.regions or len(set(self.regions)) != len(self.regions):
            raise TextureError(
                f"regions must be of {', '.join(REGIONS)}, each once; found {', '.join(self.regions) or 'none'}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features, ``region.picture_class_Feature``."""
        names = feature_names(self.settings)
        return tuple(f"{region}.{name}" for region in self.regions for name in names)


@dataclass(frozen=True, slots=True)
class FilmJob:
    """A film to be measured.

    Attributes
    ----------
    image_id : str
    path : str
        The film's file.
    mask : str or None
        File of its lung mask, where one is named.
    """

    image_id: str
    path: str
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class FilmMeasured:
    """What became of a film.

    Attributes
    ----------
    image_id : str
    status : {"measured", "partly", "refused", "failed"}
        All regions measured; some; lung fields not to be believed, so none; not readable, no mask or no texture.
    error : str or None
        One sentence for each thing that went wrong, joined.
    lung_flags : str or None
        Reasons not to believe the lung fields.
    content_sha256 : str or None
        Of the film's file, by which the same picture under two names is known.
    values : ndarray of float64, (F,)
        In the order of `MeasureOptions.columns`; NaN where not measured.
    """

    image_id: str
    status: Status
    error: str | None
    lung_flags: str | None
    content_sha256: str | None
    values: NDArray[np.float64]


class FilmMeasurer:
    """Measures films one by one; never raises for a single film.

    Parameters
    ----------
    options : MeasureOptions

    Raises
    ------
    BundleError
        If lungs are to be found and the lung network is not what was hashed.
    """

    def __init__(self, options: MeasureOptions) -> None:
        self.options = options
        self._columns = len(options.columns)
        self._finder = LungFinder.load() if options.lungs == "found" else None
        cv2.setNumThreads(1)

    def __call__(self, job: FilmJob) -> FilmMeasured:
        """Measure one film."""
        digest: str | None = None
        try:
            film = read_film(Path(job.path), self.options.limits)
            digest = film.sha256
            fields = self.fields(film, job.mask)
            flags = "; ".join(fields.flags) or None
            if flags is not None and not self.options.doubtful:
                why = f"the lung fields are not plausible: {flags}"
                return self.nothing(job.image_id, "refused", why, columns=self._columns, flags=flags, digest=digest)
            found = film_features(film, fields, self.options.regions, self.options.settings)
        except FilmRejectedError as error:
            return self.nothing(job.image_id, "failed", error.message, columns=self._columns, digest=digest)
        except (CarinaError, OSError) as error:
            return self.nothing(job.image_id, "failed", _sentence(error), columns=self._columns, digest=digest)
        values = np.fromiter(found.values.values(), np.float64, self._columns)
        refused = "; ".join(f"{region}: {why}" for region, why in found.refused.items()) or None
        if len(found.refused) == len(self.options.regions):
            return FilmMeasured(job.image_id, "failed", refused, flags, digest, values)
        return FilmMeasured(job.image_id, "partly" if refused else "measured", refused, flags, digest, values)

    def fields(self, film: Film, mask: str | None) -> LungFields:
        """Lung fields of a film, found or read from its mask.

        Raises
        ------
        InputError
            If a mask is wanted and there is none, or it is no picture of the film's size.
        """
        if self._finder is not None:
            return self._finder.find(film)
        if mask is None:
            raise InputError(
                f"with given lungs every film needs a mask in the column {MASK_COLUMN!r}; this one has none"
            )
        return from_mask(_grey(Path(mask)), (film.pixels.shape[0], film.pixels.shape[1]))

    @staticmethod
    def nothing(
        image_id: str,
        status: Status,
        why: str,
        *,
        columns: int,
        flags: str | None = None,
        digest: str | None = None,
    ) -> FilmMeasured:
        """Stand for a film without texture."""
        return FilmMeasured(image_id, status, why, flags, digest, np.full(columns, np.nan))


def read_texture_settings(path: Path | None) -> TextureSettings:
    """Texture settings from a TOML file, at its top or in its table ``[texture]``; the defaults without a file.

    Raises
    ------
    TextureError
        If the file cannot be read, or its settings do not hold together. A choice is made null by ``"none"``.
    """
    if path is None:
        return TextureSettings()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TextureError(f"texture settings must be a TOML file; {str(path)!r} is not: {error}") from error
    found = values.get("texture", values)
    if not isinstance(found, dict):
        raise TextureError(f"texture settings must be a table of TOML; {str(path)!r} has one value instead")
    return TextureSettings(**{name: _null(name, value) for name, value in found.items()})


def _null(name: str, value: object) -> object:
    # TOML has no null; "weighting" has a choice of its own that reads so.
    return None if value == "none" and name != "weighting" else value


def _grey(path: Path) -> NDArray[np.uint8]:
    """Read a mask: any picture of one grey scale."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"a lung mask must be a file that can be read; this one cannot: {error.strerror}") from error
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if picture is None:
        raise InputError("a lung mask must be a PNG or another picture of greys; this file is none")
    return np.asarray(picture, np.uint8)


def _sentence(error: CarinaError | OSError) -> str:
    """Error in one line, without a file's name, which can hold a patient's."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else " ".join(str(error).split())
