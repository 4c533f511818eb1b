"""Network, augmentation and loss of the lung training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from carina.imaging import Standardisation, standardise
from carina.inference.lungs import LungFinder, open_lung_network
from carina.networks import lung_augmentation
from carina.networks.lung_data import WORK, field_sample, phantom_sample
from carina.networks.lung_network import CHANNELS, LungNetwork, export_lungs
from carina.networks.lung_training import fit_lungs, loss_of, lung_recipe, standardised


def test_output_has_three_maps_at_half_the_size() -> None:
    network = LungNetwork().eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, 64, 64)).shape == (2, len(CHANNELS), 32, 32)


def test_the_exported_network_opens_in_the_finder_and_leaves_no_traces() -> None:
    torch.manual_seed(0)
    model = export_lungs(LungNetwork(), 48)
    assert b"/networks/" not in model
    assert len(model) < 5_000_000
    finder = LungFinder(open_lung_network(model), Standardisation(size=48))
    maps = finder.probabilities(np.zeros((48, 48), np.uint8))
    assert maps.shape == (3, 24, 24)
    assert 0.0 <= float(maps.min()) <= float(maps.max()) <= 1.0


@pytest.mark.parametrize("intensity", ["window", "local"])
def test_training_and_inference_standardise_alike(intensity: str) -> None:
    film = np.random.default_rng(1).gamma(2.0, 0.1, (64, 64)).clip(0, 1).astype(np.float32)
    expected = standardise(film, Standardisation(size=64, intensity=intensity)) / 255.0  # type: ignore[arg-type]
    found = standardised(torch.from_numpy(film)[None, None], intensity)[0, 0].numpy()
    assert np.abs(found - expected).max() < (0.003 if intensity == "window" else 0.05)


def test_film_and_maps_move_together_and_a_mirror_swaps_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lung_augmentation, "_appearance", lambda films: films)
    monkeypatch.setattr(lung_augmentation, "_framed", lambda films, _: films)
    torch.manual_seed(3)
    right = torch.zeros(16, 1, 96, 96)
    right[:, :, 30:70, 20:44] = 1.0
    truth = torch.cat([right, torch.zeros_like(right), right], 1)
    films, moved, _ = lung_augmentation.augmented_batch(right, truth, torch.ones_like(truth), 64, whiteout=0.0)
    seen = functional.avg_pool2d(films, 2)[:, 0]
    for number in range(16):
        side = int(moved[number, 1].sum() > moved[number, 0].sum())
        assert torch.allclose(moved[number, side], seen[number], atol=1e-5)
        assert float(moved[number, 1 - side].sum()) == 0.0
    mirrored = [float(moved[number, 1].sum()) > 0 for number in range(16)]
    assert 0 < sum(mirrored) < 16


def test_an_opacity_changes_the_film_within_the_lungs_alone_and_not_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lung_augmentation, "_appearance", lambda films: films)
    truth = torch.zeros(8, 3, 96, 96)
    truth[:, 0, 30:70, 20:44] = truth[:, 2, 30:70, 20:44] = 1.0
    films = torch.full((8, 1, 96, 96), 0.2)
    films[:, :, :20] = 0.9
    drawn = []
    for whiteout in (0.0, 1.0):
        torch.manual_seed(5)
        drawn.append(lung_augmentation.augmented_batch(films, truth, torch.ones_like(truth), 64, whiteout=whiteout))
    changed = (drawn[1][0] - drawn[0][0]).abs()
    assert torch.equal(drawn[0][1], drawn[1][1])
    reach = functional.max_pool2d(
        functional.interpolate(drawn[0][1][:, :2].amax(1, keepdim=True), scale_factor=2.0), 21, 1, 10
    )
    assert float(changed[reach == 0].max()) == 0.0
    assert float(changed.max()) > 0.2


def test_the_loss_is_small_for_the_truth_and_ignores_the_unknown() -> None:
    truth = torch.zeros(2, 3, 8, 8)
    truth[:, :, 2:6, 2:6] = 1.0
    known = torch.ones_like(truth)
    right = (truth * 2 - 1) * 20
    assert float(loss_of(right, truth, known)) < 0.01
    assert float(loss_of(-right, truth, known)) > 1.0
    known[:, :, 4:] = 0.0
    wrong = right.clone()
    wrong[:, :, 4:] *= -1
    assert float(loss_of(wrong, truth, known)) == pytest.approx(float(loss_of(right, truth, known)))


def test_a_real_outline_says_nothing_of_the_heart_and_a_phantom_nothing_behind_it() -> None:
    from carina.imaging.lung_fields import from_mask  # noqa: PLC0415 - one use

    mask = np.zeros((100, 120), bool)
    mask[20:80, 15:50] = mask[20:80, 65:105] = True
    sample = field_sample(np.linspace(0, 1, 12000, dtype=np.float32).reshape(100, 120), from_mask(mask))
    assert sample.film.shape == (WORK, WORK)
    assert np.array_equal(sample.known[2] == 0, sample.truth[:2].any(axis=0))
    phantom = phantom_sample(0, 128)
    assert np.array_equal(phantom.truth[2], phantom.truth[:2].max(axis=0))
    middle = phantom.known[0, WORK // 2]
    assert 0 < int((middle == 0).sum()) < WORK // 2
    assert phantom.known[2].all()


def test_training_learns_a_film_and_repeats_itself() -> None:
    recipe = lung_recipe({"size": 48, "steps": 3, "batch": 2, "phantoms": 0, "phantom_share": 0.0})
    sample = phantom_sample(1, 128)
    one, other = (fit_lungs([([sample], 1.0)], recipe) for _ in range(2))
    for first, second in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(first, second)
