"""Score map: joined at every depth, upsampled four times, and thin."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="networks are built with the extra 'train'")

from carina.networks.score_map import WIDTHS, ExpandingPath, ScoreMapHead  # noqa: E402 -- after the skip

_CHANNELS = (3, 4, 5, 6, 7)


def _maps(size: int) -> list[torch.Tensor]:
    sides = [-(-size // stride) for stride in (2, 4, 8, 16, 32)]
    return [torch.randn(1, count, side, side, requires_grad=True) for count, side in zip(_CHANNELS, sides, strict=True)]


@pytest.mark.parametrize("size", [64, 176, 100])
def test_every_depth_has_the_side_of_the_trunks_map(size: int) -> None:
    maps = _maps(size)
    path = ExpandingPath(_CHANNELS).eval()(maps)
    assert [one.shape[1:] for one in path] == [
        (width, *beside.shape[2:]) for width, beside in zip(WIDTHS, maps, strict=True)
    ]
    assert ScoreMapHead()(path[0]).shape == (1, -(-size // 2), -(-size // 2))


def test_the_score_map_depends_on_the_maps_of_all_five_depths() -> None:
    maps = _maps(64)
    ScoreMapHead()(ExpandingPath(_CHANNELS)(maps)[0]).square().sum().backward()
    assert all(one.grad is not None and float(one.grad.abs().max()) > 0 for one in maps)


def test_an_untrained_score_map_says_that_little_is_opaque() -> None:
    with torch.no_grad():
        opacity = ScoreMapHead()(torch.zeros(1, WIDTHS[0], 8, 8)).sigmoid()
    assert float(opacity.max()) < 0.05


def test_another_number_of_depths_is_refused() -> None:
    with pytest.raises(ValueError, match="joins 5 depths; found 4"):
        ExpandingPath((1, 2, 3, 4))
