"""Real films: two encodings of one radiograph agree, and every sampled film is read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from carina.imaging import read_film


def test_both_polarities_of_one_radiograph_agree(films_folder: Path) -> None:
    one, other = (read_film(path) for path in sorted((films_folder / "dicom").glob("*.dcm")))
    assert {one.header.photometric, other.header.photometric} == {"MONOCHROME1", "MONOCHROME2"}
    # the second is the first with its photometric interpretation relabelled: the stored bytes are the same
    np.testing.assert_allclose(one.pixels, 1.0 - other.pixels, atol=1e-6)


def test_sampled_jpegs_agree_with_another_decoder(films_folder: Path) -> None:
    for path in sorted((films_folder / "cxr" / "images").rglob("*.jpg"))[::600]:
        peer = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) / 255.0
        np.testing.assert_allclose(read_film(path).pixels, peer, atol=2 / 255)
