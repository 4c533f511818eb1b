"""Augmentation: films and lung labels move together (M24)."""

from __future__ import annotations

import pytest
import torch

from carina.networks.augmentation import Augmentation


def _film_with_lungs() -> tuple[torch.Tensor, torch.Tensor]:
    """Bright patient-left lung on the image's right, dimmer right lung on its left."""
    lungs = torch.zeros(8, 1, 64, 64, dtype=torch.int64)
    lungs[..., 16:48, 36:54] = 1
    lungs[..., 16:48, 10:28] = 2
    films = torch.where(lungs == 1, 0.9, torch.where(lungs == 2, 0.5, 0.0))
    return films, lungs


def test_lung_labels_follow_scale_shift_and_rotation() -> None:
    films, lungs = _film_with_lungs()
    augmentation = Augmentation("basic")
    augmentation.flip, augmentation.appearance = type(augmentation.flip)(p=0.0), torch.nn.Sequential()
    torch.manual_seed(3)
    moved, labels = augmentation(films, lungs)
    assert labels is not None
    assert not torch.equal(labels, lungs)
    expected = torch.where(moved > 0.7, 1, torch.where(moved > 0.25, 2, 0))
    assert (expected == labels).float().mean() > 0.97  # interpolation blurs edges only


def test_flip_swaps_left_and_right_lung() -> None:
    films, lungs = _film_with_lungs()
    augmentation = Augmentation("basic")
    augmentation.flip, augmentation.appearance = type(augmentation.flip)(p=1.0), torch.nn.Sequential()
    augmentation.affine = type(augmentation.affine)(degrees=1e-6, p=1.0)
    flipped, labels = augmentation(films, lungs)
    assert labels is not None
    # a mirrored film shows the bright lung on the image's left; that side is now labelled the patient's right
    assert float(flipped[0, 0, 32, 19]) == pytest.approx(0.9, abs=0.02)
    assert int(labels[0, 0, 32, 19]) == 2
    assert int(labels[0, 0, 32, 45]) == 1


@pytest.mark.parametrize("strength", ["basic", "strong"])
def test_same_seed_draws_the_same(strength: str) -> None:
    films, _ = _film_with_lungs()
    augmentation = Augmentation(strength)  # type: ignore[arg-type] # parametrised text
    torch.manual_seed(5)
    one, _ = augmentation(films)
    torch.manual_seed(5)
    other, _ = augmentation(films)
    assert torch.equal(one, other)
    assert not torch.equal(one, films)


def test_strong_augmentation_keeps_the_scale() -> None:
    films = torch.rand(16, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(7)
    changed, _ = Augmentation("strong")(films)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0
    assert torch.isfinite(changed).all()
