"""Train the lung network: one seeded command, some minutes of two cores (M22, M24).

``python -m carina.networks.lung_training --data DATA --out BUNDLE`` writes the bundle of task ``lungs``.
"""

from __future__ import annotations

import copy
import logging
import time
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from carina.errors import TrainingError
from carina.imaging import Standardisation
from carina.networks.lung_augmentation import augmented_batch
from carina.networks.lung_data import Sample
from carina.networks.lung_network import LungNetwork

__all__ = ["LungRecipe", "fit_lungs", "lung_recipe"]

_log = logging.getLogger(__name__)


class LungRecipe(BaseModel):
    """Settings of one training of the lung network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(112, ge=32, le=512, multiple_of=16, description="side of the network's input, pixels")
    intensity: Literal["window", "local"] = Field("window", description="grey-scale standardisation")
    steps: int = Field(600, ge=1, le=100_000, description="batches")
    batch: int = Field(16, ge=2, le=1024, description="films a batch")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="peak, of the decoder")
    encoder_rate: float = Field(0.4, gt=0, le=1, description="the encoder's learning rate over the decoder's")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW weight decay")
    averaging: float = Field(0.98, ge=0, lt=1, description="decay of the running mean of weights")
    phantoms: int = Field(240, ge=0, le=100_000, description="phantom films, seeds 0 to phantoms - 1")
    phantom_share: float = Field(0.2, ge=0, lt=1, description="share of phantoms in a batch")
    whiteout: float = Field(0.4, ge=0, le=1, description="share of films that get an opacity over a lung")
    seed: int = Field(20200820, ge=0, le=2**31 - 1, description="of initial weights, draws and augmentation")

    def standardisation(self) -> Standardisation:
        """How films become the network's input."""
        return Standardisation(size=self.size, intensity=self.intensity)


def lung_recipe(changes: Mapping[str, object] | None = None) -> LungRecipe:
    """Read the packaged recipe of the shipped lung network, some settings replaced."""
    text = files("carina.networks").joinpath("recipes", "lungs.toml").read_text("utf-8")
    return LungRecipe.model_validate({**tomllib.loads(text), **(changes or {})})


def standardised(films: Tensor, intensity: str) -> Tensor:
    """`carina.imaging.standardise` for a batch (B, 1, S, S) that already has the network's size."""
    if intensity == "window":
        low, high = torch.quantile(films.flatten(1), torch.tensor([0.01, 0.99]), dim=1)
        low, high = low.view(-1, 1, 1, 1), high.view(-1, 1, 1, 1)
        spread: Tensor = ((films - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
        return spread
    sigma = films.shape[-1] / 8.0
    mean = _blurred(films, sigma)
    variance = _blurred(films * films, sigma) - mean * mean
    floor = 0.1 * films.flatten(1).std(1, unbiased=False).view(-1, 1, 1, 1)
    deviation = variance.clamp_min(0).sqrt().maximum(floor).clamp_min(1e-6)
    local: Tensor = ((films - mean) / deviation / 5.0 + 0.5).clamp(0, 1)
    return local


def _blurred(films: Tensor, sigma: float) -> Tensor:
    reach = min(round(4 * sigma), films.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1, dtype=films.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    padded = functional.pad(films, (reach,) * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


class _Pool:
    """Samples as tensors; draws batches of real films and phantoms in the recipe's shares."""

    def __init__(self, groups: Sequence[tuple[Sequence[Sample], float]], recipe: LungRecipe) -> None:
        self.groups = [(_stacked(samples), share) for samples, share in groups if samples and share > 0]
        self.recipe = recipe

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw films (B, 1, S, S), truth and known (B, 3, S/2, S/2)."""
        total = sum(share for _, share in self.groups)
        parts: list[tuple[Tensor, ...]] = []
        left = self.recipe.batch
        for number, (tensors, share) in enumerate(self.groups):
            last = number == len(self.groups) - 1
            count = left if last else min(left, round(self.recipe.batch * share / total))
            left -= count
            chosen = torch.randint(0, len(tensors[0]), (count,))
            parts.append(tuple(tensor[chosen] for tensor in tensors))
        films, truth, known = (torch.cat(column).float() for column in zip(*parts, strict=True))
        films, truth, known = augmented_batch(
            films / 255.0, truth, known, self.recipe.size, whiteout=self.recipe.whiteout
        )
        return standardised(films, self.recipe.intensity), truth, known


def _stacked(samples: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(np.stack([sample.film for sample in samples]))[:, None],
        torch.from_numpy(np.stack([sample.truth for sample in samples])),
        torch.from_numpy(np.stack([sample.known for sample in samples])),
    )


def loss_of(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy and one minus the soft Dice, each where the truth is known; means over channels."""
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    entropy = (entropy * known).sum() / known.sum().clamp_min(1)
    shares = torch.sigmoid(logits) * known
    wanted = truth * known
    # over the batch: a film with little known truth must not weigh as much as a whole one
    overlap, sizes = (shares * wanted).sum((0, 2, 3)), (shares + wanted).sum((0, 2, 3))
    return entropy + (1 - (2 * overlap + 1) / (sizes + 1)).mean()


def fit_lungs(groups: Sequence[tuple[Sequence[Sample], float]], recipe: LungRecipe) -> LungNetwork:
    """Train a lung network.

    Parameters
    ----------
    groups : sequence of (samples, share)
        Samples and their share of each batch.
    recipe : LungRecipe

    Returns
    -------
    LungNetwork
        The running mean of weights, in evaluation.

    Raises
    ------
    TrainingError
        If the loss is not finite.
    """
    torch.manual_seed(recipe.seed)
    pool = _Pool(groups, recipe)
    network = LungNetwork()
    network.load_imagenet()
    network.train()
    encoder = {id(parameter) for parameter in network.encoder()}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in encoder]
    rates = [recipe.learning_rate * recipe.encoder_rate, recipe.learning_rate]
    optimiser = torch.optim.AdamW(
        [{"params": list(network.encoder())}, {"params": rest}], lr=rates[1], weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=rates, total_steps=recipe.steps, pct_start=0.1, cycle_momentum=False
    )
    averaged = copy.deepcopy(network)
    begun = time.monotonic()
    for step in range(recipe.steps):
        films, truth, known = pool.batch()
        loss = loss_of(network(films), truth, known)
        if not torch.isfinite(loss):
            raise TrainingError(f"the lung network's loss must stay finite; it is not at step {step}")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        # the first batches count alike, so that the start does not linger in the mean
        _average(averaged, network, min(recipe.averaging, step / (step + 1)))
        if (step + 1) % 50 == 0:
            _log.info("step %d loss %.3f, %.0f s", step + 1, loss.item(), time.monotonic() - begun)
    return averaged.eval()


@torch.no_grad()
def _average(mean: LungNetwork, network: LungNetwork, decay: float) -> None:
    """Move the running mean of weights and statistics towards the network's."""
    for kept, now in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(now, 1.0 - decay)
        else:
            kept.copy_(now)
