"""The packaged gate on real films and pictures it was not fitted on; the full figures are in docs/quality_gate.md."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from carina.imaging import read_film
from carina.inference.gate import QualityGate
from carina.types import Film, FilmHeader

_TURNS = ("", "rotated_90_clockwise", "rotated_180", "rotated_90_counterclockwise")


@pytest.fixture(scope="module")
def gate() -> QualityGate:
    return QualityGate.load()


@pytest.fixture(scope="module")
def hannover(films_folder: Path) -> list[Film]:
    """All 114 films of a hospital that took no part in fitting or tuning."""
    with (films_folder / "cxr" / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["source"] == "hannover"]
    return [read_film(films_folder / "cxr" / row["path"]) for row in rows]


def test_at_most_three_in_a_hundred_films_of_an_unseen_hospital_are_refused(
    gate: QualityGate, hannover: list[Film]
) -> None:
    refused = sum(not gate.check(film)[1].accepted for film in hannover)
    assert refused <= 0.03 * len(hannover)


def test_upright_films_of_an_unseen_hospital_are_left_alone(gate: QualityGate, hannover: list[Film]) -> None:
    assert [quality.corrected for _, quality in map(gate.check, hannover) if quality.corrected] == []


@pytest.mark.parametrize("state", range(1, 8))
def test_turned_and_inverted_films_come_out_upright(gate: QualityGate, hannover: list[Film], state: int) -> None:
    turns, inverted = divmod(state, 2)
    expected = (("inverted",) if inverted else ()) + ((_TURNS[turns],) if turns else ())
    sample = hannover[::4]
    righted = 0
    for film in sample:
        pixels = np.rot90(1 - film.pixels if inverted else film.pixels, turns)
        righted += gate.check(replace(film, pixels=np.ascontiguousarray(pixels)))[1].corrected == expected
    assert righted >= 0.96 * len(sample)


def test_a_mirrored_film_is_not_mirrored_back(gate: QualityGate, hannover: list[Film]) -> None:
    mirrored = replace(hannover[0], pixels=np.ascontiguousarray(hannover[0].pixels[:, ::-1]))
    film, quality = gate.check(mirrored)
    assert quality.accepted
    assert film is mirrored


def test_a_film_wrongly_marked_as_monochrome1_is_inverted_back(gate: QualityGate, films_folder: Path) -> None:
    marked = read_film(films_folder / "dicom" / "Fake_MONOHR1.dcm")
    right = read_film(next(path for path in (films_folder / "dicom").glob("1.2.276*.dcm")))
    film, quality = gate.check(marked)
    assert quality.corrected == ("inverted",)
    np.testing.assert_allclose(film.pixels, right.pixels, atol=2 / 255)


@pytest.mark.parametrize("part", ["left half", "top half", "corner"])
def test_a_part_of_a_film_is_refused(gate: QualityGate, hannover: list[Film], part: str) -> None:
    refused = 0
    for film in hannover[::6]:
        rows, columns = film.pixels.shape
        kept = {
            "left half": film.pixels[:, : columns // 2],
            "top half": film.pixels[: rows * 4 // 10],
            "corner": film.pixels[rows // 2 :, columns // 2 :],
        }[part]
        refused += not gate.check(replace(film, pixels=np.ascontiguousarray(kept)))[1].accepted
    assert refused >= 0.85 * len(hannover[::6])


def test_four_films_on_one_sheet_are_refused(gate: QualityGate, hannover: list[Film]) -> None:
    cells = [cv2.resize(film.pixels, (256, 256)) for film in hannover[:4]]
    sheet = np.vstack([np.hstack(cells[:2]), np.hstack(cells[2:])]).astype(np.float32)
    assert not gate.check(Film(sheet, FilmHeader("png"), "0" * 64))[1].accepted


@pytest.mark.parametrize("name", ["astronaut", "camera", "moon", "text", "retina", "rocket", "grass"])
def test_pictures_of_the_measuring_half_are_refused(gate: QualityGate, name: str) -> None:
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    path = next(path for path in folder.glob(f"{name}.*"))
    assert not gate.check(read_film(path))[1].accepted


def test_a_leg_is_refused_without_its_header(gate: QualityGate) -> None:
    folder = Path(pytest.importorskip("data_store").__file__).parent / "data"
    leg = read_film(folder / "RG3_J2KR.dcm")
    assert not gate.check(replace(leg, header=FilmHeader("png")))[1].accepted
