"""Losses of the branches against values worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="networks are built with the extra 'train'")

from carina.networks.branch_losses import (  # noqa: E402 -- after the skip
    branch_loss,
    focal_loss,
    giou_of_distances,
    score_map_loss,
)
from carina.networks.branch_network import BranchOutputs  # noqa: E402
from carina.networks.branch_targets import BoxTargets  # noqa: E402


def test_focal_loss_is_the_sum_over_cells() -> None:
    logits = torch.tensor([0.0, 0.0, math.log(3.0)])
    positive = torch.tensor([True, False, True])
    # alpha (1 - p)^2 (-ln p): p is 1/2, 1/2 and 3/4
    expected = 0.25 * 0.25 * math.log(2) + 0.75 * 0.25 * math.log(2) + 0.25 * 0.0625 * -math.log(0.75)
    assert float(focal_loss(logits, positive)) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_hardly_minds_what_is_right_already() -> None:
    sure, unsure = (focal_loss(torch.tensor([value]), torch.tensor([False])) for value in (-6.0, 0.0))
    assert float(sure) < 1e-6 * float(unsure) * 10


def test_generalised_overlap_counts_the_empty_part_of_the_hull() -> None:
    found, wanted = torch.tensor([2.0, 1.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 1.0, 2.0])
    # areas 6 and 6, shared 2 x 2, union 8, hull 3 x 3
    assert float(giou_of_distances(found, wanted)) == pytest.approx(4 / 8 - 1 / 9)
    assert float(giou_of_distances(found, found)) == 1.0


def test_score_map_loss_is_cross_entropy_and_dice_of_films_with_an_opacity() -> None:
    logits, wanted = torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)
    wanted[0, 0] = 1.0
    # cross-entropy ln 2 everywhere; Dice of the first film alone: 1 - (2 * 1 + 1) / (2 + 2 + 1)
    assert float(score_map_loss(logits, wanted)) == pytest.approx(math.log(2) + 0.4, rel=1e-5)


def _outputs(cells: int) -> BranchOutputs:
    return BranchOutputs(
        torch.zeros(1, cells), torch.full((1, cells, 4), 2.0), torch.zeros(1, cells), torch.full((1, 2, 2), -20.0)
    )


def test_a_film_without_a_box_teaches_only_that_nothing_is_there() -> None:
    none = BoxTargets(torch.zeros(1, 3, dtype=torch.bool), torch.ones(1, 3, 4), torch.zeros(1, 3))
    loss = branch_loss(_outputs(3), none, torch.zeros(1, 2, 2))
    assert float(loss.classes) == pytest.approx(3 * 0.75 * 0.25 * math.log(2), rel=1e-5)
    assert float(loss.sides) == float(loss.middles) == 0.0
    assert float(loss.opacity) < 1e-6


def test_sides_weigh_by_how_central_the_cell_is() -> None:
    positive = torch.tensor([[True, True, False]])
    wanted = torch.tensor([[[2.0, 2.0, 2.0, 2.0], [4.0, 2.0, 4.0, 2.0], [1.0, 1.0, 1.0, 1.0]]])
    loss = branch_loss(
        _outputs(3), BoxTargets(positive, wanted, torch.tensor([[1.0, 0.25, 0.0]])), torch.zeros(1, 2, 2)
    )
    # the first is right; the second covers half of what it should, its hull is the wanted box itself
    assert float(loss.sides) == pytest.approx(0.25 * 0.5 / 1.25)
    assert float(loss.middles) == pytest.approx(math.log(2), rel=1e-5)
