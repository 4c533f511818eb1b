"""Random damage: a film or a refusal, and nothing else."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from carina.errors import FilmRejectedError
from carina.imaging import REJECTIONS, read_film

MakeDicom = Callable[..., bytes]
DICOM = [
    "CT_small.dcm",
    "JPEG-lossy.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg.dcm",
    "image_dfl.dcm",
]
PICTURES = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
]


def _picture(kind: str, options: dict[str, object]) -> bytes:
    scene = np.random.default_rng(5).integers(0, 255, (40, 50), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(scene).save(file, kind, **options)
    return file.getvalue()


def _outcome(data: bytes) -> str:
    try:
        film = read_film(data)
    except FilmRejectedError as error:
        assert error.code in REJECTIONS  # noqa: PT017 - the refusal is one of two right outcomes
        return error.code
    assert film.pixels.ndim == 2
    assert film.pixels.dtype == np.float32
    assert 0.0 <= film.pixels.min() <= film.pixels.max() <= 1.0
    return "film"


def _damaged(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    end = len(broken) if chance.random() < 0.5 else min(len(broken), 2000)  # half of them in the header
    for _ in range(chance.choice((1, 1, 3, 10, 40))):
        broken[chance.randrange(end)] = chance.randrange(256)
    return bytes(broken)


@pytest.mark.parametrize("name", DICOM)
def test_damaged_dicom(name: str) -> None:
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    chance = random.Random(name)  # noqa: S311 - repeatable damage, no secret
    assert {_outcome(_damaged(data, chance)) for _ in range(40)} - {"film"}


@pytest.mark.parametrize("name", DICOM)
def test_cut_dicom(name: str) -> None:
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    chance = random.Random(name)  # noqa: S311 - repeatable cuts, no secret
    whole = read_film(data).pixels
    for length in (chance.randrange(1, len(data)) for _ in range(30)):
        if _outcome(data[:length]) == "film":  # only what stands behind the pixels is missing
            np.testing.assert_array_equal(read_film(data[:length]).pixels, whole)


@pytest.mark.parametrize(("kind", "options"), PICTURES)
def test_damaged_pictures(kind: str, options: dict[str, object]) -> None:
    chance = random.Random(kind)  # noqa: S311 - repeatable damage, no secret
    for _ in range(40):
        _outcome(_damaged(_picture(kind, options), chance))
