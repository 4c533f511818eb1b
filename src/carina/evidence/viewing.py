"""A film as the network sees it, and what the network says of it, many pictures at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carina.errors import BundleError
from carina.evidence.baselines import lung_centres
from carina.imaging.framing import Frame, frame_film
from carina.imaging.lung_fields import LungFields, heart
from carina.imaging.standardise import standardise
from carina.inference import Bundle, Outputs, calibrated_probabilities, open_session
from carina.types import Array, Bytes, Film

__all__ = ["Answer", "Network", "View", "class_shown", "view_film"]

_BATCH = 16
_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A film in the network's field of view.

    Attributes
    ----------
    picture : ndarray of uint8, (S, S)
        The network's input.
    frame : Frame
        Where it lies on the film.
    centres : ndarray of float64, (m, 2)
        Centre of each lung, x and y in film pixels; none where no lungs are to be believed.
    lungs, heart : ndarray of bool, (S, S), or None
        Lung fields, and the estimated heart within them, in the field of view.
    """

    picture: Bytes
    frame: Frame
    centres: NDArray[np.float64]
    lungs: NDArray[np.bool_] | None = None
    heart: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network says of B pictures.

    Attributes
    ----------
    probabilities : ndarray of float64, (B, K)
        Calibrated where the bundle is.
    maps : ndarray of float32, (B, K, h, w)
        Raw class maps (M23).
    outputs : tuple of Outputs
        Of each batch, in order, for the branches that a bundle may have.
    """

    probabilities: NDArray[np.float64]
    maps: Array
    outputs: tuple[Outputs, ...]


class Network:
    """A bundle's network.

    Parameters
    ----------
    bundle : Bundle
    model : bytes or None
        Another ONNX file in the place of the bundle's, such as one with shuffled weights.
    threads : int
        Of one forward pass.

    Raises
    ------
    BundleError
        If the network does not load or lacks the outputs that relevance is measured on.
    """

    def __init__(self, bundle: Bundle, model: bytes | None = None, *, threads: int = 1) -> None:
        self.bundle = bundle
        self.size = bundle.preprocessing.size
        self._session = open_session(bundle.model if model is None else model, "onnxruntime", threads)

    def __call__(self, pictures: Bytes) -> Answer:
        """Judge pictures ``(B, S, S)``, B at least 1."""
        starts = range(0, len(pictures), _BATCH)
        parts = [self._session.run(pictures[start : start + _BATCH]) for start in starts]
        maps = np.concatenate([part.class_maps for part in parts])
        logits = np.concatenate([part.logits for part in parts])
        classes = len(self.bundle.task.classes)
        if logits.shape != (len(pictures), classes) or maps.ndim != 4 or maps.shape[1] != classes:  # noqa: PLR2004 - film, class, row, column
            raise BundleError(
                f"the network must give a logit and a map for each of the task's {classes} classes; found the shapes "
                f"{logits.shape!r} and {maps.shape!r}"
            )
        probabilities = calibrated_probabilities(logits, self.bundle.task, self.bundle.calibration)
        return Answer(np.asarray(probabilities, dtype=np.float64), maps, tuple(parts))

    def probability(self, pictures: Bytes, number: int) -> NDArray[np.float64]:
        """Probability of one class for each picture, (B,)."""
        return self(pictures).probabilities[:, number]


def view_film(film: Film, bundle: Bundle, framed_by: LungFields | None, fields: LungFields | None) -> View:
    """Bring a film and its lungs to the network's field of view.

    Parameters
    ----------
    film : Film
    bundle : Bundle
    framed_by : LungFields or None
        Fields for a framing that rests on lungs: those that the network gets in use, not given masks.
    fields : LungFields or None
        Fields that relevance is measured against; implausible ones are not used.

    Returns
    -------
    View
    """
    spec = bundle.preprocessing
    rows, columns = film.pixels.shape
    frame = frame_film((rows, columns), spec.size, framed_by if spec.needs_lungs else None)
    picture = standardise(film.pixels, spec, framed_by)
    if fields is None or not fields.plausible:
        return View(picture, frame, np.zeros((0, 2)))
    lungs = _seen(fields.mask > 0, frame)
    return View(picture, frame, lung_centres(fields), lungs, _seen(heart(fields), frame))


def class_shown(bundle: Bundle, label: str, probabilities: NDArray[np.float64]) -> int:
    """Index of the class whose map is measured: the film's label; of a label set, its most probable class.

    Parameters
    ----------
    bundle : Bundle
    label : str
        Class or label set of the bundle's task.
    probabilities : ndarray, (K,)

    Returns
    -------
    int
    """
    classes = bundle.task.classes
    members = [classes.index(name) for name in bundle.task.members(label)]
    return max(members, key=lambda number: float(probabilities[number]))


def _seen(mask: NDArray[np.bool_], frame: Frame) -> NDArray[np.bool_]:
    inside: Any = np.ascontiguousarray(frame.crop(mask)).astype(np.float32)
    small = cv2.resize(inside, (frame.size, frame.size), interpolation=cv2.INTER_AREA)
    return np.asarray(small >= _HALF, dtype=np.bool_)
