"""A training written down: everything that decides the weights besides the films (M20, M24, M25)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carina.errors import TrainingError
from carina.imaging import Standardisation
from carina.networks.augmentation import Strength
from carina.networks.film_network import NetworkSpec

__all__ = ["Recipe", "load_recipe"]


class Recipe(BaseModel):
    """Settings of one training; every field is stored in the bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str = Field("efficientnet_lite0", description="name in the network registry")
    pretrained: bool = Field(True, description="start from packaged ImageNet weights (efficientnet_lite0 only)")
    hierarchical: bool = Field(True, description="logits follow the task's groups")
    convolutions: int = Field(4, ge=1, le=8, description="seed_cnn: number of 3x3 convolutions (M20)")
    pooling: Literal["max", "average"] = Field("max", description="seed_cnn: kind of pooling (M20)")
    size: int = Field(160, ge=32, le=1024, description="side of the network's input, pixels")
    intensity: Literal["window", "equalise", "local"] = Field("window", description="grey-scale standardisation")
    framing: Literal["whole", "lung_centred", "lung_masked"] = Field("whole", description="part of the film shown")
    epochs: int = Field(16, ge=1, le=1000, description="most passes over the training films")
    patience: int = Field(5, ge=1, le=1000, description="epochs without a better tune loss before stopping")
    batch: int = Field(32, ge=2, le=4096, description="films a step")
    learning_rate: float = Field(3e-4, gt=0, le=1, description="peak of the one-cycle schedule")
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW weight decay")
    averaging: float = Field(0.99, ge=0, lt=1, description="decay of the running mean of weights; 0 turns it off")
    augmentation: Strength = Field("strong", description="none, basic (M24) or strong (also appearance)")
    spectrum_mixing: float = Field(0.0, ge=0, le=1, description="share of films lent another film's amplitude spectrum")
    style_mixing: float = Field(
        0.0, ge=0, le=1, description="share of batches that mix channel statistics (efficientnet_lite0)"
    )
    lungless: float = Field(
        0.0, ge=0, lt=1, description="share of films shown with their lungs blacked out, and drawn towards even"
    )
    surroundings: float = Field(0.0, ge=0, le=1, description="share of films shown in another film's surroundings")
    planted: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of films shown that are normal ones with a made opacity, or marks that are none",
    )
    one_sided: float = Field(0.3, ge=0, le=1, description="root weight of films from sources on one side of the root")
    evenness: float = Field(0.3, ge=0, le=1, description="pull of ungrouped films towards even groups")
    smoothing: float = Field(0.05, ge=0, lt=0.5, description="label smoothing")
    paper_sizes: bool = Field(False, description="draw M25's class sizes (400 N, 400 B, 400 V, 200 C) each epoch")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field("32-true", description="Lightning precision")
    branches: bool = Field(False, description="also train box branch and opacity map (M21, M22; efficientnet_lite0)")
    branch_backbone: Literal["frozen", "joint"] = Field(
        "frozen", description="frozen: on the finished classifier, whose logits stay; joint: beside it"
    )
    branch_normal: str = Field("normal", description="label of the films that opacities are made on")
    branch_phantoms: int = Field(200, ge=0, le=100_000, description="phantom films beside them")
    branch_epochs: int = Field(9, ge=1, le=1000, description="frozen: rounds of branch_films films")
    branch_films: int = Field(1600, ge=2, le=10_000_000, description="frozen: films drawn a round")
    branch_batch: int = Field(16, ge=2, le=4096, description="films a step; joint: beside each batch")
    branch_learning_rate: float = Field(3e-3, gt=0, le=1, description="frozen: peak of the one-cycle schedule")
    branch_weight: float = Field(0.5, ge=0, le=100, description="joint: weight of the branches' loss")
    seed: int = Field(20200820, ge=0, le=2**31 - 1, description="of split, initial weights, draws and augmentation")

    def changed(self, changes: Mapping[str, object]) -> Recipe:
        """Return the recipe with some settings replaced.

        Raises
        ------
        TrainingError
            If a setting is unknown or out of range.
        """
        return _validated({**self.model_dump(), **changes}, "the training")

    @property
    def joint(self) -> bool:
        """Whether the branches learn beside the classifier and change it."""
        return self.branches and self.branch_backbone == "joint"

    @property
    def needs_lungless(self) -> bool:
        """Whether training asks for films with their lungs blacked out."""
        return self.lungless > 0 or self.surroundings > 0

    @property
    def needs_lungs(self) -> bool:
        """Whether anything in training rests on lung fields."""
        return self.standardisation().needs_lungs or self.branches or self.needs_lungless or self.planted > 0

    def of_classifier(self) -> dict[str, object]:
        """Give the settings that decide the classifier's weights, as JSON; those of frozen branches do not."""
        values = self.model_dump(mode="json")
        kept = {"branch_normal"} if self.planted else set()
        return {name: value for name, value in values.items() if self.joint or "branch" not in name or name in kept}

    def network_spec(self) -> NetworkSpec:
        """Part that decides the architecture."""
        return NetworkSpec(
            name=self.network,
            size=self.size,
            hierarchical=self.hierarchical,
            convolutions=self.convolutions,
            pooling=self.pooling,
        )

    def standardisation(self) -> Standardisation:
        """How films become the network's input."""
        return Standardisation(size=self.size, framing=self.framing, intensity=self.intensity)


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe: the name of a packaged one, or a TOML file.

    Parameters
    ----------
    name_or_path : str
        ``"pneumonia"`` or ``"pneumonia-seed"`` (the shipped models), or a path.

    Returns
    -------
    Recipe

    Raises
    ------
    TrainingError
        If it does not exist, is not TOML, or has an unknown or out-of-range setting.
    """
    packaged = files("carina.networks").joinpath("recipes", f"{name_or_path}.toml")
    try:
        text = packaged.read_text("utf-8") if packaged.is_file() else Path(name_or_path).read_text("utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(
            f"a recipe is a packaged name or a readable TOML file; {name_or_path!r}: {error}"
        ) from error
    return _validated(values, f"recipe {name_or_path!r}")


def _validated(values: Mapping[str, object], origin: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TrainingError(f"{origin}, setting {place!r}: {first['msg']}; found {first.get('input')!r}") from error
