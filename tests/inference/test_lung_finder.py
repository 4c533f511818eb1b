"""The lung finder: cleaning by hand-made maps, bad input, bundles, and the shipped network on films."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import carina
from carina.errors import BundleError, InputError
from carina.imaging import Standardisation, read_film
from carina.imaging.lung_fields import LEFT, RIGHT, heart
from carina.imaging.phantom import phantom_film
from carina.inference.lungs import LungFinder

SHIPPED = Path(carina.__file__).parent / "models" / "lungs"
FILM = np.linspace(0, 1, 256 * 224, dtype=np.float32).reshape(256, 224)
SPEC = Standardisation(size=64, intensity="window")


class _Says:
    """A session that answers every film with the same maps."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps.astype(np.float32)
        self.asked: list[np.ndarray] = []

    def run(self, output_names: list[str], input_feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert output_names == ["fields"]
        self.asked.append(input_feed["film"])
        return [self.maps[None]]


def _maps() -> np.ndarray:
    """32 x 32: the right lung in columns 3 to 12, the left in 18 to 28, rows 6 to 25, no heart."""
    maps = np.full((3, 32, 32), 0.02)
    maps[0, 6:26, 3:13] = maps[1, 6:26, 18:29] = 0.98
    maps[2] = maps[:2].max(axis=0)
    return maps


def test_maps_become_fields_at_the_films_size() -> None:
    session = _Says(_maps())
    fields = LungFinder(session, SPEC).find(FILM)
    assert (fields.mask.shape, fields.flags) == ((256, 224), ())
    assert fields.mask[100, 50] == RIGHT  # row 12, column 7 of 32
    assert fields.mask[100, 160] == LEFT
    assert fields.mask[100, 110] == 0
    assert fields.box == (21, 48, 182, 160)  # 3/32 of 224, 6/32 of 256; 26 and 20 cells
    (asked,) = session.asked
    assert (asked.shape, float(asked.min()), float(asked.max())) == ((1, 1, 64, 64), 0.0, 1.0)


def test_a_large_fragment_is_dropped_and_flagged_and_a_hole_is_filled() -> None:
    maps = _maps()
    maps[1, 28:31, 3:29] = 0.9  # 78 cells beside 420
    maps[0, 12:15, 6:9] = 0.1
    fields = LungFinder(_Says(maps), SPEC).find(FILM)
    assert not fields.mask[232, 50:180].any()
    assert fields.mask[108, 52] == RIGHT
    assert len(fields.flags) == 1
    assert "fragments" in fields.flags[0]


def test_middling_probabilities_are_flagged() -> None:
    maps = _maps()
    maps[:, 2:30, 1:31] = np.maximum(maps[:, 2:30, 1:31], 0.2)  # 420 cells of lung, 420 of doubt
    fields = LungFinder(_Says(maps), SPEC).find(FILM)
    assert fields.flags == (
        "the network is unsure of an area 100% as large as the lung fields; at most 60% is believable",
    )


def test_where_both_lungs_claim_a_pixel_the_surer_has_it() -> None:
    maps = _maps()
    maps[0, 6:26, 13:16], maps[1, 6:26, 13:18] = 0.95, 0.7
    fields = LungFinder(_Says(maps), SPEC).find(FILM)
    assert (int(fields.mask[100, 100]), int(fields.mask[100, 122])) == (RIGHT, LEFT)


def test_the_hearts_estimate_is_what_the_network_does_not_call_aerated() -> None:
    maps = _maps()
    maps[2, 16:26, 18:22] = 0.1
    fields = LungFinder(_Says(maps), SPEC).find(FILM)
    part = heart(fields)
    assert bool(part[180, 140])
    assert not part[180, 170]
    assert not part[:, :112].any()


def test_no_lung_and_one_lung_are_flagged() -> None:
    nothing = LungFinder(_Says(np.zeros((3, 32, 32))), SPEC).find(FILM)
    assert (nothing.flags, nothing.box) == (("no lung field was found",), None)
    maps = _maps()
    maps[1] = 0.0
    assert LungFinder(_Says(maps), SPEC).find(FILM).flags == ("only the patient's right lung field was found",)


@pytest.mark.parametrize(
    ("film", "sentence"),
    [
        (np.full((200, 200), 0.5, np.float32), "of one grey"),
        (np.eye(16, dtype=np.float32), "32 pixels a side for lung fields; found 16 x 16"),
        (np.linspace(0, 1, 400, dtype=np.float32).reshape(1, 400), "found 400 x 1"),
    ],
)
def test_films_without_content_are_flagged_without_asking(film: np.ndarray, sentence: str) -> None:
    session = _Says(_maps())
    fields = LungFinder(session, SPEC).find(film)
    assert sentence in fields.flags[0]
    assert (fields.mask.shape, bool(fields.mask.any()), session.asked) == (film.shape, False, [])


@pytest.mark.parametrize("film", [np.zeros((4, 4, 3)), np.zeros((0, 5)), np.full((64, 64), np.nan), np.zeros(7)])
def test_arrays_that_are_no_film_are_refused(film: np.ndarray) -> None:
    with pytest.raises(InputError, match="rows and columns of finite numbers"):
        LungFinder(_Says(_maps()), SPEC).find(film.astype(np.float32))


def test_a_bundle_of_another_task_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="must be for task 'lungs'"):
        LungFinder.load(tiny_bundle)


needs_shipped = pytest.mark.skipif(not (SHIPPED / "bundle.json").is_file(), reason="the lung bundle is not installed")


@pytest.fixture(scope="module")
def finder() -> LungFinder:
    return LungFinder.load()


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2.0 * float((one & other).sum()) / float(one.sum() + other.sum())


@needs_shipped
def test_an_altered_bundle_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "lungs"
    shutil.copytree(SHIPPED, folder)
    model = bytearray((folder / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.onnx").write_bytes(bytes(model))
    with pytest.raises(BundleError, match="was changed"):
        LungFinder.load(folder)


@needs_shipped
def test_the_shipped_bundle_is_small_and_says_its_licence(finder: LungFinder) -> None:
    assert (SHIPPED / "model.onnx").stat().st_size < 5_000_000
    assert "CC BY-NC-SA 4.0, research use" in (SHIPPED / "MODEL_CARD.md").read_text("utf-8")
    assert finder.identity["name"] == "lungs"


@needs_shipped
@pytest.mark.parametrize(("seed", "child"), [(9001, False), (9002, True), (9003, False)])
def test_phantoms_lungs_are_found_within_their_fields(finder: LungFinder, seed: int, child: bool) -> None:  # noqa: FBT001 - a case
    phantom = phantom_film(seed, size=384, child=child)
    fields = finder.find(phantom.pixels)
    assert fields.plausible, fields.flags
    for side, truth in ((RIGHT, phantom.right_lung), (LEFT, phantom.left_lung)):
        assert ((fields.mask == side) & truth).sum() > 0.93 * truth.sum()


@needs_shipped
def test_a_mirrored_film_gives_the_other_sides(finder: LungFinder) -> None:
    pixels = phantom_film(9004, size=256).pixels
    plain, mirrored = finder.find(pixels).mask, finder.find(np.ascontiguousarray(pixels[:, ::-1])).mask[:, ::-1]
    assert _dice(plain == RIGHT, mirrored == LEFT) > 0.95
    assert _dice(plain == LEFT, mirrored == RIGHT) > 0.95


@needs_shipped
def test_a_turned_film_gives_turned_fields(finder: LungFinder) -> None:
    pixels = phantom_film(9005, size=256, child=False).pixels
    turn = cv2.getRotationMatrix2D((128, 128), 12, 1.0)
    expected = cv2.warpAffine(finder.find(pixels).mask, turn, (256, 256), flags=cv2.INTER_NEAREST)
    found = finder.find(cv2.warpAffine(pixels, turn, (256, 256))).mask
    assert _dice(found > 0, expected > 0) > 0.93


@needs_shipped
@pytest.mark.parametrize("shape", [(128, 128), (900, 700), (256, 512)])
def test_size_and_aspect_do_not_move_the_fields(finder: LungFinder, shape: tuple[int, int]) -> None:
    pixels = phantom_film(9006, size=384).pixels
    usual = cv2.resize(finder.find(pixels).mask, shape[::-1], interpolation=cv2.INTER_NEAREST)
    found = finder.find(cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)).mask
    assert found.shape == shape
    assert _dice(found > 0, usual > 0) > 0.97


@needs_shipped
@pytest.mark.parametrize("kind", ["noise", "ramp", "disc"])
def test_pictures_without_lungs_are_flagged(finder: LungFinder, kind: str) -> None:
    pictures: dict[str, Any] = {
        "noise": np.random.default_rng(0).random((256, 256), dtype=np.float32),
        "ramp": FILM,
        "disc": cv2.circle(np.zeros((256, 256), np.float32), (128, 128), 80, 1.0, -1),
    }
    assert not finder.find(pictures[kind]).plausible


@needs_shipped
def test_real_films_of_every_source_have_plausible_fields(finder: LungFinder, films_folder: Path) -> None:
    for source in ("kermany", "nih", "cxnet", "hannover"):
        films = sorted((films_folder / "cxr/images" / source).glob("*.jpg"))[:12]
        fields = [finder.find(read_film(film)) for film in films]
        assert sum(one.plausible for one in fields) >= 11, source
