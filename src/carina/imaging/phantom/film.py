"""A phantom film from a seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import cv2
import numpy as np

from carina.imaging.phantom.anatomy import draw_anatomy
from carina.imaging.phantom.bones import bones
from carina.imaging.phantom.canvas import Mask
from carina.imaging.phantom.exposure import Signature, attenuation, expose
from carina.imaging.phantom.opacity import LABELS, plant
from carina.imaging.phantom.tissue import soft_tissue
from carina.imaging.phantom.vessels import vessels
from carina.types import Array

__all__ = ["Phantom", "phantom_film"]

_SMALLEST, _LARGEST = 64, 4096
_DEFAULT = Signature()


@dataclass(frozen=True, slots=True)
class Phantom:
    """A synthetic chest radiograph and the truth about it.

    Attributes
    ----------
    pixels : ndarray of float32, (H, W)
        Intensities in [0, 1], 0 black.
    label : str
        ``"normal"``, ``"bacterial"``, ``"viral"`` or ``"covid19"``.
    right_lung, left_lung : ndarray of bool, (H, W)
        The patient's right and left lung field as a reader outlines it: lateral to heart and mediastinum, above the
        dome of the diaphragm. The patient's right lies on the film's left.
    opacity : ndarray of bool, (H, W)
        The planted opacity's extent within the lung fields; empty for a normal film.
    fluid_cm : ndarray of float32, (H, W)
        Air replaced by fluid along the beam, cm of a standard adult: the opacity itself.
    boxes : tuple of (x, y, w, h)
        Bounding boxes of the opacity's parts, pixels; x, y the upper left corner.
    where : str
        The opacity in words, empty for a normal film.
    age_years : int
        Completed years.
    sex : {"F", "M"}
        Sex.
    view : {"PA", "AP"}
        Direction of the beam.
    pixel_spacing_mm : float
        Side of a pixel in the patient's plane.
    seed, film : int
        What the patient and the exposure were drawn from.
    parameters : dict
        Every drawn parameter of anatomy and signature.
    """

    pixels: Array
    label: str
    right_lung: Mask
    left_lung: Mask
    opacity: Mask
    fluid_cm: Array
    boxes: tuple[tuple[int, int, int, int], ...]
    where: str
    age_years: int
    sex: str
    view: str
    pixel_spacing_mm: float
    seed: int
    film: int
    parameters: dict[str, object] = field(default_factory=dict)


def phantom_film(
    seed: int,
    *,
    label: str = "normal",
    size: int = 512,
    film: int = 0,
    severity: float | None = None,
    child: bool | None = None,
    sex: str | None = None,
    age: int | None = None,
    signature: Signature = _DEFAULT,
) -> Phantom:
    """Make one phantom film: path lengths through a drawn patient, exposed and developed.

    The same `seed` is the same patient, whatever the label: two calls that differ in `label` alone differ in the
    planted opacity alone (a matched pair, M10), noise included. `film` numbers further exposures of the patient.

    Parameters
    ----------
    seed : int
        Patient, 0 or more.
    label : {"normal", "bacterial", "viral", "covid19"}
        Bacterial: one consolidated lobe or segment with air bronchograms. Viral: streaks around both hila. COVID-19:
        ground glass along the pleura of both lower zones.
    size : int
        Side of the square film, pixels, 64 to 4096.
    film : int
        Exposure of this patient, 0 or more.
    severity : float, optional
        0 slight to 1 extensive; drawn when left out.
    child : bool, optional
        A child's proportions or an adult's; drawn when left out (and not told by `age`).
    sex : {"F", "M"}, optional
        Drawn when left out.
    age : int, optional
        Completed years, 0 to 120; drawn when left out.
    signature : Signature
        What the equipment leaves on the film.

    Returns
    -------
    Phantom

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> sick = phantom_film(7, label="bacterial", size=128)
    >>> well = phantom_film(7, label="normal", size=128)
    >>> sick.pixels.shape, sick.age_years == well.age_years, bool(sick.opacity.any()), len(well.boxes)
    ((128, 128), True, True, 0)
    """
    _check(seed=seed, label=label, size=size, film=film, severity=severity, sex=sex, age=age)
    who, inside, disease = (np.random.default_rng([seed, part]) for part in range(3))
    anatomy = draw_anatomy(who, child=child, sex=sex, age=age)
    canvas = anatomy.canvas(size)
    tissue = soft_tissue(anatomy, canvas, inside)
    bone = bones(anatomy, canvas, inside)
    opacity = plant(label, tissue, canvas, disease, severity)
    lungs = np.asarray(tissue.lungs[0] + tissue.lungs[1], np.float32)
    blood = vessels(canvas, inside) * np.minimum(lungs / 3, 1)
    body, air, scale = tissue.body, tissue.air, anatomy.scale
    fluid = np.asarray(np.minimum(opacity.depth + blood, lungs), np.float32)
    total = attenuation(body, lungs, air, bone=bone, fluid=fluid, scale=scale)
    healthy = attenuation(
        body, lungs, air, bone=bone, fluid=np.asarray(np.minimum(blood, lungs), np.float32), scale=scale
    )
    exposure = np.random.default_rng([seed, 3, film])
    pixels = expose(total, healthy, canvas, body=body, lungs=lungs, rng=exposure, signature=signature)
    return Phantom(
        pixels=pixels,
        label=label,
        right_lung=tissue.fields[0],
        left_lung=tissue.fields[1],
        opacity=opacity.mask,
        fluid_cm=opacity.depth,
        boxes=_boxes(opacity.mask),
        where=opacity.where,
        age_years=anatomy.age_years,
        sex=anatomy.sex,
        view=anatomy.view,
        pixel_spacing_mm=10 * anatomy.scale * anatomy.view_cm / size,
        seed=seed,
        film=film,
        parameters={
            "anatomy": asdict(anatomy),
            "signature": asdict(signature),
            "severity": opacity.severity,
            "size": size,
        },
    )


def _check(
    *, seed: int, label: str, size: int, film: int, severity: float | None, sex: str | None, age: int | None
) -> None:
    """Refuse arguments out of range."""
    if seed < 0 or film < 0:
        raise ValueError(f"seed and film must be 0 or more; found {seed!r} and {film!r}")
    if label not in LABELS:
        raise ValueError(f"label must be one of {', '.join(LABELS)}; found {label!r}")
    if not _SMALLEST <= size <= _LARGEST:
        raise ValueError(f"size must lie in [{_SMALLEST}, {_LARGEST}] pixels; found {size!r}")
    if severity is not None and not 0 <= severity <= 1:
        raise ValueError(f"severity must lie in [0, 1]; found {severity!r}")
    if sex not in (None, "F", "M"):
        raise ValueError(f"sex must be 'F' or 'M'; found {sex!r}")
    if age is not None and not 0 <= age <= 120:  # noqa: PLR2004 - years
        raise ValueError(f"age must lie in [0, 120] years; found {age!r}")


def _boxes(mask: Mask) -> tuple[tuple[int, int, int, int], ...]:
    """Boxes of the connected parts, specks left out, largest first."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = sorted((stats[i] for i in range(1, count)), key=lambda part: -int(part[cv2.CC_STAT_AREA]))
    least = max(4.0, 0.0006 * mask.size)
    kept = [part for i, part in enumerate(parts) if i == 0 or part[cv2.CC_STAT_AREA] >= least]
    return tuple((int(p[0]), int(p[1]), int(p[2]), int(p[3])) for p in kept)
