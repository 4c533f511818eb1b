"""What the quality gate is fitted on and what it is measured on: which film and which picture stand where.

The halves are fixed by hashes, so that fitting and measuring agree without a list: a film by its patient, a picture
that is no chest film by its subject, for packages hold the same picture in many encodings.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from carina.errors import MissingExtraError, TableError

__all__ = ["GateFilm", "Picture", "gate_films", "other_pictures", "photographs"]

_FIT, _TUNE, _HALF = 0.60, 0.75, 0.5
_SUBJECTS = (
    (r"RG1_", "chest film"),
    (r"RG3_", "leg film"),
    (r"693_", "head CT, CQ500"),
    (r"CT_small|no_meta\.dcm", "vertebra CT"),
    (r"JPEG2000|JPEG-LL|JPEG-lossy|JPGExtended", "bone scan"),
    (r"JPEGLSNearLossless", "JPEG-LS bars"),
    (r"MR_small|MR_truncated|zipMR", "small MR"),
    (r"MR2_", "shoulder MR"),
    (r"examples_overlay|MR-SIEMENS", "abdomen MR"),
    (r"emri", "head MR, enhanced"),
    (r"SC_jpeg_no|SC_rgb_jpeg(_app14_dcmd|_dcmd)?\.dcm", "white page with dots"),
    (r"SC_rgb_small", "three by three"),
    (r"SC_", "colour bars"),
    (r"examples_jpeg2k|examples_rgb_color|US1_", "ultrasound, kidney"),
    (r"examples_palette|OBXXXX1A", "ultrasound, palette"),
    (r"examples_ybr_color|color3d", "echocardiogram"),
    (r"color-p", "echocardiogram, Doppler"),
    (r"liver", "liver mask"),
    (r"rtdose|badVR", "radiotherapy dose"),
    (r"mlut_18|vlut_04", "test pattern"),
    (r"gdcm-US", "ultrasound, ALOKA"),
    (r"motorcycle", "motorcycle"),
    (r"chessboard", "chessboard"),
    (r"multipage", "multipage"),
)
_SUFFIXES = {"", ".dcm", ".gz", ".png", ".jpg", ".tif", ".gif"}


@dataclass(frozen=True, slots=True)
class GateFilm:
    """A real film and its part: fit, tune, held_out, hannover, boxes, cohen or cxnet_no_release."""

    image_id: str
    path: Path
    source: str
    patient_id: str
    part: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file of a package, what it shows, and its half: fit or held_out; a chest film is in neither."""

    path: Path
    subject: str
    half: str


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2.0**64


def _part(row: dict[str, str], boxed: set[str]) -> str:
    if row["source"] in {"hannover", "cohen"}:
        return row["source"]
    if row["train_release"] != "yes":
        return f"{row['source']}_no_release"
    if row["patient_id"] in boxed:
        return "boxes"
    fraction = _fraction(f"gate {row['patient_id']}")
    return "fit" if fraction < _FIT else "tune" if fraction < _TUNE else "held_out"


def gate_films(data: Path) -> list[GateFilm]:
    """List the real films below `data` with their parts: 60 % of patients fit, 15 % tune, 25 % held out.

    Apart, each as a part of its own: hannover, cohen, films that no shipped model may train on, patients of box films.
    Films that are the twin of another are left out.

    Raises
    ------
    TableError
        If `data` has no ``cxr/images.csv``.
    """
    root = data / "cxr"
    if not (root / "images.csv").is_file():
        raise TableError(f"the films must lie in {str(data)!r} with their table cxr/images.csv; it is not there")
    with (root / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (root / "boxes.csv").open(encoding="utf-8", newline="") as stream:
        boxed_films = {row["image_id"] for row in csv.DictReader(stream)}
    boxed = {row["patient_id"] for row in rows if row["image_id"] in boxed_films}
    return [
        GateFilm(row["image_id"], root / row["path"], row["source"], row["patient_id"], _part(row, boxed))
        for row in rows
        if not row["duplicate_of"]
    ]


def _folder(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError("train", "dev")
    return Path(spec.origin).parent.joinpath(*parts)


def _subject(path: Path) -> str:
    if "dicomdirtests" in path.parts:
        return f"DICOMDIR patient {path.parts[path.parts.index('dicomdirtests') + 1]}"
    return next((subject for pattern, subject in _SUBJECTS if re.match(pattern, path.name)), path.stem)


def other_pictures() -> list[Picture]:
    """List the files of pydicom, pydicom-data and scikit-image that may hold a picture, halved by subject.

    Some hold none (structure sets, waveforms); reading them says so.

    Raises
    ------
    MissingExtraError
        If one of the packages is not installed.
    """
    folders = (
        _folder("pydicom", "data", "test_files"),
        _folder("data_store", "data"),
        _folder("skimage", "data"),
    )
    files = (path for folder in folders for path in sorted(folder.rglob("*")))
    pictures = []
    for path in files:
        if not path.is_file() or path.suffix not in _SUFFIXES or path.name.startswith(("DICOMDIR", "README")):
            continue
        subject = _subject(path)
        half = "chest" if subject == "chest film" else "fit" if _fraction(f"gate {subject}") < _HALF else "held_out"
        pictures.append(Picture(path, subject, half))
    return pictures


def photographs() -> list[Path]:
    """Two photographs that scikit-learn carries; they stand in the fitting half."""
    folder = _folder("sklearn", "datasets", "images")
    return [folder / "china.jpg", folder / "flower.jpg"]
