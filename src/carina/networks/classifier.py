"""The training step, as Lightning runs it (M20, M24, M25)."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor

from carina.errors import TrainingError
from carina.networks.augmentation import Augmentation
from carina.networks.branch_films import BranchFilms
from carina.networks.branch_losses import branch_step
from carina.networks.film_data import Batch, epoch_seed
from carina.networks.film_network import FilmNetwork
from carina.networks.losses import FilmLoss
from carina.networks.mixing import StyleMixing, hide_lungs, mix_spectra
from carina.networks.planted_films import PlantedFilms
from carina.networks.recipe import Recipe
from carina.networks.registry import build_network
from carina.tasks import Task

__all__ = ["FilmClassifier"]

_WARM_UP = 0.1
_FEWEST_STEPS = 20


class FilmClassifier(lightning.LightningModule):
    """A film network in training.

    Parameters
    ----------
    task : Task
    recipe : Recipe
    branch_films : BranchFilms or None
        Of the joint mode: films with made opacities, a batch of which goes beside each batch of the table's films.
    planted : PlantedFilms or None
        Adds films with made opacities to each batch, for the classifier itself.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        branch_films: BranchFilms | None = None,
        planted: PlantedFilms | None = None,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = build_network(task, recipe.network_spec(), pretrained=recipe.pretrained)
        self.branch_films, self.planted = branch_films, planted
        if branch_films is not None:
            self.network.add_branches()
        # channels last: 1.8 times the speed of the default layout on a CPU, for the depthwise convolutions
        self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs lack it
        self.augmentation = Augmentation(recipe.augmentation)
        self.mixing = StyleMixing(recipe.style_mixing)
        self._mixed = self.mixing.put_behind(self.network.early_layers()) if recipe.style_mixing else []
        self.loss = FilmLoss(task, evenness=recipe.evenness, smoothing=recipe.smoothing)
        self.tune_loss = FilmLoss(task, evenness=0.0, smoothing=0.0)

    def forward(self, films: Tensor) -> Tensor:
        """Films uint8 ``(B, S, S)`` to logits ``(B, K)``."""
        logits: Tensor = self.network(_scaled(films))
        return logits

    def finished(self) -> FilmNetwork:
        """Give the network, on the CPU and in evaluation, without what hung on it in training."""
        for handle in self._mixed:
            handle.remove()
        return self.network.cpu().eval()

    def on_train_batch_start(self, _batch: Batch, number: int) -> None:
        """Seed the epoch's draws with its first batch: the hook of the epoch's start is skipped after a restart."""
        if number == 0:
            torch.manual_seed(epoch_seed(self.recipe.seed, self.current_epoch) + self.global_rank)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Loss of one augmented batch, and in the joint mode of a batch of made opacities beside it."""
        if self.planted is not None:
            batch = self.planted.added_to(batch, self._seed(number))
        films, targets, root, inner, without = batch
        silent = None
        if self.recipe.needs_lungless:
            films, silent = hide_lungs(
                films, without, lungless=self.recipe.lungless, surroundings=self.recipe.surroundings
            )
        augmented, _ = self.augmentation(_scaled(films))
        augmented = mix_spectra(augmented, self.recipe.spectrum_mixing)
        if self.branch_films is None:
            logits = self.network(augmented.contiguous(memory_format=torch.channels_last))
            loss: Tensor = self.loss(logits.float(), targets, root, inner, silent)
        else:
            logits, beside = self._beside(augmented, number)
            loss = self.loss(logits.float(), targets, root, inner, silent) + self.recipe.branch_weight * beside
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(films))
        return loss

    def _seed(self, number: int) -> int:
        """Seed of what is made for one batch of one process."""
        start = epoch_seed(self.recipe.seed, self.current_epoch)
        return int(start + number * self.trainer.world_size + self.global_rank)

    def _beside(self, films: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Logits of the classifier's films, and the branches' loss on films of their own, from one forward pass."""
        source, branches = self.branch_films, self.network.branches
        if source is None or branches is None:
            raise TrainingError("a joint training needs films for its branches; found none")
        drawn = source.batch(self.recipe.branch_batch, self._seed(number))
        both = torch.cat([films, _scaled(drawn.films).to(films.device)]).contiguous(memory_format=torch.channels_last)
        maps = self.network.maps(both)
        count = len(films)
        _, scores = self.network.head(maps[-1][:count])
        loss = branch_step(branches, tuple(one[count:].float() for one in maps), drawn)
        self.log("branch_loss", loss, on_step=False, on_epoch=True, batch_size=len(drawn.films))
        return self.network.logits(scores), loss

    def validation_step(self, batch: Batch, _number: int) -> None:
        """Loss of one batch of `tune`, as it is."""
        films, targets, root, inner, _ = batch
        loss = self.tune_loss(self(films).float(), targets, root, inner)
        self.log("tune_loss", loss, prog_bar=True, sync_dist=True, batch_size=len(films))

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule."""
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
        )
        # with fewer the warm-up would have no length, which the schedule divides by
        steps = max(int(self.trainer.estimated_stepping_batches), _FEWEST_STEPS)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.recipe.learning_rate, total_steps=steps, pct_start=_WARM_UP
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _scaled(films: Tensor) -> Tensor:
    return films.float().unsqueeze(1) / 255.0
