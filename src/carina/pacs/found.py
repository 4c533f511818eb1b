"""What was found on a film, as the result objects tell it: from a reading just made, or from what the desk keeps."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from carina.archive import DeskResult, Study
from carina.imaging import read_film
from carina.imaging.framing import Frame
from carina.imaging.lung_fields import LungFields, decode_mask
from carina.inference import Judged, Reading
from carina.inference.opacity import OPAQUE, opacity_on_film
from carina.pacs.codes import derived_uid
from carina.pacs.placing import righted
from carina.service import ModelFacts
from carina.settings import Limits
from carina.types import Array, Film, Quality

__all__ = ["Found"]

_HALF: Final = round(OPAQUE * 255)


@dataclass(frozen=True, slots=True)
class Found:
    """A film and what a model found on it.

    Attributes
    ----------
    reading : Reading
    film : Film
        As judged, after the gate's corrections.
    facts : ModelFacts
        Of the model.
    maps : ndarray of float32, (K, h, w), or None
        Raw class maps, in the order of the model's classes; None where the gate refused.
    frame : Frame or None
        What of the film the network saw.
    fields : LungFields or None
        Plausible lung fields.
    opaque : ndarray of bool, (H, W), or None
        Where the film is opaque; None from a network without an opacity branch.
    """

    reading: Reading
    film: Film
    facts: ModelFacts
    maps: Array | None = None
    frame: Frame | None = None
    fields: LungFields | None = None
    opaque: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, judged: Judged, facts: ModelFacts) -> Self:
        """Take over a reading just made."""
        opaque = None
        outputs, frame = judged.outputs, judged.frame
        if outputs is not None and outputs.opacity is not None and frame is not None:
            opaque = opacity_on_film(outputs.opacity[0], frame) >= OPAQUE
        return cls(
            reading=judged.reading,
            film=judged.film,
            facts=facts,
            maps=None if outputs is None else outputs.class_maps[0],
            frame=frame,
            fields=judged.fields if judged.fields is not None and judged.fields.plausible else None,
            opaque=opaque,
        )

    @classmethod
    def kept(cls, study: Study, data: bytes, result: DeskResult, facts: ModelFacts, limits: Limits) -> Self:
        """Bring back a reading that the desk keeps.

        Parameters
        ----------
        study : Study
        data : bytes
            The film's file.
        result : DeskResult
        facts : ModelFacts
        limits : Limits

        Raises
        ------
        FilmRejectedError
            If the film can no longer be read.
        """
        reading = _reading(result.reading)
        film = read_film(data, limits)
        corrected = () if reading.quality is None else reading.quality.corrected
        film = replace(film, pixels=righted(film.pixels, corrected))
        made = cls(reading, film, facts)
        if "maps" not in result.files:
            return made
        with np.load(io.BytesIO(study.store.read(result.files["maps"])), allow_pickle=False) as kept:
            maps, region = kept["class_maps"], [int(each) for each in kept["region"]]
        shape = (int(film.pixels.shape[0]), int(film.pixels.shape[1]))
        frame = Frame(region[0], region[1], region[2], region[3], *shape, size=1)  # its scale is not asked
        fields, opaque = None, None
        if "lungs" in result.files and (result.reading.get("lungs_found") or {}).get("plausible"):
            fields = decode_mask(study.store.read(result.files["lungs"]), shape)
        if "opacity" in result.files:
            opaque = _opaque(study.store.read(result.files["opacity"]), shape)
        return replace(made, maps=np.asarray(maps, np.float32), frame=frame, fields=fields, opaque=opaque)

    def uid(self, source: Dataset, *parts: str) -> UID:
        """UID of a part of the results: the same for the same film and model, another for anything else.

        The film's content is told by its hash, for two films can come under one SOP Instance UID, though none should
        (PS3.5 section 9), and their results must not.
        """
        return derived_uid(str(source.SOPInstanceUID), self.film.sha256, self.facts.model_sha256, *parts)

    @property
    def judged(self) -> bool:
        """Whether a network judged the film."""
        return self.maps is not None

    @property
    def shown(self) -> str:
        """The class whose map is shown: the one decided on, else the most probable one."""
        probabilities = self.reading.probabilities or {}
        decided = self.reading.decision
        return decided if decided in probabilities else max(probabilities, key=lambda name: probabilities[name])

    @property
    def shown_map(self) -> Array:
        """Its raw map, (h, w)."""
        if self.maps is None:
            raise ValueError("a class map exists only for a film that was judged")
        return np.asarray(self.maps[self.facts.classes.index(self.shown)])


def _opaque(data: bytes, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Where the 8-bit opacity map of a film is opaque; None where it is not that film's."""
    levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if levels is None or levels.shape != shape else np.asarray(levels >= _HALF)


def _reading(said: Mapping[str, Any]) -> Reading:
    """Bring back the parts of a reading that the results tell."""
    quality = said.get("quality")
    allowed = said.get("prediction_set")
    return Reading(
        file="",
        id=str(said.get("id") or ""),
        model=dict(said.get("model") or {}),
        probabilities=said.get("probabilities"),
        contrasts=said.get("contrasts"),
        prediction_set=None if allowed is None else tuple(allowed),
        decision=said.get("decision"),
        reason=said.get("reason"),
        boxes=tuple(said.get("boxes") or ()),
        quality=None
        if quality is None
        else Quality(bool(quality["accepted"]), tuple(quality["corrected"]), tuple(quality["reasons"])),
    )
