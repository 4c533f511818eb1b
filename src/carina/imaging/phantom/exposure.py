"""From path lengths to a film: attenuation, scatter, quantum noise, unsharpness, film curve, marker, border."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from carina.imaging.phantom.canvas import Canvas
from carina.types import Array

__all__ = ["Signature", "attenuation", "expose"]

# Linear attenuation at the effective energy of a 120 kVp beam (about 60 keV; NIST XCOM), 1/cm.
_TISSUE, _LUNG, _BONE = 0.205, 0.050, 0.60


@dataclass(frozen=True, slots=True)
class Signature:
    """What a hospital's equipment leaves on its films, apart from the patient.

    Attributes
    ----------
    contrast : float
        Steepness of the film curve, 1 usual, 0.3 to 3.
    gamma : float
        Exponent on the finished film, 1 none, 0.3 to 3; below 1 brightens.
    blur_cm : float
        Additional unsharpness, Gaussian sigma on the film, cm.
    noise : float
        Factor on the quantum noise; 0 none.
    scatter : float
        Scattered over primary radiation behind the patient, 0 to 2.
    border : float
        Share of the film's side masked black at each edge (collimation), 0 to 0.2.
    marker : str
        Lead marker: ``"R"`` or ``"L"`` lies on its side of the film, other text on the right shoulder's; ``""`` none.
    """

    contrast: float = 1.0
    gamma: float = 1.0
    blur_cm: float = 0.0
    noise: float = 1.0
    scatter: float = 0.55
    border: float = 0.0
    marker: str = "R"

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        ranges = {
            "contrast": (0.3, 3.0),
            "gamma": (0.3, 3.0),
            "blur_cm": (0.0, 2.0),
            "noise": (0.0, 20.0),
            "scatter": (0.0, 2.0),
            "border": (0.0, 0.2),
        }
        for name, (low, high) in ranges.items():
            value = float(asdict(self)[name])
            if not low <= value <= high:
                raise ValueError(f"{name} must lie in [{low}, {high}]; found {value!r}")
        if not all(" " <= letter <= "~" for letter in self.marker) or len(self.marker) > 12:  # noqa: PLR2004 - fits
            raise ValueError(f"marker must be at most 12 printable ASCII characters; found {self.marker!r}")


def attenuation(body: Array, lungs: Array, air: Array, *, bone: Array, fluid: Array, scale: float) -> Array:
    """Line integral of attenuation, (H, W), unitless; path lengths in cm of a standard adult times `scale`."""
    soft = np.maximum(body - lungs - air - 0.5 * bone, 0)
    total = _TISSUE * (soft + fluid) + _LUNG * (lungs - fluid) + (_BONE - 0.5 * _TISSUE) * bone
    # A smaller body weakens the beam less, but is also taken with a softer one.
    return np.asarray(total * scale**0.45, dtype=np.float32)


def expose(
    total: Array,
    healthy: Array,
    canvas: Canvas,
    *,
    body: Array,
    lungs: Array,
    rng: np.random.Generator,
    signature: Signature,
) -> Array:
    """Expose and develop.

    Scatter, exposure control and the processing's slow part are those of the healthy patient, so that a matched pair
    differs where the opacity lies and nowhere else.

    Parameters
    ----------
    total, healthy : ndarray of float32, (H, W)
        Line integrals of attenuation with and without the opacity.
    canvas : Canvas
        Where the film lies.
    body, lungs : ndarray of float32, (H, W)
        Path lengths, cm.
    rng : numpy.random.Generator
        Noise, exposure and marker.
    signature : Signature
        The equipment.

    Returns
    -------
    ndarray of float32, (H, W)
        Intensities in [0, 1], 0 black.
    """
    plain = np.exp(-healthy)
    matter = np.minimum(plain, 0.12) * (1 - np.exp(-body / 4))
    veil = np.float32(signature.scatter) * canvas.soften(np.asarray(matter, np.float32), 3.2)
    reference = -np.log(np.maximum(plain + veil, 2e-4))
    signal = np.exp(-total) + veil
    signal = canvas.soften(np.asarray(signal, np.float32), float(np.hypot(0.045, signature.blur_cm)))
    photons = 90000.0 / max(canvas.per_cm / 12.8, 0.1) ** 2
    quanta = rng.standard_normal(signal.shape, dtype=np.float32)
    quanta = 0.6 * quanta + 0.9 * cv2.GaussianBlur(quanta, (0, 0), 0.8)
    noisy = signal + np.float32(signature.noise) * quanta * np.sqrt(np.maximum(signal, 1e-6) / photons)
    density = np.asarray(-np.log(np.maximum(noisy, 2e-4)), np.float32)
    floor = np.float32(0.5 * float(np.percentile(reference, 2)) + 0.4)
    held, reference = np.maximum(density, floor), np.asarray(np.maximum(reference, floor), np.float32)
    # Compress slow changes and lift fine detail, as the processing of every digital detector does.
    slow = np.float32(0.38) * canvas.soften(reference, 3.0)
    fine = np.float32(0.35) * (held - canvas.soften(held, 0.35))
    curve = _curve(reference - slow, body, lungs, tuple(rng.random(2)), signature)
    return _label(curve(np.asarray(held - slow + fine, np.float32)), canvas, rng, signature)


def _curve(
    reference: Array, body: Array, lungs: Array, luck: tuple[float, ...], signature: Signature
) -> Callable[[Array], Array]:
    """Film curve, placed by automatic exposure control on lung and soft tissue."""
    lung = reference[lungs > 0.5 * float(lungs.max())] if float(lungs.max()) > 0 else reference
    solid = reference[(lungs <= 0) & (body > 0.6 * float(body.max()))]
    dark = float(np.median(lung))
    bright = float(np.percentile(solid, 70)) if solid.size else dark + 1.0
    place, tone = luck
    middle = dark + (0.28 + 0.18 * place) * (bright - dark)
    slope = (2.4 + 1.2 * tone) * signature.contrast / max(bright - dark, 0.2)
    ends = np.percentile(reference, (0.2, 99.8))
    low, high = (float(v) for v in 1 / (1 + np.exp(-slope * (ends - middle))))

    def develop(density: Array) -> Array:
        shade = 1 / (1 + np.exp(-slope * (density - middle)))
        film = np.clip((shade - low) / max(high - low, 1e-6), 0, 1) * 0.97
        return np.asarray(film ** np.float32(signature.gamma), dtype=np.float32)

    return develop


def _label(film: Array, canvas: Canvas, rng: np.random.Generator, signature: Signature) -> Array:
    """Lay the lead marker and the collimator's border."""
    u = rng.random(4)
    size = canvas.size
    edge = round(signature.border * size)
    if edge:
        film = film.copy()
        for part in (film[:edge], film[-edge:], film[:, :edge], film[:, -edge:]):
            part[:] = 0.01
    if signature.marker:
        sheet = np.zeros((2 * size, 2 * size), np.uint8)
        tall = size / 512
        (wide, high), _ = cv2.getTextSize(
            signature.marker, cv2.FONT_HERSHEY_SIMPLEX, 1.7 * tall, max(1, round(5 * tall))
        )
        margin = round((0.035 + 0.03 * u[0]) * 2 * size) + 2 * edge
        left = 2 * size - margin - wide if signature.marker == "L" else margin
        place = (left, margin + high + round(0.10 * u[1] * size))
        cv2.putText(
            sheet,
            signature.marker,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            1.7 * tall,
            255,
            max(1, round(5 * tall)),
            cv2.LINE_AA,
        )
        lead = cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        film = film + lead * np.maximum(0.98 - film, 0)
    return np.asarray(np.clip(film, 0, 1), dtype=np.float32)
