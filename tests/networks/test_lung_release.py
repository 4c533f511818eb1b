"""Measures of agreement against MONAI, folds, intervals, and the whole release on phantoms."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from scipy.stats import bootstrap

from carina.errors import InputError, TableError
from carina.imaging.lung_fields import LEFT, RIGHT, LungFields
from carina.imaging.phantom import phantom_film
from carina.inference import load_bundle
from carina.inference.lungs import LungFinder
from carina.networks.lung_data import LungFilm, masked_films, read_fields
from carina.networks.lung_evaluation import agreement, dice, folds_by_patient, hausdorff_95, patient_interval
from carina.networks.lung_release import release_lungs
from carina.networks.lung_training import lung_recipe


def _blob(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((9, 9), dtype=np.float32)
    return np.asarray(cv2.resize(noise, (60, 50), interpolation=cv2.INTER_CUBIC) > 0.45)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI warns of its own call
@pytest.mark.parametrize("seed", range(4))
def test_dice_and_hausdorff_equal_monai(seed: int) -> None:
    one, other = _blob(seed), _blob(seed + 100)
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (one, other)]
    assert dice(one, other) == pytest.approx(float(compute_dice(*tensors)))
    peer = compute_hausdorff_distance(*tensors, include_background=True, percentile=95)
    assert hausdorff_95(one, other) == pytest.approx(float(peer), rel=1e-5)


def test_empty_regions_have_defined_measures() -> None:
    nothing, something = np.zeros((9, 9), bool), _blob(0)[:9, :9] | True
    assert (dice(nothing, nothing), hausdorff_95(nothing, nothing)) == (1.0, 0.0)
    assert (dice(nothing, something), hausdorff_95(nothing, something)) == (0.0, float("inf"))


def _film(image: str, patient: str, source: str = "cohen") -> LungFilm:
    return LungFilm(image, Path(image), source, patient, "covid19", None)


def test_distance_is_told_in_percent_of_each_lungs_own_height() -> None:
    truth = np.zeros((100, 100), np.uint8)
    truth[10:90, 10:40], truth[30:70, 60:90] = RIGHT, LEFT  # 80 and 40 rows high
    found = np.roll(truth, 4, axis=1)
    result = agreement(_film("a", "p"), LungFields(found), LungFields(truth))
    assert result.hausdorff[:2] == pytest.approx((5.0, 10.0))
    assert result.dice[0] == pytest.approx(26 / 30)


def test_folds_keep_patients_whole_and_are_even() -> None:
    films = [_film(f"i{number}", f"p{number // 3}") for number in range(60)]
    folds = folds_by_patient(films, 5, seed=1)
    assert sorted(film.image_id for fold in folds for film in fold) == sorted(film.image_id for film in films)
    assert [len({film.patient_id for film in fold}) for fold in folds] == [4] * 5
    assert {len(fold) for fold in folds} == {12}


def test_the_interval_equals_a_plain_bootstrap_where_each_patient_has_one_film() -> None:
    values = np.random.default_rng(0).normal(0.95, 0.02, 60)
    mean, low, high = patient_interval(values.tolist(), [str(number) for number in range(60)])
    peer = bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((peer.low, peer.high), abs=5e-4)


def test_the_interval_is_wider_when_films_belong_together() -> None:
    values = np.repeat(np.random.default_rng(0).normal(0.95, 0.02, 15), 4).tolist()
    apart = patient_interval(values, [str(number) for number in range(60)])
    together = patient_interval(values, [str(number // 4) for number in range(60)])
    assert together[2] - together[1] > 1.5 * (apart[2] - apart[1])


@pytest.fixture
def outlined(tmp_path: Path) -> Path:
    """Six phantoms as films with masks, five of cohen and one of hannover."""
    root = tmp_path / "data" / "cxr"
    root.mkdir(parents=True)
    rows = []
    for seed in range(6):
        phantom = phantom_film(seed, size=128)
        name = f"f{seed}"
        cv2.imwrite(str(root / f"{name}.jpg"), phantom.pixels * 255)
        cv2.imwrite(str(root / f"{name}_mask.png"), (phantom.right_lung | phantom.left_lung).astype(np.uint8) * 255)
        rows.append(
            {
                "image_id": name,
                "path": f"{name}.jpg",
                "source": "hannover" if seed == 5 else "cohen",
                "patient_id": f"p{seed // 2}",
                "label": "covid19",
                "lung_mask": f"{name}_mask.png",
            }
        )
    with (root / "images.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "data"


@pytest.mark.slow
def test_a_release_measures_trains_and_writes_a_bundle_that_finds(outlined: Path, tmp_path: Path) -> None:
    recipe = lung_recipe({"size": 48, "steps": 2, "batch": 4, "phantoms": 1})
    described = release_lungs(outlined, tmp_path / "lungs", recipe, folds=2)
    assert described["training"]["image_ids"] == [f"f{number}" for number in range(6)]
    assert described["figures"]["cohen"]["films"] == 5
    assert described["figures"]["hannover"]["films"] == 1
    bundle = load_bundle(tmp_path / "lungs", task="lungs")
    assert "5 of cohen" in bundle.card
    assert "CC BY-NC-SA 4.0, research use" in bundle.card
    assert bundle.description["licence"] == "CC BY-NC-SA 4.0, research use"
    fields = LungFinder.load(tmp_path / "lungs").find(phantom_film(9, size=128).pixels)
    assert fields.mask.shape == (128, 128)


def test_missing_films_and_masks_of_another_size_are_refused(outlined: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cxr/images\.csv"):
        masked_films(tmp_path)
    film = masked_films(outlined)[0]
    assert film.mask is not None
    cv2.imwrite(str(film.mask), np.zeros((5, 7), np.uint8))
    with pytest.raises(InputError, match="128 x 128 pixels; found 7 x 5"):
        read_fields(film)
    film.mask.unlink()
    with pytest.raises(TableError, match="readable lung mask"):
        read_fields(film)
