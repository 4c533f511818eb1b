"""Pictures keep their pixels and nothing else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from carina.deidentify import Policy, Pseudonymiser, deidentify_picture
from carina.errors import FilmRejectedError
from carina.imaging import read_film
from carina.imaging.phantom import Phantom

SECRET = b"ZZZ0016"
POLICY = Policy(without_ocr="review")


def picture(phantom: Phantom, form: str, *, deep: bool = False) -> bytes:
    values = np.rint(phantom.pixels * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)
    image, file = Image.fromarray(values), io.BytesIO()
    if form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Comment", "ZZZ0016")
        chunks.add_itxt("XML:com.adobe.xmp", "<x>ZZZ0016</x>")
        image.save(file, form, pnginfo=chunks, icc_profile=b"ZZZ0016 profile")
    elif form == "JPEG":
        exif = Image.Exif()
        exif[0x010E] = "ZZZ0016"
        image.save(file, form, exif=exif, comment=SECRET, quality=95)
    else:
        image.save(file, form, description="ZZZ0016", compression="tiff_deflate")
    return file.getvalue() + SECRET


@pytest.mark.parametrize(
    ("form", "deep"), [("PNG", False), ("PNG", True), ("JPEG", False), ("TIFF", False), ("TIFF", True)]
)
def test_only_the_pixels_go_on(phantom: Phantom, names: Pseudonymiser, form: str, *, deep: bool) -> None:
    data = picture(phantom, form, deep=deep)
    made = deidentify_picture(data, names, POLICY, nhi="ZZZ0016")
    chunks = []
    position = 8
    while position < len(made.data):
        length = int.from_bytes(made.data[position : position + 4], "big")
        chunks.append(made.data[position + 4 : position + 8])
        position += 12 + length
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
    assert SECRET not in made.data
    assert np.array_equal(read_film(made.data).pixels, read_film(data).pixels)


def test_the_patient_is_the_callers(phantom: Phantom, names: Pseudonymiser) -> None:
    made = deidentify_picture(picture(phantom, "PNG"), names, POLICY, nhi="zzz0016")
    assert made.patient_id == names.patient("ZZZ0016")
    assert made.removed.rows.rows() == [(made.patient_id, "nhi", "ZZZ0016")]


def test_a_picture_of_nobody_and_a_file_that_is_none_are_refused(phantom: Phantom, names: Pseudonymiser) -> None:
    with pytest.raises(FilmRejectedError, match="whose it is"):
        deidentify_picture(picture(phantom, "PNG"), names, POLICY)
    with pytest.raises(FilmRejectedError, match="neither DICOM nor a picture"):
        deidentify_picture(b"hello", names, POLICY, nhi="ZZZ0016")
