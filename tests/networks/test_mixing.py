"""Films lend each other their looks, and keep their anatomy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carina.errors import TrainingError
from carina.networks.classifier import FilmClassifier
from carina.networks.mixing import StyleMixing, hide_lungs, mix_spectra
from carina.networks.recipe import Recipe
from carina.tasks import default_task


def test_a_mixed_film_has_an_amplitude_between_both_and_its_own_phase() -> None:
    torch.manual_seed(3)
    # Mid-grey films of low contrast: nothing is clipped, so that the spectrum can be read back.
    films = 0.5 + 0.02 * torch.randn(2, 1, 16, 16)
    mixed = mix_spectra(films, 1.0)
    before, after = np.fft.fft2(films.numpy()[:, 0]), np.fft.fft2(mixed.numpy()[:, 0])
    assert np.abs(np.angle(after / before)).max() < 1e-2
    low, high = np.abs(before).min(axis=0), np.abs(before).max(axis=0)
    assert (np.abs(after) >= low - 1e-4).all()
    assert (np.abs(after) <= high + 1e-4).all()


def test_no_film_changes_at_share_zero() -> None:
    films = torch.rand(4, 1, 8, 8)
    assert mix_spectra(films, 0.0) is films


def test_style_mixing_keeps_what_is_left_after_mean_and_deviation_are_taken_out() -> None:
    torch.manual_seed(1)
    maps = torch.randn(6, 3, 5, 5) * torch.rand(6, 3, 1, 1) + torch.randn(6, 3, 1, 1)
    mixed = StyleMixing(1.0)(maps)

    def plain(values: torch.Tensor) -> np.ndarray:
        array = values.numpy()
        return np.asarray((array - array.mean((2, 3), keepdims=True)) / array.std((2, 3), keepdims=True))

    assert np.abs(plain(mixed) - plain(maps)).max() < 1e-3
    assert not torch.allclose(mixed, maps)


def test_style_mixing_is_for_training_alone() -> None:
    maps = torch.randn(4, 2, 3, 3)
    assert StyleMixing(1.0).eval()(maps) is maps


def test_the_finished_network_has_nothing_left_of_it() -> None:
    classifier = FilmClassifier(default_task(), Recipe(pretrained=False, style_mixing=1.0, size=32))
    network = classifier.finished().train()
    assert all(not layer._forward_hooks for layer in network.early_layers())


def test_style_mixing_needs_layers_to_sit_behind() -> None:
    with pytest.raises(TrainingError, match="style mixing needs the network 'efficientnet_lite0'"):
        FilmClassifier(default_task(), Recipe(network="seed_cnn", pretrained=False, style_mixing=0.5, size=32))


def _films() -> tuple[torch.Tensor, torch.Tensor]:
    """Three films of one grey each, 10, 20 and 30; their lungs are the two middle columns, the third film has none."""
    films = torch.stack([torch.full((4, 4), grey, dtype=torch.uint8) for grey in (10, 20, 30)])
    cover = torch.zeros(3, 4, 4, dtype=torch.uint8)
    cover[:2, :, 1:3] = 1
    return films, torch.stack([torch.where(cover > 0, torch.zeros_like(films), films), cover], 1)


def test_films_without_lungs_are_black_there_and_said_to_be_silent() -> None:
    shown, silent = hide_lungs(*_films(), lungless=1.0, surroundings=1.0)
    assert silent.tolist() == [True, True, False]
    assert shown[0].tolist() == [[10, 0, 0, 10]] * 4
    assert shown[2].tolist() == [[30] * 4] * 4


def test_lungs_come_to_lie_in_the_surroundings_of_another_film() -> None:
    torch.manual_seed(2)
    rows = set()
    for _ in range(20):
        shown, silent = hide_lungs(*_films(), lungless=0.0, surroundings=1.0)
        assert not silent.any()
        assert shown[2].tolist() == [[30] * 4] * 4
        rows.add(tuple(shown[0][0].tolist()))
    assert rows == {(10, 10, 10, 10), (20, 10, 10, 20)}
