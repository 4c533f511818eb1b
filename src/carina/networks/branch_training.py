"""Second stage of a training: box branch and score map on a finished classifier (M21, M22).

The classifier stays as it is: its weights are frozen and its batch norms fixed, so that its logits, and with them every
threshold and figure measured on it, remain true. In the joint mode the branches learn beside the classifier instead
(`carina.networks.classifier`), and this stage only chooses the score threshold.

No real box and no real outline of an opacity is used: `LABELS` says where the labels come from.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.data import DataLoader, Dataset

from carina.errors import FilmRejectedError, TrainingError
from carina.imaging import read_film
from carina.imaging.lung_fields import LungFields
from carina.inference.boxes import INSIDE, MOST_BOXES, NMS_IOU
from carina.networks.branch_films import BranchBatch, BranchFilms, PlainFilm, phantom_plain_films, plain_film
from carina.networks.branch_judgement import BoxFigures, judge_boxes
from carina.networks.branch_losses import branch_step
from carina.networks.film_data import epoch_seed
from carina.networks.film_network import FilmNetwork
from carina.networks.recipe import Recipe
from carina.sampling import FilmTable
from carina.types import Array

__all__ = ["LABELS", "BranchSummary", "Finder", "branch_films", "fit_branches", "judge_branches"]

LABELS = (
    "made opacities laid into real normal films of the training split, within their lung fields, and phantom films; "
    "no real box and no real outline of an opacity"
)
"""Where the labels of boxes and opacity map come from."""

_TUNE_LOOKS = 2
_WARM_UP = 0.15
_WEIGHT_DECAY = 0.01
_FEWEST_STEPS = 20
_AVERAGING = 0.98


class Finder(Protocol):
    """Finds lung fields; `carina.inference.lungs.LungFinder` is one."""

    def find(self, film: Array) -> LungFields:
        """Lung fields of pixels (H, W) in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class BranchSummary:
    """What a bundle says of its branches, in ``bundle.json`` under ``branches``.

    Attributes
    ----------
    score_threshold : float
        Least score shown: largest F1 at IoU 0.5 on made opacities in `tune` films.
    nms_iou, nms_inside : float
        See `carina.inference.boxes.BoxRules`.
    most_boxes : int
    labels : str
        Where the labels came from.
    backbone : str
        ``"frozen"`` or ``"joint"``.
    films : dict of str to int
        Films that opacities were laid into, and phantoms, by source.
    tune : dict
        Figures on made opacities in `tune` films; no performance on real disease.
    """

    score_threshold: float
    nms_iou: float
    nms_inside: float
    most_boxes: int
    labels: str
    backbone: str
    films: dict[str, int]
    tune: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def branch_films(table: FilmTable, recipe: Recipe, finder: Finder, split: str, *, augment: bool) -> BranchFilms:
    """Read the films that opacities are laid into.

    Parameters
    ----------
    table : FilmTable
        With splits.
    recipe : Recipe
    finder : Finder
    split : str
        Only films of this split, with the label `recipe.branch_normal`, are taken.
    augment : bool

    Returns
    -------
    BranchFilms
        Films whose lung fields are plausible, and phantoms.

    Raises
    ------
    TrainingError
        If there is no film at all.
    """
    found: list[PlainFilm] = []
    for path, label, source, part in zip(
        table.paths, table.labels, table.sources, table.frame["split"].to_list(), strict=True
    ):
        if part == split and label == recipe.branch_normal:
            found.extend(_plain(path, source, finder))
    held_out = 0 if split == "train" else recipe.branch_phantoms  # other phantoms for other splits
    count = recipe.branch_phantoms if split == "train" else recipe.branch_phantoms // 4
    found.extend(phantom_plain_films(count, recipe.seed % 1_000_000 + held_out))
    if not found:
        raise TrainingError(
            f"made opacities need films labelled {recipe.branch_normal!r} in {split!r}, or phantoms; found none"
        )
    return BranchFilms(found, recipe.standardisation(), augment=augment)


def _plain(path: Path, source: str, finder: Finder) -> Iterator[PlainFilm]:
    try:
        pixels = read_film(path).pixels
    except FilmRejectedError:
        return
    fields = finder.find(pixels)
    if fields.plausible:
        yield plain_film(pixels, fields, source)


class _Draws(Dataset[BranchBatch]):
    """Batches of one epoch, each from its own seed."""

    def __init__(self, films: BranchFilms, recipe: Recipe) -> None:
        self.films, self.recipe, self.epoch = films, recipe, 0

    def __len__(self) -> int:
        return max(1, self.recipe.branch_films // self.recipe.branch_batch)

    def __getitem__(self, number: int) -> BranchBatch:
        return self.films.batch(self.recipe.branch_batch, epoch_seed(self.recipe.seed, self.epoch) + number)


class _BranchTraining(lightning.LightningModule):
    """Branches in training on a frozen classifier."""

    def __init__(self, network: FilmNetwork, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
        self.network.requires_grad_(requires_grad=False)
        self.branches = network.branches if network.branches is not None else network.add_branches()
        self.branches.requires_grad_(requires_grad=True)
        self.seer = fused(network)

    def train(self, mode: bool = True) -> _BranchTraining:  # noqa: FBT001, FBT002 -- torch's signature
        """Set the branches to training; the classifier stays in evaluation, its batch norms fixed."""
        super().train(mode)
        self.network.trunk.eval()
        self.network.head.eval()
        self.seer.eval()
        return self

    def training_step(self, batch: BranchBatch, _number: int) -> Tensor:
        """Loss of one batch."""
        with torch.no_grad():
            maps = self.seer.maps(_scaled(batch.films).to(self.device))
        loss = branch_step(self.branches, maps, batch)
        self.log("branch_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch.films))
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule."""
        rate = self.recipe.branch_learning_rate
        optimiser = torch.optim.AdamW(self.branches.parameters(), lr=rate, weight_decay=_WEIGHT_DECAY)
        steps = max(int(self.trainer.estimated_stepping_batches), _FEWEST_STEPS)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=_WARM_UP)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fused(network: FilmNetwork) -> FilmNetwork:
    """Copy a classifier for looking alone, each fixed batch norm drawn into the convolution before it: faster."""
    copy = _alone(network)
    for module in list(copy.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for number in range(len(module) - 1):
            convolution, norm = module[number], module[number + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[number], module[number + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copy.to(memory_format=torch.channels_last).requires_grad_(requires_grad=False)  # type: ignore[call-overload,no-any-return] # torch's stubs lack it


def _alone(network: FilmNetwork) -> FilmNetwork:
    """Copy the classifier without its branches, in evaluation."""
    branches, network.branches = network.branches, None
    copy = deepcopy(network).eval()
    network.branches = branches
    return copy


class _NextEpoch(lightning.Callback):
    """Tell the films which epoch is drawn."""

    def __init__(self, draws: _Draws) -> None:
        self.draws = draws

    def on_train_epoch_start(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """Seed the epoch."""
        self.draws.epoch = trainer.current_epoch


def fit_branches(
    network: FilmNetwork, table: FilmTable, recipe: Recipe, out: Path, *, finder: Finder, accelerator: str = "auto"
) -> BranchSummary:
    """Train the branches of a classifier, or take them from an earlier run in the same folder.

    Parameters
    ----------
    network : FilmNetwork
        Trained; its branches are added, or where the recipe trains jointly, are there already. Its other weights do not
        change.
    table : FilmTable
        With splits; opacities are laid into its `train` and, to choose the score threshold, its `tune` films.
    recipe : Recipe
    out : Path
        Run folder; ``branches.pt`` and ``branches.json`` go there.
    finder : Finder
    accelerator : str
        Of Lightning.

    Returns
    -------
    BranchSummary

    Raises
    ------
    TrainingError
        If the network has no maps to put branches on, or no film is to be had.
    """
    made_of = _made_of(network, table, recipe)
    weights, note = out / "branches.pt", out / "branches.json"
    if note.is_file() and weights.is_file():
        stored = json.loads(note.read_text("utf-8"))
        if stored["made_of"] == made_of:
            branches = network.branches if network.branches is not None else network.add_branches()
            branches.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
            network.eval()
            return BranchSummary(**stored["summary"])
    films = branch_films(table, recipe, finder, "train", augment=True)
    if recipe.branch_backbone == "frozen":
        _train(network, films, recipe, accelerator)
    if network.branches is None:
        raise TrainingError("a joint training leaves its branches on the network; found none")
    tune = branch_films(table, recipe, finder, "tune", augment=False)
    figures = judge_branches(network, tune, recipe)
    summary = BranchSummary(
        score_threshold=figures.threshold,
        nms_iou=NMS_IOU,
        nms_inside=INSIDE,
        most_boxes=MOST_BOXES,
        labels=LABELS,
        backbone=recipe.branch_backbone,
        films=films.counts(),
        tune=figures.to_dict(),
    )
    note.unlink(missing_ok=True)
    torch.save(network.branches.state_dict(), weights)
    note.write_text(json.dumps({"made_of": made_of, "summary": summary.to_dict()}, indent=1), "utf-8")
    return summary


def _train(network: FilmNetwork, films: BranchFilms, recipe: Recipe, accelerator: str) -> None:
    torch.manual_seed(recipe.seed)
    # the running mean of weights that do not change still rounds them; the classifier is to stay bit for bit
    classifier = {name: value.clone() for name, value in network.state_dict().items() if "branches." not in name}
    module = _BranchTraining(network, recipe)
    draws = _Draws(films, recipe)
    engine = logging.getLogger("lightning.pytorch")
    level = engine.level
    engine.setLevel(logging.WARNING)
    try:
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=recipe.branch_epochs,
            callbacks=[_NextEpoch(draws), EMAWeightAveraging(decay=_AVERAGING)],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            gradient_clip_val=5.0,
            deterministic=True,
        )
        with _without_advice():
            trainer.fit(module, DataLoader(draws, batch_size=None, shuffle=False))
    finally:
        engine.setLevel(level)
    network.cpu().load_state_dict(classifier, strict=False)
    network.eval()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence advice of the engine that does not apply: films are drawn in memory, no loader processes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
        yield


def judge_branches(network: FilmNetwork, films: BranchFilms, recipe: Recipe) -> BoxFigures:
    """Figures on made opacities, each film `_TUNE_LOOKS` times, with the threshold that gives the largest F1."""
    found, wanted = [], []
    shared = covered = 0.0
    for look in range(_TUNE_LOOKS):
        for batch in films.in_order(recipe.branch_batch, recipe.seed + look):
            if network.branches is None:
                raise TrainingError("branches are judged on a network that has them; found none")
            with torch.no_grad():
                scores, boxes, opacity = network.branches.exported(network.maps(_scaled(batch.films)))
            found += list(zip(boxes.numpy(), scores.numpy(), strict=True))
            wanted += [part.numpy() for part in batch.boxes]
            truth, said = batch.opacity.numpy() >= 0.5, opacity.numpy() >= 0.5  # noqa: PLR2004 -- opaque
            shared += float((truth & said).sum())
            covered += float(truth.sum() + said.sum())
    dice = 2 * shared / covered if covered else 0.0
    return judge_boxes(found, wanted, dice=dice)


def _made_of(network: FilmNetwork, table: FilmTable, recipe: Recipe) -> str:
    digest = sha256(json.dumps(recipe.model_dump(mode="json"), sort_keys=True).encode())
    digest.update(table.frame.select("image_id", "split").write_csv().encode())
    digest.update(table.sha256.encode())
    for name, value in sorted(network.state_dict().items()):
        if not name.startswith("branches.") or recipe.branch_backbone == "joint":
            digest.update(name.encode() + np.ascontiguousarray(value.cpu().numpy()).tobytes())
    return digest.hexdigest()


def _scaled(films: Tensor) -> Tensor:
    return (films.float().unsqueeze(1) / 255.0).contiguous(memory_format=torch.channels_last)
