"""What a film's boxes, score map and lung fields come to: boxes by zone, opaque share by zone (M21, M22)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from carina.imaging.framing import Frame
from carina.imaging.lung_fields import ZONES, LungFields, zones
from carina.inference.boxes import Box, BoxRules, boxes_in_lungs, select_boxes
from carina.inference.opacity import opacity_on_film, opaque_shares
from carina.inference.reading import LungRecord, Reading
from carina.inference.session import Outputs
from carina.types import Array, Bytes

__all__ = ["describe_findings"]

_MEASURED_SIDE = 512


def describe_findings(
    reading: Reading, outputs: Outputs, frame: Frame, fields: LungFields | None, rules: BoxRules | None
) -> Reading:
    """Add lungs, boxes and opaque shares to a reading.

    Parameters
    ----------
    reading : Reading
    outputs : Outputs
        Of the film, a batch of one.
    frame : Frame
        What of it the network saw.
    fields : LungFields or None
        Of the film; `None` where they were not looked for.
    rules : BoxRules or None
        Of the bundle; `None` where it has no box branch.

    Returns
    -------
    Reading
    """
    if fields is not None:
        reading = replace(reading, lungs_found=LungRecord.of(fields))
    usable = fields if fields is not None and fields.plausible else None
    # Zones and shares need no more detail than this; a film of 3,000 pixels a side would take a tenth of a second.
    small = None if usable is None else _shrunk(usable)
    if rules is not None and outputs.boxes is not None and outputs.box_scores is not None:
        found = select_boxes(outputs.boxes[0], outputs.box_scores[0], frame, rules)
        found = found if fields is None else boxes_in_lungs(found, fields)
        numbers = None if small is None else zones(small)
        reading = replace(reading, boxes=tuple(_box(box, numbers, frame) for box in found))
    if outputs.opacity is not None and small is not None:
        opacity = _fitted(opacity_on_film(outputs.opacity[0], frame), small.mask.shape)
        reading = replace(reading, opaque_share=opaque_shares(opacity, small))
    return reading


def _box(box: Box, numbers: Bytes | None, frame: Frame) -> dict[str, Any]:
    return {
        **{name: getattr(box, name) for name in ("x", "y", "width", "height", "score")},
        "zone": None if numbers is None else _zone(box, numbers, frame),
    }


def _zone(box: Box, numbers: Bytes, frame: Frame) -> str | None:
    """Lung zone that holds most of the box; `None` where it touches none."""
    across, down = numbers.shape[1] / frame.columns, numbers.shape[0] / frame.rows
    rows = slice(int(box.y * down), int(np.ceil((box.y + box.height) * down)))
    columns = slice(int(box.x * across), int(np.ceil((box.x + box.width) * across)))
    counts = np.bincount(numbers[rows, columns].ravel(), minlength=len(ZONES) + 1)[1:]
    return ZONES[int(counts.argmax())] if counts.any() else None


def _shrunk(fields: LungFields) -> LungFields:
    rows, columns = fields.mask.shape
    scale = _MEASURED_SIDE / max(rows, columns)
    if scale >= 1:
        return fields
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    mask = np.asarray(cv2.resize(fields.mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return replace(fields, mask=mask)


def _fitted(opacity: Array, shape: tuple[int, ...]) -> Array:
    if opacity.shape == shape:
        return opacity
    return np.asarray(cv2.resize(opacity, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.float32)
