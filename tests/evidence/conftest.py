"""A small table of drawn films with lung masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

SHAPE = (64, 64)
LABELS = ("normal", "bacterial", "viral", "covid19")


def lung_mask() -> np.ndarray:
    """Two lungs of a 64 x 64 film, 255 inside."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[12:52, 8:28] = mask[12:52, 36:56] = 255
    return mask


def lung_film(seed: int) -> np.ndarray:
    """A film with a bright patch in one lung."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 30, SHAPE).astype(np.uint8)
    pixels[lung_mask() > 0] += 60
    x, y = (12 if seed % 2 else 40), 16 + 4 * (seed % 5)
    pixels[y : y + 12, x : x + 12] = 230
    return pixels


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., Path]:
    """Factory of tables; film n is `films/n.png` of patient n // 2, drawn unless given in `pixels`."""

    def make(
        films: int = 12,
        *,
        masks: bool = True,
        pixels: dict[int, np.ndarray] | None = None,
        given: dict[int, np.ndarray] | None = None,
    ) -> Path:
        (tmp_path / "films").mkdir(exist_ok=True)
        lines = ["image_id,path,label,patient_id,source,lung_mask"]
        for number in range(films):
            film = (pixels or {}).get(number, lung_film(number))
            assert cv2.imwrite(str(tmp_path / f"films/{number}.png"), film)
            mask = (given or {}).get(number, lung_mask())
            assert cv2.imwrite(str(tmp_path / f"films/{number}-mask.png"), mask)
            label, source = LABELS[number % 4], "south" if number % 3 else "north"
            name = f"films/{number}-mask.png" if masks or number in (given or {}) else ""
            lines.append(f"{number},films/{number}.png,{label},p{number // 2},{source},{name}")
        table = tmp_path / "table.csv"
        table.write_text("\n".join(lines) + "\n", "utf-8")
        return table

    return make
