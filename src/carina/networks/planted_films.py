"""Normal films with made opacities beside a table's films, labelled by what was made (M22, M36).

Where a class has a source of its own, the source is the shortest way to the label. A normal film with an opacity laid
into its lungs has the same source, patient and exposure as the one without: only the opacity tells the two apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from carina.errors import TrainingError
from carina.networks.branch_films import BranchFilms
from carina.networks.film_data import Batch

__all__ = ["PlantedFilms"]

_HALF = 0.5


class PlantedFilms:
    """Adds films with and without made opacities to batches.

    Parameters
    ----------
    films : BranchFilms
        Normal films; some seven of ten draws carry an opacity, the others at most marks that are none.
    normal : Tensor of bool, (K,)
        Classes of a film without an opacity; one with an opacity may be any of the others.
    share : float
        Of the films shown, above 0 and below 1.

    Raises
    ------
    TrainingError
        If no class, or every class, is normal: an opacity would have no class to go to.
    """

    def __init__(self, films: BranchFilms, normal: Tensor, share: float) -> None:
        if bool(normal.all()) or not bool(normal.any()):
            raise TrainingError(
                f"films with made opacities need a task with normal classes and others; found {int(normal.sum())} "
                f"normal of {len(normal)}"
            )
        self.films, self.normal, self.share = films, normal, share

    def added_to(self, batch: Batch, seed: int) -> Batch:
        """Add made films, as many as make up the share; the same seed adds the same.

        They count in the question whether a film is normal, with a weight of 1, and say nothing of the kind of disease.

        Parameters
        ----------
        batch : Batch
        seed : int
            0 or more.

        Returns
        -------
        Batch
        """
        count = max(1, round(len(batch.films) * self.share / (1.0 - self.share)))
        drawn = self.films.batch(count, seed)
        device = batch.films.device
        opaque = (drawn.opacity.flatten(1).amax(1) >= _HALF)[:, None]
        without = torch.zeros((count, *batch.lungless.shape[1:]), dtype=torch.uint8, device=device)
        return Batch(
            torch.cat([batch.films, drawn.films.to(device)]),
            torch.cat([batch.targets, torch.where(opaque, ~self.normal, self.normal).to(device)]),
            torch.cat([batch.root, torch.ones(count, device=device)]),
            torch.cat([batch.inner, torch.zeros(count, device=device)]),
            torch.cat([batch.lungless, without]),
        )
