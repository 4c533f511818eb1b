"""The picture of the secondary capture: film, heatmap, boxes, and in words what it is and what was found."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from carina.inference import normalise_map, overlay
from carina.pacs.found import Found
from carina.service.codes import NOTICE
from carina.types import Array, Bytes

__all__ = ["draw_result", "lines_of", "raw_map"]

_SIDE: Final = 1024
_SMALLEST: Final = 640
_OPACITY: Final = 0.45
_BOX: Final = (86, 180, 233)  # sky blue: told from the heat's colours by colour-blind eyes (Okabe, Ito)
_WORDS: Final = (255, 255, 255)
_WARNING: Final = (240, 228, 66)


def lines_of(found: Found) -> list[str]:
    """Say a reading in lines: decision, probabilities, model, its thresholds and the audit's verdicts.

    Parameters
    ----------
    found : Found

    Returns
    -------
    list of str
        Without anything about the patient.
    """
    reading = found.reading
    words = (reading.decision or "not judged").replace("_", " ")
    lines = [f"Decision: {words}"]
    if reading.probabilities is not None:
        lines.append(
            "Probabilities: " + ", ".join(f"{name} {value:.2f}" for name, value in reading.probabilities.items())
        )
    if reading.prediction_set is not None:
        lines.append("Not ruled out: " + (", ".join(reading.prediction_set) or "nothing"))
    if reading.reason:
        lines.append(f"Why: {reading.reason}")
    if found.judged:
        lines.append(f"Heatmap: where the network saw {found.shown.replace('_', ' ')}; boxes: possible opacities")
    if reading.quality is not None and reading.quality.corrected:
        lines.append("Shown " + ", ".join(reading.quality.corrected).replace("_", " "))
    lines.append(f"Model {found.facts.name} version {found.facts.version}, {found.facts.model_sha256[:12]}")
    if found.judged:
        lines += [f"{sentence[0].upper()}{sentence[1:]}" for sentence in found.facts.sentences()]
    return lines


def draw_result(found: Found) -> Bytes:
    """Draw the secondary capture.

    Parameters
    ----------
    found : Found

    Returns
    -------
    ndarray of uint8, (H, W, 3)
        Red, green, blue; the film at most 1024 pixels a side, words above and below it.
    """
    film = _laid_over(found)
    rows, columns = film.shape[:2]
    scale = min(_SIDE / max(rows, columns), 1.0)
    scale = max(scale, _SMALLEST / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    film = np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)
    width = max(size[0], _SMALLEST)
    font = ImageFont.load_default(18)
    wrapped = [part for line in lines_of(found) for part in _wrapped(line, font, width - 16)]
    line = 24
    page = Image.new("RGB", (width, size[1] + line * (len(wrapped) + 2) + 16))
    left, top = (width - size[0]) // 2, line + 8
    page.paste(Image.fromarray(film), (left, top))
    draw = ImageDraw.Draw(page)
    draw.text((8, 4), NOTICE, fill=_WARNING, font=font)
    for box in found.reading.boxes:
        _draw_box(draw, box, scale, (left, top), font)
    for number, words in enumerate([*wrapped, NOTICE]):
        draw.text(
            (8, top + size[1] + 4 + line * number),
            words,
            fill=_WARNING if words == NOTICE else _WORDS,
            font=font,
        )
    return np.array(page, np.uint8)


def _laid_over(found: Found) -> Bytes:
    if not found.judged or found.frame is None:
        return overlay(found.film.pixels, np.zeros_like(found.film.pixels), 0.0)
    heat = found.frame.lay_out(normalise_map(found.shown_map))
    return overlay(found.film.pixels, np.asarray(heat, np.float32), _OPACITY)


def raw_map(found: Found) -> Array:
    """Raw map of the class shown at the size of the film as judged, (H, W)."""
    if found.frame is None:
        raise ValueError("a class map exists only for a film that was judged")
    return found.frame.lay_out(found.shown_map)


def _draw_box(draw: Any, box: dict[str, Any], scale: float, at: tuple[int, int], font: Any) -> None:
    x, y = box["x"] * scale + at[0], box["y"] * scale + at[1]
    draw.rectangle((x, y, x + box["width"] * scale, y + box["height"] * scale), outline=_BOX, width=2)
    draw.text((x + 4, y + 2), f"{box['score']:.2f}", fill=_BOX, font=font)


def _wrapped(line: str, font: Any, width: int) -> list[str]:
    """Break a line between words so that each part fits."""
    parts: list[str] = []
    for word in line.split():
        if parts and font.getlength(f"{parts[-1]} {word}") <= width:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts
