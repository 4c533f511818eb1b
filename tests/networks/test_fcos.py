"""Box branch: what its cells mean, against arrays computed by hand after Tian 2019."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are built with the extra 'train'")

from carina.networks.branch_targets import box_targets  # noqa: E402 -- after the skip
from carina.networks.fcos import FcosHead, boxes_of, cell_centres, centre_ness, distances_to_sides  # noqa: E402


def test_cells_of_two_levels_lie_where_their_strides_put_them() -> None:
    head = FcosHead(16, 20, (8, 16))
    # a side of 20 needs three cells of 8 and two of 16
    assert head.centres[:4].tolist() == [[4.0, 4.0], [12.0, 4.0], [20.0, 4.0], [4.0, 12.0]]
    assert head.centres[9:].tolist() == [[8.0, 8.0], [24.0, 8.0], [8.0, 24.0], [24.0, 24.0]]
    assert head.strides.tolist() == [8.0] * 9 + [16.0] * 4


@pytest.mark.parametrize(
    ("sides", "expected"),
    [([5.0, 7.0, 5.0, 7.0], 1.0), ([2.0, 2.0, 10.0, 10.0], 0.2), ([1.0, 3.0, 4.0, 3.0], 0.5), ([0.0, 1, 1, 1], 0.0)],
)
def test_centre_ness_is_that_of_the_paper(sides: list[float], expected: float) -> None:
    # the geometric mean of the two shares, nearer side over farther one
    assert float(centre_ness(torch.tensor(sides))) == pytest.approx(expected)


def test_boxes_come_back_from_their_distances() -> None:
    centres, boxes = cell_centres(3, 8), torch.tensor([[1.0, 2.0, 23.0, 20.0], [0.0, 0.0, 24.0, 24.0]])
    distances = distances_to_sides(centres, boxes)
    for number, box in enumerate(boxes):
        assert torch.equal(boxes_of(centres, distances[:, number]), box.expand(9, 4))


def test_targets_are_those_worked_out_by_hand() -> None:
    centres = torch.cat([cell_centres(4, 8), cell_centres(2, 16)])
    strides = torch.tensor([8.0] * 16 + [16.0] * 4)
    found = box_targets([torch.tensor([[2.0, 2.0, 14.0, 13.0]]), torch.zeros(0, 4)], centres, strides)
    # centres 4 and 12 lie within the box on both axes; the coarse level's (8, 8) does too, but so near a box is not its
    assert found.positive[0].nonzero().flatten().tolist() == [0, 1, 4, 5]
    assert found.distances[0, [0, 5]].tolist() == [[2.0, 2.0, 10.0, 9.0], [10.0, 10.0, 2.0, 1.0]]
    assert found.centre_ness[0, 0] == pytest.approx((2 / 10 * 2 / 9) ** 0.5)
    assert found.centre_ness[0, 1] == pytest.approx((2 / 10 * 2 / 9) ** 0.5)
    assert found.centre_ness[0, 5] == pytest.approx((2 / 10 * 1 / 10) ** 0.5)
    assert not found.positive[1].any()
    assert found.centre_ness[1].sum() == 0


def test_where_boxes_overlap_the_smaller_one_counts() -> None:
    boxes = torch.tensor([[0.0, 0.0, 30.0, 30.0], [8.0, 8.0, 16.0, 16.0]])
    found = box_targets([boxes], cell_centres(4, 8), torch.full((16,), 8.0))
    assert found.distances[0, 5].tolist() == [4.0, 4.0, 4.0, 4.0]  # (12, 12) lies in both
    assert found.distances[0, 0].tolist() == [4.0, 4.0, 26.0, 26.0]  # (4, 4) in the large one


def test_a_box_with_a_far_side_belongs_to_the_coarse_level() -> None:
    centres = torch.cat([cell_centres(12, 8), cell_centres(6, 16)])
    strides = torch.tensor([8.0] * 144 + [16.0] * 36)
    found = box_targets([torch.tensor([[8.0, 8.0, 88.0, 88.0]])], centres, strides)
    # of the fine level no cell has all sides within 32 of its centre: the box is 80 wide
    assert not found.positive[0, :144].any()
    assert found.positive[0, 144:].sum() == 16  # centres 24, 40, 56 and 72 on each axis; 8 and 88 lie on the sides


def test_distances_are_positive_and_scaled_by_the_stride() -> None:
    head = FcosHead(16, 32, (8, 16)).eval()
    for layer in (head.score, head.distance, head.middle):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    logits, distances, middles = head([torch.randn(2, 16, 4, 4), torch.randn(2, 16, 2, 2)])
    assert logits.shape == middles.shape == (2, 20)
    assert torch.equal(distances[0, :, 0], head.strides)  # exp(0) times the stride
