"""Batches of films for training, drawn anew and reproducibly each epoch (M25)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from carina.networks.recipe import Recipe
from carina.sampling import FilmWeights
from carina.types import Bytes

__all__ = ["Batch", "FilmData", "FilmPart", "epoch_seed"]


class Batch(NamedTuple):
    """Films of one step.

    Attributes
    ----------
    films : Tensor of uint8, (B, S, S)
    targets : Tensor of bool, (B, K)
    root, inner : Tensor, (B,)
        Weights in the loss.
    lungless : Tensor of uint8, (B, 2, S, S)
        Film with its lungs blacked out, and the cover (0 or 1); empty, (B, 0), where training does without.
    """

    films: Tensor
    targets: Tensor
    root: Tensor
    inner: Tensor
    lungless: Tensor


_EPOCH_STRIDE = 1_000_003


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of everything drawn in an epoch, so that a restarted epoch draws the same as an uninterrupted one."""
    return (seed + _EPOCH_STRIDE * (epoch + 1)) % 2**31


class FilmPart(Dataset[Batch]):
    """Films of one split, given out a batch at a time.

    Parameters
    ----------
    films : ndarray of uint8, (N, S, S)
    rows : ndarray of int, (M,)
        Rows of `films` and `targets` that belong to the part.
    targets : ndarray of bool, (M, K)
    weights : FilmWeights
        Of the part's films.
    lungless : ndarray of uint8, (N, 2, S, S), or None
        As `CachedFilms` has it.
    """

    def __init__(
        self,
        films: Bytes,
        rows: NDArray[np.intp],
        targets: NDArray[np.bool_],
        weights: FilmWeights,
        lungless: Bytes | None = None,
    ) -> None:
        self.films, self.rows, self.lungless = films, rows, lungless
        self.targets = torch.from_numpy(targets)
        self.root, self.inner = torch.from_numpy(weights.root), torch.from_numpy(weights.inner)
        self.draw = weights.draw
        self.order: NDArray[np.intp] = np.arange(len(rows))

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, numbers: list[int]) -> Batch:
        chosen = self.order[np.asarray(numbers)]
        index = torch.from_numpy(chosen)
        films = torch.from_numpy(np.ascontiguousarray(self.films[self.rows[chosen]]))
        without = torch.empty((len(chosen), 0), dtype=torch.uint8)
        if self.lungless is not None:
            without = torch.from_numpy(np.ascontiguousarray(self.lungless[self.rows[chosen]]))
        return Batch(films, self.targets[index], self.root[index], self.inner[index], without)


def _as_is(batch: Any) -> Any:
    """Pass on what `FilmPart.__getitems__` already made a batch."""
    return batch


class FilmData(lightning.LightningDataModule):
    """Training films drawn by weight each epoch; tune films in order.

    Parameters
    ----------
    train, tune : FilmPart
    recipe : Recipe
    draw : callable, optional
        From the epoch's seed to the rows of `train` to draw; by default as many as there are films, by draw weight.
    """

    def __init__(
        self,
        train: FilmPart,
        tune: FilmPart,
        recipe: Recipe,
        draw: Callable[[int], Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.train, self.tune, self.recipe = train, tune, recipe
        self.draw = draw or self._by_weight

    def _by_weight(self, seed: int) -> Sequence[int]:
        share = self.train.draw.astype(np.float64)
        chosen = np.random.default_rng(seed).choice(len(share), size=len(share), p=share / share.sum())
        return [int(row) for row in chosen]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Films of this epoch; Lightning asks anew each epoch."""
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        self.train.order = np.asarray(self.draw(epoch_seed(self.recipe.seed, epoch)), dtype=np.intp)
        drop = len(self.train) > self.recipe.batch
        return DataLoader(self.train, self.recipe.batch, shuffle=False, drop_last=drop, collate_fn=_as_is)

    def val_dataloader(self) -> DataLoader[Batch]:
        """All tune films."""
        return DataLoader(self.tune, self.recipe.batch, shuffle=False, collate_fn=_as_is)
