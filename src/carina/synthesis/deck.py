"""Dealing: every entry once, then by weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

__all__ = ["Deck"]

T = TypeVar("T")


class Deck(Generic[T]):
    """Entries dealt so that even a small hospital sees all of them: one shuffled round, then draws by weight.

    Parameters
    ----------
    entries : sequence
        What is dealt.
    weights : sequence of float
        Relative weight of each entry after the first round.
    rng : numpy.random.Generator
        Luck.

    Examples
    --------
    >>> deck = Deck(["a", "b", "c"], [1, 1, 1], np.random.default_rng(1))
    >>> sorted(deck.deal() for _ in range(3))
    ['a', 'b', 'c']
    """

    def __init__(self, entries: Sequence[T], weights: Sequence[float], rng: np.random.Generator) -> None:
        self._entries: list[T] = list(entries)
        self._weights = np.asarray(weights, dtype=np.float64)
        self._rng = rng
        self._round: list[T] = [self._entries[i] for i in rng.permutation(len(self._entries))]

    def deal(self, accept: Callable[[T], bool] | None = None) -> T:
        """Deal one entry that is accepted; without a condition, any."""
        for place, entry in enumerate(self._round):
            if accept is None or accept(entry):
                return self._round.pop(place)
        weights = np.asarray(
            [w if accept is None or accept(e) else 0.0 for e, w in zip(self._entries, self._weights, strict=True)]
        )
        place = int(np.searchsorted(np.cumsum(weights), self._rng.random() * weights.sum(), side="right"))
        chosen: T = self._entries[place]
        return chosen
