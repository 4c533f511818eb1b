"""Losses with label sets, groups and weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from carina.networks.losses import FilmLoss
from carina.tasks import default_task

_P = torch.tensor([[0.4, 0.3, 0.2, 0.1]])


def _loss(label: str, *, root: float = 1.0, inner: float = 1.0, evenness: float = 0.0) -> float:
    task = default_task()
    loss = FilmLoss(task, evenness=evenness, smoothing=0.0)
    targets = torch.from_numpy(task.targets([label]))
    return float(loss(_P.log(), targets, torch.tensor([root]), torch.tensor([inner])))


@pytest.mark.parametrize(
    ("label", "probability"),
    [("normal", 0.4), ("bacterial", 0.3), ("covid19", 0.1), ("pneumonia", 0.6), ("pneumonia_non_covid19", 0.5)],
)
def test_likelihood_of_a_label_set_is_the_sum_of_its_classes(label: str, probability: float) -> None:
    assert _loss(label) == pytest.approx(-math.log(probability), rel=1e-5)


def test_root_weight_zero_leaves_only_the_kind_of_pneumonia() -> None:
    assert _loss("covid19", root=0.0) == pytest.approx(-math.log(0.1 / 0.6), rel=1e-5)


def test_inner_weight_zero_leaves_only_pneumonia_or_not() -> None:
    assert _loss("covid19", inner=0.0) == pytest.approx(-math.log(0.6), rel=1e-5)


def test_normal_film_is_drawn_towards_even_kinds() -> None:
    # mean negative log of (1/2, 1/3, 1/6) less log 3
    uneven = -(math.log(1 / 2) + math.log(1 / 3) + math.log(1 / 6)) / 3 - math.log(3)
    assert _loss("normal", evenness=0.5) == pytest.approx(-math.log(0.4) + 0.5 * uneven, rel=1e-5)


def test_a_silent_film_is_drawn_towards_even_whatever_its_label() -> None:
    task = default_task()
    loss = FilmLoss(task, evenness=0.0, smoothing=0.0)
    targets = torch.from_numpy(task.targets(["covid19"]))
    told = loss(_P.log(), targets, torch.ones(1), torch.ones(1), torch.tensor([True]))
    # divergence of even from (0.4, 0.6), and from (1/2, 1/3, 1/6) within pneumonia
    root = -(math.log(0.4) + math.log(0.6)) / 2 - math.log(2)
    kinds = -(math.log(1 / 2) + math.log(1 / 3) + math.log(1 / 6)) / 3 - math.log(3)
    assert float(told) == pytest.approx(root + kinds, rel=1e-5)


def test_gradient_stays_finite_for_certain_logits() -> None:
    task = default_task()
    logits = torch.tensor([[60.0, -60.0, -60.0, -60.0]], requires_grad=True)
    loss = FilmLoss(task, evenness=0.3, smoothing=0.05)
    loss(logits, torch.from_numpy(task.targets(["covid19"])), torch.ones(1), torch.ones(1)).backward()
    assert logits.grad is not None
    assert np.isfinite(logits.grad.numpy()).all()
